"""The protocol, line by line: what a recovery pass does about an outside engine's run."""

import pytest

from research_fsm import Policy, decide
from research_fsm.commands import Sighting, SightingState
from research_fsm.events import (
    AttemptResult,
    Event,
    FailReason,
    HoldEnd,
    PersonErased,
    RollBackReason,
    RunClaimed,
    RunCompleted,
    RunDispatched,
    RunFailed,
    RunRolledBack,
)
from research_fsm.lifecycle import Phase, Status
from research_fsm.outcomes import Action, Recovered, RolledBack
from research_fsm.testing.scenario import NOW, PERSON_ID, Scenario, given
from tests.core.examples import (
    AT_WORK,
    ATTEMPT_LEASE,
    CHARGED,
    CLAIMED,
    CONFIRMED,
    DIGEST,
    DISPATCH_DEADLINE,
    DISPATCHING,
    EARLY,
    EXECUTING,
    IDLE,
    IS_QUEUED,
    JOINED,
    POLICY,
    QUEUE_DEADLINE,
    QUEUED,
    REFUNDED,
    RELEASED,
    REPORT,
    RUN,
    RUN_2,
    RUN_DEADLINE,
    WAITING,
    WORKER_LEASE,
    X,
    Y,
    alive,
    answered,
    answering,
    armed,
    done,
    ended,
    recovering,
    send,
)

COMPLETED = RunCompleted(1, X, 1, DIGEST)
MISSED = RunRolledBack(1, RollBackReason.DISPATCH_DEADLINE)


def looked(action: Action) -> Recovered:
    """Return what one look at run 1 came to."""
    return Recovered(PERSON_ID, 1, action)


def engine_failed(hold: HoldEnd, reason: FailReason = FailReason.ENGINE_REPORTED, external_id: str = X) -> RunFailed:
    """Return the failure that recovery read from the engine."""
    return RunFailed(1, external_id, reason, None, hold)


# --- recovery found x with this run's tag ------------------------------------------------------------------------


@pytest.mark.parametrize("happened", [DISPATCHING, (*DISPATCHING, answered(AttemptResult.AMBIGUOUS))])
def test_an_engine_run_that_is_found_confirms_the_run(happened: tuple[Event, ...]) -> None:
    """Dispatching: positive evidence is as good as the lost answer: charged, queued, a new deadline."""
    later = given(*happened).after(minutes=5)
    confirmed = RunDispatched(1, X, later.now + 600_000_000)
    after = later.when(recovering(alive())).then(confirmed, CHARGED, answer=looked(Action.ADOPTED))
    assert after.person.run is not None
    assert after.person.run.dispatched_as == X
    assert after.receipt == IS_QUEUED


def test_evidence_comes_before_the_deadline() -> None:
    """A run that the engine has is not rolled back, however late it is seen."""
    late = given(*DISPATCHING).after(hours=1)
    late.when(recovering(alive())).then(
        RunDispatched(1, X, late.now + 600_000_000), CHARGED, answer=looked(Action.ADOPTED)
    )


def test_an_engine_run_that_is_found_done_completes_the_run() -> None:
    """COMPLETED with output for a run that nobody confirmed or claimed: it was executed, so it is charged."""
    decided = given(*DISPATCHING).when(recovering(done()))
    after = decided.then(CONFIRMED, CHARGED, COMPLETED, answer=looked(Action.COMPLETED))
    assert after.person.status is Status.COMPLETE
    assert decided.decision.documents == {"report:1": REPORT}
    assert after.receipt == IS_QUEUED


@pytest.mark.parametrize(
    ("seen", "reason"),
    [(ended(), FailReason.ENGINE_REPORTED), (done(report=None), FailReason.NO_OUTPUT)],
)
def test_an_engine_run_that_is_found_over_fails_the_run_and_refunds_it(seen: Sighting, reason: FailReason) -> None:
    """It was queued and never executed by anybody who claimed: what the confirmation charges is given back."""
    after = (
        given(*DISPATCHING)
        .when(recovering(seen))
        .then(CONFIRMED, CHARGED, engine_failed(HoldEnd.REFUNDED, reason), REFUNDED, answer=looked(Action.FAILED))
    )
    assert after.account.available == 1


def test_a_living_engine_run_is_preferred_to_one_that_is_over() -> None:
    """X8: of several with this run's tag, one that is over does not fail the run while another is at work."""
    found = given(*DISPATCHING).when(recovering(ended(X), done(X, None), alive(Y)))
    found.then(RunDispatched(1, Y, QUEUE_DEADLINE), CHARGED, answer=looked(Action.ADOPTED))


def test_a_report_is_preferred_to_an_end_without_one() -> None:
    """Work that was done is not thrown away for an engine run that is merely over."""
    found = given(*DISPATCHING).when(recovering(ended("z"), done(Y, None), done(X)))
    found.then(CONFIRMED, CHARGED, COMPLETED, answer=looked(Action.COMPLETED))


def test_an_engine_run_is_no_news_to_a_queued_run() -> None:
    """It is confirmed already: nothing is appended, recovery looks again later."""
    given(*QUEUED).when(recovering(alive())).then(answer=looked(Action.WAITED))


# --- recovery read a final status of x: executing -----------------------------------------------------------------


@pytest.mark.parametrize("happened", [EXECUTING, EARLY])
def test_the_claimers_output_completes_the_run(happened: tuple[Event, ...]) -> None:
    """COMPLETED with output, and the worker's callback was lost: complete."""
    given(*happened).when(recovering(done())).then(COMPLETED, answer=looked(Action.COMPLETED))


@pytest.mark.parametrize(
    ("seen", "reason"),
    [(ended(), FailReason.ENGINE_REPORTED), (done(report=None), FailReason.NO_OUTPUT)],
)
def test_every_other_end_of_the_claimer_fails_the_run_without_a_refund(seen: Sighting, reason: FailReason) -> None:
    """X5: COMPLETED without output is no work done; the run was executed, so the charge stays."""
    failed = engine_failed(HoldEnd.KEPT, reason)
    after = given(*EXECUTING).when(recovering(seen)).then(failed, answer=looked(Action.FAILED))
    assert after.account.available == 0


def test_a_report_of_an_engine_run_that_did_not_complete_is_no_work_done() -> None:
    """X5: whatever a run that failed or was cancelled left behind, it is not done."""
    broken = Sighting(external_id=X, state=SightingState.ENDED, report=REPORT)
    given(*EXECUTING).when(recovering(broken)).then(engine_failed(HoldEnd.KEPT), answer=looked(Action.FAILED))


@pytest.mark.parametrize("seen", [alive(), ended(Y), done(Y), done(Y, None)])
def test_only_the_claimers_end_counts_for_an_executing_run(seen: Sighting) -> None:
    """X3, X8: an orphan's end changes nothing, and neither does a claimer that is still at work."""
    given(*EXECUTING).when(recovering(seen)).then(answer=looked(Action.WAITED))


@pytest.mark.parametrize("seen", [ended(X), done(X)])
def test_the_dispatched_one_no_longer_counts_once_another_has_claimed(seen: Sighting) -> None:
    """`claimed_by` is who has the run; what became of `dispatched_as` is an orphan's end."""
    scenario = given(*QUEUED, RunClaimed(1, Y, 0, RUN_DEADLINE))
    scenario.when(recovering(seen)).then(answer=looked(Action.WAITED))


# --- recovery read a final status of x: unclaimed -----------------------------------------------------------------


def test_output_of_an_unclaimed_run_completes_it() -> None:
    """COMPLETED with output of `dispatched_as`: complete, and nothing is refunded."""
    after = given(*QUEUED).when(recovering(done())).then(COMPLETED, answer=looked(Action.COMPLETED))
    assert (after.account.charged, after.account.refunded) == (1, 0)


@pytest.mark.parametrize(
    ("seen", "reason"),
    [(ended(), FailReason.ENGINE_REPORTED), (done(report=None), FailReason.NO_OUTPUT)],
)
def test_every_other_end_of_an_unclaimed_run_fails_and_refunds_it(seen: Sighting, reason: FailReason) -> None:
    """X4: charged, failed by recovery, never claimed: refunded."""
    failed = engine_failed(HoldEnd.REFUNDED, reason)
    given(*QUEUED).when(recovering(seen)).then(failed, REFUNDED, answer=looked(Action.FAILED))


@pytest.mark.parametrize("seen", [done(Y), done(Y, None), ended(Y), alive(Y)])
def test_an_engine_run_that_is_not_the_dispatched_one_changes_nothing(seen: Sighting) -> None:
    """It carries this run's tag and is not `dispatched_as`: not even its output counts. No law catches this."""
    given(*QUEUED).when(recovering(seen)).then(answer=looked(Action.WAITED))


def test_the_dispatched_one_is_found_among_others() -> None:
    """The order in which the engine lists its runs does not matter."""
    scenario = given(*QUEUED).when(recovering(ended(Y), done()))
    scenario.then(COMPLETED, answer=looked(Action.COMPLETED))


# --- nothing was seen --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("happened", [DISPATCHING, QUEUED, EXECUTING])
def test_that_nothing_was_found_proves_nothing(happened: tuple[Event, ...]) -> None:
    """X2: "not found" at the engine neither rolls back nor fails; within lease and deadline, recovery waits."""
    before = given(*happened)
    after = before.when(recovering()).then(answer=looked(Action.WAITED))
    assert after.person == before.person


# --- the deadline of this phase passed ---------------------------------------------------------------------------


@pytest.mark.parametrize("happened", [DISPATCHING, JOINED])
def test_a_dispatch_without_an_answer_is_rolled_back_at_its_deadline(happened: tuple[Event, ...]) -> None:
    """Never queued: rolled back, the hold released, the start's caller is told so."""
    scenario = given(*happened)
    early = scenario.after(minutes=10, microseconds=-1).when(recovering(sends=False))
    assert early.decision.answer == looked(Action.WAITED)
    after = scenario.after(minutes=10).when(recovering()).then(MISSED, RELEASED, answer=looked(Action.ROLLED_BACK))
    assert after.person.status is Status.IDLE
    assert after.receipt == RolledBack(PERSON_ID, RUN, 1, "dispatch_deadline")


def test_a_queued_run_that_nobody_claimed_fails_with_a_refund_at_its_deadline() -> None:
    """Queued, never executed."""
    scenario = given(*QUEUED)
    scenario.after(minutes=10, microseconds=-1).when(recovering()).then(answer=looked(Action.WAITED))
    failed = RunFailed(1, None, FailReason.QUEUE_DEADLINE, None, HoldEnd.REFUNDED)
    after = scenario.after(minutes=10).when(recovering()).then(failed, REFUNDED, answer=looked(Action.FAILED))
    assert (after.person.status, after.account.available) == (Status.FAILED, 1)


def test_an_executing_run_without_an_outcome_fails_at_its_deadline() -> None:
    """Executed, never finished: the charge stays."""
    scenario = given(*EXECUTING)
    scenario.after(minutes=10, microseconds=-1).when(recovering()).then(answer=looked(Action.WAITED))
    failed = RunFailed(1, None, FailReason.RUN_DEADLINE, None, HoldEnd.KEPT)
    after = scenario.after(minutes=10).when(recovering()).then(failed, answer=looked(Action.FAILED))
    assert after.account.available == 0


def test_the_deadline_is_that_of_the_present_phase() -> None:
    """A run confirmed shortly before its dispatch deadline has the whole queue deadline before it."""
    confirmed = given(*DISPATCHING).after(minutes=9).when(recovering(alive())).afterwards
    confirmed.after(minutes=9).when(recovering()).then(answer=looked(Action.WAITED))


@pytest.mark.parametrize("seen", [alive(), ()])
def test_an_engine_run_that_is_alive_does_not_stay_the_deadline(seen: Sighting | tuple[()]) -> None:
    """From every state a pass leads out of running in bounded time."""
    sightings = (seen,) if isinstance(seen, Sighting) else ()
    overdue = given(*EXECUTING).after(minutes=10).when(recovering(*sightings))
    assert overdue.decision.answer == looked(Action.FAILED)


# --- resend ------------------------------------------------------------------------------------------------------


def test_recovery_resends_once_the_lease_is_over() -> None:
    """The sender of the first attempt may have crashed; the same request goes out under the next number."""
    scenario = given(*DISPATCHING)
    scenario.after(seconds=30, microseconds=-1).when(recovering()).then(answer=looked(Action.WAITED))
    later = scenario.after(seconds=30)
    later.when(recovering()).then(armed(2, later.now), answer=send(2))


def test_recovery_arms_the_first_attempt_of_a_joined_start() -> None:
    """A host that committed and crashed before `dispatch` is helped out."""
    given(*JOINED).when(recovering()).then(armed(1), answer=send(1))


def test_recovery_without_a_dispatcher_sends_nothing() -> None:
    """A process that only has the store waits for one that can send, and still keeps the deadlines."""
    given(*JOINED).when(recovering(sends=False)).then(answer=looked(Action.WAITED))


def test_recovery_resends_within_window_and_budget_only() -> None:
    """Outside of either it waits for the deadline."""
    given(*DISPATCHING).after(minutes=2).when(recovering()).then(answer=looked(Action.WAITED))
    used_up = given(*DISPATCHING, policy=Policy(max_attempts=1)).after(seconds=30)
    used_up.when(recovering()).then(answer=looked(Action.WAITED))


def test_a_resend_that_is_refused_after_an_ambiguous_attempt_rolls_nothing_back() -> None:
    """X2, the bold mutant: a 422 on a resend says nothing about the first send."""
    lost = given(*DISPATCHING).when(answering(AttemptResult.AMBIGUOUS)).afterwards
    resent = lost.after(seconds=30).when(recovering()).afterwards
    refused = resent.when(answering(AttemptResult.REFUSED, 2)).afterwards
    assert refused.person.phase is Phase.DISPATCHING
    assert refused.account.held == 1


# --- not current -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("happened", [(), IDLE, (*EXECUTING, COMPLETED), (*EXECUTING, PersonErased(HoldEnd.KEPT))])
@pytest.mark.parametrize("seen", [(), (done(),), (ended(),), (alive(),)])
def test_a_run_that_is_over_is_left_alone(happened: tuple[Event, ...], seen: tuple[Sighting, ...]) -> None:
    """Every guard is evaluated inside the transaction: what was looked at may have ended meanwhile."""
    given(*happened).after(hours=1).when(recovering(*seen)).then(answer=looked(Action.NOTHING))


@pytest.mark.parametrize(("run_id", "run_no"), [(RUN, 2), (RUN_2, 1)])
def test_what_was_seen_of_another_run_is_left_alone(run_id: str, run_no: int) -> None:
    """X6: the sighting is of the run that was looked at, and of no other."""
    command = recovering(alive(), run_id=run_id, run_no=run_no)
    given(*DISPATCHING).when(command).then(answer=Recovered(PERSON_ID, run_no, Action.NOTHING))


# --- when recovery looks again -----------------------------------------------------------------------------------


def due(scenario: Scenario) -> int | None:
    """Return when recovery has to look next."""
    return decide.next_look(scenario.person, scenario.now, scenario.policy, scenario.lease_until)


def test_next_look_at_a_dispatching_run_is_the_end_of_its_lease() -> None:
    """That is when another attempt may be armed."""
    assert due(given(*DISPATCHING)) == ATTEMPT_LEASE


def test_next_look_at_a_joined_run_is_now() -> None:
    """Its first attempt waits to be armed."""
    assert due(given(*JOINED)) == NOW


def test_next_look_polls_where_nothing_is_left_to_send() -> None:
    """No attempts left, the window closed, or the lease over with nobody to send: ask the engine again later."""
    poll = 30_000_000
    used_up = given(*DISPATCHING, policy=Policy(max_attempts=1))
    assert due(used_up) == NOW + poll
    overdue = given(*DISPATCHING).after(minutes=1)
    assert due(overdue) == overdue.now + poll
    narrow = given(*DISPATCHING, policy=Policy(resend_window=POLICY.attempt_lease))
    assert due(narrow) == NOW + poll


@pytest.mark.parametrize(
    ("happened", "deadline"),
    [
        (DISPATCHING, DISPATCH_DEADLINE),
        (QUEUED, QUEUE_DEADLINE),
        (EXECUTING, RUN_DEADLINE),
    ],
)
def test_next_look_is_never_after_the_deadline(happened: tuple[Event, ...], deadline: int) -> None:
    """Polling comes to an end at the deadline, to the microsecond."""
    late = given(*happened).after(minutes=9, seconds=50)
    assert due(late) == deadline
    assert due(given(*happened).after(minutes=5)) == NOW + 330_000_000


def test_next_look_at_a_waiting_entry_is_never() -> None:
    """A worker is what it waits for."""
    assert due(given(*WAITING)) is None
    assert due(given(*AT_WORK).knowing(lease_until=WORKER_LEASE)) is None


def test_next_look_at_an_embedded_run_that_was_claimed_from_outside() -> None:
    """No worker will take it over: recovery has to."""
    assert due(given(*WAITING, CLAIMED)) == NOW + 30_000_000


def test_next_look_at_the_last_delivery_is_the_end_of_its_lease() -> None:
    """Recovery is what ends a run whose deliveries are used up."""
    last = given(*WAITING, RunClaimed(1, f"{RUN}:5", 5, RUN_DEADLINE))
    assert due(last.knowing(lease_until=WORKER_LEASE)) == WORKER_LEASE


@pytest.mark.parametrize(
    "happened",
    [
        (),
        IDLE,
        (*EXECUTING, RunFailed(1, X, FailReason.WORKER_REPORTED, None, HoldEnd.KEPT)),
        (*DISPATCHING, MISSED),
        (*EXECUTING, PersonErased(HoldEnd.KEPT)),
    ],
)
def test_next_look_at_somebody_who_is_not_running_is_never(happened: tuple[Event, ...]) -> None:
    """There is nothing to recover."""
    assert due(given(*happened)) is None


def test_next_look_at_a_complete_person_is_their_report_s_age() -> None:
    """Recovery asks for those older than `stale_after`."""
    reported = given(*EXECUTING).after(minutes=1).having(COMPLETED)
    assert due(reported.after(days=1)) == reported.now
