"""The helper that reads the rules aloud: it checks all that was decided, and says what differs."""

import pytest

from research_fsm.events import CreditsHeld, CreditsRevoked
from research_fsm.testing.scenario import NOW, PERSON_ID, given
from tests.core.examples import ARMED, GRANTED, HELD, IDLE, RUN, STARTED, send, starting


def test_what_a_run_means_for_the_account_follows() -> None:
    """Held, charged, released and refunded need not be given."""
    assert given(*IDLE, STARTED).account.held == 1


def test_what_follows_may_not_be_given() -> None:
    """It would count twice."""
    with pytest.raises(ValueError, match="follows from what happens to the person: leave it out"):
        given(GRANTED, CreditsHeld(PERSON_ID, RUN, 1, 1))


def test_grants_and_revocations_are_given() -> None:
    """They are the account's own."""
    scenario = given(GRANTED, CreditsRevoked("g", 1))
    assert scenario.account.available == 0
    assert scenario.granted == {"g": 1}
    assert scenario.revoked == {"g"}


def test_time_passes_when_it_is_told_to() -> None:
    """In the words of a timedelta, down to the microsecond."""
    assert given().after(minutes=1, microseconds=-1).now == NOW + 60_000_000 - 1


def test_a_missing_event_is_shown() -> None:
    """Everything that is appended has to be named, in order."""
    with pytest.raises(AssertionError, match=r"(?s)appended:.*AttemptArmed.*expected:.*RunStarted"):
        given(*IDLE).when(starting()).then(STARTED, HELD, answer=send(1))
    with pytest.raises(AssertionError, match="appended"):
        given(*IDLE).when(starting()).then(STARTED, ARMED, HELD, answer=send(1))


def test_another_answer_is_shown() -> None:
    """The answer is part of what was decided."""
    with pytest.raises(AssertionError, match=r"(?s)answered:.*attempt=1.*expected:.*attempt=2"):
        given(*IDLE).when(starting()).then(STARTED, HELD, ARMED, answer=send(2))


def test_nothing_is_shown_as_nothing() -> None:
    """Where an event was expected and none came."""
    with pytest.raises(AssertionError, match=r"\(nothing\)"):
        given().when(starting()).then(STARTED, answer=None)
