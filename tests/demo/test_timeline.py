"""A history as people read it."""

import pytest

from research_fsm import Profile, Runs, codec
from research_fsm.demo.timeline import Line, lines
from research_fsm.events import (
    AttemptAnswered,
    AttemptArmed,
    AttemptResult,
    CallbackKind,
    CallbackRefused,
    CreditsCharged,
    CreditsGranted,
    CreditsHeld,
    CreditsRefunded,
    CreditsReleased,
    CreditsRevoked,
    Event,
    FailReason,
    HoldEnd,
    Meta,
    PersonAdded,
    PersonErased,
    PersonKind,
    ReportMarkedStale,
    RollBackReason,
    RunClaimed,
    RunCompleted,
    RunDispatched,
    RunFailed,
    RunRolledBack,
    RunStarted,
    StaleReason,
)
from research_fsm.storage import RecordedEvent
from research_fsm.stores.memory import MemoryStore

RUN = "00000000-0000-4000-8000-0000000000a1"
PERSON = "00000000-0000-4000-8000-000000000001"
DIGEST = "5f" * 32
SENTENCES: tuple[tuple[Event, str], ...] = (
    (PersonAdded("acme", PersonKind.USER, DIGEST), "added for acme, idle"),
    (RunStarted(RUN, 2, 1, inside=False, deadline=1, request=None), "run 2 starts"),
    (AttemptArmed(2, 1, 1), "request 1 to the engine may be sent"),
    (
        AttemptAnswered(2, 1, AttemptResult.REFUSED, None, orphan=False, reason="http_422"),
        "request 1 was refused (http_422)",
    ),
    (AttemptAnswered(2, 1, AttemptResult.ACCEPTED, "run_x", orphan=False, reason=""), "request 1 was accepted"),
    (RunDispatched(2, None, None), "queued"),
    (RunClaimed(2, "run_x", 0, 1), "claimed by run_x"),
    (RunClaimed(2, f"{RUN}:1", 1, 1), "a worker takes it"),
    (RunClaimed(2, f"{RUN}:3", 3, 1), "its worker fell silent: another takes over, delivery 3"),
    (RunCompleted(2, "run_x", 4, DIGEST), "complete, report 4"),
    (
        RunFailed(2, None, FailReason.QUEUE_DEADLINE, None, HoldEnd.REFUNDED),
        "failed: queue_deadline; its credit is refunded",
    ),
    (RunRolledBack(2, RollBackReason.NOT_SENT), "rolled back: not_sent; idle again"),
    (ReportMarkedStale(StaleReason.AGE), "the report is stale (age); idle again"),
    (CallbackRefused(1, CallbackKind.CLAIM, "run_y"), "a stale claim of run_y changed nothing"),
    (PersonErased(None), "erased"),
    (CreditsGranted("g", 5), "5 granted"),
    (CreditsRevoked("g", 5), "5 taken back"),
    (CreditsHeld(PERSON, RUN, 2, 3), "3 reserved"),
    (CreditsCharged(PERSON, RUN, 2, 3), "3 spent"),
    (CreditsReleased(PERSON, RUN, 2, 3), "3 back: the reservation is released"),
    (CreditsRefunded(PERSON, RUN, 2, 3), "3 back: the charge is refunded"),
)


def recorded(event: Event, stream: str, at: int) -> RecordedEvent:
    """Return an event as a store would."""
    new = codec.encode_event(event, Meta())
    return RecordedEvent(1, stream, 1, new.type, new.schema, at, new.data, new.meta, b"")


@pytest.mark.parametrize(("event", "words"), SENTENCES, ids=[words for _, words in SENTENCES])
def test_every_event_has_a_sentence(event: Event, words: str) -> None:
    """What happened is said in words, with the facts that matter."""
    (line,) = lines([recorded(event, f"person:{PERSON}", 5)])
    assert line == Line(0.0, type(event).__name__, is_credit=False, words=words)


def test_there_is_a_sentence_for_every_kind_of_event() -> None:
    """The list above forgets none."""
    assert {type(event) for event, _ in SENTENCES} == set(Event.__args__)


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
        "added for acme, idle",
        "run 1 starts",
        "queued",
        "1 reserved",
        "1 spent",
    ]
