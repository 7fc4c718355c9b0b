"""What survives the process, and what several openers and several processes do to one another.

Floor 6. Part of `research_fsm.testing.conformance`: for stores that claim it, which the reference store does not.
"""

import multiprocessing
import os
import threading
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import timedelta

from research_fsm.feed import follow
from research_fsm.outcomes import AlreadyRunning, Claimed, Queued, QueueEmpty
from research_fsm.runs import Runs
from research_fsm.storage import Query, View, Write
from research_fsm.testing.suites.base import StoreSuite, at_once, contents, end_of, loaded, note, put
from research_fsm.testing.suites.expect import same, that, the
from research_fsm.testing.suites.service import added, check_whole

__all__ = ["DurableSuite", "ProcessSuite"]

_PROCESSES = 3
_PEOPLE = 12
_COMMITS = 3
_KILLED = 9
_PATIENCE_SECONDS = 60


class DurableSuite(StoreSuite):
    """`make_store` opens the same place again when it is called again within a test, also in another process.

    The suite object is sent to that process: whatever a subclass keeps on itself has to be picklable.
    """

    def test_a_store_that_is_opened_again_has_everything(self) -> None:
        """Events, heads, keys, receipts, documents, the queue, tokens, and the same secret."""
        with self.opened() as (store, _):
            runs = Runs(store)
            person_id = added(runs, credits=2)
            runs.start(person_id, owner="acme", key="k").accepted()
            runs.tokens.create("acme")
            before, secret, (receipt,) = contents(store), store.secret, store.receipts()
            taken = the(Claimed, runs.take())
            after = contents(store)
        that(before != after, "an entry that was taken is not to be seen in the queue")
        with self.opened() as (again, _):
            same(contents(again), after)
            same(again.secret, secret)
            same(loaded(again, Query(receipts=(receipt.key,))).receipts, {receipt.key: receipt})
            Runs(again).complete(taken.run_id, 1, taken.external_id, "done").accepted()
            check_whole(again)

    def test_positions_go_on_rising(self) -> None:
        """What was read by position before is not read again after the store was opened anew."""
        with self.opened() as (store, _):
            put(store, end_of("a", 0, note(), note()))
            last = list(store.events())[-1].position
        with self.opened() as (again, _):
            put(again, end_of("a", 2, note()))
            same([event.version for event in again.events(after=last)], [3])

    def test_a_process_that_dies_leaves_every_commit_and_nothing_half_done(self) -> None:
        """It is killed while a rule decides: what it was told is there, the rest is not, and its lock is free."""
        died = multiprocessing.get_context("spawn").Process(target=_write_and_die, args=(self,))
        died.start()
        died.join(_PATIENCE_SECONDS)
        same(died.exitcode, _KILLED)
        with self.opened() as (store, _):
            same([event.version for event in store.events("a")], list(range(1, _COMMITS + 1)))
            same([head.stream for head in store.heads()], ["a"])
            put(store, end_of("a", _COMMITS, note()), end_of("b", 0, note()))


class ProcessSuite(StoreSuite):
    """Several have the same place open at once: in one process, and in several, to which the suite object is sent."""

    def test_two_openers_see_what_the_other_wrote(self) -> None:
        """At the next transaction and the next read, and neither overwrites the other."""
        with self.opened() as (one, _), self.opened() as (other, _):
            put(one, end_of("a", 0, note(1)))
            put(other, end_of("a", 1, note(2)))
            put(one, end_of("a", 2, note(3)))
            same([event.version for event in other.events("a")], [1, 2, 3])
            same(contents(one), contents(other))
            same(one.secret, other.secret)

    def test_a_follower_hears_what_another_opener_writes(self) -> None:
        """It waits on one opener, and the event is written through another."""
        with self.opened() as (one, _), self.opened() as (other, _):
            put(other, end_of("a", 0, note(1)))
            same([event.version for event in one.events()], [1])
            with closing(follow(one, wait=timedelta(seconds=10))) as events:
                same(next(events).version, 1)
                put(other, end_of("a", 1, note(2)))
                same(next(events).version, 2)

    def test_many_may_open_a_new_place_at_once(self) -> None:
        """Whoever comes first makes it, and all of them can write to it."""

        def open_and_write(number: int) -> None:
            with self.opened() as (store, _):
                put(store, end_of(f"s{number}", 0, note()))

        at_once(6, open_and_write)
        with self.opened() as (store, _):
            same([head.stream for head in store.heads()], [f"s{number}" for number in range(6)])

    def test_of_many_openers_exactly_one_wins_a_start(self) -> None:
        """Invariant 1 between stores that share nothing but the place."""
        with self.opened() as (store, _):
            person_id = added(Runs(store), credits=4)

            def start(_: int) -> type:
                with self.opened() as (mine, __):
                    return type(Runs(mine).start(person_id))

            same(Counter(at_once(4, start)), {Queued: 1, AlreadyRunning: 3})
            check_whole(store)

    def test_a_lease_is_kept_between_openers(self) -> None:
        """An entry that one opener took is not free for another, until its lease is over."""
        with self.opened() as (store, clock), self.opened(clock) as (another, _):
            one, other = Runs(store), Runs(another)
            one.start(added(one)).accepted()
            the(Claimed, one.take())
            the(QueueEmpty, other.take())
            clock.advance(one.policy.worker_lease - timedelta(microseconds=1))
            the(QueueEmpty, other.take())
            clock.advance(timedelta(microseconds=1))
            the(Claimed, other.take())

    def test_of_many_processes_exactly_one_wins_each_start(self) -> None:
        """Invariant 1 between processes: every person is started once, and charged once."""
        with self.opened() as (store, _):
            runs = Runs(store)
            people = [added(runs) for _ in range(_PEOPLE)]
            context = multiprocessing.get_context("spawn")
            barrier = context.Barrier(_PROCESSES)
            with ProcessPoolExecutor(_PROCESSES, context, _meet, (barrier,)) as pool:
                jobs = [pool.submit(_start_all, self, people) for _ in range(_PROCESSES)]
                answers = [job.result() for job in jobs]
            for one in zip(*answers, strict=True):
                same(Counter(one), {"Queued": 1, "AlreadyRunning": _PROCESSES - 1})
            same(runs.balance("acme").charged, _PEOPLE)
            check_whole(store)


_barriers: list[threading.Barrier] = []


def _meet(barrier: threading.Barrier) -> None:
    """Keep the barrier in a process that was just started."""
    _barriers.append(barrier)


def _start_all(suite: StoreSuite, people: list[str]) -> list[str]:
    """Start everybody, together with the other processes, and return what the answers were."""
    with suite.opened() as (store, _):
        _barriers[0].wait()
        return [type(Runs(store).start(person_id)).__name__ for person_id in people]


def _write_and_die(suite: StoreSuite) -> None:
    """Commit some, then lose everything that is not on disk, in the middle of a transaction."""

    def rule(_: View, __: int) -> Write[None]:
        os._exit(_KILLED)

    with suite.opened() as (store, _):
        for version in range(_COMMITS):
            put(store, end_of("a", version, note()))
        store.transact(Query(streams=("a",)), rule)
