"""Paired rounds: a case and its baseline in turn, so that a machine whose speed drifts does not decide."""

import statistics
import time
from collections.abc import Callable

from attrs import frozen

__all__ = ["Paired", "paired"]


@frozen
class Paired:
    """What paired rounds came to.

    Args:
        name: The case.
        baseline: What it is held against.
        case_us: Median time of the case for one operation, in microseconds.
        baseline_us: The same of the baseline.
        ratio: Median, over the rounds, of the case's speed divided by its baseline's in the same round.
        lowest: The lowest of those ratios.
        highest: The highest.
        rounds: How many there were.
    """

    name: str
    baseline: str
    case_us: float
    baseline_us: float
    ratio: float
    lowest: float
    highest: float
    rounds: int


def paired(
    name: str,
    baseline: str,
    run_case: Callable[[int], None],
    run_baseline: Callable[[int], None],
    *,
    rounds: int,
    operations: int,
) -> Paired:
    """Run a case and its baseline in turn, A B B A …, after one round that is not counted.

    Args:
        name: The case.
        baseline: What it is held against.
        run_case: Does so many operations.
        run_baseline: The same, by other means.
        rounds: Counted rounds.
        operations: Operations in one round.
    """
    times: list[tuple[float, float]] = []
    for number in range(rounds + 1):
        if number % 2:
            other = _timed(run_baseline, operations)
            own = _timed(run_case, operations)
        else:
            own = _timed(run_case, operations)
            other = _timed(run_baseline, operations)
        times.append((own, other))
    counted = times[1:]
    ratios = [other / own for own, other in counted]
    return Paired(
        name=name,
        baseline=baseline,
        case_us=statistics.median(own for own, _ in counted) / operations * 1e6,
        baseline_us=statistics.median(other for _, other in counted) / operations * 1e6,
        ratio=statistics.median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
        rounds=rounds,
    )


def _timed(run: Callable[[int], None], operations: int) -> float:
    began = time.perf_counter()
    run(operations)
    return time.perf_counter() - began
