"""Lives a simulated world from its beginning to its rest: as the seed wills, or as its schedule says.

Floor 6. A part of `simulate`.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator

from attrs import field, frozen

from research_fsm.storage import Reader, Store
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.simulate import verbs
from research_fsm.testing.simulate.coverage import Coverage
from research_fsm.testing.simulate.dice import Dice
from research_fsm.testing.simulate.setting import Setting
from research_fsm.testing.simulate.words import Step, steps
from research_fsm.testing.simulate.world import Broken, World

__all__ = ["Listener", "MakeStore", "Outcome", "fingerprint", "live", "replay", "simulate"]

MakeStore = Callable[[Callable[[], int]], Store]
"""Makes an empty store that tells the time by a clock, in microseconds UTC."""

Listener = Callable[[World, Step], None]
"""Is told each step before it is taken."""


@frozen
class Outcome:
    """What came of one world.

    Args:
        schedule: What happened, as far as it went.
        coverage: What was reached.
        fingerprint: What the log ended with: the same wherever the same world is simulated.
        wrong: What is wrong, each beginning with the name of a law; nothing if every law holds.
        seed: Where the schedule came from, if it came from one.
        make_store: Makes the store of another world like it.
    """

    schedule: tuple[Step, ...]
    coverage: Coverage
    fingerprint: str
    wrong: tuple[str, ...] = ()
    seed: int | None = None
    make_store: MakeStore = field(default=MemoryStore, eq=False, repr=False)

    @property
    def law(self) -> str:
        """The law that does not hold; empty if all do."""
        return self.wrong[0].partition(":")[0] if self.wrong else ""

    def check(self) -> None:
        """Fail as a test does, with the story of what happened, made as small as it can be.

        Raises:
            AssertionError: A law does not hold.
        """
        if self.wrong:
            from research_fsm.testing.simulate.shrink import shrink
            from research_fsm.testing.simulate.story import story

            raise AssertionError(story(shrink(self)))


def simulate(seed: int, make_store: MakeStore = MemoryStore) -> Outcome:
    """Simulate the world of a seed.

    Args:
        seed: Any whole number.
        make_store: Makes an empty store that tells the time by a clock, in microseconds UTC; another one at each call.
    """
    dice = Dice(seed)

    def chosen(world: World) -> Iterator[Step]:
        yield from dice.beginning()
        for _ in range(dice.length):
            yield dice.next(world)
        yield ("rest", "silent") if seed % 2 else ("rest",)

    return live(dice.setting, chosen, make_store, seed=seed)


def replay(
    schedule: str | Iterable[Step], make_store: MakeStore = MemoryStore, listener: Listener | None = None
) -> Outcome:
    """Simulate a world again, from its schedule.

    Args:
        schedule: Its lines, as text or as steps; the first one says how the world is.
        make_store: Makes an empty store that tells the time by a clock, in microseconds UTC.
        listener: Is told each step before it is taken.

    Raises:
        InvalidInput: The first line does not say how a world is, or a later one is none.
    """
    first, *rest = (*(steps(schedule) if isinstance(schedule, str) else schedule), ())
    setting = Setting.of(first)
    for step in rest[:-1]:
        verbs.check(step)
    return live(setting, lambda _: iter(rest[:-1]), make_store, listener)


def live(
    setting: Setting,
    chosen: Callable[[World], Iterator[Step]],
    make_store: MakeStore,
    listener: Listener | None = None,
    *,
    seed: int | None = None,
) -> Outcome:
    """Let a world take the steps that are chosen, until they are over or a law does not hold."""
    world, taken, wrong = World(setting, make_store), [setting.step()], tuple[str, ...]()
    try:
        for step in chosen(world):
            taken.append(step)
            if listener is not None:
                listener(world, step)
            _take(world, step)
        log = fingerprint(world.disk)
    except Broken as broken:
        wrong, log = tuple(broken.words), fingerprint(world.disk)
    finally:
        world.close()
    world.coverage.steps = len(taken) - 1
    return Outcome(tuple(taken), world.coverage, log, wrong, seed, make_store)


def _take(world: World, step: Step) -> None:
    """Take a step; whatever else is raised on the way is something wrong as well."""
    try:
        verbs.take(world, step)
    except Broken:
        raise
    except Exception as error:
        raise Broken([f"{type(error).__name__}: {error}"]) from error


def fingerprint(reader: Reader) -> str:
    """Return a digest of a whole log, whatever store it is in: events in order, with their hashes."""
    digest = hashlib.sha256()
    for event in reader.events():
        digest.update(b"%b@%d:%b" % (event.stream.encode(), event.version, event.hash))
    return digest.hexdigest()
