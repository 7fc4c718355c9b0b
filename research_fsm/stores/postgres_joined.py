"""A store inside a transaction of the host's own: its rows and our events commit or abort together.

Floor 5. Imports what the PostgreSQL store imports. It never commits and never aborts more than it has written itself:
each of its transactions is a savepoint of the host's. It knows the connections of psycopg, SQLAlchemy and Django by
what they have, and imports neither of the latter two.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg import pq

from research_fsm.errors import InvalidInput, ResearchError, StoreBusy
from research_fsm.storage import Query, Rule
from research_fsm.stores.batch import decide
from research_fsm.stores.group_commit import Ticket
from research_fsm.stores.joined import Joined, driver_connection
from research_fsm.stores.postgres_batch import Batch
from research_fsm.stores.postgres_errors import RERUN, ServerSaid, WireLost, failure
from research_fsm.stores.postgres_load import load
from research_fsm.stores.postgres_reads import PostgresReader, Source
from research_fsm.stores.postgres_statements import Dialect
from research_fsm.stores.postgres_wire import Row, receive
from research_fsm.stores.postgres_writes import rejection

__all__ = ["JoinedStore"]

_KINDS = "a connection of psycopg, SQLAlchemy or Django to PostgreSQL, or a session of SQLAlchemy"

A = TypeVar("A")

Host = psycopg.Connection[Any]

_ATTEMPTS = 3
_LONGEST_SECONDS = 86_400.0
"""How long a statement may take is the host's own setting: this is only an end."""

_SAVEPOINT = b"SAVEPOINT research_fsm;"
_RELEASE = b"RELEASE SAVEPOINT research_fsm"
_UNDO = b"ROLLBACK TO SAVEPOINT research_fsm;" + _RELEASE


class JoinedStore(Joined, PostgresReader):
    """What `PostgresStore.joined` returns: a store for as long as the host's transaction lasts, in the host's thread.

    Everything is seen that the host has written, and nothing lasts unless the host commits. Others who want the same
    person or the same account wait until it does, so it should not take long. How durable a commit is, and how long a
    lock is waited for, are the host's own settings.

    Args:
        where: The store's address, for messages.
        connection: The host's connection, or what has one.
        secret: The store's secret.
        dialect: Where the tables are.
        clock: The time, if it is not the server's.

    Raises:
        InvalidInput: It is no connection to this store, or has no transaction to join.
    """

    def __init__(
        self, where: str, connection: object, secret: bytes, dialect: Dialect, clock: Callable[[], int] | None
    ) -> None:
        self._wire = _HostWire(where, driver_connection(connection, psycopg.Connection, _KINDS))
        Joined.__init__(self, where, secret)
        PostgresReader.__init__(self, Source(self._wire, b"", lasting=True), dialect, clock)
        self._wire.begun()
        self._check_store()

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Load, decide and write, within the host's transaction; see `storage.Store`.

        Raises:
            StoreBusy: Somebody else is in the way; abort the host's transaction, and repeat it.
            InvalidInput: The host's transaction has ended, or has failed.
            StoreError: It could not be done; see the subclasses for what to do. The host's transaction goes on.
            BaseException: Whatever the rule raised, with nothing written.
        """
        self._wire.begun()
        more: frozenset[str] = frozenset()
        attempt = 0
        while True:
            attempt += 1
            batch = Batch(self._wire, self._dialect)
            try:
                unlocked, answer = self._once(batch, query, rule, more)
            except ServerSaid as error:
                if error.state == "23505" and attempt < _ATTEMPTS:
                    continue
                raise self._meant(error, batch) from error
            except WireLost as error:
                raise failure(error, self._wire.where) from error
            if not unlocked:
                return answer[0]
            more |= unlocked

    async def transact_async(self, query: Query, rule: Rule[A]) -> A:
        """Do the same for a caller who awaits; the host's connection belongs to this thread."""
        return self.transact(query, rule)

    def _once(self, batch: Batch, query: Query, rule: Rule[A], more: frozenset[str]) -> tuple[frozenset[str], list[A]]:
        """Do it in a savepoint; return the streams that are still to be locked first, or else the answer."""
        ticket = Ticket(query, rule, 0.0)
        with self._wire.savepoint():
            loaded = load(batch.run, self._dialect, [query], batch.history, clock=self._clock, more=sorted(more))
            if loaded.unlocked:
                return loaded.unlocked, []
            now = loaded.time if self._clock is None else self._clock()
            decide([ticket], loaded.world, now, self._wire.where, batch.apply)
            batch.check()
            answer = ticket.result()
            pending = batch.take_pending()
            if pending:
                self._wire.run(b";\n".join(pending))
        return frozenset(), [answer]

    def _meant(self, error: ServerSaid, batch: Batch) -> ResearchError:
        if error.state == "23505":
            return rejection(error, batch.changes, self._wire.where)
        if error.state in RERUN:
            problem = f"{error.text} ({error.state}); abort the host's transaction, and repeat it"
            return StoreBusy(self._wire.where, problem)
        return failure(error, self._wire.where)

    def _check_store(self) -> None:
        """See that the host is connected to the store that it joins."""
        sql = self._dialect.text("SELECT encode(value, 'hex') FROM {s}.settings WHERE name = 'secret'")
        try:
            with self._wire.savepoint():
                rows = self._wire.run(sql.encode())[0]
        except ServerSaid:
            rows = []
        except WireLost as error:
            raise failure(error, self._wire.where) from error
        if rows != [(self._secret.hex().encode(),)]:
            raise InvalidInput("connection", f"is one to another database than the store's, {self._wire.where}")


class _HostWire:
    """A host's connection, lent for one message at a time."""

    def __init__(self, where: str, connection: Host) -> None:
        self.where = where
        self.lock = threading.RLock()
        self._connection = connection

    @property
    def in_transaction(self) -> bool:
        return True

    def begun(self) -> None:
        """See that the host's transaction is open.

        The driver begins one by itself before a host's first statement, unless it is told not to; whoever relies on
        that will commit, so it is begun here in the same way.
        """
        pgconn = self._connection.pgconn
        if pgconn.pipeline_status != pq.PipelineStatus.OFF:
            raise InvalidInput("connection", "is in the middle of a pipeline: leave it first")
        match pgconn.transaction_status:
            case pq.TransactionStatus.INTRANS:
                return
            case pq.TransactionStatus.IDLE if not self._connection.autocommit:
                with self.translated():
                    self.run(b"BEGIN")
            case pq.TransactionStatus.INERROR:
                raise InvalidInput("connection", "has a transaction that failed: abort it, and begin anew")
            case _:
                raise InvalidInput("connection", "has no open transaction to join: begin one")

    def run(self, message: bytes) -> list[list[Row]]:
        with self._connection.lock:
            pgconn = self._connection.pgconn
            try:
                return receive(pgconn, message, _LONGEST_SECONDS)
            except psycopg.Error as error:
                raise WireLost.of(error) from error
            except ServerSaid:
                raise
            except BaseException:
                _stop(pgconn)
                raise

    @contextmanager
    def translated(self) -> Iterator[None]:
        try:
            yield
        except (ServerSaid, WireLost) as error:
            raise failure(error, self.where) from error

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Write all or nothing, and leave the host's transaction as it was."""
        self.run(_SAVEPOINT)
        try:
            yield
        except WireLost:
            raise
        except BaseException:
            self.run(_UNDO)
            raise
        self.run(_RELEASE)

    def close(self, why: str) -> None:
        """Do nothing: the connection is the host's."""


def _stop(pgconn: pq.abc.PGconn) -> None:
    """Let the server give up what an interrupt has left under way, so that the host can go on with its connection."""
    pgconn.get_cancel().cancel()
    while pgconn.get_result() is not None:
        pass
