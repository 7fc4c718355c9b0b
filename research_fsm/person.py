"""A person: the folded state of one life.

Floor 2, pure. `evolve` is total and refuses nothing: a log that was tampered with still folds, and the audit says
where it left the table. Times are integer microseconds UTC.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from attrs import frozen

from research_fsm import lifecycle
from research_fsm.copying import copier
from research_fsm.events import (
    AttemptAnswered,
    AttemptArmed,
    AttemptResult,
    CallbackKind,
    CallbackRefused,
    HoldEnd,
    PersonAdded,
    PersonErased,
    PersonEvent,
    PersonKind,
    ReportMarkedStale,
    RunClaimed,
    RunCompleted,
    RunDispatched,
    RunFailed,
    RunRolledBack,
    RunStarted,
)
from research_fsm.lifecycle import Phase, Status

__all__ = ["Hold", "Outcome", "Person", "Run", "evolve", "fold", "nobody"]


class Hold(StrEnum):
    """What has become of the credits that a run reserved."""

    OPEN = "open"
    CHARGED = "charged"
    RELEASED = "released"
    REFUNDED = "refunded"


@frozen(slots=False)  # For `copier`.
class Run:
    """The person's latest run, open or over.

    Args:
        run_id: The run's UUID.
        run_no: The fencing token.
        cost: Credits it holds or has spent.
        inside: Whether the hand-over is a row of the same database.
        request_digest: The digest of the caller's request key, if any.
        started_at: When it started.
        hold: What became of its credits.
        open_attempts: Numbers of the attempts that may still have reached the engine.
        last_attempt: The highest number ever armed; numbers are never reused.
        first_armed_at: When the first attempt was armed; the resend window counts from here.
        lease_until: Until when the sender of the latest attempt has it for itself.
        deadline: When the present phase is given up; None for an entry of the embedded queue.
        dispatched_as: The engine run that confirmed it.
        claimed_by: The engine run, or delivery, that has it.
        delivery: Deliveries of the embedded queue so far.
    """

    run_id: str
    run_no: int
    cost: int
    inside: bool
    request_digest: str | None
    started_at: int
    hold: Hold = Hold.OPEN
    open_attempts: tuple[int, ...] = ()
    last_attempt: int = 0
    first_armed_at: int | None = None
    lease_until: int | None = None
    deadline: int | None = None
    dispatched_as: str | None = None
    claimed_by: str | None = None
    delivery: int = 0


@frozen
class Outcome:
    """How the person's last run ended, as its worker reported it: what a repeated callback is compared with."""

    run_no: int
    kind: CallbackKind
    external_id: str
    digest: str | None


@frozen(slots=False)  # For `copier`.
class Person:
    """Everything the rules need to know of a person.

    Args:
        person_id: Who it is.
        phase: Where they are in the lifecycle.
        owner: Whose person it is and whose credits are spent.
        kind: Which API made them.
        profile_digest: The salted digest of the profile.
        added_at: When they were added.
        since: When the public status last changed.
        run: The latest run.
        outcome: How the last run ended, if a worker reported it.
        reports: The highest report version.
        reported_at: When that report was written.
        failures_in_a_row: Failed runs since the last report; two are for a human.
        refused: Stale callbacks that were recorded, each once.
    """

    person_id: str
    phase: Phase = Phase.NONE
    owner: str = ""
    kind: PersonKind = PersonKind.USER
    profile_digest: str = ""
    added_at: int = 0
    since: int = 0
    run: Run | None = None
    outcome: Outcome | None = None
    reports: int = 0
    reported_at: int | None = None
    failures_in_a_row: int = 0
    refused: tuple[CallbackRefused, ...] = ()

    @property
    def status(self) -> Status:
        """The public status."""
        return lifecycle.status(self.phase)

    @property
    def exists(self) -> bool:
        """Whether anybody may see this person: added, and not erased."""
        return self.phase is not Phase.NONE and self.phase is not Phase.ERASED

    @property
    def run_no(self) -> int:
        """How many runs were ever started."""
        return 0 if self.run is None else self.run.run_no

    def visible_to(self, owner: str | None) -> bool:
        """Tell whether somebody may see this person: their owner, or None, who may see everybody's."""
        return self.exists and owner in (None, self.owner)

    def current(self, run_no: int, run_id: str | None = None) -> Run | None:
        """Return the open run if it is this one, else None: whoever asks is stale.

        Args:
            run_no: The fencing token that the caller carries.
            run_id: The run's id, where the caller knows it.
        """
        run = self.run
        if run is None or self.status is not Status.RUNNING or run.run_no != run_no:
            return None
        return run if run_id is None or run.run_id == run_id else None


_run_with = copier(Run)
_person_with = copier(Person)


def nobody(person_id: str) -> Person:
    """Return the state before a person's first event."""
    return Person(person_id)


_RunEvent = (
    AttemptArmed
    | AttemptAnswered
    | RunDispatched
    | RunClaimed
    | RunCompleted
    | RunFailed
    | RunRolledBack
    | PersonErased
)


def evolve(person: Person, event: PersonEvent, at: int) -> Person:
    """Return the person after an event.

    Args:
        person: The state before.
        event: What happened.
        at: When it was recorded, in microseconds UTC.
    """
    changes = _changes(person, event, at)
    phase = lifecycle.dest(person.phase, lifecycle.trigger_of(event))
    if phase is not person.phase:
        changes["phase"] = phase
        if lifecycle.status(phase) is not person.status:
            changes["since"] = at
    return _person_with(person, **changes) if changes else person


def fold(person: Person, events: Iterable[tuple[PersonEvent, int]]) -> Person:
    """Return the person after many events, each with the time at which it was recorded."""
    for event, at in events:
        person = evolve(person, event, at)
    return person


def _changes(person: Person, event: PersonEvent, at: int) -> dict[str, Any]:
    """Return what an event changes besides the phase, by field."""
    match event:
        case PersonAdded(owner=owner, kind=kind, profile_digest=digest):
            return {"owner": owner, "kind": kind, "profile_digest": digest, "added_at": at}
        case RunStarted(run_id, run_no, cost, inside, deadline, request_digest):
            return {"run": Run(run_id, run_no, cost, inside, request_digest, started_at=at, deadline=deadline)}
        case CallbackRefused():
            return {"refused": (*person.refused, event)}
        case ReportMarkedStale():
            return {}
        case _ if person.run is None or person.status is not Status.RUNNING:
            return {}
        case PersonErased():
            return {"run": _run_after(person.run, event, at)}
        case _ if person.run.run_no != event.run_no:
            return {}
        case RunCompleted(run_no, external_id, version, digest):
            return {
                "run": _run_after(person.run, event, at),
                "outcome": Outcome(run_no, CallbackKind.COMPLETE, external_id, digest),
                "reports": version,
                "reported_at": at,
                "failures_in_a_row": 0,
            }
        case RunFailed(run_no, external_id, _, digest):
            return {
                "run": _run_after(person.run, event, at),
                "outcome": None if external_id is None else Outcome(run_no, CallbackKind.FAIL, external_id, digest),
                "failures_in_a_row": person.failures_in_a_row + 1,
            }
        case AttemptArmed() | AttemptAnswered() | RunDispatched() | RunClaimed() | RunRolledBack():  # The last case.
            return {"run": _run_after(person.run, event, at)}


def _run_after(run: Run, event: _RunEvent, at: int) -> Run:
    match event:
        case AttemptArmed(attempt=attempt, lease_until=lease_until):
            return _run_with(
                run,
                open_attempts=(*run.open_attempts, attempt),
                last_attempt=max(run.last_attempt, attempt),
                first_armed_at=at if run.first_armed_at is None else run.first_armed_at,
                lease_until=lease_until,
            )
        case AttemptAnswered(result=AttemptResult.AMBIGUOUS):
            return run
        case AttemptAnswered(attempt=attempt):
            return _run_with(run, open_attempts=tuple(number for number in run.open_attempts if number != attempt))
        case RunDispatched(external_id=external_id, deadline=deadline):
            return _run_with(run, dispatched_as=external_id, deadline=deadline, hold=_charged(run.hold))
        case RunClaimed(external_id=external_id, delivery=delivery, deadline=deadline):
            hold = _charged(run.hold)
            return _run_with(run, claimed_by=external_id, delivery=delivery, deadline=deadline, hold=hold)
        case RunCompleted(external_id=external_id):
            return _run_with(run, claimed_by=external_id, deadline=None, hold=_charged(run.hold))
        case RunFailed(hold=hold):
            return _run_with(run, deadline=None, hold=_ended(run.hold, hold))
        case PersonErased(hold=hold):
            return _run_with(run, deadline=None, hold=_ended(run.hold, hold))
        case RunRolledBack():  # The last case.
            return _run_with(run, deadline=None, hold=Hold.RELEASED)


def _charged(hold: Hold) -> Hold:
    """Only an open hold becomes a charge."""
    return Hold.CHARGED if hold is Hold.OPEN else hold


def _ended(hold: Hold, end: HoldEnd | None) -> Hold:
    match end:
        case HoldEnd.RELEASED:
            return Hold.RELEASED
        case HoldEnd.REFUNDED:
            return Hold.REFUNDED
        case HoldEnd.KEPT | None:  # The last case.
            return hold
