"""The exhaustive walk: every reachable state, every command, every moment."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from attrs import evolve

from research_fsm import lifecycle
from research_fsm.lifecycle import Trigger
from research_fsm.testing.oracle import broken
from research_fsm.testing.steps import Step
from research_fsm.testing.walk import SHORT, Walked, walk


def test_no_step_breaks_a_law() -> None:
    """Nothing that can be asked of a person, in any state and at any moment, breaks an invariant.

    The numbers are pinned: whoever changes them says why, because a smaller search proves less.
    """
    happened: set[Trigger] = set()

    def check(step: Step) -> Iterator[str]:
        happened.update(lifecycle.trigger_of(event) for event in step.events)
        yield from broken(step)

    assert walk(check=check) == Walked(states=3_311, steps=160_277)
    assert happened == set(Trigger)


@pytest.mark.long
def test_no_step_breaks_a_law_however_a_life_went_before() -> None:
    """The same with two credits, and with people told apart by how an earlier run of theirs ended."""
    assert walk(most_credits=2, outcomes=True) == Walked(states=30_294, steps=1_682_584)


@pytest.mark.long
def test_no_step_breaks_a_law_with_longer_leases() -> None:
    """The same with more attempts, more deliveries, and leases that end before, at and after the deadlines."""
    longer = evolve(
        SHORT,
        max_attempts=3,
        max_deliveries=3,
        dispatch_deadline=timedelta(microseconds=5),
        queue_deadline=timedelta(microseconds=2),
        run_deadline=timedelta(microseconds=4),
        resend_window=timedelta(microseconds=4),
    )
    assert walk(longer) == Walked(states=8_310, steps=443_854)
