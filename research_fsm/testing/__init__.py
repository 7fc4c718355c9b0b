"""The proof kit: what a host's own tests, and the tests of another store, are written with.

Floor 6. Importing this package needs no Hypothesis: it brings a clock and a scripted dispatcher. The rest is
imported explicitly, and what needs Hypothesis or pytest comes with the extra ``research-fsm[testing]``:

* `research_fsm.testing.scenario`: given, when, then, for the rules.
* `research_fsm.testing.conformance`: what every store and every dispatcher has to pass.
* `research_fsm.testing.strategies`: commands, policies, profiles and legal histories.
* `research_fsm.testing.machine`: a rule-based machine that drives a store beside the reference store.
* `research_fsm.testing.interleave`: lets Hypothesis choose which of several suspended flows goes on, or dies.
* `research_fsm.testing.race`: a world to do that in: callers, workers, recovery, an engine that loses answers.
* `research_fsm.testing.walk`: every reachable state of a person, with every command, at every moment.
* `research_fsm.testing.schedules`: every order in which two or three actors can meet, every answer, every death.
* `research_fsm.testing.oracle`: the protocol a second time, as checks of one step.
* `research_fsm.testing.mutants`: small wrong rules, stores and dispatchers, to hold a suite against.
* `research_fsm.testing.simulate`: a whole world from a seed, with every fault; a failure is small and tells its story.
* `research_fsm.testing.diff`: where two histories part, in words.
* `research_fsm.testing.plugin`: fixtures, which pytest finds by itself.
* `research_fsm.testing.recount`: the invariants, counted again from the bare events.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from research_fsm.testing.clock import ManualClock
    from research_fsm.testing.scripted import Engine, EngineRun, Reply, ScriptedDispatcher

__all__ = ["Engine", "EngineRun", "ManualClock", "Reply", "ScriptedDispatcher"]


def __getattr__(name: str) -> object:
    """Import a name when it is first asked for: pytest imports this package in every session, for its plugin."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{'clock' if name == 'ManualClock' else 'scripted'}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List what there is, asked for or not."""
    return sorted({*globals(), *__all__})
