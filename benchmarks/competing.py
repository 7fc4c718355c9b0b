"""Several processes of several threads, each starting people for a while: how much, how fairly, how slow at worst."""

import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier

from attrs import frozen

__all__ = ["Act", "Contest", "Round", "compete"]

Act = Callable[[str], bool]
"""Starts one person; False if it was told that somebody else is in the way."""


@frozen
class Contest:
    """Who competes, and for how long.

    Args:
        processes: How many processes.
        threads: How many threads in each.
        seconds: How long they start people.
        open_: Called in each process with where the database is; returns what each of its threads calls, once, for
            what it starts people with. A function that a fresh interpreter can import.
    """

    processes: int
    threads: int
    seconds: float
    open_: Callable[[str], Callable[[], Act]]


@frozen
class Round:
    """What one round of all processes came to.

    Args:
        per_second: Starts a second, together.
        share: What the slowest thread did, of its fair share.
        p99: Seconds within which 99 of 100 starts were answered.
        locked: How often somebody was told that somebody else is in the way.
    """

    per_second: float
    share: float
    p99: float
    locked: int


@frozen
class _Competed:
    """What one process's threads came to.

    Args:
        seconds: Of each start, by thread; of those, too, that were told that somebody else is in the way.
        started: How many starts each thread brought about before the time was over.
        locked: How often somebody was told that.
    """

    seconds: list[list[float]]
    started: list[int]
    locked: int


def compete(contest: Contest, where: str, people: Sequence[str]) -> Round:
    """Let all processes start at once, and return what they came to."""
    context = multiprocessing.get_context("spawn")
    together, results = context.Barrier(contest.processes), context.SimpleQueue()
    shares = [people[number :: contest.processes] for number in range(contest.processes)]
    running = [context.Process(target=_worker, args=(contest, where, share, together, results)) for share in shares]
    for process in running:
        process.start()
    competed: list[_Competed] = [results.get() for _ in running]
    for process in running:
        process.join()
    counts = [count for one in competed for count in one.started]
    answers = sorted(second for one in competed for thread in one.seconds for second in thread)
    return Round(
        per_second=max(1, sum(counts)) / contest.seconds,
        share=min(counts) * len(counts) / max(1, sum(counts)),
        p99=answers[int(len(answers) * 0.99)] if answers else contest.seconds,
        locked=sum(one.locked for one in competed),
    )


def _worker(
    contest: Contest,
    where: str,
    people: Sequence[str],
    together: Barrier,
    results: "multiprocessing.SimpleQueue[_Competed]",
) -> None:
    """Start people in threads until the time is over."""
    hand_out = contest.open_(where)
    left, measured = iter(people), [list[float]() for _ in range(contest.threads)]
    started, locked = [0] * contest.threads, [0] * contest.threads
    ready = threading.Barrier(contest.threads + 1)

    def work(number: int) -> None:
        act = hand_out()
        ready.wait()
        end = time.monotonic() + contest.seconds
        for person in left:
            began = time.monotonic()
            if began > end:
                return
            if act(person):
                started[number] += time.monotonic() <= end
            else:
                locked[number] += 1
            measured[number].append(time.monotonic() - began)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(contest.threads)]
    for thread in threads:
        thread.start()
    together.wait()
    ready.wait()
    for thread in threads:
        thread.join()
    results.put(_Competed(measured, started, sum(locked)))
