"""Whatever is asked for, in whatever order: credits add up, and every step stands in the lifecycle table."""

import attrs
from hypothesis import given
from hypothesis import strategies as st

from research_fsm import account as accounts
from research_fsm import decide
from research_fsm import person as people
from research_fsm.account import Account
from research_fsm.commands import (
    ArmAttempt,
    ClaimRun,
    CompleteRun,
    ErasePerson,
    FailRun,
    MarkStale,
    RecordAnswer,
    RecoverRun,
    Sighting,
    SightingState,
    StartRun,
    TakeEntry,
)
from research_fsm.events import (
    AttemptResult,
    CreditsCharged,
    CreditsGranted,
    CreditsHeld,
    CreditsRefunded,
    CreditsReleased,
    PersonAdded,
    PersonKind,
)
from research_fsm.lifecycle import Status, trigger_of
from research_fsm.lifecycle import allows as allowed
from research_fsm.person import Hold, Person
from research_fsm.testing.scenario import PERSON_ID, Command, Scenario
from research_fsm.testing.scenario import given as scenario

RUN_IDS = [f"00000000-0000-4000-8000-0000000000a{number}" for number in range(1, 9)]
ENGINES = st.sampled_from(["x", "y", f"{RUN_IDS[0]}:1"])
REPORTS = st.sampled_from([b'"one"', b'"two"'])
Ask = tuple[str, int, object, object]
ASKS: st.SearchStrategy[Ask] = st.tuples(
    st.sampled_from(["start", "arm", "answer", "claim", "complete", "fail", "take", "recover", "stale", "erase"]),
    st.integers(-1, 1),
    st.tuples(ENGINES, REPORTS, st.sampled_from(AttemptResult), st.integers(0, 3), st.booleans()),
    st.sampled_from([0, 1_000_000, 31_000_000, 601_000_000]),
)


def _command(kind: str, person: Person, back: int, drawn: tuple[str, bytes, AttemptResult, int, bool]) -> Command:
    """Make a command about the run of today, or of yesterday, or of tomorrow."""
    external_id, report, result, attempt, inside = drawn
    run_no = max(1, person.run_no + back)
    run_id = RUN_IDS[(run_no - 1) % len(RUN_IDS)]
    accepted = external_id if result is AttemptResult.ACCEPTED else None
    match kind:
        case "start":
            fresh = RUN_IDS[person.run_no % len(RUN_IDS)]
            return StartRun(person_id=PERSON_ID, run_id=fresh, inside=inside, joined=attempt == 0)
        case "arm":
            return ArmAttempt(run_id=RUN_IDS[(max(1, person.run_no) - 1) % len(RUN_IDS)])
        case "answer":
            return RecordAnswer(
                person_id=PERSON_ID,
                run_id=run_id,
                run_no=run_no,
                attempt=attempt,
                result=result,
                external_id=accepted,
                reason="",
            )
        case "claim":
            return ClaimRun(run_id=run_id, run_no=run_no, external_id=external_id)
        case "complete":
            return CompleteRun(run_id=run_id, run_no=run_no, external_id=external_id, report=report)
        case "fail":
            return FailRun(run_id=run_id, run_no=run_no, external_id=external_id)
        case "take":
            return TakeEntry()
        case "recover":
            state = list(SightingState)[attempt % 3]
            seen = Sighting(external_id=external_id, state=state, report=report if inside else None)
            sightings = (seen,) if attempt else ()
            return RecoverRun(person_id=PERSON_ID, run_id=run_id, run_no=run_no, sightings=sightings)
        case "stale":
            return MarkStale(person_id=PERSON_ID)
        case _:
            return ErasePerson(person_id=PERSON_ID)


NEXT_HOLDS = {
    None: {Hold.OPEN},
    Hold.OPEN: {Hold.CHARGED, Hold.RELEASED},
    Hold.CHARGED: {Hold.REFUNDED},
    Hold.RELEASED: set(),
    Hold.REFUNDED: set(),
}
HOLD_OF = {
    CreditsHeld: Hold.OPEN,
    CreditsCharged: Hold.CHARGED,
    CreditsReleased: Hold.RELEASED,
    CreditsRefunded: Hold.REFUNDED,
}


def _check_step(before: Scenario, after: Scenario, holds: dict[int, Hold]) -> None:
    """Check a state that the rules led to."""
    account, person = after.account, after.person
    assert account.available == account.granted - account.revoked - account.charged + account.refunded - account.held
    assert account.available >= 0
    assert account.held >= 0
    assert account.refunded <= account.charged
    assert person.run_no >= before.person.run_no
    if person.run is not None:
        assert holds[person.run_no] is person.run.hold
        if person.run.claimed_by is not None:
            assert person.run.hold is Hold.CHARGED
        if person.status is Status.RUNNING:
            assert person.run.hold is (Hold.OPEN if person.phase == "dispatching" else Hold.CHARGED)
            waits = person.run.inside and (person.phase == "queued" or person.run.delivery > 0)
            looked = decide.next_look(person, after.now, after.policy, after.lease_until)
            assert waits or looked is not None
        else:
            assert person.run.hold is not Hold.OPEN


@given(st.integers(0, 4), st.lists(ASKS, max_size=40))
def test_whatever_is_asked_for_credits_add_up(credit: int, asks: list[Ask]) -> None:
    """Each hold lives open → charged → refunded or open → released, and a run that is executed is charged.

    Also: every event stands in the lifecycle table, nobody is running with recovery looking away, and nothing that
    is refused appends more than its own record.
    """
    grants = (CreditsGranted("g", credit),) if credit else ()
    now = scenario(*grants, PersonAdded("acme", PersonKind.USER, "digest"))
    holds: dict[int, Hold] = {}
    for kind, back, drawn, wait in asks:
        assert isinstance(wait, int)
        now = attrs.evolve(now, now=now.now + wait)
        decided = now.when(_command(kind, now.person, back, drawn))  # type: ignore[arg-type]  # As drawn above.
        if kind == "take" and now.lease_until is not None and now.lease_until > now.now:
            continue  # The store hands out no entry whose lease is alive.
        phase = now.person
        for event in decided.decision.events:
            assert allowed(phase.phase, trigger_of(event)), event
            phase = people.evolve(phase, event, now.now)
        for appended in decided.appended:
            if isinstance(appended, CreditsHeld | CreditsCharged | CreditsReleased | CreditsRefunded):
                ended = HOLD_OF[type(appended)]
                assert ended in NEXT_HOLDS[holds.get(appended.run_no)]
                holds[appended.run_no] = ended
        after = decided.afterwards
        _check_step(now, after, holds)
        now = after


@given(st.lists(ASKS, max_size=30), ASKS)
def test_whatever_is_asked_twice_is_decided_alike(asks: list[Ask], last: Ask) -> None:
    """A rule is pure: the same states, the same moment, the same decision."""
    now = scenario(CreditsGranted("g", 3), PersonAdded("acme", PersonKind.USER, "digest"))
    for kind, back, drawn, wait in asks:
        assert isinstance(wait, int)
        now = attrs.evolve(now, now=now.now + wait)
        now = now.when(_command(kind, now.person, back, drawn)).afterwards  # type: ignore[arg-type]  # As drawn above.
    kind, back, drawn, _ = last
    command = _command(kind, now.person, back, drawn)  # type: ignore[arg-type]  # As drawn above.
    assert now.when(command).decision == now.when(command).decision


def test_an_empty_account_has_nothing() -> None:
    """The account of an owner who was never granted anything."""
    assert Account() == accounts.EMPTY
    assert accounts.EMPTY.available == 0
