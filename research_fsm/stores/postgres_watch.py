"""Watching the end of a log in PostgreSQL, where positions are given before transactions commit, and in another order.

Floor 5. Imports what a store may import, and its siblings. It writes nothing, and keeps no writer waiting.

Whoever inserts an event holds a lock on the table from before the event gets its position until the transaction has
ended. So of what was the newest event at one moment it can be said that nothing will be added below it, once
everybody has ended who held that lock then or later in the same moment. Who holds it is looked up, never waited for.
Another transaction that is left open anywhere in the database is in nobody's way, unless it has written events.

The lock's holders are known by their virtual transaction. One that is prepared for a commit in two phases goes on under
another name when the server is restarted, so all of those are waited for.
"""

# ruff: noqa: S608  # Statements are put together from the constants of this module.

import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import pq

from research_fsm.storage import Extent
from research_fsm.stores.postgres_errors import ServerSaid, WireLost
from research_fsm.stores.postgres_rows import text_of
from research_fsm.stores.postgres_statements import Dialect
from research_fsm.stores.postgres_wire import Row, Wire

__all__ = ["PostgresWatch", "listen", "notify"]

_LISTENING_SECONDS = 0.5
"""How long news is waited for with a notification to come, which a host's own transaction does not send."""

_ASKING_SECONDS = 0.05
"""The same where none comes, because a pooler is between."""

_WRITERS = """
FROM pg_locks JOIN pg_database AS here ON here.oid = pg_locks.database AND here.datname = current_database()
WHERE locktype = 'relation' AND relation = '{s}.events'::regclass AND mode = 'RowExclusiveLock' AND granted
"""

# In this order: a lock that is taken in between belongs to later positions.
_LOOK = f"SELECT coalesce(max(position), 0) FROM {{s}}.events; SELECT virtualtransaction {_WRITERS}"

_BEHIND = f"""
SELECT pid, application_name, state, date_trunc('second', clock_timestamp() - xact_start)
FROM pg_stat_activity WHERE pid IN (SELECT pg_locks.pid {_WRITERS}) ORDER BY xact_start, pid
"""

_PREPARED = "-1/"
"""How the virtual transaction of a prepared one begins after a restart."""


def notify(dialect: Dialect) -> bytes:
    """Return the statement that tells whoever listens that a store has grown.

    It belongs behind the commit: in the transaction it would keep all other commits waiting for this one's flush.
    """
    return b"NOTIFY %b" % dialect.schema.encode()


def listen(dialect: Dialect) -> bytes:
    """Return the statement that asks for those notifications."""
    return b"LISTEN %b" % dialect.schema.encode()


class PostgresWatch:
    """A watch over a connection of its own.

    Args:
        wire: The connection, straight to the server if notifications are to come.
        dialect: Where the tables are.
        listening: Whether notifications come.
    """

    def __init__(self, wire: Wire, dialect: Dialect, *, listening: bool) -> None:
        self.where = wire.where
        self._wire = wire
        self._look = dialect.text(_LOOK).encode()
        self._behind = dialect.text(_BEHIND).encode()
        self._listening = listening
        self._settled = 0
        self._pending = 0
        self._writers: set[str] = set()

    def extent(self) -> Extent:
        """Return how far the log goes."""
        with self._wire.translated():
            [(newest,)], holders = self._wire.run(self._look)
        return self._seen(int(newest or 0), {text_of(holder) for (holder,) in holders})

    def _seen(self, newest: int, writers: set[str]) -> Extent:
        """Conclude from the newest event, and from who was writing then or since."""
        if self._writers:
            prepared = {writer for writer in writers if writer.startswith(_PREPARED)}
            self._writers = (self._writers & writers) | prepared
        if not self._writers:
            self._settled = self._pending
        if not writers:
            self._settled = newest
        if self._settled >= self._pending:
            self._pending, self._writers = newest, writers
        return Extent(settled=self._settled, newest=newest)

    def wait(self, seconds: float) -> None:
        """Return when a notification has come, at the latest after so many seconds; earlier where none may come."""
        with self._ear(seconds) as (ear, limit):
            if ear is None:
                time.sleep(limit)
            else:
                select.select([ear], [], [], limit)

    async def wait_async(self, seconds: float) -> None:
        """Do the same for a follower who awaits."""
        import asyncio

        with self._ear(seconds) as (ear, limit):
            if ear is None:
                await asyncio.sleep(limit)
                return
            loop, heard = asyncio.get_running_loop(), asyncio.Event()
            loop.add_reader(ear, heard.set)
            try:
                await asyncio.wait_for(heard.wait(), limit)
            except TimeoutError:
                return
            finally:
                loop.remove_reader(ear)

    @contextmanager
    def _ear(self, seconds: float) -> Iterator[tuple[int | None, float]]:
        """Lend a descriptor that can be read from when something has come, and say how long to wait for it.

        There is none where nothing may come. It is a copy, so that it stays what it is while the connection is closed,
        or opened anew. A notification that came along with the last answer is not waited for again.
        """
        descriptor, heard = None, False
        if self._listening:
            with self._wire.lock:
                try:
                    connection = self._wire.get()
                    heard = _drained(connection)
                    descriptor = os.dup(connection.socket)
                except (ServerSaid, WireLost):
                    descriptor = None  # Whoever looks next is told.
        try:
            longest = _ASKING_SECONDS if descriptor is None else _LISTENING_SECONDS
            yield descriptor, 0.0 if heard else min(seconds, longest)
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def behind(self) -> str:
        """Say whose transactions are open that have written events."""
        with self._wire.translated():
            [found] = self._wire.run(self._behind)
        return ", ".join(_described(row) for row in found) or "a prepared transaction"

    def close(self) -> None:
        """Close the connection."""
        self._wire.close("the follower is gone; follow anew")


def _described(row: Row) -> str:
    pid, application, state, age = (text_of(cell or b"?") for cell in row)
    return f"backend {pid} ({application or 'without a name'}, {state}, open for {age})"


def _drained(connection: pq.abc.PGconn) -> bool:
    """Take the notifications that have come, and return whether there were any."""
    heard = False
    while connection.notifies() is not None:
        heard = True
    return heard
