"""The rules of recovery: the one thing that is due, and when to look next.

Floor 3, pure. See `research_fsm.decide` for what a rule is. It asks no engine: what was seen comes in with the command.
"""

from research_fsm import codec
from research_fsm.commands import RecoverRun, Sighting, SightingState
from research_fsm.decide.decision import Decision, Send, passed, report_name
from research_fsm.decide.starts import arming, confirmed, may_arm
from research_fsm.events import FailReason, HoldEnd, PersonEvent, RollBackReason, RunCompleted, RunFailed, RunRolledBack
from research_fsm.lifecycle import Phase, Status
from research_fsm.outcomes import Action, Recovered
from research_fsm.person import Person, Run
from research_fsm.policy import Policy, micros

__all__ = ["next_look", "recover"]


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
    if command.sends and may_arm(person, run, now, policy):
        return arming(person, run, now, policy)
    return Decision(answer=Recovered(person.person_id, run.run_no, Action.WAITED), look_again=True)


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
        adopted = (confirmed(run, known, now, policy),)
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
    if delivered and run.delivery >= policy.max_deliveries and passed(lease_until or 0, now):
        return RunFailed(run.run_no, None, FailReason.DELIVERIES_USED_UP, None, HoldEnd.KEPT)
    if delivered or not passed(run.deadline, now):
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


def _next_resend(person: Person, run: Run, now: int, policy: Policy) -> int | None:
    """Return when the next attempt may be armed, or None if there is none to wait for."""
    if person.phase is not Phase.DISPATCHING:
        return None
    if run.first_armed_at is None or run.lease_until is None:
        return now
    in_window = run.lease_until < run.first_armed_at + micros(policy.resend_window)
    left = run.last_attempt < policy.max_attempts and in_window and run.lease_until > now
    return run.lease_until if left else None
