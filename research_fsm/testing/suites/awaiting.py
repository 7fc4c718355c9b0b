"""Callers who await: together with those who block, refused, raising, cancelled.

Floor 6. Part of `research_fsm.testing.conformance`. Needs no plugin for asynchronous tests: each test runs a loop of
its own.
"""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from research_fsm.async_runs import AsyncRuns
from research_fsm.errors import StoreClosed, WriteRejected
from research_fsm.outcomes import AlreadyRunning, Claimed, Completed, Queued
from research_fsm.storage import Query, Rule, Store, View, Write
from research_fsm.testing.suites.base import end_of, note, put
from research_fsm.testing.suites.expect import raises, same, the
from research_fsm.testing.suites.service import ADA, ServiceSuite, check_whole

__all__ = ["AwaitingSuite"]

A = TypeVar("A")

_CALLERS = 8
_PATIENCE_SECONDS = 60


class AwaitingSuite(ServiceSuite):
    """``transact_async`` promises what ``transact`` does, and both may be used at once."""

    def test_who_awaits_and_who_blocks_are_decided_one_after_the_other(self) -> None:
        """Each rule sees what the one before it wrote, whoever asked."""

        def one_more(view: View, _: int) -> Write[int]:
            seen = view.heads["a"].version if "a" in view.heads else 0
            return Write(answer=seen, streams=(end_of("a", seen, note(seen)),))

        async def all_of_them(store: Store) -> list[int]:
            query = Query(streams=("a",))
            with ThreadPoolExecutor(_CALLERS) as pool:
                loop = asyncio.get_running_loop()
                blocking = [loop.run_in_executor(pool, store.transact, query, one_more) for _ in range(_CALLERS)]
                return await asyncio.gather(*blocking, *(store.transact_async(query, one_more) for _ in blocking))

        with self.opened() as (store, _):
            same(sorted(_run(all_of_them(store))), list(range(2 * _CALLERS)))
            same([event.version for event in store.events("a")], list(range(1, 2 * _CALLERS + 1)))

    def test_a_caller_who_fails_does_not_touch_the_others(self) -> None:
        """One rule raises, one saw another version: they are told so, and the others are committed."""

        def raising(_: View, __: int) -> Write[None]:
            raise ValueError("the rule's own")

        async def all_of_them(store: Store) -> list[object]:
            good = [store.transact_async(Query(), _writes(f"good{number}")) for number in range(_CALLERS)]
            late = store.transact_async(Query(), _writes("late", expected=7))
            answers = await asyncio.gather(
                *good[:3], store.transact_async(Query(), raising), late, *good[3:], return_exceptions=True
            )
            return [type(answer) if isinstance(answer, Exception) else answer for answer in answers]

        with self.opened() as (store, _):
            told = ["written"] * 3 + [ValueError, WriteRejected] + ["written"] * (_CALLERS - 3)
            same(_run(all_of_them(store)), told)
            same([head.stream for head in store.heads()], [f"good{number}" for number in range(_CALLERS)])

    def test_a_caller_who_is_cancelled_wrote_everything_or_nothing(self) -> None:
        """Whichever it was, the others are committed and the store goes on working."""

        async def some_of_them(store: Store) -> None:
            tasks = [
                asyncio.create_task(store.transact_async(Query(), _writes(f"s{number}", f"t{number}")))
                for number in range(_CALLERS)
            ]
            await asyncio.sleep(0)
            for cancelled in tasks[::2]:
                cancelled.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await store.transact_async(Query(), _writes("after"))

        with self.opened() as (store, _):
            _run(some_of_them(store))
            there = {head.stream for head in store.heads()}
            for number in range(_CALLERS):
                pair = {f"s{number}", f"t{number}"}
                same(there & pair, set() if number % 2 == 0 and not there & pair else pair)
            same({"after"} - there, set())
            put(store, end_of("after", 1, note()))

    def test_a_life_that_is_awaited(self) -> None:
        """Of many starts one wins; the run is taken and reported, and one credit is spent."""

        async def live(store: Store) -> None:
            runs = AsyncRuns(store)
            (await runs.grant("acme", 2)).accepted()
            person_id = (await runs.add("acme", ADA)).accepted().person_id
            answers = await asyncio.gather(*(runs.start(person_id) for _ in range(_CALLERS)))
            told = [AlreadyRunning.__name__] * (_CALLERS - 1) + [Queued.__name__]
            same(sorted(type(answer).__name__ for answer in answers), told)
            taken = the(Claimed, await runs.take())
            the(Completed, await runs.complete(taken.run_id, taken.run_no, taken.external_id, "report"))
            balance = await runs.balance("acme")
            same((balance.available, balance.charged), (1, 1))

        with self.opened() as (store, _):
            _run(live(store))
            check_whole(store)

    def test_a_closed_store_says_so_to_who_awaits(self) -> None:
        """It raises `StoreClosed`, and nobody waits for ever."""
        with self.opened() as (store, _):
            store.close()
            with raises(StoreClosed):
                _run(store.transact_async(Query(), _writes("a")))


def _writes(*streams: str, expected: int = 0) -> Rule[str]:
    return lambda _view, _now: Write(
        answer="written", streams=tuple(end_of(stream, expected, note()) for stream in streams)
    )


def _run(work: Coroutine[Any, Any, A]) -> A:
    """Run a loop of its own, and let nobody wait in it for ever."""
    return asyncio.run(asyncio.wait_for(work, _PATIENCE_SECONDS))
