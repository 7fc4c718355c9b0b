"""What a command had to be answered and had to change: the invariants and the protocol, as checks of one step.

Floor 6, pure. It shares no guard with `decide`. `walk` asks it about every step that there is, `machine` about every
step that it takes.
"""

from collections.abc import Iterator

from attrs import evolve

from research_fsm import outcomes as o
from research_fsm.events import CallbackRefused
from research_fsm.laws.catalog import (
    CHARGED_IF_EXECUTED,
    CREDITS_FOLLOW_RUNS,
    NEVER_OVERDRAWN,
    ONE_AT_WORK,
    ONE_HOLD_PER_RUN,
    STALE_CHANGES_NOTHING,
    UNCLAIMED_IS_REFUNDED,
    WAY_OUT,
)
from research_fsm.lifecycle import Phase, Status
from research_fsm.person import Hold, Person, Run
from research_fsm.testing.lines import LINES
from research_fsm.testing.steps import Step

__all__ = ["broken"]


def broken(step: Step) -> Iterator[str]:
    """Yield what is wrong with a step, each beginning with the law's name; nothing if it is right."""
    yield from _money(step)
    yield from _way_out(step)
    yield from _refused(step)
    check = LINES.get(type(step.command))
    if check is not None:
        yield from check(step, step.command)


# --- what holds for every step -----------------------------------------------------------------------------------


def _share(run: Run | None) -> tuple[int, int]:
    """Return what a run holds and what it has spent."""
    if run is None:
        return 0, 0
    return (run.cost if run.hold is Hold.OPEN else 0), (run.cost if run.hold is Hold.CHARGED else 0)


def _money(step: Step) -> Iterator[str]:
    before, after = step.before.person.run, step.after.person.run
    old, new = step.before.account, step.after.account
    fresh = after is not None and (before is None or before.run_no != after.run_no)
    if fresh and before is not None and before.hold is Hold.OPEN:
        yield f"{ONE_HOLD_PER_RUN}: run {before.run_no} was left with an open hold"
    held, spent = _share(None if fresh else before)
    now_held, now_spent = _share(after)
    granted = (new.granted - new.revoked) - (old.granted - old.revoked)
    if new.held - old.held != now_held - held:
        yield (
            f"{CREDITS_FOLLOW_RUNS}: the account's holds went from {old.held} to {new.held}, the run's from "
            f"{held} to {now_held}"
        )
    if new.available - old.available != granted - (now_held + now_spent) + (held + spent):
        yield f"{CREDITS_FOLLOW_RUNS}: {old.available} credits became {new.available}; the run says otherwise"
    if new.available < 0 or new.held < 0:
        yield f"{NEVER_OVERDRAWN}: {new.available} credits are available, {new.held} held"
    if after is not None:
        yield from _hold_of(step.after.person, after)


def _hold_of(person: Person, run: Run) -> Iterator[str]:
    """Compare what became of a run with what became of its credits."""
    claimed = run.claimed_by is not None
    right = {
        Phase.DISPATCHING: (Hold.OPEN,),
        Phase.QUEUED: (Hold.CHARGED,),
        Phase.EXECUTING: (Hold.CHARGED,),
        Phase.COMPLETE: (Hold.CHARGED,),
        Phase.FAILED: (Hold.CHARGED,) if claimed else (Hold.RELEASED, Hold.REFUNDED),
        Phase.IDLE: (Hold.CHARGED,) if claimed else (Hold.RELEASED,),
    }
    unpaid_back = person.phase is Phase.FAILED and not claimed and run.hold is Hold.CHARGED
    if unpaid_back:
        yield f"{UNCLAIMED_IS_REFUNDED}: a run failed that nobody claimed, and it is charged"
    elif person.phase in right and run.hold not in right[person.phase]:
        yield (
            f"{CHARGED_IF_EXECUTED}: a run that is {run.hold}, claimed by {run.claimed_by}, belongs to a "
            f"person who is {person.phase}"
        )
    if person.phase is Phase.EXECUTING and not claimed:
        yield f"{ONE_AT_WORK}: a run is executed by nobody"
    if person.status is not Status.RUNNING and run.hold is Hold.OPEN:
        yield f"{ONE_HOLD_PER_RUN}: a run is over and its hold is open"


def _way_out(step: Step) -> Iterator[str]:
    person, policy, due = step.after.person, step.policy, step.after.due
    run = person.current(person.run_no)
    waits = run is not None and run.inside and (person.phase is Phase.QUEUED or run.delivery > 0)
    if waits is (step.after.entry is None):
        yield f"{WAY_OUT}: {'no' if waits else 'an'} entry in the embedded queue while {person.phase}"
    if run is None:
        return
    if run.last_attempt > policy.max_attempts or run.delivery > policy.max_deliveries:
        yield f"{WAY_OUT}: attempt {run.last_attempt}, delivery {run.delivery}: there is no end of them"
    used_up = run.delivery >= policy.max_deliveries
    if (not waits or used_up) and due is None:
        yield f"{WAY_OUT}: nobody looks at a person who is {person.phase}"
    if (not waits or run.delivery > 0) and run.deadline is None:
        yield f"{WAY_OUT}: there is no deadline while {person.phase}"
    if not waits and due is not None and run.deadline is not None and step.now < run.deadline < due:
        yield f"{WAY_OUT}: the deadline is {run.deadline}, and nobody looks before {due}"


def _refused(step: Step) -> Iterator[str]:
    """Invariant 5: a stale callback and a refusal change nothing but the note of it."""
    if not isinstance(step.answer, o.Refusal) or isinstance(step.answer, o.RolledBack):
        return
    noted = evolve(step.after, person=evolve(step.after.person, refused=step.before.person.refused))
    if noted != step.before:
        yield f"{STALE_CHANGES_NOTHING}: {type(step.answer).__name__} changed something"
    if any(event in step.before.person.refused for event in step.events):
        yield f"{STALE_CHANGES_NOTHING}: {type(step.answer).__name__} was recorded before, and is again"
    if any(not isinstance(event, CallbackRefused) for event in step.events) or len(step.events) > 1:
        yield f"{STALE_CHANGES_NOTHING}: {type(step.answer).__name__} was recorded as {step.events}"
