"""A simulator: one seed drives a whole world of callers, servers, clocks, engine and network, with all their faults.

Floor 6. Needs no test framework. The flows, the transactions and the store are the real ones; everything else is
simulated: who asks for what, who dies where, what the engine loses, which commit fails, what time it is. The laws are
asked after every step, and at the end, when all faults have stopped, nobody may stay running.

Example:
    >>> from research_fsm.testing.simulate import simulate
    >>> simulate(1).wrong
    ()
"""

from research_fsm.testing.simulate.campaign import Campaign
from research_fsm.testing.simulate.coverage import Coverage
from research_fsm.testing.simulate.life import Outcome, replay, simulate
from research_fsm.testing.simulate.setting import Setting
from research_fsm.testing.simulate.shrink import shrink
from research_fsm.testing.simulate.story import as_test, story
from research_fsm.testing.simulate.words import Step, lines, steps

__all__ = [
    "Campaign",
    "Coverage",
    "Outcome",
    "Setting",
    "Step",
    "as_test",
    "lines",
    "replay",
    "shrink",
    "simulate",
    "steps",
    "story",
]
