"""Every store that this library ships, held against the suite that any store has to pass."""

from collections.abc import Callable
from pathlib import Path

import pytest

from research_fsm.stores.memory import MemoryStore
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.testing.conformance import DurableConformance, ProcessConformance, StoreConformance


class TestMemoryStore(StoreConformance):
    """The reference store: it claims neither durability nor several processes."""

    def make_store(self, clock: Callable[[], int]) -> MemoryStore:
        """Make an empty one."""
        return MemoryStore(clock)


class TestSQLiteStore(StoreConformance, DurableConformance, ProcessConformance):
    """The embedded default: it survives, and several processes may open it."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.path = tmp_path / "research.db"

    def make_store(self, clock: Callable[[], int]) -> SQLiteStore:
        """Open the test's file."""
        return SQLiteStore(self.path, clock=clock)
