"""Opening a store while its server goes away: it is opened, or it is not, and nothing is half made."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from research_fsm.errors import StoreUnavailable
from research_fsm.stores.postgres import PostgresStore
from research_fsm.stores.postgres_wire import Row, Wire
from research_fsm.testing.postgres import PostgresServer
from tests.postgres.examples import appending, notes, plain, tell

THREADS = 4
SCHEMAS = [f"s{number}" for number in range(24)]


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
    """At each of the first words: the caller is told, and whoever comes next opens a whole store."""
    number, opened = 0, False
    while not opened:
        number += 1
        cutting = Cutting(server, number, sent=sent)
        name = f"{schema}_{number}"
        with monkeypatch.context() as patched:
            patched.setattr(Wire, "run", lambda wire, message, cutting=cutting: cutting.run(wire, message))
            try:
                PostgresStore(server.address(), schema=name).close()
                opened = True
            except StoreUnavailable:
                assert cutting.count == number
        with PostgresStore(server.address(), schema=name) as store:
            assert store.transact(*appending("a", 1)) == 1
            assert notes(store, "a") == [1]
    assert number > 6


def test_a_server_that_is_killed_while_stores_are_opened() -> None:
    """By many at once, again and again: each schema has one store in the end, and whoever opened it has the same."""

    def opened(_: int) -> list[bytes]:
        found = list[bytes]()
        for name in SCHEMAS:
            while True:
                with suppress(StoreUnavailable), PostgresStore(server.address(), schema=name) as store:
                    found.append(store.secret)
                    break
        return found

    with PostgresServer() as server:
        with ThreadPoolExecutor(THREADS) as pool:
            jobs = [pool.submit(opened, number) for number in range(THREADS)]
            for share in (0.1, 0.4, 0.7):
                _wait_until_made(server, round(share * len(SCHEMAS)))
                server.kill()
                server.start()
            found = [job.result() for job in jobs]
        assert [set(secrets) for secrets in zip(*found, strict=True)] == [{secret} for secret in found[0]]
        for name in SCHEMAS:
            with PostgresStore(server.address(), schema=name) as store:
                assert store.transact(*appending("a", 1)) == 1


def _wait_until_made(server: PostgresServer, count: int) -> None:
    with plain(server.address()) as client:
        while tell(client, "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^s[0-9]+$'")[0][0] < count:
            client.execute("SELECT pg_sleep(0.001)")
