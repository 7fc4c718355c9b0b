"""What every store has to pass: subclass `StoreConformance` in a test file, say how the store is made, run pytest.

Floor 6. Needs pytest, from the extra ``research-fsm[testing]``. A store that survives its process subclasses
`DurableConformance` too, and one that several processes may open at once `ProcessConformance`: a store is asked for
what it claims, and no test is skipped.

A whole test file, of a store that lives in a folder::

    class TestMyStore(StoreConformance, DurableConformance, ProcessConformance):
        @pytest.fixture(autouse=True)
        def _folder(self, tmp_path: Path) -> None:
            self.path = tmp_path / "my.db"

        def make_store(self, clock: Callable[[], int]) -> MyStore:
            return MyStore(self.path, clock=clock)
"""

import pytest

pytest.register_assert_rewrite("research_fsm.testing.suites")  # So that a failure shows the values it compares.

from research_fsm.testing.suites.durable import DurableSuite, ProcessSuite  # noqa: E402  # After the line above.
from research_fsm.testing.suites.job import JobSuite  # noqa: E402  # The same.
from research_fsm.testing.suites.log import LogSuite  # noqa: E402  # The same.
from research_fsm.testing.suites.reads import ReadsSuite  # noqa: E402  # The same.
from research_fsm.testing.suites.rows import RowsSuite  # noqa: E402  # The same.

__all__ = ["DurableConformance", "ProcessConformance", "StoreConformance"]


class StoreConformance(LogSuite, RowsSuite, ReadsSuite, JobSuite):
    """The promise of `research_fsm.storage.Store`, and the whole job on it.

    A subclass defines ``make_store(self, clock)``, which returns a store that is empty at the first call within a
    test and tells the time by the clock, in microseconds UTC. Called again within a test it returns another store,
    of the same place if there is one.
    """


class DurableConformance(DurableSuite):
    """What is written survives; ``make_store`` opens the same place again within a test."""


class ProcessConformance(ProcessSuite):
    """Several processes open the same place; the test object is pickled and sent to them."""
