"""The protocol, line by line: what workers report."""

import pytest

from research_fsm import codec
from research_fsm.commands import ClaimRun, CompleteRun, FailRun
from research_fsm.events import (
    CallbackKind,
    CallbackRefused,
    CreditsCharged,
    CreditsGranted,
    Event,
    FailReason,
    HoldEnd,
    PersonErased,
    ReportMarkedStale,
    RollBackReason,
    RunClaimed,
    RunCompleted,
    RunFailed,
    RunRolledBack,
    RunStarted,
    StaleReason,
)
from research_fsm.lifecycle import Phase, Status
from research_fsm.outcomes import Completed, Failed
from research_fsm.testing.scenario import NOW, PERSON_ID, SALT, given
from tests.core.examples import (
    CHARGED,
    CLAIMED,
    DIGEST,
    DISPATCHING,
    EARLY,
    EXECUTING,
    IDLE,
    IS_QUEUED,
    JOINED,
    QUEUED,
    REFUNDED,
    RELEASED,
    REPORT,
    RUN,
    RUN_2,
    RUN_DEADLINE,
    WAITING,
    X,
    Y,
    claimed,
    claiming,
    completing,
    failing,
    recovering,
    stale,
    starting,
)

KEPT = RunFailed(1, X, FailReason.WORKER_REPORTED, None, HoldEnd.KEPT)
COMPLETED = RunCompleted(1, X, 1, DIGEST)
COMPLETE = (*EXECUTING, COMPLETED)
FAILED = (*EXECUTING, KEPT)
ROLLED_BACK = (*DISPATCHING, RunRolledBack(1, RollBackReason.REFUSED))
ERASED = (*EXECUTING, PersonErased(HoldEnd.KEPT))
SECOND = RunStarted(RUN_2, 2, 1, inside=False, deadline=NOW + 600_000_000, request_digest=None)
RUNNING_AGAIN = (CreditsGranted("h", 1), *FAILED, SECOND)
IS_COMPLETED = Completed(PERSON_ID, 1, 1)
IS_FAILED = Failed(PERSON_ID, 1)


def refused(kind: CallbackKind, external_id: str = X, run_no: int = 1) -> CallbackRefused:
    """Return the record of a stale callback."""
    return CallbackRefused(run_no, kind, external_id)


# --- claim -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("happened", [DISPATCHING, JOINED])
def test_claim_of_a_dispatching_run_charges(happened: tuple[Event, ...]) -> None:
    """X7: the claim may come before the dispatch's own answer; it is the first proof, so it charges."""
    after = given(*happened).when(claiming()).then(CLAIMED, CHARGED, answer=claimed())
    assert after.person.phase is Phase.EXECUTING
    assert after.receipt == IS_QUEUED


def test_claim_of_a_queued_run_charges_nothing_more() -> None:
    """The charge was made when the run was confirmed."""
    after = given(*QUEUED).when(claiming()).then(CLAIMED, answer=claimed())
    assert after.person.phase is Phase.EXECUTING
    assert after.account.charged == 1


def test_claim_need_not_be_by_the_engine_run_that_was_dispatched() -> None:
    """X7: x need not be `dispatched_as`; whoever claims first has the run."""
    given(*QUEUED).when(claiming(Y)).then(RunClaimed(1, Y, 0, RUN_DEADLINE), answer=claimed(Y))


def test_claim_sets_a_new_deadline() -> None:
    """A run that waited long in the engine's queue has the whole of `run_deadline` for its work."""
    later = given(*QUEUED).after(minutes=9)
    deadline = later.now + 600_000_000
    later.when(claiming()).then(RunClaimed(1, X, 0, deadline), answer=claimed(deadline=deadline))


def test_claim_again_by_the_same_engine_run_appends_nothing() -> None:
    """Asking again is answered alike, with the deadline of the first claim."""
    given(*EXECUTING).after(minutes=5).when(claiming()).then(answer=claimed())


def test_claim_by_a_second_engine_run_is_stale() -> None:
    """X1: one engine run has the run; the other one stops, and is recorded."""
    before = given(*EXECUTING)
    after = before.when(claiming(Y)).then(refused(CallbackKind.CLAIM, Y), answer=stale(Y))
    assert after.person.run == before.person.run


@pytest.mark.parametrize("happened", [COMPLETE, FAILED, ROLLED_BACK, RUNNING_AGAIN])
def test_claim_of_a_run_that_is_over_is_stale(happened: tuple[Event, ...]) -> None:
    """The worker stops, also if it had claimed the run before it ended."""
    before = given(*happened)
    after = before.when(claiming()).then(refused(CallbackKind.CLAIM), answer=stale())
    assert after.person.run == before.person.run
    assert after.account == before.account


@pytest.mark.parametrize(("run_id", "run_no"), [(RUN, 2), (RUN_2, 1)])
def test_claim_needs_the_run_and_its_number(run_id: str, run_no: int) -> None:
    """The fencing token of another run, or another run with this token, is stale."""
    command = claiming(run_id=run_id, run_no=run_no)
    answer = stale(run_id=run_id, run_no=run_no)
    given(*QUEUED).when(command).then(refused(CallbackKind.CLAIM, X, run_no), answer=answer)


def test_claim_of_a_waiting_entry_from_outside_takes_it_out_of_the_deliveries() -> None:
    """An embedded run that is claimed over HTTP counts no delivery, and has a deadline."""
    after = given(*WAITING).when(claiming()).then(CLAIMED, answer=claimed())
    assert after.person.run is not None
    assert (after.person.run.delivery, after.person.run.deadline) == (0, RUN_DEADLINE)


# --- complete ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("happened", [EXECUTING, EARLY])
def test_complete_by_the_claimer_stores_the_report(happened: tuple[Event, ...]) -> None:
    """The person is complete, the report is kept as version 1, the charge stays single."""
    decided = given(*happened).when(completing())
    after = decided.then(COMPLETED, answer=IS_COMPLETED)
    assert after.person.status is Status.COMPLETE
    assert (after.account.charged, after.account.available) == (1, 0)
    assert decided.decision.documents == {"report:1": REPORT}


@pytest.mark.parametrize(("happened", "credit"), [(DISPATCHING, (CHARGED,)), (QUEUED, ()), (JOINED, (CHARGED,))])
def test_complete_without_a_claim_counts_as_one(
    happened: tuple[Event, ...], credit: tuple[CreditsCharged, ...]
) -> None:
    """Invariant 4: a run that was executed is charged."""
    after = given(*happened).when(completing(Y)).then(RunCompleted(1, Y, 1, DIGEST), *credit, answer=IS_COMPLETED)
    assert after.person.run is not None
    assert after.person.run.claimed_by == Y
    assert after.receipt in (IS_QUEUED, None)


def test_complete_by_another_engine_run_is_stale() -> None:
    """X3: only the engine run that claimed may end the run."""
    decided = given(*EXECUTING).when(completing(Y))
    after = decided.then(refused(CallbackKind.COMPLETE, Y), answer=stale(Y))
    assert after.person.status is Status.RUNNING
    assert decided.decision.documents == {}


def test_report_versions_rise_by_one() -> None:
    """A refreshed person's next report is the next version; the first one stays readable."""
    again = (ReportMarkedStale(StaleReason.REQUESTED), SECOND)
    decided = given(CreditsGranted("h", 1), *COMPLETE, *again).when(completing(Y, run_id=RUN_2, run_no=2))
    assert decided.decision.answer == Completed(PERSON_ID, 2, 2)
    assert list(decided.decision.documents) == ["report:2"]


# --- fail --------------------------------------------------------------------------------------------------------


def test_fail_of_a_claimed_run_keeps_the_charge() -> None:
    """It was executed: no credit moves."""
    after = given(*EXECUTING).when(failing()).then(KEPT, answer=IS_FAILED)
    assert after.person.status is Status.FAILED
    assert after.account.available == 0


@pytest.mark.parametrize("happened", [DISPATCHING, JOINED])
def test_fail_of_an_unclaimed_dispatching_run_releases_the_hold(happened: tuple[Event, ...]) -> None:
    """Never executed, never charged: the open hold is released."""
    failed = RunFailed(1, X, FailReason.WORKER_REPORTED, None, HoldEnd.RELEASED)
    after = given(*happened).when(failing()).then(failed, RELEASED, answer=IS_FAILED)
    assert (after.account.held, after.account.available) == (0, 1)
    assert after.person.status is Status.FAILED


def test_fail_of_an_unclaimed_queued_run_refunds_the_charge() -> None:
    """Never executed, but charged: the charge is given back."""
    failed = RunFailed(1, X, FailReason.WORKER_REPORTED, None, HoldEnd.REFUNDED)
    after = given(*QUEUED).when(failing()).then(failed, REFUNDED, answer=IS_FAILED)
    assert (after.account.charged, after.account.refunded, after.account.available) == (1, 1, 1)


def test_fail_by_another_engine_run_than_the_claimers_is_stale() -> None:
    """X3: only the engine run that claimed may end the run."""
    after = given(*EXECUTING).when(failing(Y)).then(refused(CallbackKind.FAIL, Y), answer=stale(Y))
    assert after.person.status is Status.RUNNING


def test_free_text_of_a_failure_is_a_document() -> None:
    """The event carries its salted digest; the text is kept beside the log."""
    detail = codec.canonical("detail", "the page was empty")
    decided = given(*EXECUTING).when(failing(detail=detail))
    digest = codec.digest(SALT, detail)
    decided.then(RunFailed(1, X, FailReason.WORKER_REPORTED, digest, HoldEnd.KEPT), answer=IS_FAILED)
    assert decided.decision.documents == {"failure:1": detail}


def test_failures_in_a_row_are_counted_until_a_report() -> None:
    """Two failed runs in a row are for a human; a report begins anew."""
    twice = given(*RUNNING_AGAIN).when(failing(Y, run_id=RUN_2, run_no=2)).afterwards
    assert twice.person.failures_in_a_row == 2
    once = given(*RUNNING_AGAIN).when(completing(Y, run_id=RUN_2, run_no=2)).afterwards
    assert once.person.failures_in_a_row == 0


# --- the same outcome again --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("happened", "command", "answer"),
    [
        (COMPLETE, completing(), IS_COMPLETED),
        (FAILED, failing(), IS_FAILED),
        (RUNNING_AGAIN, failing(), IS_FAILED),
        ((*COMPLETE, ReportMarkedStale(StaleReason.REQUESTED)), completing(), IS_COMPLETED),
    ],
)
def test_same_outcome_again_is_answered_alike(
    happened: tuple[Event, ...], command: CompleteRun | FailRun, answer: object
) -> None:
    """It equals the person's last outcome, also while a later run is open: the same answer, nothing appended."""
    given(*happened).when(command).then(answer=answer)


def test_same_outcome_again_keeps_its_report_version() -> None:
    """A repeated report does not become another version."""
    again = given(*COMPLETE).when(completing()).afterwards
    assert again.person.reports == 1


def test_outcome_that_recovery_read_first_is_the_workers_outcome_too() -> None:
    """The worker reports what recovery has read from the engine already: the same answer."""
    failed = given(*EXECUTING, RunFailed(1, X, FailReason.ENGINE_REPORTED, None, HoldEnd.KEPT))
    failed.when(failing()).then(answer=IS_FAILED)


@pytest.mark.parametrize(
    ("happened", "command", "kind"),
    [
        (COMPLETE, completing(report=b'{"other":1}'), CallbackKind.COMPLETE),
        (COMPLETE, completing(Y), CallbackKind.COMPLETE),
        (COMPLETE, failing(), CallbackKind.FAIL),
        (FAILED, completing(), CallbackKind.COMPLETE),
        (FAILED, failing(detail=b'"why"'), CallbackKind.FAIL),
        (ROLLED_BACK, completing(), CallbackKind.COMPLETE),
        (ROLLED_BACK, failing(), CallbackKind.FAIL),
        (RUNNING_AGAIN, completing(), CallbackKind.COMPLETE),
        (IDLE, completing(), CallbackKind.COMPLETE),
        (QUEUED, completing(run_no=2), CallbackKind.COMPLETE),
        (QUEUED, failing(run_id=RUN_2), CallbackKind.FAIL),
    ],
)
def test_any_other_outcome_is_stale_and_recorded_once(
    happened: tuple[Event, ...], command: CompleteRun | FailRun, kind: CallbackKind
) -> None:
    """Invariant 5: it changes nothing, is answered as stale, and is recorded once per (run_no, kind, x)."""
    before = given(*happened)
    answer = stale(command.external_id, run_id=command.run_id, run_no=command.run_no)
    once = before.when(command).then(refused(kind, command.external_id, command.run_no), answer=answer)
    twice = once.when(command).then(answer=answer)
    assert (twice.person.run, twice.person.phase, twice.account) == (
        before.person.run,
        before.person.phase,
        before.account,
    )
    assert twice.person.outcome == before.person.outcome


def test_outcome_before_the_last_one_is_stale() -> None:
    """A replay is answered while it equals the last outcome, not an earlier one."""
    later = given(*RUNNING_AGAIN).when(failing(Y, run_id=RUN_2, run_no=2)).afterwards
    later.when(failing()).then(refused(CallbackKind.FAIL), answer=stale())


def test_a_run_that_ended_without_a_worker_has_no_outcome_to_repeat() -> None:
    """After a deadline nobody's report is the last outcome, also not that of the run before."""
    overdue = RunFailed(2, None, FailReason.RUN_DEADLINE, None, HoldEnd.KEPT)
    claimed_again = RunClaimed(2, Y, 0, RUN_DEADLINE)
    scenario = given(*RUNNING_AGAIN, claimed_again, overdue)
    scenario.when(failing()).then(refused(CallbackKind.FAIL), answer=stale())


@pytest.mark.parametrize("command", [claiming(), completing(), failing(), claiming(Y)])
@pytest.mark.parametrize("end", [ERASED, (*COMPLETE, PersonErased(None)), (*FAILED, PersonErased(None))])
def test_everything_is_stale_after_an_erasure(
    command: ClaimRun | CompleteRun | FailRun, end: tuple[Event, ...]
) -> None:
    """Replays too; and nothing more is recorded of a person who is not there."""
    given(*end).when(command).then(answer=stale(command.external_id))


def test_stale_callbacks_are_recorded_up_to_sixteen() -> None:
    """External ids are chosen by others: beyond sixteen, stale callbacks are answered and not recorded."""
    scenario = given(*EXECUTING)
    for number in range(16):
        other = f"engine-{number}"
        scenario = scenario.when(claiming(other)).then(refused(CallbackKind.CLAIM, other), answer=stale(other))
    scenario.when(claiming("engine-16")).then(answer=stale("engine-16"))
    scenario.when(completing()).then(COMPLETED, answer=IS_COMPLETED)


def test_the_three_kinds_are_recorded_apart() -> None:
    """A stale claim and a stale report of the same engine run are two facts."""
    scenario = given(*EXECUTING).when(claiming(Y)).afterwards.when(completing(Y)).afterwards.when(failing(Y)).afterwards
    assert [note.kind for note in scenario.person.refused] == list(CallbackKind)


def test_a_late_delivery_cannot_end_the_next_run() -> None:
    """The old run's number is stale for ever: the next run of the same person goes on."""
    released = given(*DISPATCHING).after(minutes=10).when(recovering()).afterwards
    running = released.when(starting(RUN_2, inside=True)).afterwards
    after = running.when(completing()).afterwards
    assert after.person.phase is Phase.QUEUED
    assert after.person.run_no == 2
