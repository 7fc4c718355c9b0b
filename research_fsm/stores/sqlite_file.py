"""Opening the file of a SQLite store without harm to anybody else's.

Floor 5. Imports the driver, the errors and its siblings. It knows no table.

A file is looked at through a connection that takes no lock and leaves no trace, and it is opened for writing only if
it is ours or empty. It is never opened by any other means: closing a file of one's own drops every lock that SQLite
holds on it in this process.
"""

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

from research_fsm.errors import InvalidInput, StoreReadOnly, StoreUnavailable
from research_fsm.stores.sqlite_errors import DRIVER_ERRORS, failure, primary_code
from research_fsm.stores.sqlite_schema import foreign, is_empty, migrate, needs_migration

__all__ = ["connect", "identity", "open_reader", "open_writer", "resolved", "translated"]


_SMALLEST = 512
"""The size in bytes of the smallest page, and so of the smallest database."""


def resolved(path: str | os.PathLike[str]) -> str:
    """Return the absolute name of a file, with every symbolic link resolved.

    Raises:
        InvalidInput: It is no name of a file.
    """
    try:
        name = os.fsdecode(path)
    except TypeError:
        raise InvalidInput("path", f"must be the name of a file, as a text or a path, not {path!r}") from None
    if not name or name == ":memory:" or "\0" in name:
        raise InvalidInput("path", f"{name!r} is not the name of a file; for a store in memory use MemoryStore")
    if "://" in name:  # Not repeated, since it may have a password in it.
        raise InvalidInput("path", "is an address, and must be the name of a file; for PostgreSQL use PostgresStore")
    return os.path.realpath(name)


def identity(where: str) -> tuple[int, int] | None:
    """Return what tells a file from another one that took its name; None if there is none."""
    try:
        found = os.stat(where)  # noqa: PTH116 - it is asked before each write, and Path.stat takes twice as long.
    except OSError:
        return None
    return found.st_dev, found.st_ino


def connect(path: str, mode: str, wait: timedelta) -> sqlite3.Connection:
    """Return a connection that begins and ends its transactions when it is told to, and only then.

    Args:
        path: The file, absolute.
        mode: SQLite's ``ro``, ``rw`` or ``rwc``; more parameters of the URI may follow it.
        wait: How long a statement waits for a lock.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    return sqlite3.connect(
        f"{Path(path).as_uri()}?mode={mode}",
        uri=True,
        timeout=wait / timedelta(seconds=1),
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )


def open_writer(path: str, wait: timedelta, *, create: bool) -> sqlite3.Connection:
    """Return a connection for writing to a store that has every migration.

    Args:
        path: The file, absolute, with every symbolic link resolved.
        wait: How long to wait for another process that is opening it, too.
        create: Whether a file that is absent or empty becomes a store.

    Raises:
        StoreError: The file is no store of ours, or it cannot be opened; it was not touched.
    """
    fresh = _check_place(path, wait)
    if fresh and not create:
        raise StoreUnavailable(path, "the file is gone; put it back, or open a new store")
    with translated(path, wait):
        connection = connect(path, "rwc" if fresh else "rw", wait)
        try:
            _prepare(connection, path, wait)
        except BaseException:
            connection.close()
            raise
    return connection


def open_reader(path: str, wait: timedelta) -> sqlite3.Connection:
    """Return a connection that refuses to write. It may empty the write-ahead log, if it is the last to be closed.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    connection = connect(path, "rw", wait)
    try:
        connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def translated(path: str, wait: timedelta) -> Iterator[None]:
    """Turn every error of the driver into one of ours."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise failure(error, path, wait) from error


# --- looking before touching -------------------------------------------------------------------------------------


def _check_place(path: str, wait: timedelta) -> bool:
    """Return whether there is no store yet; refuse a place that cannot hold one, or holds something else."""
    folder = Path(path).parent
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        if not folder.is_dir():
            raise StoreUnavailable(path, f"there is no folder {folder}; make it, or name another file") from None
        found = None
    except OSError as error:
        raise StoreUnavailable(path, f"{error.strerror}; name another file, or change the permissions") from error
    fresh = found is None or found.st_size == 0
    if found is not None:
        if not stat.S_ISREG(found.st_mode):
            raise StoreUnavailable(path, "it is not a regular file; name a file")
        if not os.access(path, os.R_OK):
            raise StoreUnavailable(path, "the file may not be read; change its permissions")
        if 0 < found.st_size < _SMALLEST:
            raise foreign(path)  # SQLite takes so short a file for an empty one, and would write over it.
        fresh = fresh or _looks_empty(path, wait)
        if not os.access(path, os.W_OK):
            raise StoreReadOnly(path, "the file may not be written; change its permissions")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreReadOnly(path, f"the folder {folder} may not be written; change its permissions")
    return fresh


def _looks_empty(path: str, wait: timedelta) -> bool:
    """Return whether a file is a database without tables; refuse one that is neither that nor ours.

    A store gets its application_id into the file itself, before it ever has a write-ahead log: beside a file without
    one, a log is another program's.
    """
    has_log = Path(f"{path}-wal").exists()
    with translated(path, wait):
        try:
            empty = _look(path, "ro&immutable=1", wait)
        except sqlite3.DatabaseError:
            empty = _look(path, "ro", wait)  # It may be half written: this waits for whoever is making it.
    if empty and has_log:
        raise foreign(path)
    return empty


def _look(path: str, mode: str, wait: timedelta) -> bool:
    with closing(connect(path, mode, wait)) as connection:
        connection.execute("BEGIN")
        return is_empty(connection, path)


# --- making it ready ---------------------------------------------------------------------------------------------


def _prepare(connection: sqlite3.Connection, path: str, wait: timedelta) -> None:
    # Deleted text is overwritten, not only unlinked; REPLACE fires the triggers of DELETE.
    for pragma in ("synchronous = FULL", "secure_delete = ON", "recursive_triggers = ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    is_empty(connection, path)
    outdated = needs_migration(connection)
    connection.execute("ROLLBACK")
    if outdated:
        migrate(connection, path)
    _use_write_ahead_log(connection, path, wait)


def _use_write_ahead_log(connection: sqlite3.Connection, path: str, wait: timedelta) -> None:
    """Switch a new file to WAL; while others are opening it SQLite says "busy" at once, so the waiting is done here."""
    deadline = time.monotonic() + wait / timedelta(seconds=1)
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.001)
        else:
            if mode != "wal":
                raise StoreUnavailable(path, "this file system has no write-ahead log; name a file on a local disk")
            return
