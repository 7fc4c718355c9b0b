"""The rules of a start and its dispatch: who may start, which attempt may be sent, what an answer proves.

Floor 3, pure. See `research_fsm.decide` for what a rule is. Nothing is concluded from an engine's silence.
"""

import hashlib

from research_fsm import lifecycle
from research_fsm.account import Account
from research_fsm.commands import ArmAttempt, RecordAnswer, StartRun
from research_fsm.decide.decision import AnswerRecorded, Decision, Send, engine_runs, passed
from research_fsm.events import (
    AttemptAnswered,
    AttemptArmed,
    AttemptResult,
    RollBackReason,
    RunDispatched,
    RunRolledBack,
    RunStarted,
)
from research_fsm.lifecycle import Phase, Trigger
from research_fsm.outcomes import (
    AlreadyRunning,
    InsufficientCredits,
    PersonNotFound,
    Queued,
    RolledBack,
    StartAnswer,
    Unresolved,
)
from research_fsm.person import Person, Run
from research_fsm.policy import Policy, micros
from research_fsm.requests import DispatchRequest

__all__ = ["arm", "arming", "confirmed", "dispatch_request", "may_arm", "record_answer", "settlement", "start"]


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
    if run is not None and may_arm(person, run, now, policy):
        return arming(person, run, now, policy)
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
        proof = (_answered(command, orphan=False), confirmed(run, external_id, now, policy))
        return Decision(answer=AnswerRecorded(queued), events=proof)
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


def arming(person: Person, run: Run, now: int, policy: Policy) -> Decision[Send]:
    """Arm the next attempt: its number is new, its request is the same as ever."""
    attempt = run.last_attempt + 1
    request = dispatch_request(person, run.run_id, run.run_no)
    return Decision(answer=Send(request, attempt), events=(_armed(run.run_no, attempt, now, policy),))


def may_arm(person: Person, run: Run, now: int, policy: Policy) -> bool:
    """Tell whether an attempt may be sent now: nobody else's lease runs, and window, budget and deadline allow it."""
    if person.phase is not Phase.DISPATCHING or passed(run.deadline, now):
        return False
    if run.first_armed_at is None or run.lease_until is None:
        return True
    in_window = now < run.first_armed_at + micros(policy.resend_window)
    return run.last_attempt < policy.max_attempts and in_window and passed(run.lease_until, now)


def confirmed(run: Run, external_id: str, now: int, policy: Policy) -> RunDispatched:
    """Return the fact that the engine has the run, with the deadline of the phase that begins."""
    return RunDispatched(run.run_no, external_id, now + micros(policy.queue_deadline))


def _armed(run_no: int, attempt: int, now: int, policy: Policy) -> AttemptArmed:
    return AttemptArmed(run_no, attempt, now + micros(policy.attempt_lease))


def _answered(command: RecordAnswer, *, orphan: bool) -> AttemptAnswered:
    return AttemptAnswered(command.run_no, command.attempt, command.result, command.external_id, orphan, command.reason)


def _final_answer(command: RecordAnswer, person: Person, final: StartAnswer | None) -> StartAnswer:
    """Answer a caller whose run is over already: what its receipt says."""
    if not person.exists:
        return PersonNotFound(person.person_id)
    return final or Unresolved(person.person_id, command.run_id, command.run_no)
