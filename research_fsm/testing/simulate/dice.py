"""Chooses what happens next in a simulated world, from a seed alone.

Floor 6. A part of `simulate`. Every world has its own temper: which faults there are in it, how often,
and what it is mostly busy with; a world with everything at once would hardly ever get anywhere. Of `random.Random` only
``random()`` is used, whose sequence Python promises for ever.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from random import Random
from typing import TypeVar

from research_fsm import transactions
from research_fsm.lifecycle import Phase
from research_fsm.requests import Dispatch
from research_fsm.testing.engine_words import Status
from research_fsm.testing.simulate.actors import PLANS, QUEUE_PLANS
from research_fsm.testing.simulate.callers import person_id_of
from research_fsm.testing.simulate.setting import Setting
from research_fsm.testing.simulate.surroundings import fates_of
from research_fsm.testing.simulate.words import Step
from research_fsm.testing.simulate.world import World

__all__ = ["Dice"]

T = TypeVar("T")

_OWNERS = ("acme", "bolt")
_ENDS = (Status.CRASHED, Status.TIMED_OUT, Status.FAILED, Status.SYSTEM_FAILURE, Status.CANCELED, Status.EXPIRED)
_SECONDS = (("1", "3", "8", "11", "31"), ("3", "8"), ("8",), ("1", "11", "31"))
_RENEWALS = (("0",), ("0", "0", "0", "1"), ("0", "9"))
_JUMPS = ("-40", "-5", "5", "40")
_DRIFTS = ("-20", "20", "0")
_MOST_AT_WORK = 6
_TRIES = 6

_USUAL = {
    "start": 10.0,
    "work": 10.0,
    "take": 10.0,
    "wait": 6.0,
    "age": 5.0,
    "recover": 3.0,
    "repeat": 2.0,
    "grant": 1.5,
    "create": 1.5,
    "restart": 3.0,
}
"""What happens in every world, and how often."""

_RARE = {
    "crash": 1.5,
    "erase": 0.7,
    "end": 2.0,
    "again": 1.5,
    "arrive": 3.0,
    "revoke": 0.7,
    "jump": 1.0,
    "drift": 0.5,
}
"""What happens in some worlds."""


class Dice:
    """Chooses, and remembers nothing but what it has named.

    Args:
        seed: Where everything comes from.

    Attributes:
        setting: How the world is.
        length: How many steps it has.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed).random  # noqa: S311  # It is to be foreseen.
        self.setting = self._drawn_setting()
        self.length = self._of((100, 250, 500))
        self._fault_rate = self._of((0.0, 0.05, 0.15, 0.4))
        self._busy = self._of((0.6, 0.75, 0.85))
        self._stall_rate = self._of((0.0, 0.1, 0.3))
        self._enabled: dict[str, bool] = {}
        self._stalls: dict[str, bool] = {}
        self._names = 0
        self._seconds = self._of(_SECONDS)
        self._renewals = self._of(_RENEWALS)
        rare = {verb: weight * self._of((1, 1, 4)) for verb, weight in _RARE.items() if self._chance(0.5)}
        verbs = {**_USUAL, **rare}
        self._makers = [self._maker(verb) for verb in verbs]
        self._sums = list(accumulate(verbs.values()))

    def beginning(self) -> list[Step]:
        """Return how a world begins: with somebody who has credits."""
        grant = ("grant", self._name("c"), "s1", _OWNERS[0], "g0", self._of(("2", "5", "20")))
        people = [
            ("add", self._name("c"), "s1", f"p{number}", _OWNERS[0]) for number in range(1, self._of((1, 1, 2, 3)) + 1)
        ]
        return [step for begun in (grant, *people) for step in (begun, ("go", begun[1]))]

    def next(self, world: World) -> Step:
        """Return what happens next."""
        at_work = world.actors
        if at_work and (len(at_work) >= _MOST_AT_WORK or self._chance(self._busy)):
            return self._go(world)
        for _ in range(_TRIES):
            step = self._makers[bisect_right(self._sums, self._random() * self._sums[-1])](world)
            if step is not None:
                return step
        return self._go(world) if at_work else self._wait(world)

    # --- choices ---

    def _of(self, options: Sequence[T]) -> T:
        return options[int(self._random() * len(options))]

    def _chance(self, of: float) -> bool:
        return self._random() < of

    def _name(self, kind: str) -> str:
        self._names += 1
        return f"{kind}{self._names}"

    def _drawn_setting(self) -> Setting:
        return Setting(
            kind=self._of(("outside", "outside", "outside", "inside", "inside", "both")),
            servers=self._of((1, 2, 2, 3)),
            cost=self._of((1, 1, 1, 2, 0)),
            ages=self._chance(0.25),
            key_ttl=self._of((0, 0, 20)),
            queue_ttl=self._of((0, 0, 20)),
            typo=self._chance(0.05),
            attempts=self._of((2, 3)),
            clocks=self._chance(0.2),
        )

    def _maker(self, verb: str) -> Callable[[World], Step | None]:
        made: Callable[[World], Step | None] = getattr(self, f"_{verb}")
        return made

    def _server(self, world: World) -> str:
        return self._of(list(world.servers))

    def _owned(self) -> tuple[str, ...]:
        return (f"as={self._of(_OWNERS)}",) if self._chance(0.1) else ()

    def _person(self, world: World, *phases: Phase) -> str | None:
        """Choose somebody who is in one of these phases; now and then anybody."""
        if self._chance(0.1):
            return self._of(world.people)
        known = world.watch.people
        fitting = [
            name
            for name in world.people
            if (person := known.get(person_id_of(name))) is not None and person.phase in phases
        ]
        return self._of(fitting) if fitting else None

    # --- who goes on ---

    def _go(self, world: World) -> Step:
        names = list(world.actors)
        name = self._of(names)
        if self._is_stalled(name) and not self._chance(0.05):
            name = self._of(names)
        actor = world.actors[name]
        # What is lost between us and the engine is what the protocol is about.
        rate = self._fault_rate * (2 if isinstance(actor.wanted, Dispatch) else 1)
        if rate and self._chance(rate):
            fates = [fate for fate in fates_of(actor) if self._is_enabled(fate)]
            if fates:
                return ("go", actor.name, str(self._of(fates)))
        return ("go", actor.name)

    def _is_stalled(self, name: str) -> bool:
        """Tell whether somebody is slow: what they do comes long after they should have done it."""
        if name not in self._stalls:
            self._stalls[name] = self._chance(self._stall_rate)
        return self._stalls[name]

    def _is_enabled(self, fate: str) -> bool:
        if fate not in self._enabled:
            self._enabled[fate] = self._chance(0.6)
        return self._enabled[fate]

    # --- who begins ---

    def _start(self, world: World) -> Step | None:
        key = (f"key=k{self._of((1, 2))}",) if self._chance(0.3) else ()
        joined = ("joined",) if self._chance(0.1) else ()
        person = self._person(world, Phase.IDLE, Phase.FAILED)
        if person is None:
            return None
        owner = world.watch.person(person_id_of(person)).owner
        if owner and world.watch.account(owner).available < world.setting.cost and self._chance(0.7):
            return ("grant", self._name("c"), self._server(world), owner, f"g{self._names}", self._of(("2", "20")))
        return ("start", self._name("c"), self._server(world), person, *self._owned(), *key, *joined)

    def _create(self, world: World) -> Step:
        key = (f"key=k{self._of((1, 2, 3))}",) if self._chance(0.5) else ()
        url = (f"url=u{self._of((1, 2))}",) if self._chance(0.3) else ()
        name = self._name("c")
        return ("create", name, self._server(world), f"p{name[1:]}", self._of(_OWNERS), *key, *url)

    def _repeat(self, world: World) -> Step | None:
        return ("repeat", self._name("c"), self._server(world), self._of(list(world.asked))) if world.asked else None

    def _grant(self, world: World) -> Step:
        grant_id = f"g{self._of((0, 1, self._names))}"
        return ("grant", self._name("c"), self._server(world), self._of(_OWNERS), grant_id, self._of(("1", "3", "9")))

    def _revoke(self, world: World) -> Step:
        return ("revoke", self._name("c"), self._server(world), _OWNERS[0], f"g{self._of((0, 1, 2))}")

    def _erase(self, world: World) -> Step:
        return ("erase", self._name("c"), self._server(world), self._of(world.people), *self._owned())

    def _age(self, world: World) -> Step | None:
        person = self._person(world, Phase.COMPLETE)
        return None if person is None else ("age", self._name("c"), self._server(world), person)

    def _recover(self, world: World) -> Step:
        return ("recover", self._name("r"), self._server(world))

    def _take(self, world: World) -> Step | None:
        people = () if world.setting.kind == "outside" else world.watch.people.values()
        waiting = [person for person in people if transactions.waits(person)]
        fresh = any(person.phase is Phase.QUEUED for person in waiting)
        if not fresh and not self._chance(0.3 if waiting else 0.03):
            return None
        plan = "complete" if self._chance(0.5) else self._of(QUEUE_PLANS)
        return ("take", self._name("w"), self._server(world), plan, self._of(self._renewals))

    # --- the engine ---

    def _work(self, world: World) -> Step | None:
        waiting = [
            run.external_id
            for run in world.network.engine.runs
            if run.external_id not in world.actors
            and ((run.status is Status.QUEUED and run.queued) or (run.status is Status.EXECUTING and self._chance(0.2)))
        ]
        if not waiting:
            return None
        plan = "complete" if self._chance(0.5) else self._of(PLANS)
        return ("work", self._of(waiting), plan)

    def _end(self, world: World) -> Step | None:
        open_runs = [run.external_id for run in world.network.engine.runs if not run.status.final]
        return ("end", self._of(open_runs), str(self._of(_ENDS))) if open_runs else None

    def _again(self, world: World) -> Step | None:
        runs = world.network.engine.runs
        return ("again", self._of(runs).external_id) if runs else None

    def _arrive(self, world: World) -> Step | None:
        late = [*world.network.late, *world.copies]
        return ("arrive", self._of(late)) if late else None

    # --- machines and time ---

    def _crash(self, world: World) -> Step:
        return ("crash", self._server(world))

    def _restart(self, world: World) -> Step | None:
        down = [server.name for server in world.servers.values() if not server.up]
        return ("restart", self._of(down)) if down else None

    def _wait(self, world: World) -> Step:  # noqa: ARG002  # As the others.
        return ("wait", self._of(self._seconds))

    def _jump(self, world: World) -> Step | None:
        return ("jump", self._server(world), self._of(_JUMPS)) if world.setting.clocks else None

    def _drift(self, world: World) -> Step | None:
        return ("drift", self._server(world), self._of(_DRIFTS)) if world.setting.clocks else None
