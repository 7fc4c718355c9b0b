"""A SQLite file that is only looked at: at one point in time or as it grows, and never written to.

Floor 5. Imports what a store may import, and its siblings. Nothing is migrated, the journal mode stays what it is, and
the write-ahead log is never emptied: a connection that may not write cannot.

A log in use is read beside its writers. A file that nobody can write beside, on a read-only disk for one, has no
write-ahead log of its own to make, and is opened as one that does not change; if it came with a write-ahead log, whose
events are part of it, both are copied to a temporary folder first, unless somebody's index of it is there to be used.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

from research_fsm.errors import StoreUnavailable
from research_fsm.stores.memory import wall_clock
from research_fsm.stores.sqlite_channel import Channel
from research_fsm.stores.sqlite_file import connect, translated
from research_fsm.stores.sqlite_reads import SQLiteReader, text_or_bytes
from research_fsm.stores.sqlite_schema import is_empty
from research_fsm.stores.watch import OrderedWatch

__all__ = ["UNCHANGING", "evidence", "followed", "found"]

UNCHANGING = "ro&immutable=1"
"""SQLite's mode for a file that nobody writes to: no lock is taken, and its journal mode cannot be asked."""

_CLOSED = "the file was closed"


@contextmanager
def found(path: str | os.PathLike[str]) -> Iterator[tuple[str, str]]:
    """Find a store's file: yield where it is to be read, and SQLite's mode to open it in.

    Args:
        path: The file.

    Raises:
        StoreUnavailable: There is none that may be read.
    """
    place = os.path.realpath(path)
    if not Path(place).is_file() or not os.access(place, os.R_OK):
        raise StoreUnavailable(place, "there is no file here that may be read")
    mode = _mode(place)
    if mode is not None:
        yield place, mode
        return
    with tempfile.TemporaryDirectory(prefix="research_fsm-") as folder:
        copy = str(Path(folder) / Path(place).name)
        for end in ("", "-wal"):
            shutil.copyfile(f"{place}{end}", f"{copy}{end}")
        yield copy, "ro"


@contextmanager
def evidence(path: str | os.PathLike[str], wait: timedelta) -> Iterator[SQLiteReader]:
    """Open a store's file at one moment, for looking alone.

    Args:
        path: The file.
        wait: How long to wait for a lock.

    Raises:
        StoreError: It is no store, or cannot be read.
    """
    with found(path) as (where, mode):
        channel = Channel(where, wait, partial(_open, where, mode, wait), settled=True)
        try:
            with translated(where, wait):
                connection = channel.get()
                connection.execute("BEGIN")
                _check_store(connection, where)
                connection.execute("SELECT max(position) FROM events")  # The first read fixes the point in time.
            yield SQLiteReader(channel, wall_clock)
        finally:
            channel.close(_CLOSED)


@contextmanager
def followed(path: str | os.PathLike[str], wait: timedelta) -> Iterator["_Growing"]:
    """Open a store's file for looking alone, as it grows.

    Args:
        path: The file.
        wait: How long to wait for a lock.

    Raises:
        StoreError: It is no store, or cannot be read.
    """
    with found(path) as (where, mode):
        growing = _Growing(where, mode, wait)
        try:
            with growing.moment() as connection:
                _check_store(connection, where)
            yield growing
        finally:
            growing.close()


class _Growing(SQLiteReader):
    """A file of which each read sees the newest state.

    Args:
        where: The file.
        mode: SQLite's mode to open it in.
        wait: How long to wait for a lock.
    """

    def __init__(self, where: str, mode: str, wait: timedelta) -> None:
        self._where = where
        self._mode = mode
        super().__init__(
            Channel(where, wait, lambda: _open(where, self._mode, wait), momentary=True),
            wall_clock,
        )

    def moment(self) -> AbstractContextManager[sqlite3.Connection]:
        """Lend the connection, at one point in time."""
        return self._channel.moment()

    def watch(self) -> OrderedWatch:
        """Open an eye on the end of the log."""
        return OrderedWatch(self._where, self.newest)

    def newest(self) -> int:
        """Return the position of the last event; whoever writes may have come since the last look, and gone again."""
        mode = _mode(self._where) or self._mode
        if UNCHANGING in (mode, self._mode):
            with self._channel.lock:
                self._channel.drop()  # It would never look at the file again.
                self._mode = mode
        return super().newest()

    def close(self) -> None:
        """Close the file."""
        self._channel.close(_CLOSED)


def _open(where: str, mode: str, wait: timedelta) -> sqlite3.Connection:
    connection = connect(where, mode, wait)
    connection.text_factory = text_or_bytes
    return connection


def _check_store(connection: sqlite3.Connection, where: str) -> None:
    if is_empty(connection, where):
        raise StoreUnavailable(where, "there is no store here")


def _mode(where: str) -> str | None:
    """Return SQLite's mode for a file that is only looked at; None if it cannot be read where it lies."""
    if _may_write_in(Path(where).parent):
        return "ro"
    try:
        unfolded = Path(f"{where}-wal").stat().st_size > 0
    except FileNotFoundError:
        unfolded = False
    if not unfolded:
        return UNCHANGING
    return "ro" if os.access(f"{where}-shm", os.R_OK) else None


def _may_write_in(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK) and not os.statvfs(folder).f_flag & os.ST_RDONLY
