"""The protocol, line by line: starts, and the attempts to hand them over."""

import pytest

from research_fsm import Policy
from research_fsm.decide import Send
from research_fsm.events import (
    AttemptArmed,
    AttemptResult,
    CreditsGranted,
    CreditsHeld,
    Event,
    FailReason,
    HoldEnd,
    PersonErased,
    ReportMarkedStale,
    RollBackReason,
    RunCompleted,
    RunFailed,
    RunRolledBack,
    RunStarted,
    StaleReason,
)
from research_fsm.lifecycle import Phase, Status
from research_fsm.outcomes import (
    AlreadyRunning,
    InsufficientCredits,
    PersonNotFound,
    Queued,
    RolledBack,
)
from research_fsm.person import Hold
from research_fsm.testing.scenario import NOW, PERSON_ID, given
from tests.core.examples import (
    ADDED,
    ARMED,
    CHARGED,
    DIGEST,
    DISPATCH_DEADLINE,
    DISPATCHING,
    EXECUTING,
    GRANTED,
    HELD,
    IDLE,
    IS_QUEUED,
    IS_UNRESOLVED,
    JOINED,
    OTHER_OWNER,
    OWNER,
    QUEUED,
    QUEUED_INSIDE,
    REQUEST,
    RUN,
    RUN_2,
    STARTED,
    STARTED_INSIDE,
    WAITING,
    X,
    answered,
    armed,
    arming,
    send,
    starting,
)

COMPLETED = RunCompleted(1, X, 1, DIGEST)
COMPLETE = (*EXECUTING, COMPLETED)
FAILED = (*EXECUTING, RunFailed(1, X, FailReason.WORKER_REPORTED, None, HoldEnd.KEPT))
ROLLED_BACK = RunRolledBack(1, RollBackReason.REFUSED)


def rolled_back(reason: str) -> RolledBack:
    """Return what the caller of a start that was rolled back is told."""
    return RolledBack(PERSON_ID, RUN, 1, reason)


# --- start -------------------------------------------------------------------------------------------------------


def test_start_of_an_idle_person_holds_the_cost_and_arms_the_first_attempt() -> None:
    """run_no + 1, a hold, attempts {1}, a lease and a deadline; the request may be sent once this is committed."""
    after = given(*IDLE).when(starting()).then(STARTED, HELD, ARMED, answer=send(1))
    assert after.person.phase is Phase.DISPATCHING
    assert after.account.available == 0
    run = after.person.run
    assert run is not None
    assert (run.hold, run.open_attempts, run.last_attempt, run.claimed_by) == (Hold.OPEN, (1,), 1, None)
    assert run.deadline == DISPATCH_DEADLINE


def test_start_of_a_failed_person_takes_the_next_number_and_forgets_who_had_claimed() -> None:
    """A failed person may be started; the new run is claimed by nobody."""
    again = RunStarted(RUN_2, 2, 1, inside=False, deadline=DISPATCH_DEADLINE, request_digest=None)
    decided = given(CreditsGranted("h", 1), *FAILED).when(starting(RUN_2))
    answer = decided.decision.answer
    assert isinstance(answer, Send)
    assert (answer.request.run_id, answer.request.run_no, answer.attempt) == (RUN_2, 2, 1)
    assert answer.request.dispatch_key != REQUEST.dispatch_key
    held = CreditsHeld(PERSON_ID, RUN_2, 2, 1)
    after = decided.then(again, held, AttemptArmed(2, 1, ARMED.lease_until), answer=answer)
    assert after.person.run is not None
    assert (after.person.run.claimed_by, after.person.run.dispatched_as) == (None, None)


def test_joined_start_arms_nothing() -> None:
    """Nothing may be sent before the host commits: no attempt, no lease, but the deadline runs."""
    after = given(*IDLE).when(starting(joined=True)).then(STARTED, HELD, answer=IS_UNRESOLVED)
    assert after.person.run is not None
    assert (after.person.run.open_attempts, after.person.run.deadline) == ((), DISPATCH_DEADLINE)


def test_start_inside_is_queued_and_charged_at_once() -> None:
    """The hand-over is a row of the same database: hold, dispatch and charge are one transaction."""
    after = (
        given(*IDLE).when(starting(inside=True)).then(STARTED_INSIDE, HELD, QUEUED_INSIDE, CHARGED, answer=IS_QUEUED)
    )
    assert after.person.phase is Phase.QUEUED


@pytest.mark.parametrize(
    ("happened", "status", "run_no"),
    [
        (DISPATCHING, "running", 1),
        (QUEUED, "running", 1),
        (EXECUTING, "running", 1),
        (COMPLETE, "complete", 1),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_status_comes_before_credits(happened: tuple[Event, ...], status: str, run_no: int, *, inside: bool) -> None:
    """A running or complete person answers "already running" whatever the balance is, and nothing is appended."""
    poor = given(*happened)
    assert poor.account.available == 0
    answer = AlreadyRunning(PERSON_ID, status, run_no, NOW)
    assert poor.when(starting(RUN_2, inside=inside)).then(answer=answer).person == poor.person
    rich = poor.having(CreditsGranted("more", 100))
    rich.when(starting(RUN_2, inside=inside)).then(answer=answer)


@pytest.mark.parametrize("inside", [False, True])
def test_start_without_credits_is_refused_with_the_balance(*, inside: bool) -> None:
    """The answer has the balance and what is required; no event, and the person is as before."""
    scenario = given(ADDED, CreditsGranted("g", 2), policy=Policy(cost=3))
    after = scenario.when(starting(inside=inside)).then(answer=InsufficientCredits(OWNER, 2, 3))
    assert after.person == scenario.person


def test_failed_person_refused_for_lack_of_credits_is_still_failed() -> None:
    """A refused start changes nothing."""
    after = given(*FAILED).when(starting(RUN_2)).then(answer=InsufficientCredits(OWNER, 0, 1))
    assert after.person.status is Status.FAILED


def test_start_spends_the_last_credit() -> None:
    """Credits that are exactly the cost suffice."""
    scenario = given(ADDED, CreditsGranted("g", 3), policy=Policy(cost=3))
    assert isinstance(scenario.when(starting()).decision.answer, Send)


def test_start_of_a_run_that_costs_nothing_needs_no_credits() -> None:
    """A price of zero is a price: the hold is there, of nothing."""
    started = RunStarted(RUN, 1, 0, inside=True, deadline=None, request_digest=None)
    decided = given(ADDED, policy=Policy(cost=0)).when(starting(inside=True))
    assert decided.decision.events == (started, QUEUED_INSIDE)


def test_balance_is_what_is_not_held_by_another_run() -> None:
    """A hold is not available, though it is not spent either."""
    scenario = given(*DISPATCHING)
    assert (scenario.account.granted, scenario.account.held, scenario.account.available) == (1, 1, 0)


@pytest.mark.parametrize("happened", [(), (GRANTED,), (*IDLE, PersonErased(None))])
def test_start_of_nobody_is_not_found(happened: tuple[Event, ...]) -> None:
    """Never added, or erased: 404, whatever the balance."""
    given(*happened).when(starting()).then(answer=PersonNotFound(PERSON_ID))


def test_start_of_another_owners_person_is_not_found() -> None:
    """Another owner is not told that the person exists; the person's own owner may start them."""
    given(*IDLE).when(starting(owner=OTHER_OWNER)).then(answer=PersonNotFound(PERSON_ID))
    given(*DISPATCHING).when(starting(owner=OTHER_OWNER)).then(answer=PersonNotFound(PERSON_ID))
    assert isinstance(given(*IDLE).when(starting(owner=OWNER)).decision.answer, Send)


def test_rolled_back_person_is_idle_also_after_a_failure() -> None:
    """The compensating event leads to idle, also when the run had started from failed; a new start is possible."""
    started = RunStarted(RUN_2, 2, 1, inside=False, deadline=DISPATCH_DEADLINE, request_digest=None)
    scenario = given(CreditsGranted("h", 1), *FAILED, started, RunRolledBack(2, RollBackReason.REFUSED))
    assert scenario.person.status is Status.IDLE
    assert scenario.account.available == 1
    assert scenario.person.run_no == 2


# --- arm ---------------------------------------------------------------------------------------------------------


def test_first_attempt_of_a_joined_start_is_armed_whenever_it_is_asked_for() -> None:
    """None was ever armed: no lease, window or budget stands in the way, and the deadline stays what it was."""
    later = given(*JOINED).after(minutes=9)
    after = later.when(arming()).then(armed(1, later.now), answer=send(1))
    assert after.person.run is not None
    assert after.person.run.deadline == DISPATCH_DEADLINE
    assert after.person.run.first_armed_at == later.now


def test_second_arming_waits_for_the_lease() -> None:
    """Whoever asks while the lease is alive is told how the run stands."""
    scenario = given(*DISPATCHING).knowing(receipt=IS_UNRESOLVED)
    scenario.after(seconds=30, microseconds=-1).when(arming()).then(answer=IS_UNRESOLVED)
    later = scenario.after(seconds=30)
    after = later.when(arming()).then(armed(2, later.now), answer=send(2))
    assert after.person.run is not None
    assert after.person.run.open_attempts == (1, 2)
    assert after.person.run.deadline == DISPATCH_DEADLINE


def test_attempt_numbers_are_never_reused() -> None:
    """A closed attempt's number stays taken: the next is one above the highest that was ever armed."""
    closed = (*DISPATCHING, armed(2), answered(AttemptResult.REFUSED, 2))
    later = given(*closed).after(seconds=30)
    later.when(arming()).then(armed(3, later.now), answer=send(3))


def test_every_attempt_sends_the_same_request() -> None:
    """The number of the attempt is not part of the request, or an idempotency key would not protect it."""
    first = given(*IDLE).when(starting()).decision.answer
    second = given(*DISPATCHING).after(seconds=30).when(arming()).decision.answer
    assert isinstance(first, Send)
    assert isinstance(second, Send)
    assert first.request == second.request == REQUEST


def test_nothing_is_armed_outside_the_resend_window() -> None:
    """The engine forgets the key of a run that failed: after the window, recovery waits for the deadline."""
    scenario = given(*DISPATCHING).knowing(receipt=IS_UNRESOLVED)
    last = scenario.after(minutes=2, microseconds=-1)
    last.when(arming()).then(armed(2, last.now), answer=send(2))
    scenario.after(minutes=2).when(arming()).then(answer=IS_UNRESOLVED)


def test_nothing_is_armed_beyond_the_budget() -> None:
    """The last attempt of the budget is armed, one more is not."""
    three = given(*DISPATCHING, armed(2), armed(3)).knowing(receipt=IS_UNRESOLVED).after(seconds=30)
    four = three.when(arming()).then(armed(4, three.now), answer=send(4))
    four.after(seconds=30).when(arming()).then(answer=IS_UNRESOLVED)


def test_nothing_is_armed_at_the_deadline() -> None:
    """A run that recovery may give up at any moment is not sent any more."""
    scenario = given(*JOINED).knowing(receipt=IS_UNRESOLVED)
    assert isinstance(scenario.after(minutes=10, microseconds=-1).when(arming()).decision.answer, Send)
    scenario.after(minutes=10).when(arming()).then(answer=IS_UNRESOLVED)


@pytest.mark.parametrize("happened", [QUEUED, EXECUTING, COMPLETE, FAILED])
def test_nothing_is_armed_once_the_run_was_dispatched(happened: tuple[Event, ...]) -> None:
    """Not dispatching: the receipt says how the run stands, and nothing is appended."""
    given(*happened).knowing(receipt=IS_QUEUED).after(minutes=1).when(arming()).then(answer=IS_QUEUED)


def test_nothing_is_armed_for_an_earlier_run() -> None:
    """Not current: the receipt of that run answers."""
    next_run = (RunStarted(RUN_2, 2, 1, inside=False, deadline=DISPATCH_DEADLINE, request_digest=None),)
    scenario = given(CreditsGranted("h", 1), *DISPATCHING, ROLLED_BACK, *next_run)
    scenario.knowing(receipt=rolled_back("refused")).when(arming(RUN)).then(answer=rolled_back("refused"))


def test_arming_for_an_erased_person_is_not_found() -> None:
    """Everything is 404 after an erasure."""
    given(*JOINED, PersonErased(HoldEnd.RELEASED)).when(arming()).then(answer=PersonNotFound(PERSON_ID))


def test_an_inside_start_has_no_receipt_and_is_queued() -> None:
    """Asked for the dispatch of an inside run, the answer is that it has long been queued."""
    given(*WAITING).when(arming()).then(answer=IS_QUEUED)


def test_refreshing_a_complete_person_starts_from_idle() -> None:
    """Complete, marked stale, idle: the next start takes the next number and costs again."""
    scenario = given(CreditsGranted("h", 1), *COMPLETE, ReportMarkedStale(StaleReason.REQUESTED))
    decided = scenario.when(starting(RUN_2, inside=True))
    assert decided.decision.answer == Queued(PERSON_ID, RUN_2, 2)
