"""Explores many scenes, and tells a failure: as a story as small as it can be, with a test to paste.

Floor 6. A part of `schedules`. A schedule that was explored is one of the simulator's, line by line, so the simulator
lives through it again, makes it small, and tells it.
"""

from collections.abc import Callable

from research_fsm.testing.schedules.scenes import Situation, scenes
from research_fsm.testing.schedules.search import Ended, Explored, Failed, explore
from research_fsm.testing.simulate.life import Outcome, replay
from research_fsm.testing.simulate.shrink import shrink
from research_fsm.testing.simulate.story import story
from research_fsm.testing.simulate.words import lines

__all__ = ["explore_all"]


def explore_all(
    situation: Situation,
    actors: int,
    *,
    ended: Ended = lambda _, __: None,
    told: Callable[[str, Explored], None] = lambda _, __: None,
) -> Explored:
    """Explore every schedule of every group of so many actors.

    Args:
        situation: Who there is, where lives may stand, and what befalls them.
        actors: How many are at work at once; 2 and 3 are explored in this library's own tests.
        ended: Is told one schedule for each end, and what is stored there.
        told: Is told each group, and how much was explored of it.

    Raises:
        AssertionError: A law does not hold; the smallest schedule that was found is told, and a test to paste.
    """
    total = Explored()
    for name, scene, cast in scenes(situation, actors):
        try:
            explored = explore(scene, cast, ended=ended)
        except Failed as failed:
            raise AssertionError(_told(name, failed)) from None
        told(name, explored)
        total += explored
    return total


def _told(name: str, failed: Failed) -> str:
    """Return the story of a failure."""
    again: Outcome = replay(failed.schedule)
    if again.wrong:
        return f"{name}\n\n{story(shrink(again))}"
    wrong = "\n".join(failed.words)  # Of a law that the simulator does not ask.
    return f"{name}\n\n{lines(failed.schedule)}\n\n{story(again)}\n   WRONG     {wrong}"
