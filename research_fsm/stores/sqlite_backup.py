"""Copying a SQLite store while it is used.

Floor 5. Imports the errors, the driver and its siblings. It never changes the original, and never an existing file.
"""

import os
import sqlite3
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

from research_fsm.errors import InvalidInput, StoreDamaged, StoreError, StoreFull, StoreUnavailable
from research_fsm.stores.sqlite_errors import OUT_OF_SPACE
from research_fsm.stores.sqlite_file import connect, translated

__all__ = ["copy"]


def copy(source: sqlite3.Connection, original: str, target: str, wait: timedelta) -> None:
    """Copy a database into a new file, in one step, and see that the copy is intact.

    Args:
        source: A connection to the original that nobody else uses meanwhile.
        original: The original's file.
        target: The new file, absolute.
        wait: How long to wait for a lock.

    Raises:
        InvalidInput: There is a file of that name already.
        StoreError: It could not be written, or the original is damaged; no copy was kept.
    """
    try:
        _reserve(target)
        _fill(source, original, target, wait)
        _flush(target)
    except InvalidInput:
        raise
    except BaseException:
        for suffix in ("", "-journal", "-wal", "-shm"):
            with suppress(OSError):
                Path(target + suffix).unlink()
        raise


def _reserve(target: str) -> None:
    """Make the new file, empty, for its owner alone: it will hold the store's secret, and people."""
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise InvalidInput("target", f"there is a file {target} already; name a new one") from None
    except OSError as error:
        raise _unwritable(target, error) from error


def _fill(source: sqlite3.Connection, original: str, target: str, wait: timedelta) -> None:
    with translated(target, wait), closing(connect(target, "rw", wait)) as copied:
        source.backup(copied)
        problem = _problem(copied)
    if problem is not None:
        raise StoreDamaged(original, f"{problem}; keep this file for inspection and restore an earlier backup")


def _problem(copied: sqlite3.Connection) -> str | None:
    """Return what is wrong with a copy, which is what is wrong with the original."""
    try:
        found: str = copied.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if found == "ok" else found


def _flush(target: str) -> None:
    """Make the file's name last as its content does."""
    try:
        folder = os.open(Path(target).parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise _unwritable(target, error) from error


def _unwritable(target: str, error: OSError) -> StoreError:
    if error.errno in OUT_OF_SPACE:
        return StoreFull(target, f"{error.strerror}; free some space and try again")
    return StoreUnavailable(target, f"{error.strerror}; name a file in a folder that exists and may be written")
