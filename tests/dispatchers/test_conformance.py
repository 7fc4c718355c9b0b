"""Every dispatcher that this library ships, and some that are wrong, held against the suite for dispatchers."""

from collections.abc import Callable

import pytest

from research_fsm.dispatchers.trigger_dev import AsyncTriggerDev, TriggerDev
from research_fsm.testing.conformance import BrokenPromises, DispatcherConformance, check_dispatcher
from research_fsm.testing.engine import FakeEngine
from research_fsm.testing.engine_http import transport
from research_fsm.testing.mutants.dispatchers import WRONG_DISPATCHERS
from research_fsm.testing.scripted import ScriptedDispatcher
from tests.dispatchers.engines import ScriptedEngine, TriggerEngine
from tests.dispatchers.service import settings

PROMISES = 30
"""How many a dispatcher is asked for: whoever asks for less says so here."""


class TestScriptedDispatcher(DispatcherConformance):
    """The one that stands for any engine in tests."""

    def make_dispatcher(self, clock: Callable[[], int]) -> tuple[ScriptedDispatcher, ScriptedEngine]:  # noqa: ARG002  # It forgets nothing.
        """Make one."""
        dispatcher = ScriptedDispatcher()
        return dispatcher, ScriptedEngine(dispatcher)


class TestTriggerDev(DispatcherConformance):
    """Trigger.dev, for callers who block."""

    def make_dispatcher(self, clock: Callable[[], int]) -> tuple[TriggerDev, TriggerEngine]:
        """Make one, over a fake engine."""
        engine = FakeEngine(clock)
        return TriggerDev(settings(), transport=transport(engine)), TriggerEngine(engine)


class TestAsyncTriggerDev(DispatcherConformance):
    """Trigger.dev, for callers who await."""

    def make_dispatcher(self, clock: Callable[[], int]) -> tuple[AsyncTriggerDev, TriggerEngine]:
        """Make one, over a fake engine."""
        engine = FakeEngine(clock)
        return AsyncTriggerDev(settings(), transport=transport(engine)), TriggerEngine(engine)


# --- dispatchers that are wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("wrong", "promise"), WRONG_DISPATCHERS.items())
def test_a_wrong_dispatcher_is_found_out(wrong: type[ScriptedDispatcher], promise: str) -> None:
    """By the promise that says so, whatever else breaks along."""

    def make(_: Callable[[], int]) -> tuple[ScriptedDispatcher, ScriptedEngine]:
        dispatcher = wrong()
        return dispatcher, ScriptedEngine(dispatcher)

    with pytest.raises(BrokenPromises) as raised:
        check_dispatcher(make)
    assert promise in [one.promise for one in raised.value.broken]


def test_a_dispatcher_that_keeps_its_promise_is_told_which() -> None:
    """As many as are pinned here."""

    def make(_: Callable[[], int]) -> tuple[ScriptedDispatcher, ScriptedEngine]:
        dispatcher = ScriptedDispatcher()
        return dispatcher, ScriptedEngine(dispatcher)

    assert len(check_dispatcher(make).promises) == PROMISES


def test_a_suite_that_does_not_say_how_its_dispatcher_is_made_says_so() -> None:
    """By the name of the class."""

    class Nameless(DispatcherConformance):
        pass

    with pytest.raises(NotImplementedError, match="Nameless does not say how its dispatcher is made"):
        Nameless().test_one_attempt_is_one_request()
