"""Every reachable state of a person, with every command, at every moment: an exhaustive, deterministic proof.

Floor 6. Needs no test framework and no randomness. The real transactions are applied to what a store would have shown
them, and the `oracle` is asked about every step. Time runs in single microseconds against a policy whose leases and
deadlines are a few microseconds long, so that "just before", "at" and "after" are all met.

The space is finite because states that no rule can tell apart are one: times count from now and end where they are
over, runs are numbered from the one before the latest, and what only people read (when somebody was added, which
callbacks were refused) is left out. Request keys and receipts are not walked: `machine` and `interleave` meet them.
"""

from collections import deque
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from attrs import frozen

from research_fsm import commands as c
from research_fsm import laws
from research_fsm import person as people
from research_fsm.laws.catalog import HEADS_ARE_FOLDS, WAY_OUT
from research_fsm.policy import Policy
from research_fsm.testing.oracle import broken
from research_fsm.testing.steps import Broken, Command, Step
from research_fsm.testing.walk_commands import commands
from research_fsm.testing.walk_states import (
    State,
    a_moment_later,
    canonical,
    entry_id,
    run_id_of,
    state_of,
    taken,
    waits_for_a_worker,
)

__all__ = ["SHORT", "Walked", "walk"]


_LONGEST_WAY = 1_000


def _ticks(number: int) -> timedelta:
    return timedelta(microseconds=number)


SHORT = Policy(
    dispatch_deadline=_ticks(4),
    queue_deadline=_ticks(1),
    run_deadline=_ticks(3),
    attempt_lease=_ticks(1),
    resend_window=_ticks(3),
    max_attempts=2,
    worker_lease=_ticks(2),
    renew_every=_ticks(1),
    max_deliveries=2,
    poll_interval=_ticks(1),
    stale_after=_ticks(1),
)
"""A policy of a few microseconds, in which everything that can be over is soon over."""


@frozen
class Walked:
    """How much was walked: a test pins it, so that nobody makes the search smaller without noticing."""

    states: int
    steps: int


def walk(
    policy: Policy = SHORT,
    *,
    most_credits: int = 1,
    outcomes: bool = False,
    check: Callable[[Step], Iterator[str]] = broken,
    found: Callable[[list[str]], object] | None = None,
) -> Walked:
    """Walk every step that there is.

    Args:
        policy: The settings; every one of them should be a few microseconds or a small number.
        most_credits: Credits are granted up to here; 1 is enough for "enough" and "not enough".
        outcomes: Whether to tell people apart by how an earlier run of theirs ended: ten times the states.
        check: What to ask about each step.
        found: Is told what is wrong with each step, and the walk goes on beside it; if nobody is told, it is raised.

    Raises:
        Broken: A step broke a law; the shortest path to it is told.
    """
    start = State(people.nobody(run_id_of(900)), 0, 0, None, queued=False)
    seen, waiting, steps = {start}, deque([start]), 0
    while waiting:
        state = waiting.popleft()
        passed = canonical(a_moment_later(state), policy, outcomes=outcomes)
        following = [passed]
        for command in commands(state, most_credits):
            step = taken(state, command, policy)
            steps += 1
            words = [*check(step), *_laws(step)]
            if words:
                if found is None:
                    raise Broken(step, words, _commands_of((command, state.path)))
                found(words)
                continue
            following.append(canonical(state_of(step, (command, state.path)), policy, outcomes=outcomes))
        for reached in following:
            if reached not in seen:
                seen.add(reached)
                waiting.append(reached)
    _check_all_come_to_rest(seen, policy, outcomes=outcomes)
    return Walked(len(seen), steps)


def _commands_of(path: Any) -> list[Command | None]:  # noqa: ANN401  # A linked list.
    commands: list[Command | None] = []
    while path is not None:
        command, path = path
        commands.append(command)
    return commands[::-1]


def _laws(step: Step) -> Iterator[str]:
    """Ask the laws of the audit about each event of a step."""
    before = step.before.person
    for event in step.events:
        after = people.evolve(before, event, step.now)
        for law in laws.PERSON_LAWS:
            words = law(before, event, after)
            if words is not None:
                yield f"{law.__name__}: {words}"
        before = after
    if before != step.after.person:
        yield f"{HEADS_ARE_FOLDS}: the events fold to {before}, the head says {step.after.person}"


# --- invariant 6 -------------------------------------------------------------------------------------------------


def _check_all_come_to_rest(states: set[State], policy: Policy, *, outcomes: bool) -> None:
    """Let time pass and recovery look, with an engine that says nothing: nobody may stay running."""
    at_rest: set[State] = set()
    for state in states:
        way: list[State] = []
        while state not in at_rest and not _rests(state, policy):
            if len(way) > _LONGEST_WAY:
                raise AssertionError(f"{WAY_OUT}: recovery never leads out of {way[0]}")
            way.append(state)
            looked = taken(a_moment_later(state), _look(state), policy)
            state = canonical(state_of(looked, None), policy, outcomes=outcomes)  # noqa: PLW2901  # The way goes on.
        at_rest.update(way)


def _rests(state: State, policy: Policy) -> bool:
    """Tell whether nobody has to look: not running, or with the embedded queue's workers."""
    run = state.person.current(state.person.run_no)
    return run is None or waits_for_a_worker(state.person, run, policy)


def _look(state: State) -> Command:
    person = state.person
    return c.RecoverRun(person_id=person.person_id, run_id=entry_id(person), run_no=person.run_no)
