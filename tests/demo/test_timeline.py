"""A history as people read it."""

from research_fsm import Profile, Runs, codec
from research_fsm.demo.timeline import lines
from research_fsm.events import CreditsCharged, Event, Meta, RunDispatched
from research_fsm.storage import RecordedEvent
from research_fsm.stores.memory import MemoryStore

RUN = "00000000-0000-4000-8000-0000000000a1"
PERSON = "00000000-0000-4000-8000-000000000001"


def recorded(event: Event, stream: str, at: int) -> RecordedEvent:
    """Return an event as a store would."""
    new = codec.encode_event(event, Meta())
    return RecordedEvent(1, stream, 1, new.type, new.schema, at, new.data, new.meta, b"")


def test_times_count_from_the_first_event_and_credits_are_told_apart() -> None:
    """Seconds begin at 0; what happened to the account is marked."""
    history = [
        recorded(RunDispatched(1, None, None), f"person:{PERSON}", 2_000_000),
        recorded(CreditsCharged(PERSON, RUN, 1, 1), "account:acme", 3_500_000),
    ]
    assert [(line.seconds, line.is_credit) for line in lines(history)] == [(0.0, False), (1.5, True)]


def test_a_person_without_a_history_has_no_lines() -> None:
    """Nothing happened, nothing is told."""
    assert lines([]) == []


def test_a_history_of_the_library_reads_as_a_story() -> None:
    """What `Runs.history` returns is told in its order."""
    runs = Runs(MemoryStore())
    runs.grant("acme", 1)
    ada = runs.add("acme", Profile(linkedin_url="linkedin.com/in/ada")).accepted().person_id
    runs.start(ada)
    assert [line.words for line in lines(runs.history(ada))] == [
        "added by acme (user)",
        "run 1 started, for 1 credit",
        "queued",
        "credits held -1",
        "credits charged ±0",
    ]
