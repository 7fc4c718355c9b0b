"""Several processes on one file: how much they do together, and how fairly, against a connection for each caller."""

import sqlite3
import statistics
from collections.abc import Callable
from pathlib import Path

from benchmarks import by_hand
from benchmarks.by_hand import ByHand
from benchmarks.competing import Act, Contest, Round, compete
from benchmarks.people import Starts
from benchmarks.rounds import Measured, Settings, median_of
from research_fsm import Runs
from research_fsm.errors import StoreBusy
from research_fsm.stores.sqlite import SQLiteStore

__all__ = ["processes"]

_PROCESSES = 4
_THREADS = 8
_ROUNDS = 3
_CREDITS = 10**9
_PER_SECOND = 9000
"""More starts a second than there ever were: so many people are prepared."""


def processes(settings: Settings) -> list[Measured]:
    """Return throughput, fairness and latency of four processes of eight threads."""
    folder, rounds = Path(settings.folder), min(settings.rounds, _ROUNDS)
    people = int(rounds * settings.seconds * _PER_SECOND)
    own_file, other_file = folder / "processes.db", folder / "processes-by-hand.db"
    case, baseline = Starts(SQLiteStore(own_file), people), ByHand(other_file, people, _CREDITS)
    ours, theirs = case.people, baseline.people
    case.close()
    baseline.close()
    own_contest, other_contest = (Contest(_PROCESSES, _THREADS, settings.seconds, open_) for open_ in (_ours, _by_hand))
    own, other = list[Round](), list[Round]()
    for number in range(rounds):
        own.append(compete(own_contest, str(own_file), ours[number::rounds]))
        other.append(compete(other_contest, str(other_file), theirs[number::rounds]))
    name = f"SQLite, {_PROCESSES} processes × {_THREADS} threads"
    against = "sqlite3 by hand, a connection for each thread, busy timeout"
    told = f"locked: {sum(row.locked for row in own)} times, by hand {sum(row.locked for row in other)} times"
    shares = [row.share for row in own]
    share = statistics.median(shares)
    by_hand_share = statistics.median(row.share for row in other)
    return [
        median_of(
            name,
            against,
            [(1e6 / mine.per_second, 1e6 / yours.per_second) for mine, yours in zip(own, other, strict=True)],
            target=2.5,
            remark=told,
        ),
        Measured(
            case=f"{name}: the slowest thread's part of its fair share",
            baseline="an equal share",
            case_us=0.0,
            baseline_us=0.0,
            ratio=share,
            lowest=min(shares),
            highest=max(shares),
            rounds=rounds,
            target=0.9,
            remark=f"by hand {by_hand_share:.3f}",
        ),
        median_of(
            f"{name}: 99th percentile of a start",
            against,
            [(mine.p99 * 1e6, yours.p99 * 1e6) for mine, yours in zip(own, other, strict=True)],
            target=0.2,
            less_is_better=True,
        ),
    ]


def _ours(path: str) -> Callable[[], Act]:
    runs = Runs(SQLiteStore(Path(path)))

    def act(person_id: str) -> bool:
        try:
            runs.start(person_id).accepted()
        except StoreBusy:
            return False
        return True

    return lambda: act


def _by_hand(path: str) -> Callable[[], Act]:
    def hand_out() -> Act:
        connection = by_hand.connected(Path(path))

        def act(stream: str) -> bool:
            try:
                by_hand.start(connection, stream)
            except sqlite3.OperationalError:
                return False
            return True

        return act

    return hand_out
