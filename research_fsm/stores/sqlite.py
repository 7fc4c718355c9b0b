"""The embedded store: one SQLite file, safe for many threads and many processes of one machine.

Floor 5. Imports what a store may import, and its siblings: the tables are in
`sqlite_schema`, how a file is opened is in `sqlite_file`, a connection
and its mutex in `sqlite_channel`, reading in `sqlite_reads`, writing in `sqlite_writes`, what a failure means in
`sqlite_errors`. It never lets an exception of the driver out, and never leaves a transaction open behind a call.

Writes go through one connection and one mutex, each in a transaction that takes the file's write lock before it looks.
Reads go through another connection, so that they wait for no writer.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Self, TypeVar

from research_fsm.errors import InvalidInput, StoreError, StoreUnavailable
from research_fsm.storage import Query, Rule, View, Write
from research_fsm.stores.memory import wall_clock
from research_fsm.stores.sqlite_backup import copy
from research_fsm.stores.sqlite_channel import Channel
from research_fsm.stores.sqlite_errors import DRIVER_ERRORS, commit_failure
from research_fsm.stores.sqlite_file import open_reader, open_writer, translated
from research_fsm.stores.sqlite_reads import SQLiteReader, load, text_or_bytes
from research_fsm.stores.sqlite_schema import read_secret
from research_fsm.stores.sqlite_writes import apply

__all__ = ["SQLiteStore"]

A = TypeVar("A")

_BUSY_TIMEOUT = timedelta(seconds=30)
_LONGEST = timedelta(days=7)
_CLOSED = "the store was closed; open another one"
_OVER = "the snapshot is over; take another one"


class SQLiteStore(SQLiteReader):
    """A store in a file, made if there is none, migrated if it is an older one.

    Args:
        path: The file, on a local disk.
        clock: Returns the time in microseconds UTC; tests inject one that they move by hand.
        busy_timeout: How long a write waits for other threads and processes before `StoreBusy`.

    Raises:
        InvalidInput: The path is no name of a file, or the wait is negative or longer than a week.
        StoreUnavailable: A missing folder, a directory, a refused permission.
        StoreReadOnly: The file or its folder may not be written.
        StoreForeign: The file is another program's, or no database. It was not touched.
        StoreTooNew: A later version of this library wrote it. It was not touched.
        StoreError: It could not be opened otherwise; see the subclasses for what to do.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Callable[[], int] = wall_clock,
        busy_timeout: timedelta = _BUSY_TIMEOUT,
    ) -> None:
        if not timedelta(0) <= busy_timeout <= _LONGEST:
            raise InvalidInput("busy_timeout", f"{busy_timeout} is not between 0 and {_LONGEST.days} days")
        self._where, self._wait = _resolved(path), busy_timeout
        self._identity: tuple[int, int] | None = None
        self._deciding = False
        self._unwiped = False
        self._writer = Channel(self._where, self._wait, self._open_writer)
        super().__init__(Channel(self._where, self._wait, self._open_reader, momentary=True), clock)
        with self._writer.lock, translated(self._where, self._wait):
            try:
                self._secret = read_secret(self._writer.get(), self._where)
            except BaseException:
                self._writer.drop()
                raise

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._where!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def secret(self) -> bytes:
        """What callback tokens are derived from."""
        return self._secret

    def close(self) -> None:
        """Wait for whoever is inside, then close the file. Snapshots that are open stay open."""
        self._channel.close(_CLOSED)
        self._writer.close(_CLOSED)

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Load, decide and write in one transaction; see `storage.Store`.

        Raises:
            StoreBusy: Others, threads or processes, kept the lock for longer than the wait allows.
            WriteRejected: The rule's write broke what every store keeps.
            CommitUnknown: The commit failed, and may last or not.
            StoreError: It could not be done; see the subclasses for what to do.
            BaseException: Whatever the rule raised, with nothing written.
        """
        with self._writer.turn() as wait:
            if self._deciding:
                raise StoreError(self._where, "a rule is pure: it may not use the store that calls it")
            try:
                connection = self._begin(wait)
                write = self._run_one(connection, query, rule)
                self._end(connection, write)
            except BaseException:
                self._abort()
                raise
            return write.answer

    async def transact_async(self, query: Query, rule: Rule[A]) -> A:
        """Do the same for a caller who awaits."""
        return await asyncio.to_thread(self.transact, query, rule)

    @contextmanager
    def snapshot(self) -> Iterator[SQLiteReader]:
        """Open a reader that sees one point in time. While it is open the write-ahead log cannot shrink."""
        with self._guest() as channel:
            channel.get().text_factory = text_or_bytes
            channel.rows("BEGIN")
            channel.rows("SELECT max(position) FROM events")  # The first read fixes the point in time.
            yield SQLiteReader(channel, self._clock)

    def backup(self, target: str | os.PathLike[str]) -> None:
        """Copy the store, as it is at one moment, into a new file that is a complete store itself.

        Writers are not kept waiting. The copy has the permissions of the original: it holds the store's secret.

        Args:
            target: The new file.

        Raises:
            InvalidInput: There is a file of that name already.
            StoreDamaged: The store is not intact; no copy was kept.
            StoreError: It could not be written; no copy was kept.
        """
        with self._guest() as channel:
            copy(channel.get(), self._where, _resolved(target), self._wait)

    # --- a transaction -------------------------------------------------------------------------------------------

    def _begin(self, wait: timedelta) -> sqlite3.Connection:
        """Take the file's write lock; a thread that had to wait for its turn waits for the lock only the rest."""
        try:
            connection = self._writer.get()
            self._check_identity()
            if connection.in_transaction:
                connection.execute("ROLLBACK")  # An interrupt may have kept the last caller from doing it.
            if wait == self._wait:
                connection.execute("BEGIN IMMEDIATE")
            else:
                with self._waiting(connection, wait):
                    connection.execute("BEGIN IMMEDIATE")
        except DRIVER_ERRORS as error:
            raise self._writer.failed(error) from error
        return connection

    def _run_one(self, connection: sqlite3.Connection, query: Query, rule: Rule[A]) -> Write[A]:
        """Load, decide and write for one caller, in a transaction that is open; the time is read under its lock."""
        now = self._clock()
        view = self._load(connection, query, now)
        self._deciding = True
        try:
            write = rule(view, now)
        finally:
            self._deciding = False
        if not write.empty:
            try:
                apply(connection, self._where, view.heads, write, now)
            except DRIVER_ERRORS as error:
                raise self._writer.failed(error) from error
        return write

    def _load(self, connection: sqlite3.Connection, query: Query, now: int) -> View:
        try:
            return load(connection, query, now, self._writer)
        except DRIVER_ERRORS as error:
            raise self._writer.failed(error) from error

    def _end(self, connection: sqlite3.Connection, write: Write[object]) -> None:
        """Commit; a transaction that wrote nothing is aborted, which costs no flush."""
        if write.empty:
            self._abort()
            return
        try:
            connection.execute("COMMIT")
        except DRIVER_ERRORS as error:
            self._writer.failed(error)
            raise commit_failure(error, self._where, self._wait) from error
        self._unwiped = self._unwiped or bool(write.forgotten)
        if self._unwiped:
            self._wipe(connection)

    def _abort(self) -> None:
        """End the transaction with nothing written; a connection that cannot do that is given up."""
        connection = self._writer.connection
        try:
            if connection is not None and connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._writer.drop()

    def _wipe(self, connection: sqlite3.Connection) -> None:
        """Empty the write-ahead log, which still holds what was forgotten; tried again later if readers are in it."""
        self._unwiped = True
        try:
            with self._waiting(connection, timedelta(0)):
                busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error:
            self._writer.drop()
        except BaseException:
            self._writer.drop()
            raise
        else:
            self._unwiped = bool(busy)

    @contextmanager
    def _waiting(self, connection: sqlite3.Connection, wait: timedelta) -> Iterator[None]:
        """Let the driver wait for another time than usual."""
        connection.execute(f"PRAGMA busy_timeout = {wait // timedelta(milliseconds=1)}")
        try:
            yield
        finally:
            connection.execute(f"PRAGMA busy_timeout = {self._wait // timedelta(milliseconds=1)}")

    # --- connections ---------------------------------------------------------------------------------------------

    def _open_writer(self) -> sqlite3.Connection:
        """Open the connection, for the first time or after a fork or an error."""
        fresh = self._identity is None
        if not fresh:
            self._check_identity()
        connection = open_writer(self._where, self._wait, create=fresh)
        self._identity = _identity(self._where)
        return connection

    def _open_reader(self) -> sqlite3.Connection:
        self._check_identity()
        with translated(self._where, self._wait):
            return open_reader(self._where, self._wait)

    def _check_identity(self) -> None:
        if _identity(self._where) != self._identity:
            raise StoreUnavailable(self._where, "the file was moved or replaced; close the store and open it again")

    @contextmanager
    def _guest(self) -> Iterator[Channel]:
        """Open a connection of its own, and close it afterwards."""
        with self._channel.moment():  # Refuses, if the store was closed.
            pass
        channel = Channel(self._where, self._wait, self._open_reader, settled=True)
        try:
            yield channel
        finally:
            channel.close(_OVER)


def _resolved(path: str | os.PathLike[str]) -> str:
    name = os.fspath(path)
    if not name or name == ":memory:" or "\0" in name:
        raise InvalidInput("path", f"{name!r} is not the name of a file; for a store in memory use MemoryStore")
    return os.path.realpath(name)


def _identity(where: str) -> tuple[int, int] | None:
    try:
        found = os.stat(where)  # noqa: PTH116 - it is asked before each write, and Path.stat takes twice as long.
    except OSError:
        return None
    return found.st_dev, found.st_ino
