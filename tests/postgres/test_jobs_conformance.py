"""A store whose entries are jobs, held against the suite that any store has to pass."""

from collections.abc import Callable

import pytest

from research_fsm.stores.postgres import PostgresStore
from research_fsm.testing.conformance import DurableConformance, ProcessConformance, StoreConformance
from research_fsm.testing.postgres import PostgresServer
from tests.postgres.jobs import JOBS, apply_schema


@pytest.fixture(scope="module")
def database(server: PostgresServer) -> str:
    """A database with procrastinate's tables, of these tests' own."""
    address = server.new_database()
    apply_schema(address)
    return address


class TestPostgresStoreWithJobs(StoreConformance, DurableConformance, ProcessConformance):
    """That an entry is a job too changes nothing for whoever uses the store."""

    @pytest.fixture(autouse=True)
    def _place(self, database: str, schema: str) -> None:
        self.place = database, schema

    def make_store(self, clock: Callable[[], int]) -> PostgresStore:
        """Open the test's schema."""
        address, schema = self.place
        return PostgresStore(address, schema=schema, clock=clock, jobs=JOBS)
