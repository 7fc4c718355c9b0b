"""The protocol, line by line: the embedded queue."""

import pytest

from research_fsm.commands import TakeEntry
from research_fsm.events import (
    CallbackKind,
    CallbackRefused,
    Event,
    FailReason,
    HoldEnd,
    PersonErased,
    RunClaimed,
    RunCompleted,
    RunFailed,
)
from research_fsm.lifecycle import Phase
from research_fsm.outcomes import Action, Completed, GivenUp, QueueEmpty, Recovered, Renewed
from research_fsm.testing.scenario import PERSON_ID, Scenario, given
from tests.core.examples import (
    AT_WORK,
    CLAIMED,
    DELIVERED,
    DIGEST,
    DISPATCHING,
    EXECUTING,
    RUN,
    RUN_DEADLINE,
    WAITING,
    WORKER_LEASE,
    claimed,
    claiming,
    completing,
    failing,
    recovering,
    renewing,
    stale,
)

TAKING = TakeEntry()
IS_COMPLETED = Completed(PERSON_ID, 1, 1)
FIRST, SECOND = f"{RUN}:1", f"{RUN}:2"


def taken(times: int) -> Scenario:
    """Let workers take the entry so many times, each one when the lease of the one before is over."""
    scenario = given(*WAITING)
    for _ in range(times):
        scenario = scenario.after(seconds=10).when(TAKING).afterwards
    return scenario


# --- take --------------------------------------------------------------------------------------------------------


def test_taking_a_waiting_entry_claims_it_as_delivery_one() -> None:
    """Taking and claiming are one transaction: claimed_by, executing, a deadline, and the worker's lease."""
    decided = given(*WAITING).when(TAKING)
    after = decided.then(DELIVERED, answer=claimed(FIRST, RUN_DEADLINE, WORKER_LEASE))
    assert after.lease_until == WORKER_LEASE
    assert after.person.phase is Phase.EXECUTING
    assert after.account.charged == 1


def test_a_backlog_is_no_fault() -> None:
    """A waiting entry has no deadline: a week later recovery still leaves it, and a worker may take it."""
    week = given(*WAITING).after(days=7)
    week.when(recovering()).then(answer=Recovered(PERSON_ID, 1, Action.WAITED))
    assert week.when(TAKING).decision.events == (RunClaimed(1, FIRST, 1, week.now + 600_000_000),)


def test_take_over_counts_the_delivery_and_sets_a_new_deadline() -> None:
    """The lease of the first delivery is over: the run is the next worker's, who has the whole run_deadline."""
    late = given(*AT_WORK).after(minutes=9)
    deadline, lease = late.now + 600_000_000, late.now + 10_000_000
    after = late.when(TAKING).then(RunClaimed(1, SECOND, 2, deadline), answer=claimed(SECOND, deadline, lease))
    assert after.account.charged == 1


def test_the_delivery_that_was_taken_over_is_stale() -> None:
    """X3, X9: the old delivery's claim, report and failure are refused, the new one's are not."""
    after = given(*AT_WORK).after(seconds=10).when(TAKING).afterwards
    claim_refused = CallbackRefused(1, CallbackKind.CLAIM, FIRST)
    after.when(claiming(FIRST)).then(claim_refused, answer=stale(FIRST))
    after.when(completing(FIRST)).then(CallbackRefused(1, CallbackKind.COMPLETE, FIRST), answer=stale(FIRST))
    after.when(failing(FIRST)).then(CallbackRefused(1, CallbackKind.FAIL, FIRST), answer=stale(FIRST))
    after.when(completing(SECOND)).then(RunCompleted(1, SECOND, 1, DIGEST), answer=IS_COMPLETED)


def test_a_delivery_whose_lease_is_over_may_still_report_until_it_is_taken_over() -> None:
    """Only the take-over makes it stale: work that was done is not thrown away."""
    late = given(*AT_WORK).after(minutes=1)
    late.when(completing(FIRST)).then(RunCompleted(1, FIRST, 1, DIGEST), answer=IS_COMPLETED)


def test_entry_is_given_up_when_its_deliveries_are_used_up() -> None:
    """Five deliveries were lost: the run fails, and like every failed run it keeps its charge."""
    fifth = taken(5)
    assert fifth.person.run is not None
    assert fifth.person.run.delivery == 5
    used_up = RunFailed(1, None, FailReason.DELIVERIES_USED_UP, None, HoldEnd.KEPT)
    after = fifth.after(seconds=10).when(TAKING).then(used_up, answer=GivenUp(PERSON_ID, 1))
    assert (after.person.phase, after.account.charged, after.account.available) == (Phase.FAILED, 1, 0)


@pytest.mark.parametrize(
    "happened",
    [
        (),
        DISPATCHING,
        EXECUTING,
        (*WAITING, CLAIMED),
        (*AT_WORK, RunCompleted(1, FIRST, 1, DIGEST)),
        (*AT_WORK, PersonErased(HoldEnd.KEPT)),
    ],
)
def test_an_entry_of_no_run_that_waits_is_not_taken(happened: tuple[Event, ...]) -> None:
    """Not inside, claimed by somebody from outside, or over: there is nothing to work on."""
    given(*happened).when(TAKING).then(answer=QueueEmpty())


# --- renew -------------------------------------------------------------------------------------------------------


def test_renewing_a_live_lease_writes_no_event() -> None:
    """A row changes, the log does not."""
    later = given(*AT_WORK).knowing(lease_until=WORKER_LEASE).after(seconds=3)
    after = later.when(renewing()).then(answer=Renewed(WORKER_LEASE + 3_000_000))
    assert after.lease_until == WORKER_LEASE + 3_000_000
    assert after.person == later.person


def test_renewing_is_refused_at_the_end_of_the_lease() -> None:
    """A lease that is over may be another worker's at any moment."""
    scenario = given(*AT_WORK).knowing(lease_until=WORKER_LEASE)
    last = scenario.after(seconds=10, microseconds=-1).when(renewing())
    assert last.decision.answer == Renewed(WORKER_LEASE + 10_000_000 - 1)
    scenario.after(seconds=10).when(renewing()).then(answer=stale(FIRST))


def test_renewing_is_refused_at_the_deadline() -> None:
    """A worker that only renews is stopped by its deadline, or recovery would never end."""
    scenario = given(*AT_WORK).knowing(lease_until=RUN_DEADLINE + 1)
    assert isinstance(scenario.after(minutes=10, microseconds=-1).when(renewing()).decision.answer, Renewed)
    scenario.after(minutes=10).when(renewing()).then(answer=stale(FIRST))


@pytest.mark.parametrize(
    "happened",
    [
        (*AT_WORK, RunClaimed(1, SECOND, 2, RUN_DEADLINE)),
        (*WAITING, CLAIMED),
        WAITING,
        (*AT_WORK, RunCompleted(1, FIRST, 1, DIGEST)),
        (*AT_WORK, PersonErased(HoldEnd.KEPT)),
    ],
)
def test_renewing_is_refused_to_everybody_else(happened: tuple[Event, ...]) -> None:
    """Taken over, claimed by another, not claimed, or over: the worker stops."""
    given(*happened).knowing(lease_until=WORKER_LEASE).when(renewing()).then(answer=stale(FIRST))


def test_renewing_without_a_lease_or_with_another_number_is_refused() -> None:
    """There is no entry, or the fencing token is another run's."""
    given(*AT_WORK).when(renewing()).then(answer=stale(FIRST))
    scenario = given(*AT_WORK).knowing(lease_until=WORKER_LEASE)
    scenario.when(renewing(run_no=2)).then(answer=stale(FIRST, run_no=2))


def test_claiming_again_needs_no_lease() -> None:
    """A delivery that asks again is answered alike, and nothing is appended."""
    given(*AT_WORK).when(claiming(FIRST)).then(answer=claimed(FIRST))


# --- recovery of the embedded queue ------------------------------------------------------------------------------


def test_a_lost_delivery_with_deliveries_left_waits_for_a_worker() -> None:
    """Also past its deadline: the next worker takes it over, recovery does not fail it."""
    lost = given(*AT_WORK).knowing(lease_until=WORKER_LEASE).after(hours=1)
    lost.when(recovering()).then(answer=Recovered(PERSON_ID, 1, Action.WAITED))


def test_the_last_delivery_is_failed_once_its_lease_is_over() -> None:
    """Without any worker, recovery alone ends the run; the charge stays."""
    fifth = taken(5)
    fifth.after(seconds=10, microseconds=-1).when(recovering()).then(answer=Recovered(PERSON_ID, 1, Action.WAITED))
    used_up = RunFailed(1, None, FailReason.DELIVERIES_USED_UP, None, HoldEnd.KEPT)
    after = fifth.after(seconds=10).when(recovering()).then(used_up, answer=Recovered(PERSON_ID, 1, Action.FAILED))
    assert after.account.charged == 1


def test_an_embedded_run_that_was_claimed_from_outside_fails_at_its_deadline() -> None:
    """It has no entry that a worker could take over: executed, never finished."""
    scenario = given(*WAITING, CLAIMED).after(minutes=10)
    failed = RunFailed(1, None, FailReason.RUN_DEADLINE, None, HoldEnd.KEPT)
    scenario.when(recovering(sends=False)).then(failed, answer=Recovered(PERSON_ID, 1, Action.FAILED))


def test_a_worker_that_lies_about_its_id_is_given_no_delivery() -> None:
    """An outsider that claims under a delivery's name has the run, without an entry to take over."""
    liar = given(*WAITING).when(claiming(FIRST)).afterwards
    liar.when(TAKING).then(answer=QueueEmpty())
    assert liar.after(minutes=10).when(recovering()).decision.answer == Recovered(PERSON_ID, 1, Action.FAILED)
