"""What these tests share: small writes, plain clients, and a connection that breaks when it is told to."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from research_fsm.storage import NewEvent, Query, Rule, StreamWrite, View, Write
from research_fsm.stores.postgres import PostgresStore
from research_fsm.stores.postgres_errors import WireLost
from research_fsm.stores.postgres_wire import Row
from research_fsm.testing.postgres import PostgresServer

Plain = psycopg.Connection[tuple[Any, ...]]


def end(stream: str, expected: int, *notes: int, data: bytes = b"{}") -> StreamWrite:
    """Make a stream's new end, with an event for each note."""
    return StreamWrite(
        stream=stream,
        expected=expected,
        events=tuple(NewEvent("Noted", note, data, b"{}") for note in notes),
        state=b"{}",
        fold=1,
        link=None,
        tag="tagged",
        due=None,
    )


def appending(stream: str, *notes: int) -> tuple[Query, Rule[int]]:
    """Make a transaction that appends to a stream wherever it ends; it answers the new version."""

    def rule(view: View, _: int) -> Write[int]:
        head = view.heads.get(stream)
        version = 0 if head is None else head.version
        return Write(answer=version + len(notes), streams=(end(stream, version, *notes),))

    return Query(streams=(stream,)), rule


def notes(store: PostgresStore, stream: str) -> list[int]:
    """Return the notes of a stream's events."""
    return [event.schema for event in store.events(stream)]


@contextmanager
def plain(address: str) -> Iterator[Plain]:
    """Open a connection as any other program would, and close it."""
    with psycopg.connect(address, autocommit=True) as connection:
        yield connection


def tell(client: Plain, sql: str) -> list[tuple[Any, ...]]:
    """Execute SQL as it stands, and return the rows if there are any."""
    cursor = client.execute(sql.encode())
    return cursor.fetchall() if cursor.description else []


def restored(server: PostgresServer, address: str) -> str:
    """Dump a database, restore it into a new one, and return where that is."""
    elsewhere = server.new_database()
    dumped = subprocess.run([server._programs / "pg_dump", address], check=True, capture_output=True)  # noqa: S603  # Our own words.
    subprocess.run(  # noqa: S603  # The same.
        [server._programs / "psql", "-v", "ON_ERROR_STOP=1", elsewhere],
        input=dumped.stdout,
        check=True,
        capture_output=True,
    )
    return elsewhere


class Breaking:
    """Stands in for sending on a store's writing connection, and breaks it at one commit.

    Args:
        store: The store.
        trouble: What happens in place of the next commit: it may send the message, and says what is raised.
    """

    def __init__(self, store: PostgresStore, trouble: Callable[[Callable[[], object]], BaseException]) -> None:
        self._wire = store._writers[0].wire
        self._run = self._wire.run
        self._trouble = trouble
        self.commits = 0
        store._writers[0].wire.run = self.run  # type: ignore[method-assign]  # For one test.

    def run(self, message: bytes) -> list[list[Row]]:
        """Send a message, or break."""
        if b"\nCOMMIT" in message and self.commits == 0:
            self.commits += 1
            error = self._trouble(lambda: self._run(message))
            self._wire.drop()
            raise error
        return self._run(message)


def lost_before(_: Callable[[], object]) -> BaseException:
    """Lose the connection before the commit is sent."""
    return WireLost("the connection was cut")


def lost_after(send: Callable[[], object]) -> BaseException:
    """Lose the answer of a commit that was done."""
    send()
    return WireLost("the connection was cut")


def interrupted_after(send: Callable[[], object]) -> BaseException:
    """Interrupt whoever leads once the commit is done and before it is known."""
    send()
    return KeyboardInterrupt()


def interrupted_before(_: Callable[[], object]) -> BaseException:
    """Interrupt whoever leads before the commit is sent."""
    return KeyboardInterrupt()


def wait_until_somebody_waits(address: str) -> None:
    """Return once a connection waits for a lock: seen from outside, because a transaction sees activity only once."""
    with plain(address) as client:
        while not tell(client, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
            client.execute("SELECT pg_sleep(0.001)")
