"""The pytest plugin: what a host's tests of a service that embeds this library begin with, as fixtures.

Floor 6. Found by pytest through its entry point, in every session of an environment that has this library: so before a
fixture is asked for it imports nothing but pytest, not even the library. Override a fixture in a ``conftest.py`` to
have it otherwise, and those that stand on it follow.

Whoever measures the coverage of this library itself starts pytest under coverage (``coverage run -m pytest``): a plugin
is imported before pytest-cov begins.
"""

from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from research_fsm import Policy, Runs
    from research_fsm.storage import Store
    from research_fsm.testing.clock import ManualClock
    from research_fsm.testing.scripted import ScriptedDispatcher

__all__ = [
    "research_clock",
    "research_dispatcher",
    "research_ids",
    "research_policy",
    "research_queue",
    "research_runs",
    "research_store",
]


@pytest.fixture
def research_clock() -> "ManualClock":
    """The time, which stands still until a test moves it: ``research_clock.advance(timedelta(minutes=10))``."""
    from research_fsm.testing.clock import ManualClock

    return ManualClock()


@pytest.fixture
def research_store(research_clock: "ManualClock") -> "Iterator[Store]":
    """A store of this test's own, in memory, that tells the time by `research_clock`."""
    from research_fsm.stores.memory import MemoryStore

    store = MemoryStore(research_clock)
    yield store
    store.close()


@pytest.fixture
def research_dispatcher() -> "ScriptedDispatcher":
    """An outside engine that takes whatever it is sent, and remembers it in ``requests``; ``script`` has it fail."""
    from research_fsm.testing.scripted import ScriptedDispatcher

    return ScriptedDispatcher()


@pytest.fixture
def research_policy() -> "Policy":
    """The settings, as they are by default."""
    from research_fsm.policy import Policy

    return Policy()


@pytest.fixture
def research_ids() -> Callable[[], str]:
    """Ids that count, so that a test sees the same ones every time: …0001, …0002."""
    numbers = count(1)
    return lambda: f"00000000-0000-4000-8000-{next(numbers):012}"


@pytest.fixture
def research_runs(
    research_store: "Store",
    research_dispatcher: "ScriptedDispatcher",
    research_policy: "Policy",
    research_ids: Callable[[], str],
) -> "Runs":
    """The library, on `research_store`, with `research_dispatcher` as the outside engine."""
    from research_fsm.runs import Runs

    return Runs(research_store, research_dispatcher, policy=research_policy, new_id=research_ids)


@pytest.fixture
def research_queue(research_store: "Store", research_policy: "Policy", research_ids: Callable[[], str]) -> "Runs":
    """The library, on `research_store`, with the embedded queue: there is no engine, and workers take their runs."""
    from research_fsm.runs import Runs

    return Runs(research_store, policy=research_policy, new_id=research_ids)
