"""A connection to a SQLite file that threads take turns on, and that neither an error nor a fork spoils for good.

Floor 5. Imports the errors and the driver. It knows no table.

SQLite's locks belong to the process, and a child that inherits a connection wrongly believes that it holds them: even
opening the file anew is unsafe in such a child. So connections are closed before a fork and opened again when they
are needed, on both sides; a child that inherited one all the same, in the middle of a transaction, is refused the file.
"""

import ctypes
import itertools
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from research_fsm.errors import ResearchError, StoreClosed, StoreUnavailable
from research_fsm.stores.sqlite_errors import DRIVER_ERRORS, failure, primary_code

__all__ = ["Channel", "Rows"]

Rows = list[tuple[Any, ...]]

_SPOILING = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_MISUSE,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
"""After these a connection is not trusted any more."""


class Channel:
    """A connection and its mutex. The connection is opened when it is needed, and again after it was lost.

    Args:
        where: The file.
        wait: How long the driver waits for a lock, and a thread for its turn and the lock together.
        connect: Opens the connection, and raises our own errors.
        settled: Whether the connection is one that cannot be had a second time: it is in a transaction for good.
        momentary: Whether each read sees the newest state; else reads belong to the transaction that the holder of
            the mutex has begun.
    """

    def __init__(
        self,
        where: str,
        wait: timedelta,
        connect: Callable[[], sqlite3.Connection],
        *,
        settled: bool = False,
        momentary: bool = False,
    ) -> None:
        self.where = where
        self.wait = wait
        self.lock = threading.RLock()
        self.connection: sqlite3.Connection | None = None
        self._connect = connect
        self._settled = settled
        self._momentary = momentary
        self._closed: str | None = None
        self.number = next(_NUMBERS)
        _CHANNELS.add(self)

    def get(self) -> sqlite3.Connection:
        """Return the connection; the caller holds the mutex.

        Raises:
            StoreClosed: It was closed.
            StoreError: It cannot be opened.
        """
        if self._closed is not None:
            raise StoreClosed(self.where, self._closed)
        if self.connection is None:
            if self.where in _INHERITED:
                raise StoreUnavailable(self.where, "a snapshot or a rule was open on it when this process was forked")
            self.connection = self._connect()
        if self._momentary and self.connection.in_transaction:
            self.connection.execute("ROLLBACK")  # An interrupt may have kept the last reader from doing it.
        return self.connection

    @property
    def in_transaction(self) -> bool:
        """Whether the connection is there and has a transaction open; the caller holds the mutex."""
        return self.connection is not None and self.connection.in_transaction

    def rows(self, sql: str, parameters: tuple[object, ...] = ()) -> Rows:
        """Return all rows of one statement.

        Raises:
            StoreError: It could not be read.
        """
        with self.lock:
            try:
                return self.get().execute(sql, parameters).fetchall()
            except DRIVER_ERRORS as error:
                raise self.failed(error) from error

    @contextmanager
    def moment(self) -> Iterator[sqlite3.Connection]:
        """Hold the mutex and one point in time, for several statements."""
        with self.lock:
            try:
                connection = self.get()
                if not self._momentary:
                    yield connection
                    return
                connection.execute("BEGIN")
                try:
                    yield connection
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
            except DRIVER_ERRORS as error:
                raise self.failed(error) from error

    def failed(self, error: BaseException) -> ResearchError:
        """Return what an error means, and drop a connection that it may have spoilt; the caller holds the mutex."""
        if not self._settled and primary_code(error) in _SPOILING:
            self.drop()
        return failure(error, self.where, self.wait)

    def drop(self) -> None:
        """Close the connection, whatever its state, to open another one later; the caller holds the mutex."""
        connection, self.connection = self.connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:  # pragma: no cover - nothing is lost by it: what was committed is in the file.
                return

    def close(self, why: str) -> None:
        """Wait for whoever is inside, close the connection and refuse everything from now on."""
        with self.lock:
            self._closed = self._closed or why
            self.drop()

    def before_fork(self) -> None:
        """Wait for whoever is inside, keep others out and close the connection, unless a transaction is open on it."""
        self.lock.acquire()
        if self.connection is not None and not self._settled and not self.connection.in_transaction:
            self.drop()

    def after_fork_in_child(self) -> None:
        """Let go of what belongs to the parent, without closing it."""
        self.lock = threading.RLock()
        if self.connection is not None:
            _INHERITED.add(self.where)
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.connection))  # It is never closed here, not even at exit.
            self.connection = None


_NUMBERS = itertools.count()
_CHANNELS: "weakref.WeakSet[Channel]" = weakref.WeakSet()
_INHERITED: set[str] = set()
"""In a child: the files on which it inherited a connection."""

_held = threading.local()


def _before_fork() -> None:
    """Take every mutex, in the order in which the channels were made, which is the order in which a thread does."""
    _held.channels = sorted(_CHANNELS, key=lambda channel: channel.number)
    for channel in _held.channels:
        channel.before_fork()


def _after_fork_in_parent() -> None:
    for channel in _held.channels:
        channel.lock.release()
    _held.channels = []


def _after_fork_in_child() -> None:
    for channel in _held.channels:
        channel.after_fork_in_child()
    _held.channels = []


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
