"""How a simulated world comes to rest: every fault stops, everybody is up, and nobody may stay running.

Floor 6. A part of `simulate`. The recovery passes are those of `research_fsm.Runs`; the tasks of the
engine and the workers of the embedded queue do their work, or, in a silent world, say nothing any more.
"""

from datetime import timedelta

from research_fsm import Runs, audit
from research_fsm.commands import Sighting
from research_fsm.events import AttemptResult
from research_fsm.laws.catalog import WAY_OUT
from research_fsm.lifecycle import RUNNING
from research_fsm.outcomes import Claimed, GivenUp
from research_fsm.requests import AttemptOutcome, DispatchRequest
from research_fsm.testing.engine_words import Status
from research_fsm.testing.simulate import surroundings
from research_fsm.testing.simulate.readers import shown
from research_fsm.testing.simulate.words import Fate
from research_fsm.testing.simulate.world import World

__all__ = ["come_to_rest"]

_MOST_PASSES = 60
_MOST_STEPS = 500
_PAUSE = timedelta(seconds=7)
_RUNNING = frozenset(map(str, RUNNING))


class _Engine:
    """The engine of a world, as a dispatcher: everything goes well, or nothing is heard of it.

    Args:
        world: Whose engine it is.
        silent: Whether nothing is heard of it.
    """

    def __init__(self, world: World, *, silent: bool) -> None:
        self._world, self._silent = world, silent

    def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Send a request."""
        if self._silent:
            return AttemptOutcome(result=AttemptResult.AMBIGUOUS, reason="silent")
        outcome = self._world.network.send("rest", request, Fate.DONE)
        self._world.network.answered(request.run_id)
        return outcome

    def look(self, request: DispatchRequest, external_ids: tuple[str, ...]) -> tuple[Sighting, ...]:
        """Ask what the engine has."""
        return () if self._silent else self._world.network.look(request, external_ids, Fate.DONE)

    def cancel(self, external_id: str) -> None:
        """Ask the engine to stop a run."""
        self._world.network.cancel(external_id)


def come_to_rest(world: World, *, silent: bool) -> None:
    """Let everybody finish, let time pass and recovery look, and hold the end against the laws.

    Args:
        world: The world; it is over afterwards.
        silent: Whether the engine says nothing any more, so that only deadlines lead out.

    Raises:
        Broken: Somebody stays running, or a law does not hold.
    """
    for server in world.servers.values():
        server.up, server.ahead, server.drift = True, 0, 0
    _finish(world)
    _recover(world, silent=silent)
    left = [head.stream for head in world.disk.heads() if head.tag in _RUNNING]
    wrong = [f"{WAY_OUT}: {stream} never came to rest" for stream in left]
    wrong += [str(finding) for finding in audit.verify(world.disk)]
    world.hold_to([*wrong, *world.witness.at_rest(), *shown(world.disk, world.watch)])


def _finish(world: World) -> None:
    """Let everybody who is at work do the rest of it, and let what is late arrive."""
    for name in (*world.network.late, *world.copies):
        surroundings.arrive(world, name)
    for name in list(world.actors):
        _to_the_end(world, name)


def _to_the_end(world: World, name: str) -> None:
    for _ in range(_MOST_STEPS):
        if name not in world.actors:
            return
        surroundings.go(world, name)
    world.hold_to([f"{WAY_OUT}: {name} goes on for ever"])


def _recover(world: World, *, silent: bool) -> None:
    outside = world.setting.kind != "inside"
    runs = Runs(world.disk, _Engine(world, silent=silent) if outside else None, policy=world.policy)
    queue = Runs(world.disk, policy=world.policy) if world.setting.kind != "outside" else None
    for _ in range(_MOST_PASSES):
        world.disk_at("s1")
        world.oracle.forget()
        world.hold_to([f"{WAY_OUT}: nobody could look at {who}: {error}" for who, error in runs.recover().errors])
        if queue is not None:
            _work_off(world, queue)
        world.follow()
        if not silent:
            _let_engine_work(world)
        if not any(head.tag in _RUNNING for head in world.disk.heads()):
            return
        world.now += _PAUSE // timedelta(microseconds=1)


def _work_off(world: World, queue: Runs) -> None:
    for _ in range(_MOST_STEPS):
        taken = queue.take()
        if not isinstance(taken, Claimed | GivenUp):
            return
        if isinstance(taken, Claimed):
            world.witness.worked.add((taken.run_id, taken.external_id))
            queue.complete(taken.run_id, taken.run_no, taken.external_id, {"found_by": taken.external_id})
    world.hold_to([f"{WAY_OUT}: the embedded queue is never empty"])


def _let_engine_work(world: World) -> None:
    for run in world.network.engine.runs:
        if run.status is Status.QUEUED and run.queued:
            surroundings.work(world, run.external_id, "complete")
            _to_the_end(world, run.external_id)
        elif run.status is Status.EXECUTING:
            world.network.engine.end(run.external_id, Status.TIMED_OUT)
