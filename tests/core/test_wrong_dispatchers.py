"""A dispatcher of somebody's own that returns nonsense: nothing is concluded from it, and nothing of it is kept."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from research_fsm import InvalidInput, PersonDetails, Profile, Runs, Unresolved
from research_fsm.commands import StartRun
from research_fsm.events import AttemptResult
from research_fsm.outcomes import Action
from research_fsm.policy import Policy
from research_fsm.requests import AttemptOutcome
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing import ManualClock
from research_fsm.transactions import start


class Nonsense:
    """Returns what no dispatcher may return."""

    def dispatch(self, _: object) -> Any:  # noqa: ANN401  # That is the point.
        """Return nothing."""
        return None

    def look(self, _: object, __: object) -> Any:  # noqa: ANN401  # That is the point.
        """Return names instead of sightings."""
        return ("x",)

    def cancel(self, _: str) -> None:
        """Do nothing."""


def test_what_is_no_answer_is_ambiguous(caplog: pytest.LogCaptureFixture) -> None:
    """The start is unresolved, recovery sees nothing, and the deadline ends it: nobody is stuck, no credit is lost."""
    clock = ManualClock()
    runs = Runs(MemoryStore(clock), Nonsense())
    runs.grant("acme", 1)
    person_id = runs.add("acme", Profile(linkedin_url="linkedin.com/in/ada")).accepted().person_id
    assert isinstance(runs.start(person_id), Unresolved)
    for _ in range(30):
        clock.advance(timedelta(seconds=31))
        assert runs.recover().errors == ()
    found = runs.person(person_id)
    assert isinstance(found, PersonDetails)
    assert str(found.status) == "idle"
    assert runs.balance("acme").available == 1
    assert "a dispatcher returns AttemptOutcome, not NoneType" in caplog.text
    assert "a dispatcher returns Sighting, not str" in caplog.text


@pytest.mark.parametrize("retry_at", [datetime(2026, 1, 1, tzinfo=UTC), -1, True, 2**63, "soon"])
def test_a_moment_that_is_none_is_refused(retry_at: Any) -> None:  # noqa: ANN401  # Anything.
    """It would be kept in a receipt, and could be read by nobody."""
    with pytest.raises(InvalidInput, match="retry_at"):
        AttemptOutcome(result=AttemptResult.REFUSED, retry_at=retry_at)


def test_who_cannot_send_does_not_look_again_at_once() -> None:
    """A pass without a dispatcher meets a joined start that nobody has sent: it waits a while."""
    clock = ManualClock()
    runs = Runs(MemoryStore(clock))
    runs.grant("acme", 1)
    person_id = runs.add("acme", Profile(linkedin_url="linkedin.com/in/ada")).accepted().person_id
    run_id = "00000000-0000-4000-8000-000000000001"
    joined = StartRun(person_id=person_id, run_id=run_id, inside=False, joined=True)
    runs.store.transact(*start(joined, Policy()))
    assert [one.action for one in runs.recover().recovered] == [Action.WAITED]
    assert runs.recover().recovered == ()
    clock.advance(Policy().poll_interval)
    assert [one.action for one in runs.recover().recovered] == [Action.WAITED]
