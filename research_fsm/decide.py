"""The rules: one pure function per command. What may happen, and what is answered.

Floor 3. A rule gets a command, the states as they are inside the transaction, the store's time and the policy, and
returns a `Decision`. It never mutates, never reads a clock, and may be called again. Credits are not decided here:
`account.credits_for` derives them from what the events do to the run's hold. The guards are those of the protocol,
in ``docs/explanation/protocol.md``. Times are integer microseconds UTC.
"""

import hashlib
from collections.abc import Mapping
from typing import Generic, TypeVar

from attrs import field, frozen

from research_fsm import codec, lifecycle
from research_fsm.account import Account
from research_fsm.commands import (
    AddPerson,
    ArmAttempt,
    ClaimRun,
    CompleteRun,
    ErasePerson,
    FailRun,
    GrantCredits,
    MarkStale,
    RecordAnswer,
    RecoverRun,
    RenewLease,
    RevokeCredits,
    Sighting,
    SightingState,
    StartRun,
)
from research_fsm.events import (
    AccountEvent,
    AttemptAnswered,
    AttemptArmed,
    AttemptResult,
    CallbackKind,
    CallbackRefused,
    CreditsGranted,
    CreditsRevoked,
    FailReason,
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
    StaleReason,
)
from research_fsm.lifecycle import Phase, Status, Trigger
from research_fsm.outcomes import (
    Action,
    Added,
    AlreadyRunning,
    Claimed,
    Completed,
    Erased,
    Failed,
    GivenUp,
    Granted,
    GrantIdReused,
    GrantNotFound,
    InsufficientCredits,
    Json,
    MarkedStale,
    NotComplete,
    PersonNotFound,
    Queued,
    QueueEmpty,
    Recovered,
    Renewed,
    Revoked,
    RolledBack,
    StaleRun,
    StartAnswer,
    Unresolved,
)
from research_fsm.person import Hold, Outcome, Person, Run
from research_fsm.policy import Policy, micros
from research_fsm.requests import DispatchRequest

__all__ = [
    "AnswerRecorded",
    "Decision",
    "Send",
    "add",
    "arm",
    "claim",
    "complete",
    "dispatch_request",
    "engine_runs",
    "erase",
    "fail",
    "failure_name",
    "grant",
    "mark_stale",
    "next_look",
    "record_answer",
    "recover",
    "renew",
    "report_name",
    "revoke",
    "settlement",
    "start",
    "take",
]

A_co = TypeVar("A_co", covariant=True)

_MOST_REFUSED = 16
"""Stale callbacks that are recorded of one person: their external ids are chosen by others."""


@frozen(kw_only=True)
class Decision(Generic[A_co]):
    """What a rule decided.

    Args:
        answer: What the caller is told once it is committed.
        events: What happened to the person.
        credits: What happened to the account, of grants alone; the rest follows from `events`.
        documents: Documents to keep, by name.
        lease_until: The new lease of the run's entry in the embedded queue.
        look_again: Whether the time of recovery's next look moves although nothing happened.
        forget: Whether the person's documents go.
    """

    answer: A_co
    events: tuple[PersonEvent, ...] = ()
    credits: tuple[AccountEvent, ...] = ()
    documents: Mapping[str, bytes] = field(factory=dict)
    lease_until: int | None = None
    look_again: bool = False
    forget: bool = False


@frozen
class Send:
    """An attempt is armed: the flow may send this request, once."""

    request: DispatchRequest
    attempt: int


@frozen
class AnswerRecorded:
    """What the caller of the start is told, and the engine run that nobody is waiting for."""

    answer: StartAnswer
    orphan: str | None = None


# --- people ------------------------------------------------------------------------------------------------------


def add(command: AddPerson) -> Decision[Added]:
    """Add a person, idle. That the person is new, the unique keys say."""
    salt = command.salt.encode()
    return Decision(
        answer=Added(command.person_id),
        events=(PersonAdded(command.owner, command.kind, codec.digest(salt, command.profile)),),
        documents={"salt": salt, "profile": command.profile},
    )


def mark_stale(
    command: MarkStale, person: Person, now: int, policy: Policy
) -> Decision[MarkedStale | NotComplete | PersonNotFound]:
    """Make a complete person idle again; on account of age, only a report that is old enough."""
    if not person.visible_to(command.owner):
        return Decision(answer=PersonNotFound(command.person_id))
    by_age = command.reason is StaleReason.AGE
    too_young = by_age and (policy.stale_after is None or now < person.since + micros(policy.stale_after))
    if too_young or not lifecycle.allows(person.phase, Trigger.MARK_STALE):
        return Decision(answer=NotComplete(command.person_id, str(person.status)))
    return Decision(answer=MarkedStale(command.person_id), events=(ReportMarkedStale(command.reason),))


def erase(command: ErasePerson, person: Person) -> Decision[Erased | PersonNotFound]:
    """Delete a person's documents in any phase; an open hold is released, a charge stays."""
    if not person.visible_to(command.owner):
        return Decision(answer=PersonNotFound(command.person_id))
    run = person.current(person.run_no)
    if run is None:
        return Decision(answer=Erased(command.person_id), events=(PersonErased(None),), forget=True)
    hold = HoldEnd.RELEASED if run.hold is Hold.OPEN else HoldEnd.KEPT
    to_cancel = () if run.inside else engine_runs(run)
    return Decision(answer=Erased(command.person_id, to_cancel), events=(PersonErased(hold),), forget=True)


# --- a start and its dispatch ------------------------------------------------------------------------------------


def start(
    command: StartRun, person: Person, account: Account, now: int, policy: Policy
) -> Decision[Send | Queued | Unresolved | AlreadyRunning | InsufficientCredits | PersonNotFound]:
    """Start a run: the compare-and-swap and the hold. Status first, then credits."""
    if not person.visible_to(command.owner):
        return Decision(answer=PersonNotFound(command.person_id))
    if not lifecycle.allows(person.phase, Trigger.START):
        return Decision(answer=AlreadyRunning(person.person_id, str(person.status), person.run_no, person.since))
    if account.available < policy.cost:
        return Decision(answer=InsufficientCredits(person.owner, account.available, policy.cost))
    run_no = person.run_no + 1
    deadline = None if command.inside else now + micros(policy.dispatch_deadline)
    key = None if command.key is None else command.key.digest
    started = RunStarted(command.run_id, run_no, policy.cost, command.inside, deadline, key)
    if command.inside:
        queued = Queued(person.person_id, command.run_id, run_no)
        return Decision(answer=queued, events=(started, RunDispatched(run_no, None, None)))
    if command.joined:
        return Decision(answer=Unresolved(person.person_id, command.run_id, run_no), events=(started,))
    request = dispatch_request(person, command.run_id, run_no)
    return Decision(answer=Send(request, 1), events=(started, _armed(run_no, 1, now, policy)))


def arm(
    command: ArmAttempt, person: Person, run_no: int, now: int, policy: Policy, final: StartAnswer | None
) -> Decision[Send | StartAnswer]:
    """Arm one attempt of a run whose dispatch is open, if its lease, window and budget allow; else say how it stands.

    Args:
        command: The run.
        person: The person.
        run_no: The run's number.
        now: The store's time.
        policy: The settings.
        final: What the run's receipt says; an inside start, which is queued at once, has none.
    """
    run = person.current(run_no, command.run_id)
    if run is not None and _may_arm(person, run, now, policy):
        return _arming(person, run, now, policy)
    if not person.exists:
        return Decision(answer=PersonNotFound(person.person_id))
    return Decision(answer=final or Queued(person.person_id, command.run_id, run_no))


def record_answer(
    command: RecordAnswer, person: Person, now: int, policy: Policy, final: StartAnswer | None
) -> Decision[AnswerRecorded]:
    """Record what an attempt came to; the first proof that the engine has the run confirms it.

    Args:
        command: The attempt and its result.
        person: The person.
        now: The store's time.
        policy: The settings.
        final: What the run's receipt says, for a caller who finds a later run, or none.
    """
    run = person.current(command.run_no, command.run_id)
    accepted = command.external_id if command.result is AttemptResult.ACCEPTED else None
    if run is None:
        answered = (_answered(command, orphan=accepted is not None),) if person.exists else ()
        return Decision(answer=AnswerRecorded(_final_answer(command, person, final), accepted), events=answered)
    if accepted is not None:
        return _record_accepted(command, person, run, accepted, now, policy)
    answered = (_answered(command, orphan=False),)
    pending = Unresolved(person.person_id, run.run_id, run.run_no)
    if person.phase is not Phase.DISPATCHING:
        queued = Queued(person.person_id, run.run_id, run.run_no)
        return Decision(answer=AnswerRecorded(queued), events=answered)
    if command.result is AttemptResult.AMBIGUOUS or command.attempt not in run.open_attempts:
        return Decision(answer=AnswerRecorded(pending), events=answered)
    if len(run.open_attempts) > 1:
        return Decision(answer=AnswerRecorded(pending), events=answered)
    reason = RollBackReason.REFUSED if command.result is AttemptResult.REFUSED else RollBackReason.NOT_SENT
    rolled_back = RolledBack(person.person_id, run.run_id, run.run_no, str(reason), command.retry_at)
    return Decision(answer=AnswerRecorded(rolled_back), events=(*answered, RunRolledBack(run.run_no, reason)))


def _record_accepted(
    command: RecordAnswer, person: Person, run: Run, external_id: str, now: int, policy: Policy
) -> Decision[AnswerRecorded]:
    queued = Queued(person.person_id, run.run_id, run.run_no)
    if person.phase is Phase.DISPATCHING:
        confirmed = (_answered(command, orphan=False), _confirmed(run, external_id, now, policy))
        return Decision(answer=AnswerRecorded(queued), events=confirmed)
    orphan = external_id not in engine_runs(run)
    answered = _answered(command, orphan=orphan)
    return Decision(answer=AnswerRecorded(queued, external_id if orphan else None), events=(answered,))


def settlement(before: Person, after: Person, decision: Decision[object]) -> StartAnswer | None:
    """Return the final answer of a start, if this decision is the one that leaves *dispatching*, else None."""
    run = before.run
    if run is None or before.phase is not Phase.DISPATCHING or after.phase is Phase.DISPATCHING:
        return None
    if isinstance(decision.answer, AnswerRecorded):
        return decision.answer.answer
    if after.phase is Phase.ERASED:
        return PersonNotFound(before.person_id)
    if after.phase is Phase.IDLE:
        return RolledBack(before.person_id, run.run_id, run.run_no, str(RollBackReason.DISPATCH_DEADLINE))
    return Queued(before.person_id, run.run_id, run.run_no)


def dispatch_request(person: Person, run_id: str, run_no: int) -> DispatchRequest:
    """Return what is sent to the engine: the same at every attempt, and it can be made from the log alone."""
    key = hashlib.sha256(f"research_fsm:dispatch:{run_id}".encode()).hexdigest()
    return DispatchRequest(person.person_id, run_id, run_no, person.kind, key)


# --- callbacks ---------------------------------------------------------------------------------------------------


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


# --- the embedded queue ------------------------------------------------------------------------------------------


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
    if run is None or run.claimed_by != command.external_id or not alive or _passed(run.deadline, now):
        return Decision(answer=StaleRun(command.run_id, command.run_no, command.external_id))
    renewed = now + micros(policy.worker_lease)
    return Decision(answer=Renewed(renewed), lease_until=renewed)


# --- recovery ----------------------------------------------------------------------------------------------------


def recover(
    command: RecoverRun, person: Person, lease_until: int | None, now: int, policy: Policy, salt: bytes
) -> Decision[Recovered | Send]:
    """Do the one thing that is due, in this order: evidence, deadline, resend, wait.

    Args:
        command: The person, the run that was looked at, and what the engine says.
        person: The person.
        lease_until: The lease of the run's entry in the embedded queue, if it has one.
        now: The store's time.
        policy: The settings.
        salt: What digests of the person's documents are salted with.
    """
    run = person.current(command.run_no, command.run_id)
    if run is None:
        return Decision(answer=Recovered(person.person_id, command.run_no, Action.NOTHING))
    decision = _by_evidence(command.sightings, person, run, now, policy, salt)
    if decision is not None:
        return decision
    overdue = _by_deadline(person, run, lease_until, now, policy)
    if overdue is not None:
        action = Action.ROLLED_BACK if isinstance(overdue, RunRolledBack) else Action.FAILED
        return Decision(answer=Recovered(person.person_id, run.run_no, action), events=(overdue,))
    if command.sends and _may_arm(person, run, now, policy):
        return _arming(person, run, now, policy)
    return Decision(answer=Recovered(person.person_id, run.run_no, Action.WAITED), look_again=True)


def _arming(person: Person, run: Run, now: int, policy: Policy) -> Decision[Send]:
    attempt = run.last_attempt + 1
    request = dispatch_request(person, run.run_id, run.run_no)
    return Decision(answer=Send(request, attempt), events=(_armed(run.run_no, attempt, now, policy),))


def _by_evidence(
    sightings: tuple[Sighting, ...], person: Person, run: Run, now: int, policy: Policy, salt: bytes
) -> Decision[Recovered | Send] | None:
    """Adopt an engine run with this run's tag, and believe the final status of the one that has the run."""
    if not sightings:
        return None
    known = run.claimed_by or run.dispatched_as
    adopted: tuple[PersonEvent, ...] = ()
    if person.phase is Phase.DISPATCHING:
        known = min(sightings, key=_preference).external_id
        adopted = (_confirmed(run, known, now, policy),)
    final = next((seen for seen in sightings if seen.external_id == known), None)
    if final is None or final.state is SightingState.ALIVE:
        answer = Recovered(person.person_id, run.run_no, Action.ADOPTED)
        return Decision(answer=answer, events=adopted) if adopted else None
    if final.state is SightingState.COMPLETED and final.report is not None:
        version, digest = person.reports + 1, codec.digest(salt, final.report)
        return Decision(
            answer=Recovered(person.person_id, run.run_no, Action.COMPLETED),
            events=(*adopted, RunCompleted(run.run_no, final.external_id, version, digest)),
            documents={report_name(version): final.report},
        )
    hold = HoldEnd.REFUNDED if run.claimed_by is None else HoldEnd.KEPT
    completed = final.state is SightingState.COMPLETED
    reason = FailReason.NO_OUTPUT if completed else FailReason.ENGINE_REPORTED
    return Decision(
        answer=Recovered(person.person_id, run.run_no, Action.FAILED),
        events=(*adopted, RunFailed(run.run_no, final.external_id, reason, None, hold)),
    )


def _preference(seen: Sighting) -> int:
    """Order the engine runs of one request: first one that is at work, then one with a report, then the rest."""
    if seen.state is SightingState.ALIVE:
        return 0
    reports = seen.state is SightingState.COMPLETED and seen.report is not None
    return 1 if reports else 2


def _by_deadline(
    person: Person, run: Run, lease_until: int | None, now: int, policy: Policy
) -> RunRolledBack | RunFailed | None:
    """Give up the phase whose own deadline has passed; a delivery that lost its lease waits for the next worker."""
    delivered = run.delivery > 0
    if delivered and run.delivery >= policy.max_deliveries and _passed(lease_until or 0, now):
        return RunFailed(run.run_no, None, FailReason.DELIVERIES_USED_UP, None, HoldEnd.KEPT)
    if delivered or not _passed(run.deadline, now):
        return None
    if person.phase is Phase.DISPATCHING:
        return RunRolledBack(run.run_no, RollBackReason.DISPATCH_DEADLINE)
    if person.phase is Phase.QUEUED:
        return RunFailed(run.run_no, None, FailReason.QUEUE_DEADLINE, None, HoldEnd.REFUNDED)
    return RunFailed(run.run_no, None, FailReason.RUN_DEADLINE, None, HoldEnd.KEPT)


def next_look(
    person: Person, now: int, policy: Policy, lease_until: int | None = None, *, waited: bool = False
) -> int | None:
    """Return when recovery has to look at a person next, or None if it never has to.

    A complete person is due from the moment of the report: recovery asks for those older than `stale_after`.

    Args:
        person: The person as they are now.
        now: The store's time.
        policy: The settings.
        lease_until: The lease of the run's entry in the embedded queue, if it has one.
        waited: Whether recovery has just looked and could do nothing: then it does not look again at once.
    """
    run = person.run
    if person.phase is Phase.COMPLETE:
        return person.since
    if run is None or person.status is not Status.RUNNING:
        return None
    if run.delivery > 0:
        return lease_until if run.delivery >= policy.max_deliveries else None
    if run.deadline is None:
        return None
    resend = None if waited and run.first_armed_at is None else _next_resend(person, run, now, policy)
    return min(run.deadline, resend or now + micros(policy.poll_interval))


# --- credits -----------------------------------------------------------------------------------------------------


def grant(command: GrantCredits, granted: int | None) -> Decision[Granted | GrantIdReused]:
    """Add credits once per grant_id.

    Args:
        command: The grant.
        granted: The amount that was granted under this grant_id before, if any.
    """
    if granted is not None and granted != command.amount:
        return Decision(answer=GrantIdReused(command.owner, command.grant_id, granted))
    answer = Granted(command.owner, command.grant_id, command.amount)
    fresh = () if granted is not None else (CreditsGranted(command.grant_id, command.amount),)
    return Decision(answer=answer, credits=fresh)


def revoke(
    command: RevokeCredits, account: Account, granted: int | None, *, already: bool
) -> Decision[Revoked | GrantNotFound | InsufficientCredits]:
    """Take a grant back, whole and once, and never below what is available.

    Args:
        command: The revocation.
        account: The account.
        granted: The amount that was granted under this grant_id, if any.
        already: Whether it was taken back before.
    """
    if granted is None:
        return Decision(answer=GrantNotFound(command.owner, command.grant_id))
    answer = Revoked(command.owner, command.grant_id, granted)
    if already:
        return Decision(answer=answer)
    if account.available < granted:
        return Decision(answer=InsufficientCredits(command.owner, account.available, granted))
    return Decision(answer=answer, credits=(CreditsRevoked(command.grant_id, granted),))


# --- parts of the rules ------------------------------------------------------------------------------------------


def report_name(version: int) -> str:
    """Return the name under which a report is kept."""
    return f"report:{version}"


def failure_name(run_no: int) -> str:
    """Return the name under which the free text of a failure is kept."""
    return f"failure:{run_no}"


def _passed(moment: int | None, now: int) -> bool:
    return moment is not None and moment <= now


def engine_runs(run: Run) -> tuple[str, ...]:
    """Return the engine runs that are known to have something to do with a run."""
    known = (run.claimed_by, run.dispatched_as)
    return tuple(dict.fromkeys(external_id for external_id in known if external_id is not None))


def _delivery_id(run: Run, delivery: int) -> str:
    return f"{run.run_id}:{delivery}"


def _never_executed(run: Run) -> HoldEnd:
    return HoldEnd.RELEASED if run.hold is Hold.OPEN else HoldEnd.REFUNDED


def _armed(run_no: int, attempt: int, now: int, policy: Policy) -> AttemptArmed:
    return AttemptArmed(run_no, attempt, now + micros(policy.attempt_lease))


def _confirmed(run: Run, external_id: str, now: int, policy: Policy) -> RunDispatched:
    return RunDispatched(run.run_no, external_id, now + micros(policy.queue_deadline))


def _answered(command: RecordAnswer, *, orphan: bool) -> AttemptAnswered:
    return AttemptAnswered(command.run_no, command.attempt, command.result, command.external_id, orphan, command.reason)


def _next_resend(person: Person, run: Run, now: int, policy: Policy) -> int | None:
    """Return when the next attempt may be armed, or None if there is none to wait for."""
    if person.phase is not Phase.DISPATCHING:
        return None
    if run.first_armed_at is None or run.lease_until is None:
        return now
    in_window = run.lease_until < run.first_armed_at + micros(policy.resend_window)
    left = run.last_attempt < policy.max_attempts and in_window and run.lease_until > now
    return run.lease_until if left else None


def _may_arm(person: Person, run: Run, now: int, policy: Policy) -> bool:
    if person.phase is not Phase.DISPATCHING or _passed(run.deadline, now):
        return False
    if run.first_armed_at is None or run.lease_until is None:
        return True
    in_window = now < run.first_armed_at + micros(policy.resend_window)
    return run.last_attempt < policy.max_attempts and in_window and _passed(run.lease_until, now)


def _final_answer(command: RecordAnswer, person: Person, final: StartAnswer | None) -> StartAnswer:
    """Answer a caller whose run is over already: what its receipt says."""
    if not person.exists:
        return PersonNotFound(person.person_id)
    return final or Unresolved(person.person_id, command.run_id, command.run_no)


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
