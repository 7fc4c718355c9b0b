"""What every store and every dispatcher has to pass: a class to subclass, or a function to call.

Floor 6. Imports no test framework. Under pytest or unittest a whole test file, of a store that lives in a folder, is ::

    class TestMyStore(StoreConformance, DurableConformance, ProcessConformance):  # For unittest: and TestCase.
        def make_store(self, clock: Callable[[], int]) -> MyStore:
            return MyStore(self.folder / "my.db", clock=clock)


    class TestMyStoreAwaited(TestMyStore):
        awaiting = True

Anywhere else, `check_store` asks the same questions and reports the answers in words ::

    check_store(lambda folder, clock: MyStore(folder / "my.db", clock=clock), durable=True)

A store is asked for what it claims, and no question is skipped: `DurableConformance` is for one that survives its
process, `ProcessConformance` for one that several processes may open at once.

A dispatcher is asked with a fake of its engine behind it, which does as the suite says: a `ScriptableEngine` ::

    class TestMyDispatcher(DispatcherConformance):
        def make_dispatcher(self, clock: Callable[[], int]) -> tuple[MyDispatcher, MyFakeEngine]:
            engine = MyFakeEngine()
            return MyDispatcher(engine.url), engine
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from research_fsm.requests import AsyncDispatcher, Dispatcher
from research_fsm.storage import Store
from research_fsm.testing.suites.attempts import AttemptsSuite
from research_fsm.testing.suites.awaiting import AwaitingSuite
from research_fsm.testing.suites.crowds import CrowdsSuite
from research_fsm.testing.suites.dispatching import ScriptableEngine, Taken
from research_fsm.testing.suites.durable import DurableSuite, ProcessSuite
from research_fsm.testing.suites.evidence import EvidenceSuite
from research_fsm.testing.suites.feed import FeedSuite
from research_fsm.testing.suites.handed_over import HandedOverSuite
from research_fsm.testing.suites.lives import LivesSuite
from research_fsm.testing.suites.log import LogSuite
from research_fsm.testing.suites.reads import ReadsSuite
from research_fsm.testing.suites.report import Broken, BrokenPromises, Kept, ask
from research_fsm.testing.suites.rows import RowsSuite

__all__ = [
    "Broken",
    "BrokenPromises",
    "DispatcherConformance",
    "DurableConformance",
    "Kept",
    "MakeDispatcher",
    "MakeStore",
    "ProcessConformance",
    "ScriptableEngine",
    "StoreConformance",
    "Taken",
    "check_dispatcher",
    "check_store",
]

MakeStore = Callable[[Path, Callable[[], int]], Store]
"""Opens a store that lives in a folder, if it lives anywhere, and tells the time by a clock in microseconds UTC."""


MakeDispatcher = Callable[[Callable[[], int]], tuple[Dispatcher | AsyncDispatcher, ScriptableEngine]]
"""Makes a dispatcher, and the fake engine behind it that tells the time by a clock in microseconds UTC."""


class StoreConformance(LogSuite, RowsSuite, ReadsSuite, LivesSuite, CrowdsSuite, AwaitingSuite, FeedSuite):
    """The promise of `research_fsm.storage.Store`, and whole lives on it.

    A subclass defines ``make_store(self, clock)``, which returns a store that is empty at the first call within a
    test and tells the time by the clock, in microseconds UTC. Called again within a test it returns another store,
    of the same place if there is one: ``self.folder`` is one, and each test has its own.
    """


class DurableConformance(DurableSuite):
    """What is written survives; ``make_store`` opens the same place again within a test, also in another process."""


class ProcessConformance(ProcessSuite):
    """Several have the same place open at once, in one process or in many; the test object is sent to those."""


class DispatcherConformance(AttemptsSuite, EvidenceSuite, HandedOverSuite):
    """The promise of `research_fsm.requests.Dispatcher`, and of `AsyncDispatcher`: which one it is, is seen.

    A subclass defines ``make_dispatcher(self, clock)``, which returns a dispatcher and the fake engine behind it.
    """


class _Given:
    """Says how the store is made with what `check_store` was given."""

    folder: Path

    def __init__(self, make: MakeStore, *, awaiting: bool = False) -> None:
        self.make = make
        self.awaiting = awaiting

    def make_store(self, clock: Callable[[], int]) -> Store:
        """Open the store in this question's folder."""
        return self.make(self.folder, clock)


class _Store(_Given, StoreConformance):
    """What every store promises."""


class _Durable(_Given, DurableConformance):
    """What a store promises that survives."""


class _Processes(_Given, ProcessConformance):
    """What a store promises that several processes may open."""


def check_store(make_store: MakeStore, *, durable: bool = False, processes: bool = False) -> Kept:
    """Ask a store for everything it promises: those who block, then those who await.

    Args:
        make_store: Opens the store in a folder that is empty at first; called again with the same folder, it opens
            the same place again.
        durable: Whether it survives its process; `make_store` then has to be picklable, a function of a module.
        processes: Whether several processes may open it at once; the same.

    Returns:
        What was asked for.

    Raises:
        BrokenPromises: What it breaks, with what each promise means and what was found instead.
    """
    kinds = [_Store, *([_Durable] if durable else []), *([_Processes] if processes else [])]
    suites = [partial(kind, make_store, awaiting=awaiting) for awaiting in (False, True) for kind in kinds]
    return ask(getattr(make_store, "__name__", repr(make_store)), suites)


class _Dispatcher(DispatcherConformance):
    """Says how the dispatcher is made with what `check_dispatcher` was given."""

    def __init__(self, make: MakeDispatcher) -> None:
        self.make = make

    def make_dispatcher(self, clock: Callable[[], int]) -> tuple[Dispatcher | AsyncDispatcher, ScriptableEngine]:
        """Make it."""
        return self.make(clock)


def check_dispatcher(make_dispatcher: MakeDispatcher) -> Kept:
    """Ask a dispatcher for everything it promises.

    Args:
        make_dispatcher: Makes one, with a fake engine behind it that has nothing yet.

    Returns:
        What was asked for.

    Raises:
        BrokenPromises: What it breaks, with what each promise means and what was found instead.
    """
    return ask(getattr(make_dispatcher, "__name__", repr(make_dispatcher)), [partial(_Dispatcher, make_dispatcher)])
