"""Many callers in one process: threads and tasks of the library against one connection with a lock."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

from attrs import evolve

from benchmarks.by_hand import ByHand
from benchmarks.people import Starts
from benchmarks.rounds import Measured, Settings, paired
from research_fsm.async_runs import AsyncRuns
from research_fsm.stores.sqlite import SQLiteStore

__all__ = ["in_tasks", "in_threads", "one_caller", "tasks", "threads"]

_CREDITS = 10**9


def one_caller(settings: Settings, target: float) -> Measured:
    """Compare one caller with what somebody would write by hand: same tables, one commit per start, no hash chain."""
    case, by_hand = _both(settings, "one")
    try:
        return paired(
            "SQLite, 1 caller, hash chain on",
            "sqlite3 by hand, same tables, no chain, one commit per start",
            case.start,
            by_hand.start,
            settings,
            target=target,
        )
    finally:
        case.close()
        by_hand.close()


def threads(settings: Settings, callers: int, target: float, flush: str = "") -> Measured:
    """Compare so many threads with the same threads on one connection behind a lock."""
    case, by_hand = _both(settings, f"threads-{callers}")
    lock = threading.Lock()

    def locked() -> None:
        with lock:
            by_hand.start_next()

    try:
        return paired(
            f"SQLite, {callers} threads{flush}",
            f"sqlite3 by hand, {callers} threads, one connection with a lock",
            lambda operations: in_threads(callers, operations, case.start_next),
            lambda operations: in_threads(callers, operations, locked),
            settings,
            target=target,
        )
    finally:
        case.close()
        by_hand.close()


def tasks(settings: Settings, callers: int, target: float, flush: str = "") -> list[Measured]:
    """Compare so many tasks with the faster of two ways by hand: to block the loop, or send each start to a thread.

    The two are held against each other first, and shown. There are twice as many starts as elsewhere, so that the first
    batch, of one caller, and the last ones matter less.
    """
    settings = evolve(settings, operations=2 * settings.operations)
    case, by_hand = _both(settings, f"tasks-{callers}", times_by_hand=3)
    runs, lock = AsyncRuns.of(case.runs), threading.Lock()

    def locked() -> None:
        with lock:
            by_hand.start_next()

    async def awaited() -> None:
        (await runs.start(case.next_person())).accepted()

    async def blocking() -> None:
        by_hand.start_next()
        await asyncio.sleep(0)

    async def in_a_thread() -> None:
        await asyncio.to_thread(locked)

    def in_turn(act: Callable[[], Awaitable[None]]) -> Callable[[int], None]:
        return lambda operations: asyncio.run(in_tasks(callers, operations, act))

    few = evolve(settings, rounds=min(settings.rounds, 3))
    to_block, to_send = "that block the loop", "that send it to a thread, with a lock"
    name = f"sqlite3 by hand, {callers} tasks"
    try:
        ways = paired(f"{name} {to_send}{flush}", f"{name} {to_block}", in_turn(in_a_thread), in_turn(blocking), few)
        how, act = (to_send, in_a_thread) if ways.ratio > 1 else (to_block, blocking)
        case_name, remark = f"SQLite, {callers} tasks{flush}", "the faster of two ways by hand"
        return [
            ways,
            paired(case_name, f"{name} {how}", in_turn(awaited), in_turn(act), settings, target=target, remark=remark),
        ]
    finally:
        case.close()
        by_hand.close()


def _both(settings: Settings, name: str, times_by_hand: int = 1) -> tuple[Starts, ByHand]:
    people = (settings.rounds + 1) * settings.operations
    folder = Path(settings.folder)
    return Starts(SQLiteStore(folder / f"{name}-case.db"), people), ByHand(
        folder / f"{name}-by-hand.db", times_by_hand * people, _CREDITS
    )


def in_threads(callers: int, operations: int, act: Callable[[], object]) -> None:
    """Do so many operations in so many threads."""

    def work(count: int) -> None:
        for _ in range(count):
            act()

    running = [threading.Thread(target=work, args=(count,)) for count in _shares(callers, operations)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


async def in_tasks(callers: int, operations: int, act: Callable[[], Awaitable[object]]) -> None:
    """Do so many operations in so many tasks."""

    async def work(count: int) -> None:
        for _ in range(count):
            await act()

    await asyncio.gather(*(work(count) for count in _shares(callers, operations)))


def _shares(callers: int, operations: int) -> list[int]:
    return [operations // callers + (number < operations % callers) for number in range(callers)]
