"""The laws of one event: each looks at it between the two states that it connects.

Floor 3, pure. A law returns what is wrong, in words, or None. It shares no guard with `decide`.
"""

from collections.abc import Callable

from research_fsm import lifecycle
from research_fsm.account import Account
from research_fsm.events import (
    AccountEvent,
    AttemptAnswered,
    AttemptArmed,
    CallbackRefused,
    HoldEnd,
    PersonAdded,
    PersonErased,
    PersonEvent,
    ReportMarkedStale,
    RollBackReason,
    RunClaimed,
    RunCompleted,
    RunDispatched,
    RunFailed,
    RunRolledBack,
    RunStarted,
)
from research_fsm.lifecycle import Status
from research_fsm.person import Hold, Person, Run

__all__ = [
    "ACCOUNT_LAWS",
    "PERSON_LAWS",
    "AccountLaw",
    "PersonLaw",
    "charged_if_executed",
    "legal",
    "never_overdrawn",
    "one_at_work",
    "one_open_run",
    "only_the_claimer_ends",
    "refusal_is_proof",
    "reports_count_up",
    "stale_changes_nothing",
    "unclaimed_is_refunded",
]

PersonLaw = Callable[[Person, PersonEvent, Person], str | None]
AccountLaw = Callable[[Account, AccountEvent, Account], str | None]


def legal(before: Person, event: PersonEvent, _: Person) -> str | None:
    """Every event is one that the lifecycle table allows in the phase it finds."""
    trigger = lifecycle.trigger_of(event)
    if lifecycle.allows(before.phase, trigger):
        return None
    return f"{type(event).__name__} ({trigger}) is not allowed while {before.phase}"


def one_open_run(before: Person, event: PersonEvent, _: Person) -> str | None:
    """At most one run of a person is open; run numbers count up, and what happens to a run carries its number."""
    match event:
        case RunStarted(run_no=run_no):
            if before.status is Status.RUNNING:
                return f"run {run_no} starts while run {before.run_no} is open"
            return None if run_no == before.run_no + 1 else f"run {run_no} follows run {before.run_no}"
        case PersonAdded() | AttemptAnswered() | CallbackRefused() | ReportMarkedStale() | PersonErased():
            return None
        case (
            AttemptArmed() | RunDispatched() | RunClaimed() | RunCompleted() | RunFailed() | RunRolledBack()
        ):  # The last case.
            if before.current(event.run_no) is None:
                return f"{type(event).__name__} of run {event.run_no}, which is not the open run"
            return None


def charged_if_executed(before: Person, event: PersonEvent, after: Person) -> str | None:
    """A run that was executed is charged, one that was rolled back is not, and no credit appears or is lost."""
    run, ended = before.run, after.run
    if run is None or ended is None:
        return None
    match event:
        case RunRolledBack() if run.hold is not Hold.OPEN or run.claimed_by is not None:
            return f"a run that is {run.hold} and claimed by {run.claimed_by} was rolled back"
        case RunFailed(hold=HoldEnd.REFUNDED) if run.claimed_by is not None:
            return f"a run that {run.claimed_by} claimed was refunded"
        case RunFailed(hold=HoldEnd.REFUNDED) if run.hold is not Hold.CHARGED:
            return f"a run that is {run.hold} was refunded"
        case RunFailed(hold=HoldEnd.RELEASED) if run.hold is not Hold.OPEN:
            return f"a run that is {run.hold} was released"
        case RunCompleted() | RunClaimed() if ended.hold is not Hold.CHARGED:
            return f"a run was executed, but its hold is {ended.hold}"
        case PersonErased(hold=hold) if hold is not _hold_at_erasure(before, run):
            return f"the erasure says {hold} of a hold that is {run.hold}"
        case _:
            return None


def _hold_at_erasure(before: Person, run: Run) -> HoldEnd | None:
    if before.status is not Status.RUNNING:
        return None
    return HoldEnd.RELEASED if run.hold is Hold.OPEN else HoldEnd.KEPT


def stale_changes_nothing(before: Person, event: PersonEvent, after: Person) -> str | None:
    """A stale callback is answered as stale and recorded once, and changes nothing."""
    if not isinstance(event, CallbackRefused):
        return None
    if event in before.refused:
        return "a refused callback is recorded once more"
    if (before.phase, before.run, before.outcome, before.reports) != (
        after.phase,
        after.run,
        after.outcome,
        after.reports,
    ):
        return "a refused callback changed the person"
    return None


def one_at_work(before: Person, event: PersonEvent, _: Person) -> str | None:
    """A run is executed by one engine run; in the embedded queue by one delivery at a time, each the next."""
    run = before.run
    match event:
        case RunClaimed(external_id=external_id, delivery=delivery) if run is not None and delivery > 1:
            is_next = delivery == run.delivery + 1 and run.claimed_by == f"{run.run_id}:{run.delivery}"
            return None if is_next else f"{external_id} takes over from {run.claimed_by}"
        case RunClaimed(external_id=external_id):
            return _fenced(run, external_id)
        case _:
            return None


def only_the_claimer_ends(before: Person, event: PersonEvent, _: Person) -> str | None:
    """Once a run is claimed, only the engine run that claimed it ends it."""
    match event:
        case RunCompleted(external_id=external_id):
            return _fenced(before.run, external_id)
        case RunFailed(external_id=external_id) if external_id is not None:
            return _fenced(before.run, external_id)
        case _:
            return None


def _fenced(run: Run | None, external_id: str) -> str | None:
    if run is None or run.claimed_by in (None, external_id):
        return None
    return f"{external_id} reports, but {run.claimed_by} has claimed the run"


def unclaimed_is_refunded(before: Person, event: PersonEvent, _: Person) -> str | None:
    """A run that failed and that nobody ever claimed costs nothing: an open hold is released, a charge refunded."""
    match event:
        case RunFailed(hold=HoldEnd.KEPT) if before.run is not None and before.run.claimed_by is None:
            return "a run that nobody claimed failed and kept its charge"
        case _:
            return None


def refusal_is_proof(before: Person, event: PersonEvent, _: Person) -> str | None:
    """A refused dispatch rolls a run back only if no other attempt may have reached the engine; numbers count up."""
    run = before.run
    if run is None:
        return None
    match event:
        case AttemptArmed(attempt=attempt) if attempt != run.last_attempt + 1:
            return f"attempt {attempt} follows attempt {run.last_attempt}"
        case RunRolledBack(reason=RollBackReason.REFUSED | RollBackReason.NOT_SENT) if run.open_attempts:
            return f"rolled back although attempts {list(run.open_attempts)} are open"
        case _:
            return None


def reports_count_up(before: Person, event: PersonEvent, _: Person) -> str | None:
    """A person's report versions count up from 1."""
    match event:
        case RunCompleted(report_version=version) if version != before.reports + 1:
            return f"report {version} follows report {before.reports}"
        case _:
            return None


def never_overdrawn(_: Account, event: AccountEvent, after: Account) -> str | None:
    """What is available, held, charged and refunded is never below zero."""
    if event.amount < 0:
        return f"an amount of {event.amount}"
    if after.available < 0:
        return f"{after.available} credits are available"
    if after.held < 0 or after.refunded > after.charged:
        return f"{after.held} are held, {after.charged} charged, {after.refunded} refunded"
    return None


PERSON_LAWS: tuple[PersonLaw, ...] = (
    legal,
    one_open_run,
    charged_if_executed,
    stale_changes_nothing,
    one_at_work,
    refusal_is_proof,
    only_the_claimer_ends,
    unclaimed_is_refunded,
    reports_count_up,
)
"""What every event of a person keeps."""

ACCOUNT_LAWS: tuple[AccountLaw, ...] = (never_overdrawn,)
"""What every event of an account keeps."""
