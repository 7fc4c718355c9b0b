"""Looks for every law that a mutant breaks: through the whole walk, and through the simulator's worlds.

Floor 6. Needs no test framework. A search of the proof stops at the first thing that is wrong. This one goes on, so
that it can be said which laws catch a mutant, and which one is the only one that does.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import count

from research_fsm.errors import WriteRejected
from research_fsm.laws import LAWS
from research_fsm.laws.catalog import STORE_PROMISE
from research_fsm.storage import Store
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.conformance import StoreConformance
from research_fsm.testing.mutants.mutant import Mutant
from research_fsm.testing.simulate import simulate
from research_fsm.testing.walk import walk

__all__ = ["SEEDS", "WRONG_STEPS", "broken_by", "differences", "laws_in", "questioned", "simulated", "walked"]

SEEDS = 60
"""How many worlds are simulated for each mutant."""

WRONG_STEPS = 40
"""After how many wrong steps a walk ends."""

MakeStore = Callable[[Callable[[], int]], Store]

_SUITE = "suite: "
_REFUSED = (WriteRejected.__name__, "memory")
"""How words begin that tell of a write which the store did not take."""


class _Suite(StoreConformance):
    """The conformance suite of the reference store, whose questions are asked one by one."""

    def make_store(self, clock: Callable[[], int]) -> MemoryStore:
        """Make an empty one."""
        return MemoryStore(clock)


def differences(mutants: Iterable[Mutant]) -> Iterator[str]:
    """Search each mutant, and yield where it is caught by other laws than it says."""
    for mutant in mutants:
        found, said = broken_by(mutant), {law.name for law in mutant.laws}
        if found != said:
            yield f"{mutant}: caught by {sorted(found)}, and it says {sorted(said)}"


def broken_by(mutant: Mutant) -> frozenset[str]:
    """Return the names of the laws that a mutant breaks; the walk looks at those that it is said to find."""
    with mutant.made():
        steps = walked() if mutant.found == "walk" else frozenset[str]()
        return steps | simulated(MemoryStore) | questioned(mutant.found)


class _Enough(AssertionError):
    """So many steps are wrong that the rest of the walk would say the same."""


def walked() -> frozenset[str]:
    """Return the laws that the first wrong steps of the walk break; those steps are not followed further."""
    words: list[str] = []
    left = count(WRONG_STEPS, -1)

    def found(wrong: list[str]) -> None:
        words.extend(wrong)
        if next(left) == 0:
            raise _Enough

    try:
        walk(found=found)
    except AssertionError as error:
        words.append(str(error))
    return laws_in(words)


def simulated(make_store: MakeStore, seeds: int = SEEDS) -> frozenset[str]:
    """Return the laws that the first wrong step of any world breaks, of the worlds of so many seeds."""
    return laws_in(words for seed in range(seeds) for words in simulate(seed, make_store).wrong)


def questioned(found: str) -> frozenset[str]:
    """Return the law of stores, if it is a question of theirs that is said to find a mutant, and it does."""
    if not found.startswith(_SUITE):
        return frozenset()
    try:
        getattr(_Suite(), found.removeprefix(_SUITE))()
    except (AssertionError, WriteRejected):
        return frozenset({STORE_PROMISE.name})
    return frozenset()


def laws_in(words: Iterable[str]) -> frozenset[str]:
    """Return the laws that are named; an exception that a mutant's own text raises is none."""
    named = frozenset(one.strip().partition(":")[0] for one in words)
    return (named & LAWS.keys()) | ({STORE_PROMISE.name} if named & set(_REFUSED) else frozenset())
