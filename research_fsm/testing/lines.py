"""The protocol's table a second time, line by line, as checks of one step.

Floor 6, pure; a part of `oracle`. It shares no guard with `decide`: each check is written from a line of
``docs/explanation/protocol.md``, and names the invariant that the line is there for.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from attrs import evolve

from research_fsm import commands as c
from research_fsm import outcomes as o
from research_fsm.decide import AnswerRecorded, Send
from research_fsm.events import AttemptResult, CallbackKind, StaleReason
from research_fsm.laws import Law
from research_fsm.laws.catalog import (
    CHARGED_IF_EXECUTED,
    COMPLETE_NEEDS_WORK,
    CONFIRMED_BY_ITS_OWN,
    FIRST_CLAIM_COUNTS,
    LEASE_HOLDER_IS_HEARD,
    LINE_BY_LINE,
    NEVER_OVERDRAWN,
    ONE_AT_WORK,
    ONE_HOLD_PER_RUN,
    ONE_OPEN_RUN,
    ONLY_THE_CLAIMER_ENDS,
    ORPHANS_END_NOTHING,
    REFUSAL_IS_PROOF,
    REPEATED_IS_THE_SAME,
    STALE_CHANGES_NOTHING,
    WAY_OUT,
)
from research_fsm.lifecycle import Phase
from research_fsm.person import Hold, Outcome, Person, Run
from research_fsm.policy import micros
from research_fsm.testing.steps import Step

__all__ = ["LINES"]


def _answered(step: Step, law: Law, wanted: type[Any], *, when: str = "") -> Iterator[str]:
    if not isinstance(step.answer, wanted):
        phase = step.before.person.phase
        got = type(step.answer).__name__
        yield f"{law}: {type(step.command).__name__} while {phase}{when} was answered {got}, not {wanted.__name__}"


def _phase(step: Step, law: Law, phase: Phase) -> Iterator[str]:
    if step.after.person.phase is not phase:
        command = type(step.command).__name__
        yield f"{law}: {command} led from {step.before.person.phase} to {step.after.person.phase}, not {phase}"


def _run_unchanged(step: Step, law: Law, **but: Any) -> Iterator[str]:  # noqa: ANN401  # By field.
    run = step.before.person.run
    expected = run if run is None else evolve(run, **but)
    if step.after.person.run != expected or step.after.person.phase is not step.before.person.phase:
        yield f"{law}: {type(step.command).__name__} made the run {step.after.person.run}, not {expected}"


def _over(moment: int | None, now: int) -> bool:
    return moment is not None and moment <= now


def _seen(person: Person, owner: str | None) -> bool:
    return person.phase not in (Phase.NONE, Phase.ERASED) and owner in (None, person.owner)


# --- one line of the protocol after the other --------------------------------------------------------------------


def _start(step: Step, command: c.StartRun) -> Iterator[str]:
    person, account = step.before.person, step.before.account
    if not _seen(person, command.owner):
        yield from _answered(step, LINE_BY_LINE, o.PersonNotFound)
    elif person.phase not in (Phase.IDLE, Phase.FAILED):
        yield from _answered(step, ONE_OPEN_RUN, o.AlreadyRunning)
    elif account.available < step.policy.cost:
        yield from _answered(step, NEVER_OVERDRAWN, o.InsufficientCredits)
    else:
        wanted = o.Queued if command.inside else o.Unresolved if command.joined else Send
        yield from _answered(step, LINE_BY_LINE, wanted)
        run = step.after.person.run
        if run is None or (run.run_id, run.run_no) != (command.run_id, person.run_no + 1):
            yield f"{REFUSAL_IS_PROOF}: {run} follows run {person.run_no}"
        elif run.claimed_by is not None or run.dispatched_as is not None or run.delivery:
            yield f"{FIRST_CLAIM_COUNTS}: the new run begins as {run}"
        elif set(run.open_attempts) != ({1} if wanted is Send else set()):
            yield f"{LINE_BY_LINE}: the attempts {run.open_attempts} are armed"


def _may_arm(step: Step, person: Person, run: Run | None) -> bool:
    if run is None or person.phase is not Phase.DISPATCHING or _over(run.deadline, step.now):
        return False
    if run.first_armed_at is None:
        return True
    in_window = step.now < run.first_armed_at + micros(step.policy.resend_window)
    return _over(run.lease_until, step.now) and in_window and run.last_attempt < step.policy.max_attempts


def _armed(step: Step, law: Law) -> Iterator[str]:
    """Check an attempt that was armed: a new number, a lease, and the deadline as it was."""
    run = step.before.person.run
    if run is None:
        yield f"{law}: an attempt of no run was armed"
        return
    attempt = run.last_attempt + 1
    first = step.now if run.first_armed_at is None else run.first_armed_at
    lease = step.now + micros(step.policy.attempt_lease)
    yield from _run_unchanged(
        step,
        law,
        open_attempts=(*run.open_attempts, attempt),
        last_attempt=attempt,
        first_armed_at=first,
        lease_until=lease,
    )
    if not isinstance(step.answer, Send) or step.answer.attempt != attempt:
        yield f"{law}: the attempt {attempt} is armed, but {step.answer} is to be sent"


def _arm(step: Step, command: c.ArmAttempt) -> Iterator[str]:
    person = step.before.person
    run = person.current(person.run_no, command.run_id)
    if isinstance(step.answer, Send) is not _may_arm(step, person, run):
        yield f"{REFUSAL_IS_PROOF}: an attempt of {run} was answered {step.answer}"
    elif isinstance(step.answer, Send):
        yield from _armed(step, REFUSAL_IS_PROOF)
    else:
        yield from _run_unchanged(step, REFUSAL_IS_PROOF)


def _record(step: Step, command: c.RecordAnswer) -> Iterator[str]:
    person = step.before.person
    run = person.current(command.run_no, command.run_id)
    accepted = command.external_id if command.result is AttemptResult.ACCEPTED else None
    orphan = None
    if run is None:
        yield from _run_unchanged(step, CONFIRMED_BY_ITS_OWN)
        orphan = accepted
    elif accepted is not None and person.phase is Phase.DISPATCHING:
        yield from _phase(step, CONFIRMED_BY_ITS_OWN, Phase.QUEUED)
        after = step.after.person.run
        deadline = step.now + micros(step.policy.queue_deadline)
        if after is None or (after.dispatched_as, after.deadline) != (accepted, deadline):
            yield f"{CONFIRMED_BY_ITS_OWN}: {accepted} was confirmed as {after}"
    else:
        rest = tuple(number for number in run.open_attempts if number != command.attempt)
        last = person.phase is Phase.DISPATCHING and accepted is None and run.open_attempts and not rest
        if command.result is AttemptResult.AMBIGUOUS:
            yield from _run_unchanged(step, REFUSAL_IS_PROOF)
        elif last:
            yield from _phase(step, REFUSAL_IS_PROOF, Phase.IDLE)
        else:
            yield from _run_unchanged(step, REFUSAL_IS_PROOF, open_attempts=rest)
        orphan = accepted if accepted not in (run.dispatched_as, run.claimed_by) else None
    if not isinstance(step.answer, AnswerRecorded) or step.answer.orphan != orphan:
        yield f"{ORPHANS_END_NOTHING}: {step.answer} of an orphan that is {orphan}"


def _claim(step: Step, command: c.ClaimRun) -> Iterator[str]:
    run = step.before.person.current(command.run_no, command.run_id)
    if run is None:
        yield from _answered(step, STALE_CHANGES_NOTHING, o.StaleRun)
    elif run.claimed_by is None:
        yield from _answered(step, FIRST_CLAIM_COUNTS, o.Claimed)
        yield from _phase(step, FIRST_CLAIM_COUNTS, Phase.EXECUTING)
        after = step.after.person.run
        deadline = step.now + micros(step.policy.run_deadline)
        if after is None or (after.claimed_by, after.deadline) != (command.external_id, deadline):
            yield f"{ONE_AT_WORK}: {command.external_id} claimed {after}"
    elif run.claimed_by == command.external_id:
        yield from _answered(step, LEASE_HOLDER_IS_HEARD, o.Claimed)
        yield from _run_unchanged(step, REPEATED_IS_THE_SAME)
    else:
        yield from _answered(step, ONE_AT_WORK, o.StaleRun, when=f" by {run.claimed_by}")


def _report(step: Step, command: c.CompleteRun | c.FailRun) -> Iterator[str]:
    person = step.before.person
    kind = CallbackKind.COMPLETE if isinstance(command, c.CompleteRun) else CallbackKind.FAIL
    wanted = o.Completed if kind is CallbackKind.COMPLETE else o.Failed
    run, last = person.current(command.run_no, command.run_id), person.outcome
    content = command.report if isinstance(command, c.CompleteRun) else command.detail
    digest = None if content is None else hashlib.sha256(step.salt + content).hexdigest()
    if _seen(person, None) and last == Outcome(command.run_no, kind, command.external_id, digest):
        yield from _answered(step, REPEATED_IS_THE_SAME, wanted)
        if step.after != step.before or step.events:
            yield f"{REPEATED_IS_THE_SAME}: a repeated callback changed something"
    elif run is not None and run.claimed_by in (None, command.external_id):
        yield from _answered(step, ONLY_THE_CLAIMER_ENDS, wanted)
        yield from _phase(
            step, ONLY_THE_CLAIMER_ENDS, Phase.COMPLETE if kind is CallbackKind.COMPLETE else Phase.FAILED
        )
    else:
        yield from _answered(
            step, ONLY_THE_CLAIMER_ENDS, o.StaleRun, when="" if run is None else f" by {run.claimed_by}"
        )


def _take(step: Step, command: c.TakeEntry) -> Iterator[str]:
    person, entry = step.before.person, step.before.entry
    run = person.current(person.run_no)
    if command.run_id is not None and entry is not None and entry.run_id != command.run_id:
        entry = None
    if entry is None or not (entry.lease_until is None or entry.lease_until <= step.now):
        yield from _answered(step, ONE_AT_WORK, o.QueueEmpty)
        yield from _run_unchanged(step, ONE_AT_WORK)
    elif run is not None and run.delivery >= step.policy.max_deliveries:
        yield from _answered(step, WAY_OUT, o.GivenUp)
        yield from _phase(step, WAY_OUT, Phase.FAILED)
    elif run is not None:
        yield from _answered(step, FIRST_CLAIM_COUNTS, o.Claimed)
        yield from _phase(step, FIRST_CLAIM_COUNTS, Phase.EXECUTING)
        after, kept = step.after.person.run, step.after.entry
        delivery = run.delivery + 1
        deadline = step.now + micros(step.policy.run_deadline)
        wanted = (f"{run.run_id}:{delivery}", delivery, deadline)
        if after is None or (after.claimed_by, after.delivery, after.deadline) != wanted:
            yield f"{ONE_AT_WORK}: delivery {delivery} is {after}"
        if kept is None or kept.lease_until != step.now + micros(step.policy.worker_lease):
            yield f"{ONE_AT_WORK}: delivery {delivery} has the lease {kept}"


def _renew(step: Step, command: c.RenewLease) -> Iterator[str]:
    entry = step.before.entry
    run = step.before.person.current(command.run_no, command.run_id)
    holds = run is not None and run.claimed_by == command.external_id
    alive = entry is not None and entry.lease_until is not None and step.now < entry.lease_until
    if holds and alive and run is not None and not _over(run.deadline, step.now):
        yield from _answered(step, LEASE_HOLDER_IS_HEARD, o.Renewed)
        kept = step.after.entry
        if kept is None or kept.lease_until != step.now + micros(step.policy.worker_lease) or step.events:
            yield f"{LEASE_HOLDER_IS_HEARD}: the renewed lease is {kept}"
    else:
        yield from _answered(step, WAY_OUT, o.StaleRun)


def _recover(step: Step, command: c.RecoverRun) -> Iterator[str]:
    person, entry = step.before.person, step.before.entry
    run = person.current(command.run_no, command.run_id)
    if run is None:
        yield from _run_unchanged(step, ONE_HOLD_PER_RUN)
        return
    alive = [seen for seen in command.sightings if seen.state is c.SightingState.ALIVE]
    reported = [seen for seen in command.sightings if _has_report(seen)]
    adopts = person.phase is Phase.DISPATCHING and bool(command.sightings)
    known = [*alive, *reported, *command.sightings][0].external_id if adopts else run.claimed_by
    known = known or run.dispatched_as
    final = next((seen for seen in command.sightings if seen.external_id == known), None)
    if final is not None and final.state is not c.SightingState.ALIVE:
        yield from _phase(step, COMPLETE_NEEDS_WORK, Phase.COMPLETE if _has_report(final) else Phase.FAILED)
    elif adopts:
        yield from _phase(step, CONFIRMED_BY_ITS_OWN, Phase.QUEUED)
    elif run.delivery > 0:
        lease_over = entry is None or _over(entry.lease_until or 0, step.now)
        gone = lease_over and run.delivery >= step.policy.max_deliveries
        yield from _phase(step, ONE_AT_WORK, Phase.FAILED if gone else person.phase)
    elif _over(run.deadline, step.now):
        yield from _phase(step, WAY_OUT, Phase.IDLE if person.phase is Phase.DISPATCHING else Phase.FAILED)
    elif command.sends and _may_arm(step, person, run):
        yield from _armed(step, REFUSAL_IS_PROOF)
    else:
        yield from _run_unchanged(step, ORPHANS_END_NOTHING if command.sightings else REFUSAL_IS_PROOF)


def _has_report(seen: c.Sighting) -> bool:
    return seen.state is c.SightingState.COMPLETED and seen.report is not None


def _mark_stale(step: Step, command: c.MarkStale) -> Iterator[str]:
    person, policy = step.before.person, step.policy
    aged = policy.stale_after is not None and step.now >= person.since + micros(policy.stale_after)
    if not _seen(person, command.owner):
        yield from _answered(step, LINE_BY_LINE, o.PersonNotFound)
    elif person.phase is Phase.COMPLETE and (aged or command.reason is not StaleReason.AGE):
        yield from _answered(step, LINE_BY_LINE, o.MarkedStale)
        yield from _phase(step, LINE_BY_LINE, Phase.IDLE)
        if (step.after.person.run, step.after.person.reports) != (person.run, person.reports):
            yield f"{LINE_BY_LINE}: the run or the report changed"
    else:
        yield from _answered(step, LINE_BY_LINE, o.NotComplete)


def _erase(step: Step, command: c.ErasePerson) -> Iterator[str]:
    person = step.before.person
    if not _seen(person, command.owner):
        yield from _answered(step, LINE_BY_LINE, o.PersonNotFound)
        return
    yield from _answered(step, LINE_BY_LINE, o.Erased)
    yield from _phase(step, LINE_BY_LINE, Phase.ERASED)
    run, after = person.run, step.after.person.run
    if (
        run is not None
        and after is not None
        and after.hold is not (Hold.RELEASED if run.hold is Hold.OPEN else run.hold)
    ):
        yield f"{CHARGED_IF_EXECUTED}: the erasure left a hold that was {run.hold} as {after.hold}"


LINES: Mapping[type[Any], Callable[[Step, Any], Iterator[str]]] = MappingProxyType(
    {
        c.ArmAttempt: _arm,
        c.ClaimRun: _claim,
        c.CompleteRun: _report,
        c.ErasePerson: _erase,
        c.FailRun: _report,
        c.MarkStale: _mark_stale,
        c.RecordAnswer: _record,
        c.RecoverRun: _recover,
        c.RenewLease: _renew,
        c.StartRun: _start,
        c.TakeEntry: _take,
    }
)
"""The check of each command's line."""
