"""Explores every schedule of a scene: each order of everybody's steps, each answer, each place to die.

Floor 6. A part of `schedules`. Schedules that lead to the same state have the same future, so a state is explored once;
how many schedules there are is counted all the same. A crash needs no step of its own: who is never let go on again is
dead, so whoever may die at any step is met wherever the others finish without them, and in each state that there is
everybody dies at once, and recovery has to lead out.
"""

from collections.abc import Callable, Iterable

from attrs import Factory, define, frozen

from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.schedules.scene import Scene
from research_fsm.testing.schedules.state import State, Wrong
from research_fsm.testing.simulate.words import Step

__all__ = ["Explored", "Failed", "explore"]


@frozen
class Explored:
    """How much was explored: a test pins it, so that nobody makes the search smaller without noticing.

    Args:
        schedules: Orders in which everybody comes to an end.
        crashes: Orders that are cut off somewhere, by the death of everybody who is still at work.
        states: States that differ.
        steps: Steps between them.
        stores: Logs, with all that stands beside them, that differ.
    """

    schedules: int = 0
    crashes: int = 0
    states: int = 0
    steps: int = 0
    stores: int = 0

    def __add__(self, other: "Explored") -> "Explored":
        return Explored(
            self.schedules + other.schedules,
            self.crashes + other.crashes,
            self.states + other.states,
            self.steps + other.steps,
            self.stores + other.stores,
        )


Ended = Callable[[tuple[Step, ...], MemoryStore], None]


class Failed(Exception):  # The condition, as the rest of the vocabulary.
    """A law does not hold at the end of a schedule.

    Args:
        schedule: Its lines, the world's among them.
        words: What is wrong.
    """

    def __init__(self, schedule: tuple[Step, ...], words: list[str]) -> None:
        self.schedule = schedule
        self.words = words
        super().__init__("\n".join(words))


def explore(scene: Scene, cast: Iterable[str], *, ended: Ended = lambda _, __: None) -> Explored:
    """Explore every schedule of a cast.

    Args:
        scene: Where they are at work.
        cast: Who is, and what befalls them, as for `Scene.first`.
        ended: Is told one schedule for each state in which everything is over, and what is stored there.

    Raises:
        Failed: A law does not hold in one of them.
    """
    search = _Search(scene, ended)
    schedules, crashes = search.count(scene.first(cast))
    stores = {state.store for state in search.known}
    return Explored(schedules, crashes, len(search.known), search.steps, len(stores))


@define
class _Search:
    scene: Scene
    ended: Ended
    known: dict[State, tuple[int, int]] = Factory(dict)
    steps: int = 0
    path: list[tuple[Step, ...]] = Factory(list)

    def count(self, state: State) -> tuple[int, int]:
        """Return how many schedules lead on from a state, and in how many ways they are cut off."""
        found = self.known.get(state)
        if found is not None:
            return found
        ends, cuts = 0, 1
        try:
            self.scene.check_rest(state)
            if self.scene.is_over(state):
                self.ended(self._told(()), self.scene.at(state))
            for lines, after in self.scene.moves(state):
                self.steps += 1
                self.path.append(lines)
                more_ends, more_cuts = self.count(after)
                self.path.pop()
                ends, cuts = ends + more_ends, cuts + more_cuts
        except Wrong as wrong:
            raise Failed(self._told(wrong.lines), wrong.words) from None
        self.known[state] = ends or 1, cuts
        return self.known[state]

    def _told(self, last: Iterable[Step]) -> tuple[Step, ...]:
        return (*self.scene.beginning, *(line for lines in self.path for line in lines), *last)
