"""What a campaign has reached: which trigger in which phase, under which fault.

Floor 6. A part of `simulate`. The table of the lifecycle says what there is to reach; a fault stands
to what happens to the person whom it hit, until that person is at rest.
"""

from collections import Counter
from collections.abc import Iterator

from attrs import Factory, define

from research_fsm import lifecycle
from research_fsm.lifecycle import Phase, Trigger
from research_fsm.testing.simulate.words import DISPATCH_FATES, Fate

__all__ = ["FAULTS", "ROWS", "Coverage"]

ROWS: tuple[tuple[Phase, Trigger], ...] = tuple(
    (phase, trigger) for trigger in Trigger for phase in Phase if lifecycle.allows(phase, trigger)
)
"""Every trigger in every phase that the lifecycle allows."""

FAULTS: tuple[str, ...] = tuple(
    dict.fromkeys(
        (
            *(str(fate) for fate in Fate if fate is not Fate.DONE),
            *DISPATCH_FATES,
            "crash",
            "engine-end",
            "engine-retry",
            "late",
            "replay",
            "jump",
            "drift",
        )
    )
)
"""Everything that can go wrong."""


@define
class Coverage:
    """What was reached, and how often.

    Args:
        points: Phase, trigger and fault; the fault is empty where nothing had gone wrong.
        faults: How often each thing went wrong.
        runs: Runs that were started.
        steps: Steps that were taken.
        worlds: Worlds that were simulated.
    """

    points: Counter[tuple[Phase, Trigger, str]] = Factory(Counter)
    faults: Counter[str] = Factory(Counter)
    runs: int = 0
    steps: int = 0
    worlds: int = 0

    def add(self, other: "Coverage") -> None:
        """Count what another one reached as well."""
        self.points.update(other.points)
        self.faults.update(other.faults)
        self.runs += other.runs
        self.steps += other.steps
        self.worlds += other.worlds

    @property
    def rows(self) -> frozenset[tuple[Phase, Trigger]]:
        """The rows of the lifecycle's table that were reached."""
        return frozenset((phase, trigger) for phase, trigger, _ in self.points)

    def missing(self) -> Iterator[str]:
        """Yield what was never reached: rows of the table, and faults that never happened."""
        yield from (f"{trigger} while {phase}" for phase, trigger in ROWS if (phase, trigger) not in self.rows)
        yield from (f"the fault {fault}" for fault in FAULTS if not self.faults[fault])

    def times(self, phase: Phase, trigger: Trigger) -> int:
        """Return how often a row was reached."""
        return sum(times for (one, other, _), times in self.points.items() if (one, other) == (phase, trigger))

    def under(self, phase: Phase, trigger: Trigger) -> list[str]:
        """Return the faults under which a row was reached, in order."""
        return [fault for fault in FAULTS if self.points[phase, trigger, fault]]

    def __str__(self) -> str:
        rows = f"{len(self.rows)} of {len(ROWS)} rows of the lifecycle"
        faults = f"{sum(1 for fault in FAULTS if self.faults[fault])} of {len(FAULTS)} faults"
        return f"{rows}, {faults}, {len(self.points)} combinations of phase, trigger and fault"
