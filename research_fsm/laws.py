"""The promises of this library as named laws: what `verify`, the test kit and the documentation all mean by a law.

Floor 3, pure. A law of people looks at one event between the two states that it connects; a law of accounts likewise.
A law returns what is wrong, in words, or None. The laws that need more than one step are checked in `audit`, and are
listed here with the others, so that there is one place that says what is promised.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from attrs import frozen

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
from research_fsm.rfc3339 import format_time

__all__ = ["ACCOUNT_LAWS", "PERSON_LAWS", "STATEMENTS", "AccountLaw", "Erased", "Finding", "PersonLaw"]


@frozen
class Finding:
    """One place where a law is broken.

    Args:
        law: The law's name.
        stream: Where.
        version: At which event of the stream; None for the stream as a whole.
        words: What is wrong.
    """

    law: str
    stream: str
    version: int | None
    words: str

    def __str__(self) -> str:
        place = self.stream if self.version is None else f"{self.stream} version {self.version}"
        return f"{self.law}: {place}: {self.words}"


@frozen
class Erased:
    """A person whose documents are gone, as the log says it.

    Args:
        person_id: Who it was.
        at: When they were erased, in microseconds UTC.
        actor: Who asked for it, if they were named.
    """

    person_id: str
    at: int
    actor: str | None

    @property
    def when(self) -> str:
        """The time as text; a forged one may be none of a calendar's."""
        try:
            return format_time(self.at)
        except OverflowError:
            return f"microsecond {self.at}"

    def __str__(self) -> str:
        return f"{self.person_id} was erased on {self.when} by {self.actor or 'somebody who was not named'}"


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


def stale_changes_nothing(before: Person, event: PersonEvent, after: Person) -> str | None:
    """Only the engine run that claimed a run may end it, and a refused callback changes nothing."""
    run = before.run
    match event:
        case RunClaimed(external_id=external_id, delivery=delivery) if run is not None and delivery > 1:
            is_next = delivery == run.delivery + 1 and run.claimed_by == f"{run.run_id}:{run.delivery}"
            return None if is_next else f"{external_id} takes over from {run.claimed_by}"
        case RunClaimed(external_id=external_id) | RunCompleted(external_id=external_id):
            return _fenced(run, external_id)
        case RunFailed(external_id=external_id) if external_id is not None:
            return _fenced(run, external_id)
        case CallbackRefused():
            unchanged = (before.phase, before.run, before.outcome, before.reports) == (
                after.phase,
                after.run,
                after.outcome,
                after.reports,
            )
            return None if unchanged else "a refused callback changed the person"
        case _:
            return None


def _fenced(run: Run | None, external_id: str) -> str | None:
    if run is None or run.claimed_by in (None, external_id):
        return None
    return f"{external_id} reports, but {run.claimed_by} has claimed the run"


def charged_if_executed(before: Person, event: PersonEvent, after: Person) -> str | None:  # By event.
    """A run that was executed is charged; one that was rolled back, or never executed, is not."""
    run, ended = before.run, after.run
    if run is None or ended is None:
        return None
    match event:
        case RunRolledBack() if run.hold is not Hold.OPEN or run.claimed_by is not None:
            return f"a run that is {run.hold} and claimed by {run.claimed_by} was rolled back"
        case RunFailed(hold=HoldEnd.KEPT) if run.claimed_by is None:
            return "a run that nobody claimed failed and kept its charge"
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


PERSON_LAWS: tuple[PersonLaw, ...] = (
    legal,
    one_open_run,
    stale_changes_nothing,
    charged_if_executed,
    refusal_is_proof,
    reports_count_up,
)


def never_overdrawn(_: Account, event: AccountEvent, after: Account) -> str | None:
    """What is available, held, charged and refunded is never below zero."""
    if event.amount < 0:
        return f"an amount of {event.amount}"
    if after.available < 0:
        return f"{after.available} credits are available"
    if after.held < 0 or after.refunded > after.charged:
        return f"{after.held} are held, {after.charged} charged, {after.refunded} refunded"
    return None


ACCOUNT_LAWS: tuple[AccountLaw, ...] = (never_overdrawn,)

STATEMENTS: Mapping[str, str] = MappingProxyType(
    {
        "readable": "Every event is in a form that this library writes, or wrote.",
        "gapless": "A stream's versions are 1, 2, 3 …, each once, in the order of their positions.",
        "chained": "Every event carries the hash of itself and of its stream's previous hash.",
        **{law.__name__: str(law.__doc__).strip() for law in (*PERSON_LAWS, *ACCOUNT_LAWS)},
        "one_hold_per_run": "Each run has one hold, ended by one charge or one release; a refund follows a charge.",
        "credits_follow_runs": "An account's events are those that its people's runs, and its grants, call for.",
        "grants_count_once": "A grant_id is granted once, and revoked at most once, whole.",
        "way_out": "Who is running waits in the embedded queue, or has a time at which recovery looks.",
        "heads_are_folds": "A head is exactly what folding its stream from the beginning gives.",
        "keys_are_kept": "Runs and grants are found by their ids, and a request key has started at most one run.",
        "documents_match": "Every document is there, and is what its event's digest says; an erased person has none.",
    }
)
"""Every law by name, with what it promises."""
