"""The protocol, line by line: what a dispatch request comes to."""

import attrs
import pytest

from research_fsm.decide import AnswerRecorded
from research_fsm.events import (
    AttemptResult,
    CreditsGranted,
    Event,
    FailReason,
    HoldEnd,
    PersonErased,
    RollBackReason,
    RunCompleted,
    RunDispatched,
    RunFailed,
    RunRolledBack,
    RunStarted,
)
from research_fsm.lifecycle import Phase, Status
from research_fsm.outcomes import (
    PersonNotFound,
    Queued,
    RolledBack,
    Unresolved,
)
from research_fsm.testing.scenario import NOW, PERSON_ID, given
from tests.core.examples import (
    CHARGED,
    CLAIMED,
    DIGEST,
    DISPATCH_DEADLINE,
    DISPATCHING,
    EARLY,
    ERASING,
    EXECUTING,
    IS_QUEUED,
    IS_UNRESOLVED,
    JOINED,
    QUEUED,
    RELEASED,
    RUN,
    RUN_2,
    X,
    Y,
    accepting,
    answered,
    answering,
    armed,
    recovering,
)

ACCEPTED, REFUSED, NOT_SENT, AMBIGUOUS = (
    AttemptResult.ACCEPTED,
    AttemptResult.REFUSED,
    AttemptResult.NOT_SENT,
    AttemptResult.AMBIGUOUS,
)
COMPLETED = RunCompleted(1, X, 1, DIGEST)
COMPLETE = (*EXECUTING, COMPLETED)
FAILED = (*EXECUTING, RunFailed(1, X, FailReason.WORKER_REPORTED, None, HoldEnd.KEPT))
ROLLED_BACK = RunRolledBack(1, RollBackReason.REFUSED)


def rolled_back(reason: str) -> RolledBack:
    """Return what the caller of a start that was rolled back is told."""
    return RolledBack(PERSON_ID, RUN, 1, reason)


# --- answer: accepted --------------------------------------------------------------------------------------------


def test_accepted_answer_confirms_and_charges() -> None:
    """Dispatching: the hold becomes the charge, with a new deadline and the engine run that has it."""
    later = given(*DISPATCHING).after(minutes=1)
    confirmed = RunDispatched(1, X, later.now + 600_000_000)
    after = later.when(accepting()).then(
        answered(ACCEPTED, external_id=X), confirmed, CHARGED, answer=AnswerRecorded(IS_QUEUED)
    )
    assert after.person.run is not None
    assert (after.person.phase, after.person.run.dispatched_as, after.person.run.open_attempts) == (
        Phase.QUEUED,
        X,
        (),
    )
    assert after.receipt == IS_QUEUED


def test_accepted_answer_of_a_later_attempt_leaves_the_earlier_one_open() -> None:
    """An attempt is closed by its number; one that stayed ambiguous may still have reached the engine."""
    decided = given(*DISPATCHING, armed(2)).when(accepting(attempt=2))
    assert decided.afterwards.person.run is not None
    assert decided.afterwards.person.run.open_attempts == (1,)


@pytest.mark.parametrize("happened", [QUEUED, EXECUTING])
def test_accepted_answer_of_the_known_engine_run_moves_nothing(happened: tuple[Event, ...]) -> None:
    """Queued or executing: the attempt is closed; no credit, no phase, no claim moves."""
    before = given(*happened, answered(AMBIGUOUS))
    after = before.when(accepting()).then(answered(ACCEPTED, external_id=X), answer=AnswerRecorded(IS_QUEUED))
    assert after.person.phase is before.person.phase
    assert after.account == before.account


@pytest.mark.parametrize("happened", [QUEUED, EXECUTING, EARLY])
def test_accepted_answer_of_another_engine_run_is_an_orphan(happened: tuple[Event, ...]) -> None:
    """It is recorded as an orphan and handed back to be cancelled; the run stays with whom it was."""
    before = given(*happened)
    orphaned = answered(ACCEPTED, external_id=Y, orphan=True)
    after = before.when(accepting(Y)).then(orphaned, answer=AnswerRecorded(IS_QUEUED, Y))
    assert after.person.run is not None
    assert before.person.run is not None
    assert after.person.run.claimed_by == before.person.run.claimed_by
    assert after.person.run.dispatched_as == before.person.run.dispatched_as


def test_accepted_answer_of_the_engine_run_that_claimed_is_no_orphan() -> None:
    """The claim came before the answer: it is the same engine run, and must not be cancelled."""
    given(*EARLY).when(accepting(X)).then(answered(ACCEPTED, external_id=X), answer=AnswerRecorded(IS_QUEUED))


def test_confirm_never_lowers_a_phase_and_never_charges_twice() -> None:
    """An answer after the claim leaves the run executing and its charge single."""
    after = given(*EARLY).when(accepting(X)).afterwards
    assert after.person.phase is Phase.EXECUTING
    assert after.account.charged == 1


# --- answer: refused and not sent --------------------------------------------------------------------------------


@pytest.mark.parametrize("result", [REFUSED, NOT_SENT])
def test_refusal_of_the_only_attempt_rolls_back(result: AttemptResult) -> None:
    """No attempt is open any more: the run was never queued, and its hold is released."""
    after = (
        given(*DISPATCHING)
        .when(answering(result))
        .then(
            answered(result),
            RunRolledBack(1, RollBackReason(str(result))),
            RELEASED,
            answer=AnswerRecorded(rolled_back(str(result))),
        )
    )
    assert after.person.status is Status.IDLE
    assert after.account.available == 1
    assert after.receipt == rolled_back(str(result))


@pytest.mark.parametrize("result", [REFUSED, NOT_SENT])
def test_refusal_while_another_attempt_is_open_rolls_nothing_back(result: AttemptResult) -> None:
    """X2: an earlier attempt that stayed ambiguous may be queued at the engine; only this number is closed."""
    scenario = given(*DISPATCHING, answered(AMBIGUOUS), armed(2))
    after = scenario.when(answering(result, 2)).then(answered(result, 2), answer=AnswerRecorded(IS_UNRESOLVED))
    assert after.person.run is not None
    assert after.person.run.open_attempts == (1,)
    assert after.person.phase is Phase.DISPATCHING


def test_refusals_of_all_attempts_roll_back_at_the_last() -> None:
    """In whatever order the attempts are refused, the last one that was open decides."""
    scenario = given(*DISPATCHING, armed(2)).when(answering(REFUSED, 1))
    assert scenario.decision.answer == AnswerRecorded(IS_UNRESOLVED)
    last = scenario.afterwards.when(answering(NOT_SENT, 2))
    assert last.decision.answer == AnswerRecorded(rolled_back("not_sent"))


@pytest.mark.parametrize("result", [REFUSED, NOT_SENT])
def test_refusal_that_is_recorded_twice_closes_once(result: AttemptResult) -> None:
    """A doubled answer must not count for the other attempt: numbers are closed, not counted."""
    scenario = given(*DISPATCHING, armed(2), answered(result, 2))
    after = scenario.when(answering(result, 2)).then(answered(result, 2), answer=AnswerRecorded(IS_UNRESOLVED))
    assert after.person.phase is Phase.DISPATCHING


def test_refusal_of_a_number_that_was_never_armed_rolls_nothing_back() -> None:
    """N is not open, though no other attempt of the run is: a joined start waits for its first attempt."""
    given(*JOINED).when(answering(REFUSED)).then(answered(REFUSED), answer=AnswerRecorded(IS_UNRESOLVED))


@pytest.mark.parametrize("result", [REFUSED, NOT_SENT])
@pytest.mark.parametrize("happened", [QUEUED, EXECUTING, EARLY])
def test_refusal_in_another_phase_closes_the_attempt_and_nothing_else(
    result: AttemptResult, happened: tuple[Event, ...]
) -> None:
    """The engine has the run: a refusal of a resend says nothing about that."""
    before = given(*happened)
    after = before.when(answering(result)).then(answered(result), answer=AnswerRecorded(IS_QUEUED))
    assert after.person.phase is before.person.phase
    assert after.account == before.account


# --- answer: ambiguous -------------------------------------------------------------------------------------------


def test_ambiguous_answer_concludes_nothing() -> None:
    """The attempt stays open for good, the person stays running, the caller is told so."""
    after = (
        given(*DISPATCHING).when(answering(AMBIGUOUS)).then(answered(AMBIGUOUS), answer=AnswerRecorded(IS_UNRESOLVED))
    )
    assert after.person.run is not None
    assert after.person.run.open_attempts == (1,)


@pytest.mark.parametrize("happened", [QUEUED, EXECUTING])
def test_ambiguous_answer_after_the_confirmation_is_answered_from_the_state(happened: tuple[Event, ...]) -> None:
    """The caller is told what the second transaction finds: queued."""
    given(*happened).when(answering(AMBIGUOUS)).then(answered(AMBIGUOUS), answer=AnswerRecorded(IS_QUEUED))


# --- any answer that is not current ------------------------------------------------------------------------------


@pytest.mark.parametrize("result", [REFUSED, NOT_SENT, AMBIGUOUS])
@pytest.mark.parametrize("happened", [COMPLETE, FAILED, (*DISPATCHING, ROLLED_BACK)])
def test_answer_to_a_run_that_is_over_is_recorded_and_changes_nothing(
    result: AttemptResult, happened: tuple[Event, ...]
) -> None:
    """The caller is told what the run's receipt says."""
    before = given(*happened).knowing(receipt=IS_QUEUED)
    after = before.when(answering(result)).then(answered(result), answer=AnswerRecorded(IS_QUEUED))
    assert after.person == before.person


@pytest.mark.parametrize("happened", [COMPLETE, FAILED, (*DISPATCHING, ROLLED_BACK)])
def test_accepted_answer_to_a_run_that_is_over_is_an_orphan(happened: tuple[Event, ...]) -> None:
    """Nobody waits for this engine run: it is recorded as an orphan and handed back to be cancelled."""
    orphaned = answered(ACCEPTED, external_id=Y, orphan=True)
    before = given(*happened).knowing(receipt=rolled_back("dispatch_deadline"))
    after = before.when(accepting(Y)).then(orphaned, answer=AnswerRecorded(rolled_back("dispatch_deadline"), Y))
    assert after.person == before.person


def test_answer_to_an_earlier_run_leaves_the_later_one_alone() -> None:
    """X6: an engine run of run 1 never confirms run 2."""
    second = RunStarted(RUN_2, 2, 1, inside=False, deadline=DISPATCH_DEADLINE, request_digest=None)
    before = given(CreditsGranted("h", 1), *DISPATCHING, ROLLED_BACK, second).knowing(receipt=rolled_back("refused"))
    after = before.when(accepting(Y)).then(
        answered(ACCEPTED, external_id=Y, orphan=True), answer=AnswerRecorded(rolled_back("refused"), Y)
    )
    assert after.person == before.person


def test_answer_without_a_receipt_is_unresolved() -> None:
    """A run whose receipt is not there is answered cautiously: nobody knows."""
    decided = given(*COMPLETE).when(answering(AMBIGUOUS))
    assert decided.decision.answer == AnswerRecorded(Unresolved(PERSON_ID, RUN, 1))


def test_answer_after_an_erasure_is_not_recorded() -> None:
    """The caller is told "not found"; an accepted engine run is still handed back to be cancelled."""
    erased = given(*DISPATCHING, PersonErased(HoldEnd.RELEASED))
    erased.when(answering(REFUSED)).then(answer=AnswerRecorded(PersonNotFound(PERSON_ID)))
    erased.when(accepting(Y)).then(answer=AnswerRecorded(PersonNotFound(PERSON_ID), Y))


# --- the start's caller is answered from the state that the second transaction finds -----------------------------


def test_start_that_was_claimed_meanwhile_is_queued_whatever_the_engine_answered() -> None:
    """Queued or later is 200, also if this very attempt was refused."""
    decided = given(*DISPATCHING, CLAIMED).when(answering(REFUSED))
    assert decided.decision.answer == AnswerRecorded(Queued(PERSON_ID, RUN, 1))


def test_start_that_was_rolled_back_meanwhile_is_rolled_back_whatever_the_engine_answered() -> None:
    """The deadline's roll-back wrote the receipt; an acceptance after it is an orphan."""
    overdue = given(*DISPATCHING).after(minutes=10).when(recovering()).afterwards
    assert overdue.receipt == rolled_back("dispatch_deadline")
    assert overdue.when(accepting()).decision.answer == AnswerRecorded(rolled_back("dispatch_deadline"), X)


def test_start_whose_person_was_erased_meanwhile_is_not_found() -> None:
    """A person erased while the start was still dispatching: 404."""
    erased = given(*DISPATCHING).when(ERASING).afterwards
    assert erased.receipt == PersonNotFound(PERSON_ID)
    assert erased.when(accepting()).decision.answer == AnswerRecorded(PersonNotFound(PERSON_ID), X)


def test_engines_time_of_relief_is_told() -> None:
    """A 429 rolls back like any other refusal, and says when the engine will take requests again."""
    refused = attrs.evolve(answering(REFUSED), retry_at=NOW + 1)
    answer = given(*DISPATCHING).when(refused).decision.answer
    assert answer == AnswerRecorded(RolledBack(PERSON_ID, RUN, 1, "refused", NOW + 1))
