"""Every store that this library ships, held against the suite that any store has to pass."""

from collections.abc import Callable

from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.conformance import StoreConformance


class TestMemoryStore(StoreConformance):
    """The reference store: it claims neither durability nor several processes."""

    def make_store(self, clock: Callable[[], int]) -> MemoryStore:
        """Make an empty one."""
        return MemoryStore(clock)
