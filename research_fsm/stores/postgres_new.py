"""A schema that there is not yet: made alone, or as a store with all that is to be in it; whole, or not at all.

Floor 5. Imports what a store may import, and its siblings. It never touches a schema that is there.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from research_fsm.errors import CommitUnknown, InvalidInput, ResearchError, WriteRejected
from research_fsm.storage import Query, Rule
from research_fsm.stores.batch import Changes, World, taken
from research_fsm.stores.postgres_address import Place
from research_fsm.stores.postgres_commit import Commit, became, server
from research_fsm.stores.postgres_errors import ServerSaid, WireLost, failure
from research_fsm.stores.postgres_load import Loaded, load
from research_fsm.stores.postgres_reads import PostgresReader, Source
from research_fsm.stores.postgres_rows import text_of
from research_fsm.stores.postgres_schema import steps
from research_fsm.stores.postgres_server import Address
from research_fsm.stores.postgres_statements import Dialect, quoted
from research_fsm.stores.postgres_wire import Wire, settings
from research_fsm.stores.postgres_writes import statements

__all__ = ["NewStore", "new_schema", "new_store"]

A = TypeVar("A")

_EXISTS = "42P06"
_JUST_MADE = "pg_namespace_nspname_index"
"""The constraint that says so when somebody else was making it at the same time."""

_BEGIN = b"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"
_OVER = "nothing was written; begin anew"
_UNKNOWN = "the connection broke during the commit: the new store is there as a whole, or not at all"


@contextmanager
def new_schema(address: str, wait: float, *, kept: bool = True) -> Iterator[None]:
    """Make the schema that an address names, for whoever wants it empty; it is dropped again if that fails.

    Args:
        address: The address of the store that is to be in it.
        wait: How long to wait for others at most, in seconds.
        kept: Whether it stays when nothing has failed.

    Raises:
        InvalidInput: There is a schema of that name already. It was not touched.
        StoreError: It could not be made, or could not be dropped.
    """
    schema = Dialect(Place.of(address).schema).schema
    _say(address, f"CREATE SCHEMA {schema}", wait)
    try:
        yield
    except BaseException:
        kept = False
        raise
    finally:
        if not kept:
            _say(address, f"DROP SCHEMA {schema} CASCADE", wait)


def _say(address: str, statement: str, wait: float) -> None:
    """Execute a statement on a connection of its own."""
    place = Place.of(address)
    wire = Wire(Address.of(address), lambda _: None, wait)
    try:
        wire.run(f"BEGIN; SET LOCAL lock_timeout = {max(1, round(wait * 1000))}; {statement}; COMMIT".encode())
    except (ServerSaid, WireLost) as error:
        raise _meant(error, wire.where, place.schema) from error
    finally:
        wire.close("")


def _meant(error: ServerSaid | WireLost, where: str, schema: str) -> ResearchError:
    if isinstance(error, ServerSaid) and (error.state == _EXISTS or error.constraint == _JUST_MADE):
        return InvalidInput("schema", f"there is a schema {schema} already; name a new one")
    return failure(error, where)


@contextmanager
def new_store(address: str, clock: Callable[[], int], wait: timedelta) -> Iterator["NewStore"]:
    """Make a store in the schema that an address names; until the end nobody else sees any of it.

    All of it is one transaction, which is aborted if anything fails, and by the server if this process is killed.

    Args:
        address: The address of the store.
        clock: Returns the time in microseconds UTC.
        wait: How long to wait for others at most.

    Raises:
        InvalidInput: There is a schema of that name already. It was not touched.
        CommitUnknown: The connection broke at the very end, and what came of it could not be found out.
        StoreError: It could not be made, and nothing was.
    """
    dialect = Dialect(Place.of(address).schema, prepares=False)
    patience = wait / timedelta(seconds=1)
    wire, witness = (Wire(Address.of(address), _greet, patience) for _ in range(2))
    try:
        commit = _begun(wire, dialect, patience)
        wire.settle(_OVER)
        yield NewStore(wire, dialect, clock)
        _end(wire, commit, witness, patience)
    finally:
        wire.close(_OVER)
        witness.close(_OVER)


def _greet(wire: Wire) -> None:
    wire.server = server(wire)


def _begun(wire: Wire, dialect: Dialect, patience: float) -> Commit:
    """Begin, make the tables, and return how to tell afterwards whether it was committed."""
    begin = _BEGIN + settings(patience, "SET LOCAL")
    making = ";".join([f"CREATE SCHEMA {dialect.schema}", *steps(dialect), "SELECT pg_current_xact_id()"])
    try:
        ((xid,),) = wire.run(begin + making.encode())[-1]
    except (ServerSaid, WireLost) as error:
        raise _meant(error, wire.where, dialect.schema) from error
    there = b"SELECT WHERE to_regnamespace(%b) IS NOT NULL" % quoted(dialect.schema)
    return Commit(text_of(xid), wire.server, there, certain=False)


def _end(wire: Wire, commit: Commit, witness: Wire, patience: float) -> None:
    """Commit; when the answer is lost, what became of it is looked up on another connection."""
    try:
        wire.run(b"SELECT 1;COMMIT")  # A transaction that has failed would only say that it was aborted.
    except ServerSaid as error:
        raise failure(error, wire.where) from error
    except WireLost as error:
        match became(commit, witness, patience):
            case True:
                return
            case False:
                raise failure(error, wire.where) from error
            case None:
                raise CommitUnknown(wire.where, f"{_UNKNOWN}: {error}") from error


class NewStore(PostgresReader):
    """What `new_store` yields: a store for one thread, filled by many transactions of its own that are one in truth.

    Args:
        wire: The connection, with the transaction open on it.
        dialect: Where the tables are.
        clock: The time.
    """

    def __init__(self, wire: Wire, dialect: Dialect, clock: Callable[[], int]) -> None:
        super().__init__(Source(wire, b"", lasting=True), dialect, clock)
        self._wire = wire
        self._now = clock

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Load, decide and write; see `storage.Store`.

        Raises:
            WriteRejected: The rule's write broke what every store keeps.
            StoreError: It could not be done.
            BaseException: Whatever the rule raised, with nothing written.
        """
        with self.together(query) as alone:
            return alone.transact(query, rule)

    @contextmanager
    def together(self, query: Query) -> Iterator["_Together"]:
        """Load what many transactions name among them, and write what they have decided once there is no more.

        Args:
            query: The streams that they name.

        Raises:
            WriteRejected: A unique key is taken, or there is a receipt already.
            StoreError: It could not be done.
        """
        with self._wire.translated():
            world = self._load(query).world
        yield _Together(world, self._wire.where, self._now)
        with self._wire.translated():
            self._check_names(world.changes)
            world.write_out(self._apply)

    def _check_names(self, changes: Changes) -> None:
        """Name what is taken already: the server would only say that something is."""
        query = Query(keys=tuple(changes.keys), receipts=tuple(changes.receipts))
        there = self._load(query).world
        if there.keys:
            raise taken(self._wire.where, there.keys.values())
        for key in there.receipts:
            raise WriteRejected(self._wire.where, f"there is a receipt {key} already")

    def _load(self, query: Query) -> Loaded:
        return load(self._wire.run, self._dialect, [query], self._history, clock=self._now, lock=False)

    def _apply(self, changes: Changes) -> None:
        self._wire.run(b";\n".join(statements(self._dialect, changes)))


class _Together:
    """Transactions that see what the earlier ones have decided, of which nothing is written yet.

    Args:
        world: What they name, loaded.
        where: The store, for messages.
        clock: The time of each.
    """

    def __init__(self, world: World, where: str, clock: Callable[[], int]) -> None:
        self._world = world
        self._where = where
        self._clock = clock

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Decide on streams that were loaded, and on what they link to.

        Raises:
            WriteRejected: The rule's write broke what every store keeps.
            BaseException: Whatever the rule raised.
        """
        now = self._clock()
        for stream in self._world.streams(query, ()):
            self._world.head(stream)
        write = rule(self._world.view(query, now), now)
        self._world.changes.add(self._world, write, now, self._where)
        self._world.take_in(write, now)
        return write.answer
