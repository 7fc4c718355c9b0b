"""Paired rounds: a case and its baseline in turn, so that a machine whose speed drifts does not decide."""

import statistics
import time
from collections.abc import Callable

from attrs import field, frozen

__all__ = ["Measured", "Settings", "median_of", "paired"]


@frozen
class Settings:
    """How much is measured.

    Args:
        folder: Where files go: a disk, or a tmpfs.
        rounds: Counted rounds of each case.
        operations: Operations in one round.
        events: The length of a long log.
        charges: How many charges an account with many has.
        seconds: How long processes compete in one round.
        clock: What measures, in seconds.
    """

    folder: str
    rounds: int
    operations: int
    events: int
    charges: int
    seconds: float
    clock: Callable[[], float] = time.perf_counter


@frozen
class Measured:
    """What a case came to against its baseline.

    Args:
        case: What was measured.
        baseline: What it is held against.
        case_us: Median time of the case for one operation, in microseconds.
        baseline_us: The same of the baseline.
        ratio: Median, over the rounds, of the ratio within one round. Of speeds where more is better, of times or
            sizes where less is.
        lowest: The lowest of those ratios.
        highest: The highest.
        rounds: How many there were.
        target: What the ratio is to reach; None where it is only shown.
        less_is_better: Whether the target is a ceiling.
        remark: What else there is to know.
    """

    case: str
    baseline: str
    case_us: float
    baseline_us: float
    ratio: float
    lowest: float
    highest: float
    rounds: int
    target: float | None = None
    less_is_better: bool = False
    remark: str = field(default="")

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.target is None:
            return None
        return self.ratio <= self.target if self.less_is_better else self.ratio >= self.target


def paired(
    case: str,
    baseline: str,
    run_case: Callable[[int], None],
    run_baseline: Callable[[int], None],
    settings: Settings,
    *,
    target: float | None = None,
    less_is_better: bool = False,
    remark: str = "",
) -> Measured:
    """Run a case and its baseline in turn, A B B A …, after one round that is not counted.

    Args:
        case: What is measured.
        baseline: What it is held against.
        run_case: Does so many operations.
        run_baseline: The same, by other means.
        settings: How many rounds, of how many operations.
        target: What the ratio is to reach.
        less_is_better: Whether the ratio is of times, and the target a ceiling.
        remark: What else there is to know.
    """
    times: list[tuple[float, float]] = []
    for number in range(settings.rounds + 1):
        if number % 2:
            other = _timed(run_baseline, settings)
            own = _timed(run_case, settings)
        else:
            own = _timed(run_case, settings)
            other = _timed(run_baseline, settings)
        times.append((own, other))
    return median_of(
        case,
        baseline,
        [(own / settings.operations * 1e6, other / settings.operations * 1e6) for own, other in times[1:]],
        target=target,
        less_is_better=less_is_better,
        remark=remark,
    )


def median_of(
    case: str,
    baseline: str,
    pairs: list[tuple[float, float]],
    *,
    target: float | None = None,
    less_is_better: bool = False,
    remark: str = "",
) -> Measured:
    """Return the medians of rounds, each the case's and the baseline's microseconds for one operation."""
    ratios = [own / other if less_is_better else other / own for own, other in pairs]
    return Measured(
        case=case,
        baseline=baseline,
        case_us=statistics.median(own for own, _ in pairs),
        baseline_us=statistics.median(other for _, other in pairs),
        ratio=statistics.median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
        rounds=len(pairs),
        target=target,
        less_is_better=less_is_better,
        remark=remark,
    )


def _timed(run: Callable[[int], None], settings: Settings) -> float:
    began = settings.clock()
    run(settings.operations)
    return settings.clock() - began
