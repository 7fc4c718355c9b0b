"""Two histories are compared, and where they part is said in words."""

import doctest

import pytest

from research_fsm import Profile, Runs
from research_fsm.events import (
    Event,
    FailReason,
    HoldEnd,
    PersonAdded,
    PersonKind,
    ReportMarkedStale,
    RunFailed,
    RunStarted,
    StaleReason,
)
from research_fsm.storage import RecordedEvent
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing import ManualClock, Reply, ScriptedDispatcher
from research_fsm.testing import diff as module
from research_fsm.testing.diff import diff, same

RUN = "00000000-0000-4000-8000-000000000001"
ADDED = PersonAdded("acme", PersonKind.USER, "d" * 64)
STARTED = RunStarted(RUN, 1, 1, False, 60, None)  # noqa: FBT003  # An example.


def lived(reply: Reply = Reply.ACCEPTED, *, later: int = 0) -> list[RecordedEvent]:
    """Return the history of somebody who was started, with ids of their own."""
    clock = ManualClock()
    clock.now += later
    runs = Runs(MemoryStore(clock), ScriptedDispatcher(reply))
    runs.grant("acme", 1)
    person = runs.add("acme", Profile(linkedin_url="linkedin.com/in/ada")).accepted()
    runs.start(person.person_id)
    return runs.history(person.person_id)


def test_the_example_runs() -> None:
    """What the module shows is what happens."""
    assert doctest.testmod(module).failed == 0


def test_the_same_history_does_not_part() -> None:
    """Recorded or not, empty or not."""
    history = lived()
    assert diff(history, iter(history)) is None
    assert diff([ADDED, STARTED], [ADDED, STARTED]) is None
    assert diff([], []) is None
    same(history, history, times=True)


def test_two_lives_alike_are_the_same_but_for_their_ids_and_times() -> None:
    """Another store gives other ids, and another day other times; which id stands where is compared all the same."""
    one, other = lived(), lived(later=5_000_000)
    parting = diff(one, other)
    assert parting is not None
    assert parting.after == 0
    assert diff(one, other, ids=False) is None
    parting = diff(one, other, ids=False, times=True)
    assert parting is not None
    assert [name for name, _, __ in parting.fields] == ["at"]
    swapped = [STARTED, RunStarted(RUN.replace("1", "2"), 2, 1, False, 60, None)]  # noqa: FBT003  # An example.
    repeated = [STARTED, RunStarted(RUN, 2, 1, False, 60, None)]  # noqa: FBT003  # An example.
    parting = diff(swapped, repeated, ids=False)
    assert parting is not None
    assert parting.fields == (("run_id", "id 2", "id 1"),)


def test_another_event_is_said_with_what_came_before_and_what_follows() -> None:
    """The last few that they have in common, and the first few that they have not."""
    with pytest.raises(AssertionError) as raised:
        same(lived(), lived(Reply.REFUSED), ids=False)
    words = str(raised.value)
    assert words.startswith("the histories are the same for 4 events; then they differ in external_id, reason, result")
    for line in ("  4. CreditsHeld: credits held", "    result: accepted, not refused", "rolled back (refused)"):
        assert line in words


@pytest.mark.parametrize(
    ("one", "other", "how"),
    [
        ([ADDED], [ADDED, STARTED], "the same for 1 event; then one is over, and the other goes on"),
        ([ADDED, STARTED], [ADDED], "then the other is over, and the one goes on"),
        ([ADDED, STARTED], [ADDED, ReportMarkedStale(StaleReason.AGE)], "then something else happens"),
        (
            [RunFailed(1, None, FailReason.NO_OUTPUT, None, HoldEnd.KEPT)],
            [RunFailed(1, None, FailReason.NO_OUTPUT, None, HoldEnd.REFUNDED)],
            "for 0 events; then they differ in hold",
        ),
    ],
)
def test_how_they_part_is_said(one: list[Event], other: list[Event], how: str) -> None:
    """One is over, something else happens, or the same happens otherwise."""
    assert how in str(diff(one, other))


def test_a_long_rest_is_cut() -> None:
    """Three events, and how many more there are."""
    assert "… and 2 more" in str(diff([], [ADDED, *[STARTED] * 4]))


def test_what_cannot_be_read_is_compared_as_it_stands() -> None:
    """A log that somebody edited, too."""
    event = lived()[0]
    spoilt = RecordedEvent(1, event.stream, 1, event.type, 1, event.at, b"{not JSON", event.meta, event.hash)
    assert diff([spoilt], [spoilt]) is None
    assert "data" in str(diff([event], [spoilt]))
