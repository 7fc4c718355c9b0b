"""Who is at work in an explored world: where each of them stands, and where an answer takes them.

Floor 6. A part of `schedules`. The actors are those of `simulate`, over the real flows. A generator cannot be copied,
but a flow is pure: where it stands follows from the line that it began with and what it was answered. So each place
is reached once, by going there again from the beginning, and then remembered.
"""

from collections.abc import Hashable
from typing import Any

from attrs import define, field, frozen

from research_fsm import codec, requests, transactions
from research_fsm import person as people
from research_fsm.commands import Sighting
from research_fsm.outcomes import Claimed
from research_fsm.person import Person
from research_fsm.requests import AttemptOutcome, Dispatch, DispatchRequest, Ended, Look, Read, Request, Transact
from research_fsm.storage import Head, View
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.simulate import transcript, verbs
from research_fsm.testing.simulate.actors import Actor, Ending, at_work
from research_fsm.testing.simulate.setting import Setting
from research_fsm.testing.simulate.words import Step
from research_fsm.testing.simulate.world import World
from research_fsm.testing.steps import Command

__all__ = ["Cast", "Place"]


@define(eq=False)
class Place:
    """Where somebody stands.

    Args:
        number: Its own.
        actor: Who it is, as they are here.
        wanted: What they wait for; None when they are done.
        answer: What they were told in the end.
        command: What their next transaction asks.
    """

    number: int
    actor: Actor
    wanted: Request | None
    answer: object
    command: Command | None
    _begun: "_Begun"
    _way: tuple[tuple[Any, int], ...]
    _next: dict[Hashable, "Place"] = field(factory=dict)

    @property
    def ending(self) -> Ending | None:
        """How a task of the engine ended, once it is done."""
        return self.actor.ending


@frozen(eq=False)
class _Begun:
    """How somebody began."""

    line: Step
    store: MemoryStore
    now: int
    request: DispatchRequest | None


class Cast:
    """Every place that anybody was seen at.

    Args:
        setting: How the world is.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._places: list[Place] = []
        self._begun: dict[Hashable, Place] = {}

    def __getitem__(self, number: int) -> Place:
        return self._places[number]

    def begins(self, line: Step, store: MemoryStore, now: int) -> Place:
        """Let a caller, a recovery pass or a worker of the embedded queue begin, as a line of a schedule says."""
        overdue = _overdue(store, now) if line[0] == "recover" else ()
        key = (line, overdue, now if line[0] == "take" else 0)
        return self._first(key, _Begun(line, store, now, None))

    def works(self, external_id: str, plan: str, request: DispatchRequest) -> Place:
        """Let the task of an engine run begin."""
        line = ("work", external_id, plan)
        return self._first(line, _Begun(line, MemoryStore(), 0, request))

    def goes_on(self, place: Place, answer: Any, now: int) -> Place:  # noqa: ANN401  # By request.
        """Let somebody hear what they waited for."""
        timed = now if place.actor.name.startswith("w") else 0
        key = (_known(answer), timed)
        found = place._next.get(key)  # noqa: SLF001  # Of this module.
        if found is None:
            way = (*place._way, (answer, now))  # noqa: SLF001  # Of this module.
            found = place._next[key] = self._reach(place._begun, way)  # noqa: SLF001  # Of this module.
        return found

    def _first(self, key: Hashable, begun: _Begun) -> Place:
        if key not in self._begun:
            self._begun[key] = self._reach(begun, ())
        return self._begun[key]

    def _reach(self, begun: _Begun, way: tuple[tuple[Any, int], ...]) -> Place:
        """Go there from the beginning."""
        world = World(self._setting, lambda _: begun.store)
        world.now = begun.now
        actor = self._begin(world, begun)
        wanted, answer = actor.wanted, None
        for heard, now in way:
            world.now = now
            wanted, answer = _hears(actor, wanted, heard)
        command = transcript.next_command(actor) if isinstance(wanted, Transact) else None
        place = Place(len(self._places), actor, wanted, answer, command, begun, way)
        self._places.append(place)
        return place

    def _begin(self, world: World, begun: _Begun) -> Actor:
        _, name, *rest = begun.line
        if begun.request is None:
            verbs.take(world, begun.line)
            return world.actors.get(name) or Actor(name, "")  # Who has nothing to do is done at once.
        actor = Actor(name, "", begun.request.person_id)
        world.begin(actor, at_work(actor, begun.request, name, rest[0], world.policy))
        return actor


def _overdue(store: MemoryStore, now: int) -> Hashable:
    return tuple(head.stream for head in store.heads() if head.due is not None and head.due <= now)


def _known(answer: Any) -> Hashable:  # noqa: ANN401  # By request.
    """Return what somebody knows of an answer, to be compared."""
    if isinstance(answer, View):
        return frozenset(answer.heads.items())
    known: Hashable = repr(answer) if isinstance(answer, Claimed) else answer  # It carries a profile, a dictionary.
    return known


def _hears(actor: Actor, wanted: Request | None, heard: Any) -> tuple[Request | None, object]:  # noqa: ANN401  # By request.
    """Tell somebody what they waited for, and return what they want next, or what they were told in the end."""
    match wanted:
        case Transact():
            actor.command, actor.looked_at, actor.sent = None, None, transcript.sent(heard)
        case Read():
            actor.looked_at = _person(heard, actor.about)
        case Dispatch() if isinstance(heard, AttemptOutcome):
            actor.command = transcript.answer(actor, heard)
        case Look():
            actor.seen = _sightings(heard)
        case _:
            pass
    if actor.doing is None:
        return None, None
    reached = requests.step(actor.doing, heard)
    return (None, reached.answer) if isinstance(reached, Ended) else (reached, None)


def _sightings(heard: Any) -> tuple[Sighting, ...]:  # noqa: ANN401  # By request.
    seen: tuple[Sighting, ...] = heard
    return seen


def _person(view: View, person_id: str) -> Person:
    head: Head | None = view.heads.get(transactions.person_stream(person_id))
    return people.nobody(person_id) if head is None else codec.decode_person(head)
