"""The fold of a person, where no rule leads: a log that somebody else wrote moves no money and opens nothing."""

from research_fsm import person as people
from research_fsm.account import credits_for
from research_fsm.events import (
    AttemptArmed,
    AttemptResult,
    CreditsHeld,
    FailReason,
    HoldEnd,
    RunClaimed,
    RunFailed,
    RunRolledBack,
    RunStarted,
)
from research_fsm.events import RollBackReason as Why
from research_fsm.lifecycle import Phase
from research_fsm.person import Hold
from research_fsm.testing.scenario import NOW, PERSON_ID, given
from tests.core.examples import (
    DISPATCHING,
    EXECUTING,
    IDLE,
    RUN_2,
    RUN_DEADLINE,
    STARTED,
    X,
    answered,
    armed,
)

SECOND = RunStarted(RUN_2, 2, 1, inside=False, deadline=NOW + 600_000_000, request_digest=None)


def test_nobody_is_there_yet() -> None:
    """No owner, no run, not visible."""
    nobody = people.nobody(PERSON_ID)
    assert (nobody.phase, nobody.exists, nobody.run_no, nobody.current(0)) == (Phase.NONE, False, 0, None)


def test_an_event_of_an_earlier_run_leaves_the_later_one_alone() -> None:
    """The fencing token is the number: attempt 1 of run 1 is not attempt 1 of run 2."""
    later = given(*DISPATCHING, RunRolledBack(1, Why.REFUSED), SECOND, AttemptArmed(2, 1, NOW))
    assert later.having(answered(AttemptResult.REFUSED)).person == later.person
    assert later.having(RunClaimed(1, X, 0, RUN_DEADLINE)).person.run == later.person.run


def test_the_highest_attempt_stays_the_highest() -> None:
    """In whatever order a log has them, no number is given out again."""
    person = given(*IDLE, STARTED, armed(3), armed(1)).person
    assert person.run is not None
    assert (person.run.last_attempt, person.run.open_attempts) == (3, (3, 1))


def test_a_hold_that_has_ended_is_not_charged_again() -> None:
    """Only an open hold becomes a charge."""
    refunded = RunFailed(1, X, FailReason.NO_OUTPUT, None, HoldEnd.REFUNDED)
    person = given(*EXECUTING, refunded, RunClaimed(1, X, 2, RUN_DEADLINE)).person
    assert person.run is not None
    assert person.run.hold is Hold.REFUNDED


def test_every_run_has_its_own_hold() -> None:
    """A second run's hold is held also if the first one's was left open."""
    first, second = given(*IDLE, STARTED).person.run, given(*IDLE, SECOND).person.run
    assert credits_for(PERSON_ID, first, second) == (CreditsHeld(PERSON_ID, RUN_2, 2, 1),)
    assert credits_for(PERSON_ID, first, first) == ()
    assert credits_for(PERSON_ID, first, None) == ()
