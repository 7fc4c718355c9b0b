"""Opening a store while its server goes away: it is opened, or it is not, and nothing is half made."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import psycopg
import pytest
from psycopg import pq

from research_fsm.errors import StoreUnavailable
from research_fsm.stores.postgres import PostgresStore
from research_fsm.stores.postgres_errors import WireLost
from research_fsm.stores.postgres_server import Address
from research_fsm.stores.postgres_wire import Row, Wire
from research_fsm.testing.postgres import PostgresServer
from tests.postgres.examples import appending, notes, plain, tell

THREADS = 4
SCHEMAS = [f"s{number}" for number in range(12)]


class Cutting:
    """Cuts the connection of whoever opens a store, around one of the messages.

    Args:
        server: Whose connections.
        number: Which message, counted from 1.
        sent: Whether it still reaches the server, and only its answer is lost.
    """

    def __init__(self, server: PostgresServer, number: int, *, sent: bool) -> None:
        self._address = server.address()
        self._number = number
        self._sent = sent
        self._run: Callable[[Wire, bytes], list[list[Row]]] = Wire.run
        self.count = 0

    def run(self, wire: Wire, message: bytes) -> list[list[Row]]:
        """Send a message, or cut."""
        self.count += 1
        if self.count != self._number:
            return self._run(wire, message)
        process = wire.get().backend_pid
        if self._sent:
            self._run(wire, message)
        with plain(self._address) as client:
            tell(client, f"SELECT pg_terminate_backend({process}, 10000)")
        return self._run(wire, b"SELECT 'nobody answers'")


@pytest.mark.parametrize("sent", [False, True], ids=["before it is sent", "before it is answered"])
def test_a_connection_that_is_cut_while_a_store_is_opened(
    server: PostgresServer, schema: str, monkeypatch: pytest.MonkeyPatch, *, sent: bool
) -> None:
    """At each of the first words: the store is opened all the same, whole, by another connection."""
    number, cutting = 0, Cutting(server, 0, sent=sent)
    while cutting.count >= number:
        number += 1
        cutting = Cutting(server, number, sent=sent)
        with monkeypatch.context() as patched:
            patched.setattr(Wire, "run", lambda wire, message, cutting=cutting: cutting.run(wire, message))
            store = PostgresStore(server.address(), schema=f"{schema}_{number}")
        with store, PostgresStore(server.address(), schema=f"{schema}_{number}") as other:
            assert store.secret == other.secret
            assert store.transact(*appending("a", 1)) == 1
            assert notes(other, "a") == [1]
    assert number > 6


def test_a_connection_that_is_cut_again_and_again_is_given_up(
    server: PostgresServer, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is up and hangs up on us has something against us: the caller is told."""

    def never(_: Wire, __: bytes) -> list[list[Row]]:
        raise WireLost("the connection was cut")

    with monkeypatch.context() as patched:
        patched.setattr(Wire, "run", never)
        with pytest.raises(StoreUnavailable, match="was cut"):
            PostgresStore(server.address(), schema=schema)


def test_a_server_that_is_starting_is_waited_for(
    server: PostgresServer, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so itself; then it may be gone for a moment, too, but not for longer than the wait."""
    asked: list[pq.Ping] = []
    starting = [pq.Ping.REJECT, pq.Ping.NO_RESPONSE, pq.Ping.REJECT, pq.Ping.OK]

    def connect(address: Address) -> "psycopg.Connection[tuple[object, ...]]":
        if len(asked) < len(starting):
            raise WireLost("the database system is starting up")
        return connected(address)

    def ping(_: Address) -> pq.Ping:
        asked.append(starting[min(len(asked), 3)])
        return asked[-1]

    connected = Address.connect
    monkeypatch.setattr(Address, "connect", connect)
    monkeypatch.setattr(Address, "ping", ping)
    with PostgresStore(server.address(), schema=schema) as store:
        assert store.transact(*appending("a", 1)) == 1
    assert asked == starting
    asked.clear()
    starting[:] = [pq.Ping.REJECT] * 1000
    with pytest.raises(StoreUnavailable, match="starting up"):
        PostgresStore(server.address(), schema=schema, wait=timedelta(milliseconds=100))
    assert len(asked) > 1


@pytest.mark.parametrize(("wrong", "times"), [("{}_2", 2), ("postgresql://127.0.0.1:1/nothing", 1)])
def test_whoever_is_not_let_in_is_told_at_once(
    address: str, monkeypatch: pytest.MonkeyPatch, wrong: str, times: int
) -> None:
    """A database that is not there, and a server that is not: neither gets better by waiting."""
    asked: list[str] = []

    def connect(address: Address) -> "psycopg.Connection[tuple[object, ...]]":
        asked.append(address.where)
        return connected(address)

    connected = Address.connect
    monkeypatch.setattr(Address, "connect", connect)
    with pytest.raises(StoreUnavailable):
        PostgresStore(wrong.format(address))
    assert len(asked) == times


def test_a_server_that_is_killed_while_stores_are_opened() -> None:
    """By many at once, again and again: each schema has one store in the end, and whoever opened it has the same."""
    up = threading.Event()

    def opened(name: str) -> bytes:
        while True:
            up.wait()
            with suppress(StoreUnavailable), PostgresStore(server.address(), schema=name) as store:
                return store.secret

    with PostgresServer() as server:
        up.set()
        with ThreadPoolExecutor(THREADS) as pool:
            jobs = [(name, pool.submit(opened, name)) for name in SCHEMAS for _ in range(THREADS)]
            for share in (0.1, 0.4, 0.7):
                _wait_until_made(server, round(share * len(SCHEMAS)))
                up.clear()
                server.kill()
                server.start()
                up.set()
            found = {(name, job.result()) for name, job in jobs}
        assert sorted(name for name, _ in found) == sorted(SCHEMAS)
        for name in SCHEMAS:
            with PostgresStore(server.address(), schema=name) as store:
                assert store.transact(*appending("a", 1)) == 1


def _wait_until_made(server: PostgresServer, count: int) -> None:
    with plain(server.address()) as client:
        while tell(client, "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^s[0-9]+$'")[0][0] < count:
            client.execute("SELECT pg_sleep(0.001)")
