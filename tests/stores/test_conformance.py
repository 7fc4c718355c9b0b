"""Every store that this library ships, held against the suite that any store has to pass."""

from collections.abc import Callable

from research_fsm.stores.memory import MemoryStore
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.testing.conformance import DurableConformance, ProcessConformance, StoreConformance


class TestMemoryStore(StoreConformance):
    """The reference store: it claims neither durability nor several processes."""

    def make_store(self, clock: Callable[[], int]) -> MemoryStore:
        """Make an empty one."""
        return MemoryStore(clock)


class TestMemoryStoreAwaited(TestMemoryStore):
    """The same for those who await."""

    awaiting = True


class TestSQLiteStore(StoreConformance, DurableConformance, ProcessConformance):
    """The embedded default: it survives, and several processes may open it."""

    def make_store(self, clock: Callable[[], int]) -> SQLiteStore:
        """Open the test's file."""
        return SQLiteStore(self.folder / "research.db", clock=clock)


class TestSQLiteStoreAwaited(TestSQLiteStore):
    """The same for those who await."""

    awaiting = True
