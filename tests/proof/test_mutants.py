"""Small wrong rules, flows and stores: the proof kit has to find every one of them.

A mistake replaces a piece of a function's text, so that the tables read like lists of mistakes. Each names what has to
find it and the word that the finding begins with: an invariant (1 to 8, X1 to X9), a law of the log by its name, or
what the store says that stops it.
"""

from collections.abc import Callable, Mapping

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from research_fsm.errors import WriteRejected
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.conformance import StoreConformance
from research_fsm.testing.machine import store_machine
from research_fsm.testing.race import race
from research_fsm.testing.walk import walk
from tests.proof.mistake import Mistake
from tests.proof.wrong_callbacks import WRONG_CALLBACKS
from tests.proof.wrong_dispatches import WRONG_DISPATCHES
from tests.proof.wrong_stores import WRONG_STORES

BUDGET = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=3_000,
    stateful_step_count=40,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
"""The same search every time; a failure is not made smaller, because it is expected."""


@BUDGET
@given(st.data())
def _race(data: st.DataObject) -> None:
    race(data, MemoryStore)


def _machine() -> None:
    run_state_machine_as_test(store_machine(MemoryStore), settings=BUDGET)


_SEARCHES: Mapping[str, Callable[[], object]] = {"walk": walk, "race": _race, "machine": _machine}


class _Suite(StoreConformance):
    """The conformance suite of the reference store, whose tests are called one by one."""

    __test__ = False

    def make_store(self, clock: Callable[[], int]) -> MemoryStore:
        """Make an empty one."""
        return MemoryStore(clock)


_FINDINGS = (AssertionError, WriteRejected, pytest.fail.Exception)
"""What finds a mistake; any other exception is one that the mistake's own text raises, and proves nothing."""


@pytest.mark.parametrize(
    "mistake", [*WRONG_DISPATCHES, *WRONG_CALLBACKS, *WRONG_STORES], ids=lambda mistake: mistake.what
)
def test_a_mistake_is_found(mistake: Mistake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is named finds it; a search says which law is broken."""
    mistake.make(monkeypatch)
    if mistake.found in _SEARCHES:
        with pytest.raises(_FINDINGS, match=rf"(?m)^\s*({mistake.laws})\b"):
            _SEARCHES[mistake.found]()
    else:
        with pytest.raises(_FINDINGS):
            getattr(_Suite(), mistake.found.removeprefix("suite: "))()
