"""The PostgreSQL store, held against the suite that any store has to pass: prepared, plain, and with few rights."""

from collections.abc import Callable, Iterator

import pytest

from research_fsm.stores.postgres import PostgresStore
from research_fsm.stores.postgres_schema import grants
from research_fsm.stores.postgres_wire import Row, Wire
from research_fsm.testing.conformance import DurableConformance, ProcessConformance, StoreConformance
from research_fsm.testing.postgres import PostgresServer
from tests.postgres.examples import plain, tell


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


class TestPostgresStoreOfARoleWithFewRights(StoreConformance, DurableConformance):
    """A role that was granted what `grants` says, and may make nothing, change no event and delete none."""

    @pytest.fixture(autouse=True)
    def _place(self, server: PostgresServer, schema: str) -> Iterator[None]:
        self.place = server.address(user=f"role_{schema}"), schema
        PostgresStore(server.address(), schema=schema).close()
        with plain(server.address()) as client:
            tell(client, f"CREATE ROLE role_{schema} LOGIN; {grants(f'role_{schema}', schema)}")
            yield
            tell(client, f"DROP OWNED BY role_{schema}; DROP ROLE role_{schema}")

    def make_store(self, clock: Callable[[], int]) -> PostgresStore:
        """Open the test's schema as that role."""
        address, schema = self.place
        return PostgresStore(address, schema=schema, clock=clock)


class TestPostgresStoreBehindAPooler(StoreConformance, DurableConformance, ProcessConformance):
    """The plainer path, on which nothing outlives its transaction that was said on a connection."""

    @pytest.fixture(autouse=True)
    def _place(self, server: PostgresServer, schema: str) -> None:
        self.place = server.address(), schema

    def make_store(self, clock: Callable[[], int]) -> PostgresStore:
        """Open the test's schema, on connections that forget everything between two transactions."""
        address, schema = self.place
        store = PostgresStore(address, schema=schema, clock=clock, prepared=False)
        for wire in (store._writers[0].wire, store._source._wire):
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
