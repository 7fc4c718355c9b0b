"""The SQLite store, held against the suite that any store has to pass, with everything that it claims."""

from collections.abc import Callable
from pathlib import Path

import pytest

from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.testing.conformance import DurableConformance, ProcessConformance, StoreConformance


class TestSQLiteStore(StoreConformance, DurableConformance, ProcessConformance):
    """A file in a folder of its own: it survives its process, and several processes may open it."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.path = tmp_path / "store.db"

    def make_store(self, clock: Callable[[], int]) -> SQLiteStore:
        """Open the file, or make it."""
        return SQLiteStore(self.path, clock=clock)
