"""An explanation says what is so, why, and what comes next; and what it foretells is what then happens."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from attrs import evolve

from research_fsm import Policy
from research_fsm.as_of import AtMoment, AtPosition, AtVersion
from research_fsm.errors import InvalidInput
from research_fsm.events import AttemptResult
from research_fsm.explain import Explanation, explain
from research_fsm.lifecycle import Phase, Status
from research_fsm.outcomes import Action, AlreadyRunning, InsufficientCredits, PersonNotFound, Queued
from research_fsm.rfc3339 import parse_time
from tests.explain.worlds import START, Engine, World


def _explained(world: World, person_id: str, *points: AtMoment | AtPosition | AtVersion) -> Explanation:
    found = explain(world.store, person_id, *points, policy=world.policy)
    assert isinstance(found, Explanation)
    return found


def test_an_idle_person_would_be_started() -> None:
    """Status, since, the event and who asked for it; a start would be accepted; recovery has nothing to do."""
    world = World()
    ada = world.person(having=3)
    found = _explained(world, ada)
    assert found.sentences == (
        f"At 2026-01-01 00:00:00.000Z, person {ada} of acme is idle, since 2026-01-01 00:00:00.000Z.",
        "Because: added by acme (user) (PersonAdded, version 1, position 2; by ui).",
        "A start would be accepted as run 1: 3 credits are available, 1 required.",
        "Recovery has nothing to do here: no run is open, the person is idle.",
    )
    assert found.start.answer == Queued(ada, "00000000-0000-0000-0000-000000000000", 1)


def test_without_credits_a_start_would_be_refused_with_the_numbers() -> None:
    """The refusal is the one that a start is answered with."""
    world = World()
    ada = world.person(having=0)
    start = _explained(world, ada).start
    assert start.answer == InsufficientCredits("acme", 0, 1) == world.runs.start(ada)
    assert str(start) == ("A start would be refused for want of credits: acme has 0 credits available, 1 is required.")


def test_a_run_in_the_way_is_named_with_its_deadline() -> None:
    """Which run, since when, where it is, what became of its credits; and what recovery does at the deadline."""
    world = World(engine=Engine())
    ada = world.person()
    world.runs.start(ada, actor="ui").accepted()
    found = _explained(world, ada)
    assert (found.status, found.phase) == (Status.RUNNING, Phase.QUEUED)
    assert found.because.type == "RunStarted"
    assert found.latest.type == "RunDispatched"
    assert found.latest.actor is None
    holder = found.start.holder
    assert holder is not None
    assert str(found.start) == (
        f"A start would be refused as already running: run 1 ({holder.run_id}) has the person since "
        "2026-01-01 00:00:00.000Z; it is queued; its deadline is 2026-01-01 00:10:00.000Z; its 1 credit is charged."
    )
    assert str(found.recovery) == (
        "Recovery looks next at 2026-01-01 00:00:30.000Z: it asks the engine, and without news it waits. "
        "If nothing else happens, at 2026-01-01 00:10:00.000Z: "
        "failed (queue deadline); the credits are refunded."
    )


def test_a_complete_person_waits_to_be_marked_stale() -> None:
    """By hand, or by recovery if the policy has an age for it."""
    world = World()
    ada = world.person(having=2)
    world.completed(ada)
    found = _explained(world, ada)
    assert isinstance(found.start.answer, AlreadyRunning)
    assert "until the report is marked stale" in str(found.start)
    assert found.recovery.next is None
    aged = evolve(world.policy, stale_after=Policy().run_deadline)
    again = explain(world.store, ada, policy=aged)
    assert isinstance(again, Explanation)
    assert again.recovery.next is not None
    assert again.recovery.next.action is Action.MARKED_STALE
    assert str(again.recovery) == (
        "Recovery looks next at 2026-01-01 00:10:00.000Z: the report was marked stale (age); the person is idle."
    )


@pytest.mark.parametrize("result", [AttemptResult.AMBIGUOUS, AttemptResult.ACCEPTED])
def test_what_is_foretold_of_recovery_is_what_it_does(result: AttemptResult) -> None:
    """Followed from look to look until the person is free: each time, and each action, as it was said before."""
    world = World(engine=Engine(result))
    ada = world.person()
    world.runs.start(ada)
    actions = []
    foretold = _explained(world, ada).recovery
    last = foretold.finally_
    while _explained(world, ada).status is Status.RUNNING:
        recovery = _explained(world, ada).recovery
        assert recovery.next is not None
        assert not recovery.overdue
        world.now = recovery.next.at - 1
        assert world.runs.recover().recovered == ()
        world.now = recovery.next.at
        assert _explained(world, ada).recovery.overdue
        done = world.runs.recover().recovered
        assert [one.action for one in done] == [recovery.next.action]
        actions.append(recovery.next.action)
    assert last is not None
    assert (actions[-1], world.now) == (last.action, last.at)
    assert (Action.RESENT in actions) == (result is AttemptResult.AMBIGUOUS)


def test_what_is_foretold_of_a_start_is_what_it_is_answered() -> None:
    """In every status that a person can have."""
    world = World()
    ada = world.person(having=1)
    steps: tuple[Callable[[], object], ...] = (
        world.taken,
        lambda: world.runs.complete(*_claimed(world, ada), "found"),
        lambda: world.runs.mark_stale(ada),
        lambda: world.runs.erase(ada),
    )
    accepted = _explained(world, ada).start.answer
    started = world.runs.start(ada)
    assert isinstance(accepted, Queued)
    assert isinstance(started, Queued)
    assert accepted.run_no == started.run_no
    refused = set()
    for step in steps:
        foretold = _explained(world, ada).start.answer
        assert world.runs.start(ada) == foretold
        refused.add(type(foretold))
        step()
    assert world.runs.start(ada) == _explained(world, ada).start.answer == PersonNotFound(ada)
    assert refused == {AlreadyRunning, InsufficientCredits}


def _claimed(world: World, person_id: str) -> tuple[str, int, str]:
    holder = _explained(world, person_id).start.holder
    assert holder is not None
    assert holder.claimed_by is not None
    return holder.run_id, holder.run_no, holder.claimed_by


def test_the_past_is_explained_as_it_was() -> None:
    """At a moment, what was so then, in the past tense, whatever has happened since."""
    world = World()
    ada = world.person(having=1)
    idle = _explained(world, ada)
    world.later(minutes=1)
    world.completed(ada)
    world.later(minutes=1)
    world.runs.erase(ada, actor="dpo")
    then = _explained(world, ada, AtMoment(START))
    assert then.past
    assert (then.status, then.because, then.start.balance) == (idle.status, idle.because, 1)
    assert then.sentences[2] == "A start would have been accepted as run 1: 1 credit is available, 1 required."
    now = _explained(world, ada)
    assert (now.status, now.because.actor) == (Status.ERASED, "dpo")
    assert now.start.answer == PersonNotFound(ada)
    assert "no such person" in str(now.start)


def test_a_version_in_the_middle_of_a_transaction_has_the_credits_of_its_end() -> None:
    """The person's events come first in the log; what they mean for the account was committed with them."""
    world = World()
    ada = world.person(having=1)
    world.runs.start(ada)
    assert _explained(world, ada, AtVersion(1)).start.balance == 1
    started = _explained(world, ada, AtVersion(2)).start
    assert started.balance == 0
    position = next(event.position for event in world.store.events() if event.type == "RunStarted")
    assert _explained(world, ada, AtPosition(position)).start.balance == 0


def test_a_worker_and_its_lease_are_named() -> None:
    """What recovery has nothing to do with, somebody else has: the queue, or a worker with a lease."""
    world = World()
    ada = world.person()
    world.runs.start(ada)
    assert "waits in the embedded queue for a worker" in str(_explained(world, ada).recovery)
    world.runs.take(actor="worker")
    found = _explained(world, ada)
    assert str(found.recovery) == (
        "Recovery has nothing to do here: delivery 1 is with a worker, and another takes over when its lease ends, "
        "which runs until 2026-01-01 00:00:10.000Z."
    )
    assert f"{_claimed(world, ada)[2]} is working on it" in str(found.start)


def test_an_attempt_that_nobody_answered_is_named() -> None:
    """The reason why the person is neither queued nor free."""
    world = World(engine=Engine(AttemptResult.AMBIGUOUS))
    ada = world.person()
    world.runs.start(ada)
    assert "nobody knows whether attempt 1 has reached the engine" in str(_explained(world, ada).start)


def test_failures_in_a_row_are_for_a_human() -> None:
    """From the second on, the explanation says so."""
    world = World()
    ada = world.person(having=2)
    for _ in range(2):
        world.runs.start(ada)
        taken = world.taken()
        world.runs.fail(taken.run_id, taken.run_no, taken.external_id)
    assert "The last 2 runs failed: this is for a human." in _explained(world, ada).sentences


def test_explaining_changes_nothing_and_asks_nobody() -> None:
    """The engine hears nothing, and the log is as long as before."""
    engine = Engine()
    world = World(engine=engine)
    ada = world.person()
    world.runs.start(ada)
    before, asked = list(world.store.events()), engine.asked
    world.later(hours=1)
    _explained(world, ada)
    _explained(world, ada, AtVersion(2))
    assert list(world.store.events()) == before
    assert engine.asked == asked


def test_who_was_not_there_yet_is_not_found() -> None:
    """Never added, or added later."""
    world = World()
    ada = world.person()
    nobody = str(uuid4())
    assert explain(world.store, nobody) == PersonNotFound(nobody)
    assert explain(world.store, ada, AtMoment(START - 1)) == PersonNotFound(ada)


def test_the_future_is_not_explained() -> None:
    """A moment that has not come is refused."""
    world = World()
    ada = world.person()
    with pytest.raises(InvalidInput, match="future"):
        explain(world.store, ada, AtMoment(parse_time("2036-01-01T00:00:00Z")))


@pytest.mark.parametrize("point", [AtVersion(2), AtPosition(3)])
def test_a_place_behind_the_end_is_not_explained(point: AtVersion | AtPosition) -> None:
    """A mistyped number is not answered with the present."""
    world = World()
    ada = world.person()
    with pytest.raises(InvalidInput, match="before"):
        explain(world.store, ada, point)


def test_what_recovery_was_to_do_is_told_of_the_past() -> None:
    """When it was to look next, or that it was late, as the settings have it."""
    world = World(engine=Engine(AttemptResult.AMBIGUOUS))
    ada = world.person()
    world.runs.start(ada)
    world.later(hours=1)
    then = str(_explained(world, ada, AtMoment(START)).recovery)
    assert then == (
        "Recovery was to look next at 2026-01-01 00:00:30.000Z: it asks the engine, and without news "
        "the dispatch request is sent again. If nothing else happens, at 2026-01-01 00:10:00.000Z: "
        "rolled back (dispatch deadline); the person is idle."
    )
    late = _explained(world, ada, AtMoment(world.now)).recovery
    assert late.overdue
    assert str(late).startswith("Recovery was due to look: it asks the engine, and without news rolled back")
