"""The rules of what workers report: claims, outcomes, and the deliveries of the embedded queue.

Floor 3, pure. See `research_fsm.decide` for what a rule is. Whatever is stale changes nothing.
"""

from collections.abc import Mapping

from research_fsm import codec
from research_fsm.commands import ClaimRun, CompleteRun, FailRun, RenewLease
from research_fsm.decide.decision import Decision, failure_name, passed, report_name
from research_fsm.events import CallbackKind, CallbackRefused, FailReason, HoldEnd, RunClaimed, RunCompleted, RunFailed
from research_fsm.outcomes import Claimed, Completed, Failed, GivenUp, Json, QueueEmpty, Renewed, StaleRun
from research_fsm.person import Hold, Outcome, Person, Run
from research_fsm.policy import Policy, micros

__all__ = ["claim", "complete", "fail", "renew", "take"]

_MOST_REFUSED = 16
"""Stale callbacks that are recorded of one person: their external ids are chosen by others."""


def claim(
    command: ClaimRun, person: Person, now: int, policy: Policy, profile: Mapping[str, Json]
) -> Decision[Claimed | StaleRun]:
    """Take a run for an engine run; the first one has it, and asking again changes nothing."""
    run = person.current(command.run_no, command.run_id)
    if run is None or run.claimed_by not in (None, command.external_id):
        return _stale(CallbackKind.CLAIM, command, person)
    if run.claimed_by is not None:
        return Decision(answer=_claimed(person, run, command.external_id, run.deadline or now, profile))
    deadline = now + micros(policy.run_deadline)
    return Decision(
        answer=_claimed(person, run, command.external_id, deadline, profile),
        events=(RunClaimed(run.run_no, command.external_id, 0, deadline),),
    )


def complete(command: CompleteRun, person: Person, salt: bytes) -> Decision[Completed | StaleRun]:
    """End a run with its report, by whoever claimed it; a report without a claim counts as one."""
    digest = codec.digest(salt, command.report)
    if _is_last_outcome(person, CallbackKind.COMPLETE, command, digest):
        return Decision(answer=Completed(person.person_id, command.run_no, person.reports))
    run = person.current(command.run_no, command.run_id)
    if run is None or run.claimed_by not in (None, command.external_id):
        return _stale(CallbackKind.COMPLETE, command, person)
    version = person.reports + 1
    return Decision(
        answer=Completed(person.person_id, run.run_no, version),
        events=(RunCompleted(run.run_no, command.external_id, version, digest),),
        documents={report_name(version): command.report},
    )


def fail(command: FailRun, person: Person, salt: bytes) -> Decision[Failed | StaleRun]:
    """End a run without a report. One that nobody claimed was never executed: its credits come back."""
    digest = None if command.detail is None else codec.digest(salt, command.detail)
    if _is_last_outcome(person, CallbackKind.FAIL, command, digest):
        return Decision(answer=Failed(person.person_id, command.run_no))
    run = person.current(command.run_no, command.run_id)
    if run is None or run.claimed_by not in (None, command.external_id):
        return _stale(CallbackKind.FAIL, command, person)
    hold = _never_executed(run) if run.claimed_by is None else HoldEnd.KEPT
    return Decision(
        answer=Failed(person.person_id, run.run_no),
        events=(RunFailed(run.run_no, command.external_id, command.reason, digest, hold),),
        documents={} if command.detail is None else {failure_name(run.run_no): command.detail},
    )


def take(
    person: Person, now: int, policy: Policy, profile: Mapping[str, Json]
) -> Decision[Claimed | GivenUp | QueueEmpty]:
    """Take a free entry of the embedded queue: a run that waits, or one whose delivery let its lease run out.

    The store has read, in this transaction, that no lease of the entry is alive.
    """
    run = person.current(person.run_no)
    if run is None or not run.inside or run.claimed_by not in (None, _delivery_id(run, run.delivery)):
        return Decision(answer=QueueEmpty())
    if run.delivery >= policy.max_deliveries:
        used_up = RunFailed(run.run_no, None, FailReason.DELIVERIES_USED_UP, None, HoldEnd.KEPT)
        return Decision(answer=GivenUp(person.person_id, run.run_no), events=(used_up,))
    delivery = run.delivery + 1
    external_id = _delivery_id(run, delivery)
    deadline = now + micros(policy.run_deadline)
    lease_until = now + micros(policy.worker_lease)
    return Decision(
        answer=_claimed(person, run, external_id, deadline, profile, lease_until),
        events=(RunClaimed(run.run_no, external_id, delivery, deadline),),
        lease_until=lease_until,
    )


def renew(
    command: RenewLease, person: Person, lease_until: int | None, now: int, policy: Policy
) -> Decision[Renewed | StaleRun]:
    """Keep an entry a little longer; refused once the lease is over, or the deadline has passed."""
    run = person.current(command.run_no, command.run_id)
    alive = lease_until is not None and now < lease_until
    if run is None or run.claimed_by != command.external_id or not alive or passed(run.deadline, now):
        return Decision(answer=StaleRun(command.run_id, command.run_no, command.external_id))
    renewed = now + micros(policy.worker_lease)
    return Decision(answer=Renewed(renewed), lease_until=renewed)


def _delivery_id(run: Run, delivery: int) -> str:
    return f"{run.run_id}:{delivery}"


def _never_executed(run: Run) -> HoldEnd:
    return HoldEnd.RELEASED if run.hold is Hold.OPEN else HoldEnd.REFUNDED


def _claimed(
    person: Person,
    run: Run,
    external_id: str,
    deadline: int,
    profile: Mapping[str, Json],
    lease_until: int | None = None,
) -> Claimed:
    return Claimed(
        person.person_id, person.owner, person.kind, run.run_id, run.run_no, external_id, deadline, profile, lease_until
    )


def _is_last_outcome(person: Person, kind: CallbackKind, command: CompleteRun | FailRun, digest: str | None) -> bool:
    return person.exists and person.outcome == Outcome(command.run_no, kind, command.external_id, digest)


def _stale(kind: CallbackKind, command: ClaimRun | CompleteRun | FailRun, person: Person) -> Decision[StaleRun]:
    """Answer a stale callback: it changes nothing, and is recorded once, while there is a person to record it of."""
    note = CallbackRefused(command.run_no, kind, command.external_id)
    new = person.exists and note not in person.refused and len(person.refused) < _MOST_REFUSED
    answer = StaleRun(command.run_id, command.run_no, command.external_id)
    return Decision(answer=answer, events=(note,) if new else ())
