"""A SQLite file as evidence: read at one point in time, and never written to, not even by a migration.

Floor 5. Imports what a store may import, and its siblings.

A log in use is read beside its writers. A file that nobody can write beside, on a read-only disk for one, has no
write-ahead log of its own to make, and is opened as one that does not change; if it came with a write-ahead log, whose
events are part of it, both are copied to a temporary folder first.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

from research_fsm.errors import StoreUnavailable
from research_fsm.stores.memory import wall_clock
from research_fsm.stores.sqlite_channel import Channel
from research_fsm.stores.sqlite_file import connect, translated
from research_fsm.stores.sqlite_reads import SQLiteReader, text_or_bytes
from research_fsm.stores.sqlite_schema import is_empty

__all__ = ["evidence"]


@contextmanager
def evidence(path: str | os.PathLike[str], wait: timedelta) -> Iterator[SQLiteReader]:
    """Open a store's file for looking alone.

    Args:
        path: The file.
        wait: How long to wait for a lock.

    Raises:
        StoreError: It is no store, or cannot be read.
    """
    place = Path(os.path.realpath(path))
    if not place.is_file() or not os.access(place, os.R_OK):
        raise StoreUnavailable(str(place), "there is no file here that may be read")
    log = place.with_name(f"{place.name}-wal")
    if _may_write_in(place.parent):
        with _reader(place, "ro", wait) as reader:
            yield reader
    elif not log.exists() or log.stat().st_size == 0:
        with _reader(place, "ro&immutable=1", wait) as reader:
            yield reader
    else:
        with tempfile.TemporaryDirectory(prefix="research_fsm-") as folder:
            copy = Path(folder) / place.name
            shutil.copyfile(place, copy)
            shutil.copyfile(log, copy.with_name(f"{copy.name}-wal"))
            with _reader(copy, "ro", wait) as reader:
                yield reader


@contextmanager
def _reader(place: Path, mode: str, wait: timedelta) -> Iterator[SQLiteReader]:
    where = str(place)
    channel = Channel(where, wait, partial(connect, where, mode, wait), settled=True)
    try:
        with translated(where, wait):
            connection = channel.get()
            connection.text_factory = text_or_bytes
            connection.execute("BEGIN")
            if is_empty(connection, where):
                raise StoreUnavailable(where, "there is no store here")
            connection.execute("SELECT max(position) FROM events")  # The first read fixes the point in time.
        yield SQLiteReader(channel, wall_clock)
    finally:
        channel.close("the file was closed")


def _may_write_in(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK) and not os.statvfs(folder).f_flag & os.ST_RDONLY
