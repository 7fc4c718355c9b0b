"""Every schedule of two actors, and of three: each order of their steps, each answer, each place to die.

Floor 6. Needs no test framework and no luck. The flows, the transactions and the store are the real ones. Where
`walk` takes every command in every state of one person, and `simulate` lives through worlds that a seed chose, this
leaves out no order in which a few callers, workers and recovery passes can meet. `explore_all` says how many schedules
there were, and fails with the story of one in which a law does not hold.

Example:
    >>> from research_fsm.testing.schedules import OUTSIDE, Scene, explore
    >>> explored = explore(Scene(OUTSIDE.beginnings["idle"]), ["start c4 s1 p1", "erase c5 s1 p1"])
    >>> explored.schedules, explored.crashes
    (87, 223)
"""

from research_fsm.testing.schedules.scene import Scene
from research_fsm.testing.schedules.scenes import INSIDE, OUTSIDE, Situation
from research_fsm.testing.schedules.search import Explored, Failed, explore
from research_fsm.testing.schedules.story import explore_all

__all__ = ["INSIDE", "OUTSIDE", "Explored", "Failed", "Scene", "Situation", "explore", "explore_all"]
