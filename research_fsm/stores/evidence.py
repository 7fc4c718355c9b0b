"""A log that is only looked at, and never written to, wherever it is: in a file, or in a database.

Floor 5. Imports its siblings, and the driver of a database only for a log that is in one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from research_fsm.storage import Followed, Reader
from research_fsm.stores import sqlite_evidence
from research_fsm.stores.postgres_address import is_url

__all__ = ["evidence", "followed"]


@contextmanager
def evidence(place: str, wait: timedelta) -> Iterator[Reader]:
    """Open a log at one moment, for looking alone.

    Args:
        place: The store: a file, or the address of a PostgreSQL database.
        wait: How long to wait for a lock, and for a server that is restarted.

    Raises:
        StoreError: There is no store, or it cannot be read.
    """
    if is_url(place):
        from research_fsm.stores.postgres import PostgresStore

        with PostgresStore(place, wait=wait, create=False) as store, store.snapshot() as reader:
            yield reader
        return
    with sqlite_evidence.evidence(place, wait) as reader:
        yield reader


@contextmanager
def followed(place: str, wait: timedelta) -> Iterator[Followed]:
    """Open a log for looking alone, as it grows.

    Args:
        place: The store: a file, or the address of a PostgreSQL database.
        wait: How long to wait for a lock, and for a server that is restarted.

    Raises:
        StoreError: There is no store, or it cannot be read.
    """
    if is_url(place):
        from research_fsm.stores.postgres import PostgresStore

        with PostgresStore(place, wait=wait, create=False) as store:
            yield store
        return
    with sqlite_evidence.followed(place, wait) as growing:
        yield growing
