"""What a failure of SQLite means to the caller: the driver's exceptions as our own.

Floor 5. Imports the errors and the driver alone. It never decides what to do about a failure.
"""

import errno
import os
import sqlite3
from datetime import timedelta
from pathlib import Path

from research_fsm.errors import (
    CommitUnknown,
    InvalidInput,
    ResearchError,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreForeign,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    WriteRejected,
)

__all__ = ["DRIVER_ERRORS", "OUT_OF_SPACE", "busy", "commit_failure", "failure", "primary_code"]

DRIVER_ERRORS = (sqlite3.Error, UnicodeError, OverflowError)
"""What the driver raises: its own errors, and Python's for a text or a number that SQLite cannot hold."""

OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The operating system's numbers for a full disk, a full quota and a file that may not grow."""

_SPARE = 1 << 20
"""With fewer bytes free than this, an I/O error is taken for a full disk."""

_NOT_COMMITTED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CONSTRAINT})


def primary_code(error: BaseException) -> int:
    """Return SQLite's primary result code; 0 if the error does not come from SQLite."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def failure(error: BaseException, where: str, waited: timedelta) -> ResearchError:
    """Return what an error of the driver means.

    Args:
        error: One of `DRIVER_ERRORS`.
        where: The file.
        waited: How long the driver waits for a lock before it gives up.
    """
    if not isinstance(error, sqlite3.Error):
        return InvalidInput("value", f"SQLite cannot hold it ({error}); use valid Unicode, and integers of 64 bits")
    said = f"{error} ({getattr(error, 'sqlite_errorname', type(error).__name__)})"
    match primary_code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return busy(where, waited)
        case sqlite3.SQLITE_FULL:
            return _full(where, said)
        case sqlite3.SQLITE_READONLY:
            return StoreReadOnly(where, f"{said}; change the permissions, or name another file")
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return _unavailable(where, said)
        case sqlite3.SQLITE_NOTADB:
            return StoreForeign(where, f"{said}; name another file, or restore a backup if it was a store once")
        case sqlite3.SQLITE_CORRUPT:
            return _damaged(where, said)
        case sqlite3.SQLITE_CONSTRAINT:
            return WriteRejected(where, said)
        case sqlite3.SQLITE_IOERR if _disk_is_full(where):
            return _full(where, said)
        case 0 if str(error).startswith("Could not decode"):
            return _damaged(where, said)
        case _:
            return StoreError(where, said)


def commit_failure(error: BaseException, where: str, waited: timedelta) -> ResearchError:
    """Return what an error of a commit means: after most of them nobody knows whether it was done."""
    meant = failure(error, where, waited)
    if primary_code(error) in _NOT_COMMITTED or isinstance(meant, StoreFull):
        return meant
    return CommitUnknown(where, f"the commit failed and may or may not last: {meant.args[0]}")


def busy(where: str, waited: timedelta) -> StoreBusy:
    """Return what it means that somebody else kept a lock."""
    seconds = waited / timedelta(seconds=1)
    return StoreBusy(
        where,
        f"waited {seconds:g} s for the lock and gave up; try again later, and look for a process that keeps a "
        "transaction open on this file",
    )


def _full(where: str, said: str) -> StoreFull:
    return StoreFull(where, f"{said}; nothing was written; free some space and try again")


def _damaged(where: str, said: str) -> StoreDamaged:
    return StoreDamaged(where, f"{said}; keep this file for inspection and restore a backup")


def _unavailable(where: str, said: str) -> StoreError:
    folder = Path(where).parent
    if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
        return StoreReadOnly(where, f"{said}; its folder may not be written: change the permissions of {folder}")
    return StoreUnavailable(where, f"{said}; see that the file exists and may be opened")


def _disk_is_full(where: str) -> bool:
    """Tell whether the disk of a file has no room left."""
    try:
        disk = os.statvfs(Path(where).parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _SPARE
