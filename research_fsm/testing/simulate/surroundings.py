"""What happens around the servers of a simulated world: the engine and its tasks, late messages, crashes, clocks, time.

Floor 6. A part of `simulate`. A line that names somebody who is not there does nothing.
"""

from research_fsm.requests import Cancel, Dispatch, Look, Transact
from research_fsm.testing.engine_words import Status
from research_fsm.testing.simulate.actors import Actor, at_work
from research_fsm.testing.simulate.callers import once
from research_fsm.testing.simulate.words import CALLBACK_FATES, DISPATCH_FATES, LOOK_FATES, STORE_FATES, Fate
from research_fsm.testing.simulate.world import World

__all__ = ["again", "arrive", "crash", "drift", "end", "fates_of", "go", "jump", "restart", "wait", "work"]

_SECOND = 1_000_000
_PERCENT = 10_000


# --- the engine --------------------------------------------------------------------------------------------------


def work(world: World, external_id: str, plan: str) -> None:
    """Let an engine run begin, or the engine try it once more after its task died."""
    run = world.network.find(external_id)
    if run is None or external_id in world.actors:
        return
    if run.status is Status.QUEUED and run.queued:
        world.network.engine.begin(external_id)
    elif run.status is Status.EXECUTING:
        world.strike(run.payload.person_id, "engine-retry")
    elif run.status is not Status.CANCELED:
        return
    actor = Actor(external_id, "", run.payload.person_id)
    world.begin(actor, at_work(actor, run.payload, external_id, plan, world.policy))


def end(world: World, external_id: str, status: str) -> None:
    """End an engine run in silence; its task is killed."""
    run = world.network.find(external_id)
    if run is None or run.status.final:
        return
    if external_id in world.actors:
        world.die(world.actors[external_id])
    world.network.engine.end(external_id, Status(status))
    world.strike(run.payload.person_id, "engine-end")


def again(world: World, external_id: str) -> None:
    """Repeat an engine run, as somebody does in the dashboard."""
    run = world.network.find(external_id)
    if run is not None:
        world.network.replay(external_id)
        world.strike(run.payload.person_id, "replay")


def arrive(world: World, name: str) -> None:
    """Let a message arrive that was thought lost, or a copy of a callback."""
    if name in world.network.late:
        world.network.late[name].arrive()
        world.coverage.faults["late"] += 1
    elif name in world.copies and world.receives():
        command = world.copies.pop(name)
        actor = Actor(name, "")
        world.begin(actor, once(actor, command, world))
        world.go_on(actor, Fate.DONE)
        world.coverage.faults["late"] += 1


# --- machines and time -------------------------------------------------------------------------------------------


def go(world: World, name: str, fate: str = "done") -> None:
    """Let somebody go on."""
    actor = world.actors.get(name)
    if actor is not None:
        world.go_on(actor, fate if fate in fates_of(actor) else Fate.DONE)


def crash(world: World, server: str) -> None:
    """Let a server crash, with everybody on it."""
    if not world.is_up(server):
        return
    world.servers[server].up = False
    for actor in [one for one in world.actors.values() if one.server == server]:
        world.strike(actor.about, "crash")
        world.die(actor)


def restart(world: World, server: str) -> None:
    """Let a server be up again."""
    here = world.servers.get(server)
    if here is not None:
        here.up = True


def wait(world: World, seconds: str) -> None:
    """Let time pass."""
    world.now += int(seconds) * _SECOND


def jump(world: World, server: str, seconds: str) -> None:
    """Set a server's clock forward or back."""
    here = world.servers.get(server)
    if here is not None:
        here.ahead += int(seconds) * _SECOND
        world.coverage.faults["jump"] += 1


def drift(world: World, server: str, percent: str) -> None:
    """Let a server's clock go too fast, or too slow."""
    here = world.servers.get(server)
    if here is not None:
        here.ahead, here.since = here.clock(world.now) - world.now, world.now
        here.drift = int(percent) * _PERCENT
        world.coverage.faults["drift"] += 1


def fates_of(actor: Actor) -> tuple[str, ...]:
    """Return what can go wrong with the next step of somebody."""
    match actor.wanted:
        case Transact():
            return STORE_FATES if actor.server else CALLBACK_FATES
        case Dispatch() if actor.held is None:
            return DISPATCH_FATES
        case Look() if actor.held is None:
            return LOOK_FATES
        case Cancel():
            return (Fate.LOST,)
        case _:
            return ()
