"""The protocol, line by line: adding, ageing, erasing, and the credits that are granted and taken back."""

from datetime import timedelta

import pytest

from research_fsm import Policy, codec
from research_fsm.commands import AddPerson, ErasePerson, GrantCredits, MarkStale, RevokeCredits
from research_fsm.events import (
    CreditsGranted,
    CreditsReleased,
    CreditsRevoked,
    Event,
    FailReason,
    HoldEnd,
    PersonAdded,
    PersonErased,
    PersonKind,
    ReportMarkedStale,
    RunClaimed,
    RunCompleted,
    RunFailed,
    StaleReason,
)
from research_fsm.lifecycle import Phase, Status
from research_fsm.outcomes import (
    Added,
    Erased,
    Granted,
    GrantIdReused,
    GrantNotFound,
    InsufficientCredits,
    MarkedStale,
    NotComplete,
    PersonNotFound,
    Revoked,
)
from research_fsm.testing.scenario import PERSON_ID, given
from tests.core.examples import (
    ADDED,
    AT_WORK,
    DIGEST,
    DISPATCHING,
    ERASING,
    EXECUTING,
    GRANTED,
    IDLE,
    JOINED,
    OTHER_OWNER,
    OWNER,
    QUEUED,
    RUN,
    RUN_DEADLINE,
    WAITING,
    X,
    Y,
)

COMPLETE = (*EXECUTING, RunCompleted(1, X, 1, DIGEST))
FAILED = (*EXECUTING, RunFailed(1, X, FailReason.WORKER_REPORTED, None, HoldEnd.KEPT))
MARKING = MarkStale(person_id=PERSON_ID)
AGEING = MarkStale(person_id=PERSON_ID, reason=StaleReason.AGE)

# --- add ---------------------------------------------------------------------------------------------------------


def test_adding_keeps_the_profile_beside_the_log() -> None:
    """The event carries the salted digest; profile and salt are documents."""
    profile = b'{"company":"Acme"}'
    command = AddPerson(person_id=PERSON_ID, owner=OWNER, kind=PersonKind.PARTNER, profile=profile, salt="pepper")
    decided = given().when(command)
    digest = codec.digest(b"pepper", profile)
    after = decided.then(PersonAdded(OWNER, PersonKind.PARTNER, digest), answer=Added(PERSON_ID))
    assert after.person.status is Status.IDLE
    assert decided.decision.documents == {"salt": b"pepper", "profile": profile}


# --- mark stale --------------------------------------------------------------------------------------------------


def test_marking_a_report_stale_makes_the_person_idle() -> None:
    """run_no, last outcome and charges stay, and so does the report."""
    before = given(*COMPLETE).after(days=1)
    after = before.when(MARKING).then(ReportMarkedStale(StaleReason.REQUESTED), answer=MarkedStale(PERSON_ID))
    assert (after.person.status, after.person.since) == (Status.IDLE, before.now)
    assert (after.person.run, after.person.outcome, after.person.reports) == (
        before.person.run,
        before.person.outcome,
        1,
    )
    assert after.account == before.account


@pytest.mark.parametrize(
    ("happened", "status"),
    [
        (IDLE, "idle"),
        (DISPATCHING, "running"),
        (QUEUED, "running"),
        (EXECUTING, "running"),
        (FAILED, "failed"),
    ],
)
def test_only_a_complete_persons_report_can_be_stale(happened: tuple[Event, ...], status: str) -> None:
    """Everybody else is told what they are."""
    given(*happened).when(MARKING).then(answer=NotComplete(PERSON_ID, status))


@pytest.mark.parametrize("happened", [(), (*COMPLETE, PersonErased(None))])
def test_nobodys_report_is_not_found(happened: tuple[Event, ...]) -> None:
    """Never added, or erased."""
    given(*happened).when(MARKING).then(answer=PersonNotFound(PERSON_ID))


def test_another_owners_report_is_not_found() -> None:
    """Only the owner is told that there is a person."""
    foreign = MarkStale(person_id=PERSON_ID, owner=OTHER_OWNER)
    given(*COMPLETE).when(foreign).then(answer=PersonNotFound(PERSON_ID))
    own = MarkStale(person_id=PERSON_ID, owner=OWNER)
    assert given(*COMPLETE).when(own).decision.answer == MarkedStale(PERSON_ID)


def test_age_makes_a_report_stale_to_the_microsecond() -> None:
    """On account of age, only a report that is old enough; without such a setting, none ever is."""
    day = Policy(stale_after=timedelta(days=1))
    scenario = given(*COMPLETE, policy=day)
    scenario.after(days=1, microseconds=-1).when(AGEING).then(answer=NotComplete(PERSON_ID, "complete"))
    scenario.after(days=1).when(AGEING).then(ReportMarkedStale(StaleReason.AGE), answer=MarkedStale(PERSON_ID))
    given(*COMPLETE).after(days=10_000).when(AGEING).then(answer=NotComplete(PERSON_ID, "complete"))


# --- erase -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("happened", [DISPATCHING, JOINED])
def test_erasing_releases_an_open_hold(happened: tuple[Event, ...]) -> None:
    """Nothing was charged, so nothing stays held."""
    released = CreditsReleased(PERSON_ID, RUN, 1, 1)
    decided = given(*happened).when(ERASING)
    after = decided.then(PersonErased(HoldEnd.RELEASED), released, answer=Erased(PERSON_ID))
    assert after.account.available == 1
    assert decided.decision.forget


@pytest.mark.parametrize(
    ("happened", "engine_runs"),
    [
        (QUEUED, (X,)),
        (EXECUTING, (X,)),
        ((*QUEUED, RunClaimed(1, Y, 0, RUN_DEADLINE)), (Y, X)),
        (WAITING, ()),
        (AT_WORK, ()),
    ],
)
def test_erasing_keeps_a_charge_and_names_whom_to_cancel(
    happened: tuple[Event, ...], engine_runs: tuple[str, ...]
) -> None:
    """Spent credits are not refunded; engine runs that may be at work are cancelled, deliveries of ours are not."""
    after = given(*happened).when(ERASING).then(PersonErased(HoldEnd.KEPT), answer=Erased(PERSON_ID, engine_runs))
    assert (after.account.charged, after.account.refunded) == (1, 0)
    assert after.person.phase is Phase.ERASED


@pytest.mark.parametrize("happened", [IDLE, COMPLETE, FAILED])
def test_erasing_somebody_without_an_open_run_moves_no_credit(happened: tuple[Event, ...]) -> None:
    """There is no hold to end."""
    decided = given(*happened).when(ERASING)
    decided.then(PersonErased(None), answer=Erased(PERSON_ID))
    assert decided.decision.forget


@pytest.mark.parametrize("happened", [(), (*IDLE, PersonErased(None))])
def test_erasing_nobody_is_not_found(happened: tuple[Event, ...]) -> None:
    """An erasure is not done twice."""
    given(*happened).when(ERASING).then(answer=PersonNotFound(PERSON_ID))


def test_erasing_another_owners_person_is_not_found() -> None:
    """Nobody erases what is not theirs."""
    given(*IDLE).when(ErasePerson(person_id=PERSON_ID, owner=OTHER_OWNER)).then(answer=PersonNotFound(PERSON_ID))


# --- credits -----------------------------------------------------------------------------------------------------


def test_a_grant_is_added_once() -> None:
    """However often it is asked for; with another amount, the first one is named."""
    grant = GrantCredits(owner=OWNER, grant_id="g", amount=1)
    granted = given().when(grant).then(GRANTED, answer=Granted(OWNER, "g", 1))
    again = granted.when(grant).then(answer=Granted(OWNER, "g", 1))
    assert again.account.available == 1
    other = GrantCredits(owner=OWNER, grant_id="g", amount=2)
    again.when(other).then(answer=GrantIdReused(OWNER, "g", 1))


def test_a_wrong_grant_is_taken_back_whole_and_once() -> None:
    """Asking again changes nothing."""
    revoke = RevokeCredits(owner=OWNER, grant_id="h")
    scenario = given(GRANTED, CreditsGranted("h", 5))
    taken = scenario.when(revoke).then(CreditsRevoked("h", 5), answer=Revoked(OWNER, "h", 5))
    again = taken.when(revoke).then(answer=Revoked(OWNER, "h", 5))
    assert again.account.available == 1


def test_a_grant_that_was_spent_is_not_taken_back() -> None:
    """Invariant 3: never below what is available; a hold is not available."""
    revoke = RevokeCredits(owner=OWNER, grant_id="g")
    for happened in (DISPATCHING, QUEUED):
        given(*happened).when(revoke).then(answer=InsufficientCredits(OWNER, 0, 1))
    given(ADDED, GRANTED).when(revoke).then(CreditsRevoked("g", 1), answer=Revoked(OWNER, "g", 1))


def test_a_grant_that_never_was_cannot_be_taken_back() -> None:
    """The owner has no such grant."""
    given(GRANTED).when(RevokeCredits(owner=OWNER, grant_id="h")).then(answer=GrantNotFound(OWNER, "h"))
