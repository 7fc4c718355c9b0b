"""The PostgreSQL store, held against the suite that any store has to pass: with prepared statements, and without."""

from collections.abc import Callable

import pytest

from research_fsm.stores.postgres import PostgresStore
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


class TestPostgresStoreBehindAPooler(StoreConformance, DurableConformance, ProcessConformance):
    """The plainer path, which nothing outlives that is said on a connection outside of a transaction."""

    @pytest.fixture(autouse=True)
    def _place(self, server: PostgresServer, schema: str) -> None:
        self.place = server.address(), schema

    def make_store(self, clock: Callable[[], int]) -> PostgresStore:
        """Open the test's schema."""
        address, schema = self.place
        return PostgresStore(address, schema=schema, clock=clock, prepared=False)
