"""The PostgreSQL store, held against the suite that any store has to pass: with prepared statements, and without."""

from collections.abc import Callable

import pytest

from research_fsm.stores.postgres import PostgresStore
from research_fsm.stores.postgres_wire import Row, Wire
from research_fsm.testing.conformance import DurableConformance, ProcessConformance, StoreConformance
from research_fsm.testing.postgres import PostgresServer


class TestPostgresStore(StoreConformance, DurableConformance, ProcessConformance):
    """It survives, and any number of processes may open it."""

    @pytest.fixture(autouse=True)
    def _place(self, server: PostgresServer, schema: str) -> None:
        self.place = server.address(), schema

    def make_store(self, clock: Callable[[], int]) -> PostgresStore:
        """Open the test's schema."""
        address, schema = self.place
        return PostgresStore(address, schema=schema, clock=clock)


class TestPostgresStoreAwaited(TestPostgresStore):
    """The same for those who await."""

    awaiting = True


class TestPostgresStoreBehindAPooler(StoreConformance, DurableConformance, ProcessConformance):
    """The plainer path, on which nothing outlives its transaction that was said on a connection."""

    @pytest.fixture(autouse=True)
    def _place(self, server: PostgresServer, schema: str) -> None:
        self.place = server.address(), schema

    def make_store(self, clock: Callable[[], int]) -> PostgresStore:
        """Open the test's schema, on connections that forget everything between two transactions."""
        address, schema = self.place
        store = PostgresStore(address, schema=schema, clock=clock, prepared=False)
        for wire in (store._writer, store._source._wire):
            assert isinstance(wire, Wire)
            _make_forgetful(wire)
        return store


def _make_forgetful(wire: Wire) -> None:
    run = wire.run

    def run_and_forget(message: bytes) -> list[list[Row]]:
        try:
            return run(message)
        finally:
            if not wire.in_transaction:
                run(b"DISCARD ALL")

    wire.run = run_and_forget  # type: ignore[method-assign]  # As a pooler would, for one test.
