"""Several processes on one file: how much they do together, and how fairly, against a connection for each caller."""

import multiprocessing
import sqlite3
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path

from attrs import frozen

from benchmarks import by_hand
from benchmarks.by_hand import ByHand
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

Act = Callable[[str], None]


@frozen
class _Competed:
    """What one process's threads came to.

    Args:
        seconds: Of each start, by thread; of those, too, that were told that the file is locked.
        started: How many starts each thread brought about before the time was over.
        locked: How often somebody was told that the file is locked.
    """

    seconds: list[list[float]]
    started: list[int]
    locked: int


@frozen
class _Round:
    """What one round of all processes came to.

    Args:
        per_second: Starts a second, together.
        share: What the slowest thread did, of its fair share.
        p99: Seconds within which 99 of 100 starts were answered.
        locked: How often somebody was told that the file is locked.
    """

    per_second: float
    share: float
    p99: float
    locked: int


def processes(settings: Settings) -> list[Measured]:
    """Return throughput, fairness and latency of four processes of eight threads."""
    folder, rounds = Path(settings.folder), min(settings.rounds, _ROUNDS)
    people = int(rounds * settings.seconds * _PER_SECOND)
    case, baseline = Starts(folder / "processes.db", people), ByHand(folder / "processes-by-hand.db", people, _CREDITS)
    ours, theirs = case.people, baseline.people
    case.close()
    baseline.close()
    own, other = list[_Round](), list[_Round]()
    for number in range(rounds):
        own.append(_compete(_ours, folder / "processes.db", ours[number::rounds], settings.seconds))
        other.append(_compete(_by_hand, folder / "processes-by-hand.db", theirs[number::rounds], settings.seconds))
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


def _compete(open_: Callable[[Path], Act], path: Path, people: Sequence[str], seconds: float) -> _Round:
    context = multiprocessing.get_context("spawn")
    together, results = context.Barrier(_PROCESSES), context.SimpleQueue()
    shares = [people[number::_PROCESSES] for number in range(_PROCESSES)]
    running = [
        context.Process(target=_worker, args=(open_, path, share, seconds, together, results)) for share in shares
    ]
    for process in running:
        process.start()
    competed: list[_Competed] = [results.get() for _ in running]
    for process in running:
        process.join()
    counts = [count for one in competed for count in one.started]
    answers = sorted(second for one in competed for thread in one.seconds for second in thread)
    return _Round(
        per_second=max(1, sum(counts)) / seconds,
        share=min(counts) * len(counts) / max(1, sum(counts)),
        p99=answers[int(len(answers) * 0.99)] if answers else seconds,
        locked=sum(one.locked for one in competed),
    )


def _worker(
    open_: Callable[[Path], Act],
    path: Path,
    people: Sequence[str],
    seconds: float,
    together: Barrier,
    results: "multiprocessing.SimpleQueue[_Competed]",
) -> None:
    """Start people in threads until the time is over."""
    shared = open_(path) if open_ is _ours else None
    left, measured = iter(people), [list[float]() for _ in range(_THREADS)]
    started, locked = [0] * _THREADS, [0] * _THREADS
    ready = threading.Barrier(_THREADS + 1)

    def work(number: int) -> None:
        act = shared or open_(path)
        ready.wait()
        end = time.monotonic() + seconds
        for person in left:
            began = time.monotonic()
            if began > end:
                return
            try:
                act(person)
            except (sqlite3.OperationalError, StoreBusy):
                locked[number] += 1
            else:
                started[number] += time.monotonic() <= end
            measured[number].append(time.monotonic() - began)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(_THREADS)]
    for thread in threads:
        thread.start()
    together.wait()
    ready.wait()
    for thread in threads:
        thread.join()
    results.put(_Competed(measured, started, sum(locked)))


def _ours(path: Path) -> Act:
    runs = Runs(SQLiteStore(path))
    return lambda person_id: [runs.start(person_id).accepted()].clear()


def _by_hand(path: Path) -> Act:
    connection = by_hand.connected(path)
    return lambda stream: by_hand.start(connection, stream)
