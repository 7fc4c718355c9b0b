"""Many worlds, one after the other, until a law does not hold or the time is over.

Floor 6. A part of `simulate`.
"""

import time
from collections.abc import Callable, Iterable

from attrs import Factory, define

from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.simulate.coverage import Coverage
from research_fsm.testing.simulate.life import MakeStore, Outcome, simulate

__all__ = ["Campaign"]


@define
class Campaign:
    """What many worlds came to.

    Args:
        make_store: Makes an empty store for each, as for `simulate`.
        coverage: What was reached.
        failed: The first outcome in which a law does not hold.
        seconds: How long it took.
    """

    make_store: MakeStore = MemoryStore
    coverage: Coverage = Factory(Coverage)
    failed: Outcome | None = None
    seconds: float = 0.0

    @property
    def runs_per_second(self) -> float:
        """Runs of people that were started, per second."""
        return self.coverage.runs / self.seconds if self.seconds else 0.0

    def go(
        self,
        seeds: Iterable[int],
        *,
        seconds: float | None = None,
        told: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Simulate one world after the other, and stop at the first in which a law does not hold.

        Args:
            seeds: Which worlds.
            seconds: Begin none after so many.
            told: Is told each seed whose world is over.
        """
        before, began = self.seconds, time.monotonic()
        for seed in seeds:
            outcome = simulate(seed, self.make_store)
            self.coverage.add(outcome.coverage)
            self.seconds = before + time.monotonic() - began
            told(seed)
            if outcome.wrong:
                self.failed = outcome
                return
            if seconds is not None and self.seconds - before >= seconds:
                return
