"""The store for many machines: one schema of a PostgreSQL database, on a few connections per process.

Floor 5. Imports what a store may import, and its siblings: the tables are in `postgres_schema`, a connection is in
`postgres_wire`, what is said over it in `postgres_statements`, a transaction in `postgres_batch`, locking and loading
in `postgres_load`, writing in `postgres_writes`, all of that for those who wait in `postgres_writer`, reading in
`postgres_reads`, a commit whose answer was lost in `postgres_commit`, and what a failure means in `postgres_errors`.
It never lets an exception of the driver out, and never leaves a transaction open behind a call.

A transaction is two messages: one locks and loads, one writes and commits. Between them Python decides for everybody
who waits. There are a few connections that write, so that Python and the server work at the same time; reads go over
another one.
"""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Self, TypeVar

from research_fsm.errors import InvalidInput, StoreReadOnly, StoreUnavailable
from research_fsm.storage import Query, Rule
from research_fsm.stores.group_commit import GroupCommit
from research_fsm.stores.postgres_address import Place
from research_fsm.stores.postgres_commit import server
from research_fsm.stores.postgres_joined import JoinedStore
from research_fsm.stores.postgres_load import LOADING
from research_fsm.stores.postgres_opening import open_first
from research_fsm.stores.postgres_reads import READING, PostgresReader, Source
from research_fsm.stores.postgres_schema import Jobs, migrate, read_settings
from research_fsm.stores.postgres_server import Address
from research_fsm.stores.postgres_statements import Dialect
from research_fsm.stores.postgres_watch import PostgresWatch, listen
from research_fsm.stores.postgres_wire import Wire, settings
from research_fsm.stores.postgres_writer import Writer
from research_fsm.stores.postgres_writes import WRITING

__all__ = ["PostgresStore"]

A = TypeVar("A")

_WAIT = timedelta(seconds=30)
_LONGEST = timedelta(days=1)
_WRITERS = 2
"""How many connections write: while the server writes on one, the other decides, and Python decides one at a time."""

_LONG = 16
"""How many callers are decided for together before some of them go to the second connection."""

_POOLED = "a pooler answers, which may give each transaction another connection; open the store with prepared=False"
_CLOSED = "the store was closed; open another one"
_ANOTHER = "another store answers at this address; close the store and reopen it"
_OVER = "the snapshot is over; take another one"


class PostgresStore(PostgresReader):
    """A store in a schema of a database, made if there is none, migrated if it is an older one.

    Args:
        address: As libpq has it: ``postgresql://user@host:5432/database``, and ``?schema=`` and ``prepared=`` as below.
        schema: The schema that holds the tables; None for the one that the address says, or else ``research_fsm``.
        clock: Returns the time in microseconds UTC; None for the server's clock. Tests inject one.
        wait: How long a write waits for other writers, and for a server that is restarted.
        prepared: Whether statements are prepared on the server; None for what the address says, or else wherever no
            pooler stands between: one such as PgBouncer may give each transaction another connection.
        direct: The address of the server itself, where `address` is a pooler's: a feed is notified of news over it.
        create: Whether a store is made if there is none, and migrated if it is an older one.
        jobs: What makes a job of every entry of the queue, for workers of another program; the default leaves that
            as it is.

    Raises:
        InvalidInput: The address or the schema is none, or the wait is out of bounds.
        StoreUnavailable: The server cannot be reached, or lets nobody in.
        StoreReadOnly: There is something to migrate, and the role may not.
        StoreForeign: The schema is another program's. It was not touched.
        StoreTooNew: A later version of this library made it. It was not touched.
        StoreError: It could not be opened otherwise; see the subclasses for what to do.
    """

    def __init__(
        self,
        address: str,
        *,
        schema: str | None = None,
        clock: Callable[[], int] | None = None,
        wait: timedelta = _WAIT,
        prepared: bool | None = None,
        direct: str | None = None,
        create: bool = True,
        jobs: Jobs | None = None,
    ) -> None:
        if not timedelta(0) <= wait <= _LONGEST:
            raise InvalidInput("wait", f"{wait} is not between 0 and {_LONGEST.days} day")
        place = Place.of(address)
        self._address = Address.of(address)
        self._where, self._wait = self._address.where, wait / timedelta(seconds=1)
        self._prepared = place.prepared if prepared is None else prepared
        self._create = create
        self._jobs = jobs
        self._direct = None if direct is None else Address.of(direct)
        # What is prepared on a host's connection is the host's.
        self._dialect = self._unprepared = Dialect(place.schema if schema is None else schema, prepares=False)
        self._known: bytes | None = None
        self._watches: weakref.WeakSet[Wire] = weakref.WeakSet()
        first, *others = (Wire(self._address, self._greet, self._wait) for _ in range(_WRITERS))
        open_first(first, self._address, self._wait)  # Its first words find out how the others are said.
        self._local = b"" if self._dialect.prepares else settings(self._wait, "SET LOCAL")
        self._writers = [Writer(wire, self._dialect, self._local, clock, wait) for wire in (first, *others)]
        super().__init__(Source(Wire(self._address, self._greet, self._wait), self._local), self._dialect, clock)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._where!r}, schema={self._dialect.schema!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def schema(self) -> str:
        """The schema that holds the tables."""
        return self._dialect.schema

    @property
    def secret(self) -> bytes:
        """What callback tokens are derived from."""
        return self._known or b""

    def close(self) -> None:
        """Wait for whoever is inside, then close the connections. Snapshots that are open stay open."""
        for wire in list(self._watches):
            wire.close(_CLOSED)
        self._source.close(_CLOSED)
        for writer in self._writers:
            writer.wire.close(_CLOSED)

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Load, decide and write in one transaction; see `storage.Store`.

        Callers who come while another one commits are decided together, and committed once.

        Raises:
            StoreBusy: Others kept a row locked for longer than the wait allows, or too many wait.
            WriteRejected: The rule's write broke what every store keeps.
            CommitUnknown: The connection broke during the commit, and what came of it could not be found out.
            StoreError: It could not be done; see the subclasses for what to do.
            BaseException: Whatever the rule raised, with nothing written.
        """
        return self._line().call(query, rule)

    async def transact_async(self, query: Query, rule: Rule[A]) -> A:
        """Do the same for a caller who awaits, in the same line as those who block."""
        return await self._line().call_async(query, rule)

    def _line(self) -> GroupCommit:
        """Return where a caller is to stand: in the first line, until it is long and its callers share no rows."""
        first, second = (writer.callers for writer in self._writers)
        for line in (first, second):
            if line.is_led_here():
                return line  # It refuses a rule that uses the store.
        apart = first.length() >= _LONG and not self._writers[0].shared
        return second if apart and second.length() < first.length() else first

    def joined(self, connection: object) -> JoinedStore:
        """Return a store that works inside a transaction of the host's own, on this database.

        Args:
            connection: The host's, of psycopg, SQLAlchemy or Django, or a session of SQLAlchemy.

        Raises:
            InvalidInput: It is no connection to this store, or has no transaction to join.
        """
        return JoinedStore(self._where, connection, self.secret, self._unprepared, self._clock)

    def watch(self) -> PostgresWatch:
        """Open an eye on the end of the log, on a connection of its own.

        Raises:
            StoreClosed: The store was closed.
        """
        self._source.check_open()
        listening = self._direct is not None or self._dialect.prepares
        wire = Wire(self._direct or self._address, partial(self._greet_watch, listening=listening), self._wait)
        self._watches.add(wire)
        return PostgresWatch(wire, self._dialect, listening=listening)

    @contextmanager
    def snapshot(self) -> Iterator[PostgresReader]:
        """Open a reader that sees one point in time, on a connection of its own."""
        self._source.check_open()
        wire = Wire(self._address, self._greet, self._wait)
        try:
            with wire.translated():
                # The first question fixes the point in time.
                wire.run(b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;%bSELECT 1" % self._local)
            wire.settle(_OVER)
            yield PostgresReader(Source(wire, self._local, lasting=True), self._dialect, self._clock)
        finally:
            wire.close(_OVER)

    # --- connections ---------------------------------------------------------------------------------------------

    def _greet_watch(self, wire: Wire, *, listening: bool) -> None:
        """Say the first words of a watch: a standby does not know who is writing."""
        if read_settings(wire, self._dialect) != self._known:
            raise StoreUnavailable(self._where, _ANOTHER)
        [[(standby,)]] = wire.run(b"SELECT pg_is_in_recovery()")
        if standby == b"t":
            raise StoreReadOnly(
                self._where, "a standby cannot know who is writing, so it has no feed: follow the primary"
            )
        if listening:
            wire.run(listen(self._dialect))

    def _greet(self, wire: Wire) -> None:
        """Say the first words on a new connection."""
        pooled = self._prepared is not False and wire.is_pooled()
        if pooled and (self._prepared or self._dialect.prepares):
            raise StoreUnavailable(self._where, _POOLED)
        if self._known is None:
            self._dialect = Dialect(self._dialect.schema, prepares=self._prepared is not False and not pooled)
        if self._dialect.prepares:
            wire.run(settings(self._wait, "SET"))
        if self._known is None:
            migrate(wire, self._dialect, create=self._create)
            if self._jobs is not None:
                self._jobs.set_up(wire, self._dialect)
        secret = read_settings(wire, self._dialect)
        if self._known is not None and secret != self._known:
            raise StoreUnavailable(self._where, _ANOTHER)
        self._known = secret
        wire.server = server(wire)
        if self._dialect.prepares:
            wire.run(self._dialect.prepare((*LOADING, *WRITING, *READING)))
