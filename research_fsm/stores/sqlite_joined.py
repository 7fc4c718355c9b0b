"""A store inside a transaction of the host's own: its rows and our events commit or abort together.

Floor 5. Imports what the SQLite store imports. It never commits and never aborts more than it has written itself: each
of its transactions is a savepoint of the host's. It knows the connections of sqlite3, SQLAlchemy and Django by what
they have, and imports neither of the two.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

from research_fsm.errors import InvalidInput, ResearchError, StoreBusy
from research_fsm.storage import Query, Rule
from research_fsm.stores.batch import Changes, decide
from research_fsm.stores.group_commit import Ticket
from research_fsm.stores.joined import Joined, driver_connection
from research_fsm.stores.sqlite_channel import Channel, Rows
from research_fsm.stores.sqlite_errors import DRIVER_ERRORS, failure
from research_fsm.stores.sqlite_reads import SQLiteReader, load
from research_fsm.stores.sqlite_writes import apply

__all__ = ["JoinedStore"]

_KINDS = "a connection of sqlite3, SQLAlchemy or Django to a SQLite file, or a session of SQLAlchemy"

A = TypeVar("A")

# Takes the write lock before anything is read: a transaction that has read an older state could not write any more.
_LOCK = "DELETE FROM queue WHERE 0"

_SAVEPOINT = "research_fsm"

# One value of each type, under columns that are declared so: converters of the host's would change them.
_PLAIN = ("a", 1, b"a")
_DECLARED = "SELECT stream, version, hash FROM heads WHERE 0 UNION ALL SELECT 'a', 1, x'61'"


class JoinedStore(Joined, SQLiteReader):
    """What `SQLiteStore.joined` returns: a store for as long as the host's transaction lasts, in the host's thread.

    Everything is seen that the host has written, and nothing lasts unless the host commits. Other writers of the file
    wait until it does, so it should not take long. How durable a commit is, is the host's own setting: a store's is
    ``PRAGMA synchronous = FULL``.

    Args:
        where: The store's file.
        connection: The host's connection, or what has one.
        secret: The store's secret.
        clock: Returns the time in microseconds UTC.

    Raises:
        InvalidInput: It is no connection to this file, it converts what it reads, or its transaction has not begun and
            would end by itself.
    """

    def __init__(self, where: str, connection: object, secret: bytes, clock: Callable[[], int]) -> None:
        Joined.__init__(self, where, secret)
        self._host = _Host(driver_connection(connection, sqlite3.Connection, _KINDS))
        self._check_file()
        self._check_values()
        host = cast("sqlite3.Connection", self._host)
        SQLiteReader.__init__(self, Channel(where, timedelta(0), lambda: host, settled=True), clock)
        self._begin()

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Load, decide and write, within the host's transaction; see `storage.Store`.

        Raises:
            StoreBusy: Somebody else is writing, or wrote since the host's transaction began to read.
            InvalidInput: The host's transaction has ended, or something is to be forgotten.
            StoreError: It could not be done; see the subclasses for what to do. The host's transaction goes on.
            BaseException: Whatever the rule raised, with nothing written.
        """
        self._begun()
        ticket = Ticket(query, rule, 0.0)
        with self._savepoint():
            now = self._clock()
            world = load(cast("sqlite3.Connection", self._host), [query], now, self._channel)
            decide([ticket], world, now, self._where, self._apply)
        return ticket.result()

    async def transact_async(self, query: Query, rule: Rule[A]) -> A:
        """Do the same for a caller who awaits; the host's connection belongs to this thread."""
        return self.transact(query, rule)

    def _apply(self, changes: Changes) -> None:
        if changes.forgotten:
            raise InvalidInput("erase", "is a transaction of its own: erase once the host's transaction has ended")
        apply(cast("sqlite3.Connection", self._host), self._where, changes)

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        """Write all or nothing, and leave the host's transaction as it was."""
        try:
            self._host.execute(f"SAVEPOINT {_SAVEPOINT}")
            try:
                yield
            except BaseException:
                # A few failures make SQLite abort the whole transaction, and the savepoint is gone with it.
                if self._host.in_transaction:
                    self._host.execute(f"ROLLBACK TO {_SAVEPOINT}")
                    self._host.execute(f"RELEASE {_SAVEPOINT}")
                raise
            self._host.execute(f"RELEASE {_SAVEPOINT}")
        except DRIVER_ERRORS as error:
            raise self._meant(error) from error

    def _begin(self) -> None:
        """See that the host's transaction is open and may write.

        Python's driver begins one by itself before a host's first change; whoever relies on that will commit, so it
        is begun here in the same way. Only here: one that ended later is not to be continued by half of it.
        """
        try:
            if not self._host.in_transaction and self._host.begins_by_itself:
                self._host.execute("BEGIN IMMEDIATE")
            self._begun()
            self._host.execute(_LOCK)
            # SQLite moves rows between pages: without it, copies of a person's documents would outlast their erasure.
            self._host.execute("PRAGMA secure_delete = ON")
        except DRIVER_ERRORS as error:
            raise self._meant(error) from error

    def _begun(self) -> None:
        if not self._host.in_transaction:
            raise InvalidInput("connection", "has no open transaction to join: begin one (BEGIN IMMEDIATE)")

    def _check_file(self) -> None:
        try:
            rows = self._host.execute("PRAGMA database_list").fetchall()
        except DRIVER_ERRORS as error:
            raise self._meant(error) from error
        file = next((row[2] for row in rows if row[1] == "main"), "")
        if not file or not os.path.exists(file) or not os.path.samefile(file, self._where):  # noqa: PTH110, PTH121
            raise InvalidInput("connection", f"is one to {file or 'no file'}, and the store is in {self._where}")

    def _check_values(self) -> None:
        try:
            rows = self._host.execute(_DECLARED).fetchall()
        except DRIVER_ERRORS as error:
            raise self._meant(error) from error
        if rows != [_PLAIN]:
            problem = "converts TEXT, INTEGER or BLOB (detect_types): join a connection that leaves them as they are"
            raise InvalidInput("connection", problem)

    def _meant(self, error: BaseException) -> ResearchError:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_BUSY_SNAPSHOT:
            problem = (
                "others wrote since the host's transaction began to read; begin it with BEGIN IMMEDIATE, and repeat"
            )
            return StoreBusy(self._where, problem)
        meant = failure(error, self._where, timedelta(0))
        if isinstance(meant, StoreBusy):
            return StoreBusy(self._where, "somebody else is writing; abort the host's transaction, and repeat it")
        return meant


class _Fetched:
    """The rows of a statement."""

    def __init__(self, rows: Rows, rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount

    def fetchall(self) -> Rows:
        return self._rows

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows[0] if self._rows else None


class _Host:
    """A host's connection, whose own ways of making rows and texts are left aside for a moment."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    @property
    def begins_by_itself(self) -> bool:
        """Whether the driver begins transactions, and so leaves them for the host to end."""
        autocommit = getattr(self._connection, "autocommit", -1)  # From Python 3.12 on; -1 is how it was before.
        return autocommit is False or (autocommit == -1 and self._connection.isolation_level is not None)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> _Fetched:
        return self._done(lambda cursor: cursor.execute(sql, parameters))

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> _Fetched:
        return self._done(lambda cursor: cursor.executemany(sql, rows))

    def _done(self, act: Callable[[sqlite3.Cursor], sqlite3.Cursor]) -> _Fetched:
        usual, self._connection.text_factory = self._connection.text_factory, str
        try:
            cursor = self._connection.cursor(sqlite3.Cursor)
            cursor.row_factory = None
            act(cursor)
            return _Fetched(cursor.fetchall(), cursor.rowcount)
        finally:
            self._connection.text_factory = usual
