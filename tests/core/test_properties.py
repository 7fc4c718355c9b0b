"""Laws, for whatever Hypothesis thinks of: folds are total, and codecs lose nothing."""

from hypothesis import given
from hypothesis import strategies as st

from research_fsm import account as accounts
from research_fsm import codec
from research_fsm import person as people
from research_fsm.events import (
    AccountEvent,
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
    PersonEvent,
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
from research_fsm.lifecycle import Status, trigger_of
from research_fsm.lifecycle import allows as allowed
from research_fsm.outcomes import (
    AlreadyRunning,
    InsufficientCredits,
    KeyReused,
    PersonNotFound,
    Queued,
    RolledBack,
    StartAnswer,
    Unresolved,
)
from research_fsm.storage import Head
from research_fsm.testing.scenario import NOW, PERSON_ID

# --- whatever an event can be ------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.integers(-3, 5)
TIMES = st.integers(NOW, NOW + 10**10)
PERSON_EVENTS_OF: dict[type, st.SearchStrategy[PersonEvent]] = {
    PersonAdded: st.builds(PersonAdded, TEXT, st.sampled_from(PersonKind), TEXT),
    RunStarted: st.builds(RunStarted, TEXT, NUMBERS, NUMBERS, st.booleans(), st.none() | TIMES, st.none() | TEXT),
    AttemptArmed: st.builds(AttemptArmed, NUMBERS, NUMBERS, TIMES),
    AttemptAnswered: st.builds(
        AttemptAnswered, NUMBERS, NUMBERS, st.sampled_from(AttemptResult), st.none() | TEXT, st.booleans(), TEXT
    ),
    RunDispatched: st.builds(RunDispatched, NUMBERS, st.none() | TEXT, st.none() | TIMES),
    RunClaimed: st.builds(RunClaimed, NUMBERS, TEXT, NUMBERS, TIMES),
    RunCompleted: st.builds(RunCompleted, NUMBERS, TEXT, NUMBERS, TEXT),
    RunFailed: st.builds(
        RunFailed,
        NUMBERS,
        st.none() | TEXT,
        st.sampled_from(FailReason),
        st.none() | TEXT,
        st.sampled_from(HoldEnd),
    ),
    RunRolledBack: st.builds(RunRolledBack, NUMBERS, st.sampled_from(RollBackReason)),
    ReportMarkedStale: st.builds(ReportMarkedStale, st.sampled_from(StaleReason)),
    CallbackRefused: st.builds(CallbackRefused, NUMBERS, st.sampled_from(CallbackKind), TEXT),
    PersonErased: st.builds(PersonErased, st.none() | st.sampled_from(HoldEnd)),
}
ACCOUNT_EVENTS_OF: dict[type, st.SearchStrategy[AccountEvent]] = {
    CreditsGranted: st.builds(CreditsGranted, TEXT, NUMBERS),
    CreditsRevoked: st.builds(CreditsRevoked, TEXT, NUMBERS),
    CreditsHeld: st.builds(CreditsHeld, TEXT, TEXT, NUMBERS, NUMBERS),
    CreditsCharged: st.builds(CreditsCharged, TEXT, TEXT, NUMBERS, NUMBERS),
    CreditsReleased: st.builds(CreditsReleased, TEXT, TEXT, NUMBERS, NUMBERS),
    CreditsRefunded: st.builds(CreditsRefunded, TEXT, TEXT, NUMBERS, NUMBERS),
}
PERSON_EVENTS = st.one_of(*PERSON_EVENTS_OF.values())
ACCOUNT_EVENTS = st.one_of(*ACCOUNT_EVENTS_OF.values())
EVENTS: st.SearchStrategy[Event] = PERSON_EVENTS | ACCOUNT_EVENTS
LIVES = st.lists(st.tuples(PERSON_EVENTS, TIMES), max_size=30)
BOOKS = st.lists(ACCOUNT_EVENTS, max_size=30)

ANSWERS: st.SearchStrategy[StartAnswer] = st.one_of(
    st.builds(Queued, TEXT, TEXT, NUMBERS),
    st.builds(Unresolved, TEXT, TEXT, NUMBERS),
    st.builds(RolledBack, TEXT, TEXT, NUMBERS, TEXT, st.none() | TIMES),
    st.builds(AlreadyRunning, TEXT, TEXT, NUMBERS, TIMES),
    st.builds(InsufficientCredits, TEXT, NUMBERS, NUMBERS),
    st.builds(PersonNotFound, TEXT),
    st.builds(KeyReused, TEXT),
)


def test_every_event_is_made() -> None:
    """A new event has its strategy here."""
    assert {cls.__name__ for cls in {**PERSON_EVENTS_OF, **ACCOUNT_EVENTS_OF}} == set(codec.SCHEMAS)


# --- folds -------------------------------------------------------------------------------------------------------


@given(LIVES)
def test_a_person_folds_whatever_happened(life: list[tuple[PersonEvent, int]]) -> None:
    """Total: a log that was tampered with still folds, to somebody who can be looked at."""
    person = people.fold(people.nobody(PERSON_ID), life)
    assert person.status in Status
    assert person.current(person.run_no) in (None, person.run)


@given(LIVES, LIVES)
def test_a_life_folds_in_parts(one: list[tuple[PersonEvent, int]], other: list[tuple[PersonEvent, int]]) -> None:
    """fold(a + b) = fold(fold(a), b): a head is as good as the log before it."""
    nobody = people.nobody(PERSON_ID)
    assert people.fold(nobody, [*one, *other]) == people.fold(people.fold(nobody, one), other)


@given(BOOKS, BOOKS)
def test_an_account_folds_in_parts(one: list[AccountEvent], other: list[AccountEvent]) -> None:
    """The same law; and the balance is the sum over the events."""
    whole = accounts.fold(accounts.EMPTY, [*one, *other])
    assert whole == accounts.fold(accounts.fold(accounts.EMPTY, one), other)
    signs = {CreditsGranted: 1, CreditsRevoked: -1, CreditsHeld: -1, CreditsReleased: 1, CreditsRefunded: 1}
    assert whole.available == sum(signs.get(type(event), 0) * event.amount for event in [*one, *other])


@given(LIVES, PERSON_EVENTS, TIMES)
def test_what_the_table_does_not_allow_leaves_the_phase(
    life: list[tuple[PersonEvent, int]], event: PersonEvent, at: int
) -> None:
    """Refused by nobody, and noted by the audit: the phase stays what it was."""
    person = people.fold(people.nobody(PERSON_ID), life)
    after = people.evolve(person, event, at)
    if not allowed(person.phase, trigger_of(event)):
        assert (after.phase, after.since) == (person.phase, person.since)


# --- codecs ------------------------------------------------------------------------------------------------------


@given(EVENTS, st.builds(Meta, st.none() | TEXT, st.none() | TEXT, st.none() | TEXT))
def test_an_event_is_read_as_it_was_written(event: Event, meta: Meta) -> None:
    """And written again as the same bytes."""
    written = codec.encode_event(event, meta)
    assert codec.decode_event(written) == event
    assert codec.decode_meta(written.meta) == meta
    assert codec.encode_event(codec.decode_event(written), meta) == written


@given(LIVES)
def test_a_person_is_read_as_they_were_written(life: list[tuple[PersonEvent, int]]) -> None:
    """Whatever state nonsense leads to."""
    person = people.fold(people.nobody(PERSON_ID), life)
    assert codec.decode_person(_head(codec.encode(person))) == person


@given(BOOKS)
def test_an_account_is_read_as_it_was_written(book: list[AccountEvent]) -> None:
    """Below zero, too."""
    account = accounts.fold(accounts.EMPTY, book)
    assert codec.decode_account(_head(codec.encode(account))) == account


@given(ANSWERS)
def test_an_answer_is_read_as_it_was_written(answer: StartAnswer) -> None:
    """Every answer of a start can be kept in a receipt."""
    assert codec.decode_answer(codec.encode_answer(answer)) == answer


def _head(state: bytes) -> Head:
    return Head("s", 1, b"", codec.FOLD, state, None, "", None, 1)
