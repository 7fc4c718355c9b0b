"""What a store promises to whoever follows its log: every event once, in order, and none before its time.

Floor 6. Part of `research_fsm.testing.conformance`.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from datetime import timedelta
from itertools import islice

from research_fsm.errors import InvalidInput, StoreClosed
from research_fsm.feed import follow, follow_async
from research_fsm.storage import RecordedEvent, Store
from research_fsm.testing.suites.base import StoreSuite, end_of, note, put
from research_fsm.testing.suites.expect import raises, same

__all__ = ["FeedSuite"]

_AT_ONCE = timedelta(0)
_LONG = timedelta(seconds=10)
"""How long a store may take to show what was committed; one that never does is not waited for without end."""
_WRITERS = 6
_EACH = 20


class FeedSuite(StoreSuite):
    """Followers keep their own place: a store keeps nothing for them."""

    def test_a_follower_reads_the_whole_log_in_order(self) -> None:
        """Everything that was committed before the call, once, as `events` has it; then it ends."""
        with self.opened() as (store, _):
            same(list(follow(store, wait=_AT_ONCE)), [])
            put(store, end_of("a", 0, note(1), note(2)), end_of("b", 0, note(3)))
            put(store, end_of("a", 2, note(4)))
            same(list(follow(store, wait=_AT_ONCE)), list(store.events()))

    def test_a_follower_goes_on_from_its_place(self) -> None:
        """From behind any event: what was read before is not read again, and nothing is left out."""
        with self.opened() as (store, _):
            put(store, *(end_of(f"s{number}", 0, note(), note()) for number in range(3)))
            log = list(store.events())
            for place, event in enumerate(log, 1):
                same(list(follow(store, after=event.position, wait=_AT_ONCE)), log[place:])

    def test_a_follower_waits_for_what_comes(self) -> None:
        """It is there before the event is; it gets the event, and waits for the next one."""
        with self.opened() as (store, _), closing(follow(store, wait=_LONG)) as events:
            put(store, end_of("a", 0, note(1)))
            same(next(events).version, 1)
            with ThreadPoolExecutor(1) as other:
                coming = other.submit(next, events)
                put(store, end_of("a", 1, note(2)))
                same(coming.result().version, 2)

    def test_a_follower_may_await(self) -> None:
        """The same events in the same order, and those that come."""

        async def main(store: Store) -> list[int]:
            async with aclosing(follow_async(store, wait=_LONG)) as events:
                first = await anext(events)
                coming = asyncio.ensure_future(anext(events))
                await asyncio.sleep(0)
                await asyncio.to_thread(put, store, end_of("a", 1, note(2)))
                return [first.version, (await coming).version]

        async def rest(store: Store) -> list[RecordedEvent]:
            return [event async for event in follow_async(store, wait=_AT_ONCE)]

        with self.opened() as (store, _):
            put(store, end_of("a", 0, note(1)))
            same(asyncio.run(main(store)), [1, 2])
            same(asyncio.run(rest(store)), list(store.events()))

    def test_among_many_writers_nothing_is_missed_or_doubled(self) -> None:
        """Each event of each stream comes once and in its turn, while all of them are written at once."""

        def write(store: Store, stream: str) -> None:
            for version in range(_EACH):
                put(store, end_of(stream, version, note(version)))

        with self.opened() as (store, _), ThreadPoolExecutor(_WRITERS) as writers:
            writing = [writers.submit(write, store, f"s{number}") for number in range(_WRITERS)]
            with closing(follow(store, wait=_LONG)) as events:
                read = list(islice(events, _WRITERS * _EACH))
            for one in writing:
                one.result()
            same(read, list(store.events()))
            same(len(read), _WRITERS * _EACH)

    def test_a_place_or_a_wait_that_is_none_is_refused(self) -> None:
        """At the call, and it is said what would be right."""
        given: list[tuple[str, object]] = [("after", value) for value in (-1, True, "7", 1.0, None)]
        given += [(name, value) for name in ("wait", "patience") for value in (timedelta(-1), 1, "1s")]
        with self.opened() as (store, _):
            for name, value in given:
                with raises(InvalidInput, f"{name}: must be"):
                    follow(store, **{name: value})  # type: ignore[arg-type]  # On purpose.

    def test_a_place_of_another_log_is_refused(self) -> None:
        """A log that ends before it was restored from before it, or is another: nothing is passed over in silence."""
        with self.opened() as (store, _):
            put(store, end_of("a", 0, note()))
            last = list(store.events())[-1].position
            with raises(InvalidInput, f"the log ends at position {last}"):
                next(follow(store, after=last + 1, wait=_AT_ONCE))

    def test_a_closed_store_ends_its_followers(self) -> None:
        """Whoever is waiting is told, blocking or awaiting."""
        with self.opened() as (store, _), closing(follow(store, wait=_LONG)) as events:
            put(store, end_of("a", 0, note()))
            next(events)
            with ThreadPoolExecutor(1) as other:
                waiting = other.submit(next, events)
                store.close()
                with raises(StoreClosed):
                    waiting.result()
