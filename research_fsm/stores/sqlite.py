"""The embedded store: one SQLite file, safe for many threads and many processes of one machine.

Floor 5. Imports what a store may import, and its siblings: the tables are in `sqlite_schema`, how a file is opened in
`sqlite_file`, a connection and its mutex in `sqlite_channel`, reading in `sqlite_reads`, writing in `sqlite_writes`,
what an erasure leaves to do in `sqlite_wiping`, what a failure means in `sqlite_errors`. It never lets an exception of
the driver out, and never leaves a transaction open behind a call.

Writes go through one connection and one mutex, each in a transaction that takes the file's write lock before it looks.
Reads go through another connection, so that they wait for no writer.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, Self, TypeVar

from research_fsm.errors import CommitUnknown, InvalidInput, ResearchError, StoreUnavailable
from research_fsm.storage import Query, Rule
from research_fsm.stores.batch import decide
from research_fsm.stores.group_commit import GroupCommit, Take, Ticket, refuse
from research_fsm.stores.memory import wall_clock
from research_fsm.stores.sqlite_backup import copy as copy_file
from research_fsm.stores.sqlite_channel import Channel
from research_fsm.stores.sqlite_errors import DRIVER_ERRORS, busy, commit_failure
from research_fsm.stores.sqlite_file import identity, open_reader, open_writer, resolved, translated
from research_fsm.stores.sqlite_joined import JoinedStore
from research_fsm.stores.sqlite_lock import LockFile
from research_fsm.stores.sqlite_reads import SQLiteReader, load, text_or_bytes
from research_fsm.stores.sqlite_schema import read_secret
from research_fsm.stores.sqlite_wiping import is_marked, wipe
from research_fsm.stores.sqlite_writes import apply
from research_fsm.stores.watch import OrderedWatch

__all__ = ["SQLiteStore"]

A = TypeVar("A")

_BUSY_TIMEOUT = timedelta(seconds=30)
_LONGEST = timedelta(days=7)
_NEARLY = 0.95
"""With this part of the wait left, the driver may wait for all of it: telling it otherwise takes two statements."""

_PAUSE_SECONDS = 0.02
"""Between two looks whether the readers of the write-ahead log have gone."""

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
        self._where, self._wait = resolved(path), busy_timeout
        self._identity: tuple[int, int] | None = None
        self._unwiped = False
        self._writer = Channel(self._where, self._wait, self._open_writer)
        self._turn = LockFile(f"{self._where}-lock", self._where)
        self._callers = GroupCommit(self._commit, self._where, self._wait)
        super().__init__(Channel(self._where, self._wait, self._open_reader, momentary=True), clock)
        with self._writer.lock, translated(self._where, self._wait):
            try:
                self._secret = read_secret(self._writer.get(), self._where)
                self._wipe(self._writer.get())
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
        with self._writer.lock:
            if self._unwiped and self._writer.connection is not None:
                self._wipe(self._writer.connection)
            self._writer.close(_CLOSED)
        self._turn.close()

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Load, decide and write in one transaction; see `storage.Store`.

        Callers who come while another one commits are decided together, and committed once.

        Raises:
            StoreBusy: Others, threads or processes, kept the lock for longer than the wait allows, or too many wait.
            WriteRejected: The rule's write broke what every store keeps.
            CommitUnknown: The commit failed, and may last or not.
            StoreError: It could not be done; see the subclasses for what to do.
            BaseException: Whatever the rule raised, with nothing written.
        """
        return self._callers.call(query, rule)

    async def transact_async(self, query: Query, rule: Rule[A]) -> A:
        """Do the same for a caller who awaits, in the same line as those who block."""
        return await self._callers.call_async(query, rule)

    def joined(self, connection: object) -> JoinedStore:
        """Return a store that works inside a transaction of the host's own, on this file.

        Args:
            connection: The host's, of sqlite3, SQLAlchemy or Django, or a session of SQLAlchemy.

        Raises:
            InvalidInput: It is no connection to this file, or has no open transaction to join.
            StoreBusy: Somebody else is writing.
        """
        return JoinedStore(self._where, connection, self._secret, self._clock)

    def watch(self) -> OrderedWatch:
        """Open an eye on the end of the log. Whoever writes holds the file's lock, so positions are in order."""
        return OrderedWatch(self._where, self.newest)

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

        Writers are not kept waiting. The copy is its owner's alone to read: it holds the store's secret.

        Args:
            target: The new file.

        Raises:
            InvalidInput: There is a file of that name already.
            StoreDamaged: The store is not intact; no copy was kept.
            StoreError: It could not be written; no copy was kept.
        """
        with self._guest() as channel:
            copy_file(channel.get(), self._where, resolved(target), self._wait)

    def wipe(self, wait: timedelta = timedelta(0)) -> bool:
        """Overwrite what is left of whoever was erased: empty the write-ahead log, which nobody may read from then.

        It is tried with each erasure, and where somebody was reading tried again: by this store with its next commits
        and when it is closed, by every other one when it is opened and in each recovery pass.

        Args:
            wait: How long to wait for readers; writers are not kept waiting meanwhile.

        Returns:
            Whether nothing is left, neither in the file nor in its write-ahead log.

        Raises:
            StoreError: The store could not be read.
        """
        deadline = time.monotonic() + wait / timedelta(seconds=1)
        with self._channel.moment() as connection:
            if not is_marked(connection):
                return True
        while not self._wipe_in_turn():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE_SECONDS)
        return True

    # --- a transaction -------------------------------------------------------------------------------------------

    def _commit(self, wait: float, take: Take) -> None:
        """Take the file, and commit for everybody who waits; see `GroupCommit`."""
        with self._writer.lock:
            try:
                left = self._turn.acquire(wait)
                if left < 0:
                    raise busy(self._where, self._wait)
                self._begin(timedelta(seconds=left))
                waiting = take()
                while waiting:
                    waiting = self._decide(waiting)
            finally:
                try:
                    self._abort()
                finally:
                    self._turn.release()

    def _begin(self, wait: timedelta) -> None:
        """Take the file's write lock; who has waited for its turn waits for the lock only the rest."""
        try:
            connection = self._writer.get()
            self._check_identity()
            if connection.in_transaction:
                connection.execute("ROLLBACK")  # An interrupt may have kept the last caller from doing it.
            if wait >= self._wait * _NEARLY:
                connection.execute("BEGIN IMMEDIATE")
            else:
                with self._waiting(connection, wait):
                    connection.execute("BEGIN IMMEDIATE")
        except DRIVER_ERRORS as error:
            raise self._writer.failed(error) from error

    def _decide(self, tickets: Sequence[Ticket[Any]]) -> Sequence[Ticket[Any]]:
        """Decide and commit for callers; return those who are still to be decided for.

        When the database refuses a batch, whose fault it is shows when each is decided for alone.
        """
        try:
            if not self._writer.in_transaction:
                self._begin(self._wait)
            return self._transaction(tickets)
        except ResearchError as error:
            self._abort()
            if len(tickets) > 1:
                for ticket in tickets:
                    self._decide((ticket,))
            else:
                refuse(tickets, error)
            return ()

    def _transaction(self, tickets: Sequence[Ticket[Any]]) -> Sequence[Ticket[Any]]:
        """Load, decide, write and commit; the time is read under the lock. Returns who is still to be decided for."""
        connection, now = self._writer.get(), self._clock()
        try:
            world = load(connection, [ticket.query for ticket in tickets], now, self._writer)
            rest = decide(tickets, world, now, self._where, partial(apply, connection, self._where))
        except DRIVER_ERRORS as error:
            raise self._writer.failed(error) from error
        settled = tickets[: len(tickets) - len(rest)]
        if world.written:
            self._end(connection, settled)
            if world.forgotten or self._unwiped:
                self._wipe(connection)
        else:
            self._abort()  # Costs no flush.
            for ticket in settled:
                ticket.done = True
        return rest

    def _end(self, connection: sqlite3.Connection, tickets: Sequence[Ticket[Any]]) -> None:
        """Commit. From then on nothing takes an answer back, an interrupt in the very next moment included."""
        try:
            connection.execute("COMMIT")
            for ticket in tickets:
                ticket.done = True
        except DRIVER_ERRORS as error:
            self._writer.failed(error)
            failure = commit_failure(error, self._where, self._wait)
            if not isinstance(failure, CommitUnknown):
                raise failure from error
            failure.__cause__ = error
            refuse(tickets, failure)
            self._abort()
        except BaseException:
            if not connection.in_transaction:
                for ticket in tickets:
                    ticket.done = True
            raise

    def _abort(self) -> None:
        """End the transaction with nothing written; a connection that cannot do that is given up."""
        connection = self._writer.connection
        try:
            if connection is not None and connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._writer.drop()

    def _wipe_in_turn(self) -> bool:
        """Wipe while no other process of ours writes: one in the middle of a commit would be in the way."""
        with self._writer.lock:
            try:
                return self._turn.acquire(self._wait / timedelta(seconds=1)) >= 0 and self._wipe(self._writer.get())
            finally:
                self._turn.release()

    def _wipe(self, connection: sqlite3.Connection) -> bool:
        """Empty the write-ahead log if something was forgotten; what could not be done now is tried again later."""
        self._unwiped = True
        try:
            with self._waiting(connection, timedelta(0)):
                self._unwiped = not wipe(connection)
        except sqlite3.Error:
            self._writer.drop()
        except BaseException:
            self._writer.drop()
            raise
        return not self._unwiped

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
        self._identity = identity(self._where)
        return connection

    def _open_reader(self) -> sqlite3.Connection:
        self._check_identity()
        with translated(self._where, self._wait):
            return open_reader(self._where, self._wait)

    def _check_identity(self) -> None:
        if identity(self._where) != self._identity:
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
