"""The line before a database: who leads, who is told what, and what an interrupt or a cancellation leaves behind."""

import asyncio
import gc
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import FrameType
from typing import Any

import pytest

from research_fsm.errors import StoreBusy, StoreError, StoreUnavailable
from research_fsm.storage import Query, View, Write
from research_fsm.stores import group_commit
from research_fsm.stores.group_commit import GroupCommit, Take, Ticket
from tests.stores.sqlite_examples import Child

WAIT = timedelta(seconds=20)

VIEW = View(heads={}, keys={}, receipts={}, documents={}, entry=None, history=lambda _: iter(()))


class Database:
    """Commits by keeping what the rules answered; a test may hold it shut.

    Args:
        wait: For how long callers wait for their turn.
        limits: The limits of the line.
    """

    def __init__(self, wait: timedelta = WAIT, **limits: int) -> None:
        self.batches: list[list[object]] = []
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()
        self.failure: BaseException | None = None
        self.line = GroupCommit(self._commit, "a database", wait, **limits)

    def _commit(self, _: float, take: Take) -> None:
        self.entered.set()
        self.open.wait()
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        tickets = take()
        for ticket in tickets:
            _decided(ticket)
        self.batches.append([ticket.answer for ticket in tickets if ticket.error is None])
        for ticket in tickets:
            ticket.done = True

    @property
    def committed(self) -> list[object]:
        """Everything that was committed, in order."""
        return [answer for batch in self.batches for answer in batch]

    def call(self, answer: object) -> object:
        """Commit for a caller who blocks."""
        return self.line.call(Query(), _answering(answer))

    async def call_async(self, answer: object) -> object:
        """Commit for a caller who awaits."""
        return await self.line.call_async(Query(), _answering(answer))

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Keep whoever leads inside, and let the others come."""
        self.open.clear()
        self.entered.clear()
        try:
            yield
        finally:
            self.open.set()

    def wait_for(self, callers: int) -> None:
        """Return when so many stand in line."""
        while len(self.line._line) < callers:
            os.sched_yield()


def _decided(ticket: Ticket[Any]) -> None:
    try:
        ticket.settle(ticket.rule(VIEW, 0).answer, None)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # The caller's.
        ticket.settle(None, error)


def _answering(answer: object) -> Callable[[View, int], Write[object]]:
    def rule(_: View, __: int) -> Write[object]:
        if isinstance(answer, BaseException):
            raise answer
        return Write(answer=answer)

    return rule


class Callers:
    """Threads that each call once, and what they were told.

    Args:
        database: Whom they call.
        answers: What each asks for.
    """

    def __init__(self, database: Database, answers: Sequence[object]) -> None:
        self.told: dict[object, object] = {}
        self._database = database
        self._threads = []
        for answer in answers:
            thread = threading.Thread(target=self._call, args=(answer,))
            thread.start()
            self._threads.append(thread)
            database.wait_for(len(self._threads))

    def _call(self, answer: object) -> None:
        try:
            self.told[answer] = self._database.call(answer)
        except BaseException as error:  # noqa: BLE001  # Looked at by the test.
            self.told[answer] = error

    def join(self) -> None:
        """Wait until everybody was told."""
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive(), "a caller was forgotten in the line"


def idle(database: Database) -> bool:
    """Tell whether nobody leads and nobody waits."""
    return database.line._leader is None and not database.line._line


# --- who is committed with whom ----------------------------------------------------------------------------------


def test_a_lone_caller_pays_for_no_other() -> None:
    """It is committed alone, in its own thread, and no other thread is started."""
    database, before = Database(), threading.active_count()
    assert [database.call(number) for number in range(3)] == [0, 1, 2]
    assert database.batches == [[0], [1], [2]]
    assert threading.active_count() == before
    assert idle(database)


def test_callers_who_come_during_a_commit_are_committed_once() -> None:
    """Four of them wait while the first is inside; then there is one more commit, in the order in which they came."""
    database = Database()
    with database.shut():
        first = threading.Thread(target=database.call, args=("first",))
        first.start()
        database.entered.wait()
        callers = Callers(database, ["a", "b", "c"])
    callers.join()
    first.join()
    assert database.committed == ["first", "a", "b", "c"]
    assert len(database.batches) <= 2
    assert callers.told == {name: name for name in "abc"}


def test_blocking_and_awaiting_callers_are_committed_together() -> None:
    """A blocking leader commits for those who await, and the other way round."""
    database = Database()

    async def awaiting() -> list[object]:
        return list(await asyncio.gather(*(database.call_async(number) for number in range(4))))

    def in_a_loop(told: list[object]) -> None:
        told += asyncio.run(awaiting())

    told: list[object] = []
    with database.shut():
        leader = threading.Thread(target=database.call, args=("first",))
        leader.start()
        database.entered.wait()
        loop = threading.Thread(target=in_a_loop, args=(told,))
        loop.start()
        database.wait_for(5)  # The leader stands in front until it has the database.
        others = threading.Thread(target=database.call, args=("last",))
        others.start()
        database.wait_for(6)
    for thread in (leader, loop, others):
        thread.join()
    assert told == [0, 1, 2, 3]
    assert database.batches == [["first", 0, 1, 2, 3, "last"]]
    assert idle(database)


def test_a_batch_has_a_limit() -> None:
    """Whoever does not fit is committed next, and nobody is passed over."""
    database = Database(largest_batch=2)
    with database.shut():
        callers = Callers(database, list("abcde"))
    callers.join()
    assert database.committed == list("abcde")
    assert max(map(len, database.batches)) == 2


def test_answered_callers_who_come_back_find_company() -> None:
    """Threads that call again and again are committed in batches, not one by one."""
    database = Database()

    def work() -> None:
        for number in range(50):
            database.call(number)

    with database.shut():
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        database.wait_for(4)
    for thread in threads:
        thread.join()
    assert len(database.committed) == 200
    assert len(database.batches) < 200


# --- who harms whom ----------------------------------------------------------------------------------------------


def test_a_rule_that_raises_is_its_own_callers_affair() -> None:
    """The others of its batch are committed, and told."""
    database, wrong = Database(), ValueError("wrong")
    with database.shut():
        callers = Callers(database, ["a", wrong, "b"])
    callers.join()
    assert callers.told == {"a": "a", wrong: wrong, "b": "b"}
    assert database.committed == ["a", "b"]


def test_a_leader_that_cannot_have_the_database_harms_nobody() -> None:
    """It is told why; the next in line leads, and tries for itself."""
    database = Database()
    with database.shut():
        callers = Callers(database, ["a", "b", "c"])
        database.failure = StoreUnavailable("a database", "gone for a moment")
    callers.join()
    assert isinstance(callers.told.pop("a"), StoreUnavailable)
    assert callers.told == {"b": "b", "c": "c"}
    assert idle(database)


def test_an_awaiting_leader_that_cannot_have_the_database_is_told() -> None:
    """Only the first of those who await; the others are committed."""
    database = Database()

    async def awaiting() -> list[object]:
        with database.shut():
            tasks = [asyncio.ensure_future(database.call_async(number)) for number in range(3)]
            await asyncio.sleep(0)
            database.failure = StoreUnavailable("a database", "gone for a moment")
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    first, *others = asyncio.run(awaiting())
    assert isinstance(first, StoreUnavailable)
    assert others == [1, 2]


def test_a_rule_may_not_call_the_store_that_calls_it() -> None:
    """It is told so at once, instead of waiting for itself."""
    database = Database()

    def rule(_: View, __: int) -> Write[object]:
        return Write(answer=database.call("within"))

    with pytest.raises(StoreError, match="a rule is pure"):
        database.line.call(Query(), rule)
    assert database.call("afterwards") == "afterwards"


# --- limits ------------------------------------------------------------------------------------------------------


def test_a_line_that_is_too_long_refuses() -> None:
    """The one who came too late is told at once; the others are committed."""
    database = Database(longest_line=2)
    with database.shut():
        callers = Callers(database, ["a", "b"])
        with pytest.raises(StoreBusy, match="2 callers are waiting already"):
            database.call("c")
    callers.join()
    assert callers.told == {"a": "a", "b": "b"}


def test_a_turn_that_does_not_come_in_time_is_not_waited_for() -> None:
    """A follower gives up after its wait, leaves the line, and is never decided for."""
    database = Database(wait=timedelta(milliseconds=20))
    with database.shut():
        leader = threading.Thread(target=database.call, args=("a",))
        leader.start()
        database.entered.wait()
        with pytest.raises(StoreBusy, match=r"waited 0\.02 s for a turn"):
            database.call("b")
    leader.join()
    assert database.committed == ["a"]


def test_whoever_is_being_committed_for_waits_to_the_end() -> None:
    """Its wait is over, but somebody has its request in hand: what came of it must not be lost."""
    database = Database(wait=timedelta(milliseconds=20))
    inside, go_on = threading.Event(), threading.Event()

    def slow(_: View, __: int) -> Write[object]:
        inside.set()
        go_on.wait()
        return Write(answer="slow")

    with database.shut():
        leader = threading.Thread(target=database.line.call, args=(Query(), slow))
        leader.start()
        database.entered.wait()
        callers = Callers(database, ["fast"])
    inside.wait()
    (follower,) = callers._threads
    follower.join(0.1)
    assert follower.is_alive()
    go_on.set()
    callers.join()
    leader.join()
    assert callers.told == {"fast": "fast"}


# --- cancellation ------------------------------------------------------------------------------------------------


def test_a_caller_that_is_cancelled_in_the_line_is_not_decided_for() -> None:
    """It has left; the others are committed."""
    database = Database()

    async def awaiting() -> list[object]:
        with database.shut():
            tasks = [asyncio.ensure_future(database.call_async(number)) for number in range(3)]
            await asyncio.to_thread(database.entered.wait)
            tasks[1].cancel()
            await asyncio.sleep(0)
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    first, cancelled, last = asyncio.run(awaiting())
    assert (first, last) == (0, 2)
    assert isinstance(cancelled, asyncio.CancelledError)
    assert database.committed == [0, 2]


def test_a_caller_that_is_cancelled_while_it_is_committed_for_is_not_told() -> None:
    """What was decided stands; it is the only one who does not hear of it."""
    database = Database()
    inside, go_on = threading.Event(), threading.Event()

    def slow(_: View, __: int) -> Write[object]:
        inside.set()
        go_on.wait()
        return Write(answer="slow")

    async def awaiting() -> object:
        cancelled = asyncio.ensure_future(database.line.call_async(Query(), slow))
        await asyncio.to_thread(inside.wait)
        cancelled.cancel()
        with suppress(asyncio.CancelledError):
            await cancelled
        go_on.set()
        return await database.call_async("next")

    assert asyncio.run(awaiting()) == "next"
    assert database.committed == ["slow", "next"]


@pytest.mark.parametrize("turns", range(6))
def test_tasks_that_are_cancelled_at_any_turn_of_the_loop_harm_nobody(turns: int) -> None:
    """Whoever is not cancelled is told its own answer, and is committed once."""
    database = Database(largest_batch=3)

    async def awaiting() -> list[object]:
        tasks = [asyncio.ensure_future(database.call_async(number)) for number in range(12)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    told = asyncio.run(awaiting())
    assert told[1::2] == list(range(12))[1::2]
    assert len(set(database.committed)) == len(database.committed)
    assert {number for number in range(12) if told[number] == number} <= set(database.committed)
    assert database.call("afterwards") == "afterwards"


def test_a_loop_that_was_closed_is_not_told() -> None:
    """Its callers are gone; whoever is committed with them is told."""
    database = Database()

    async def leaving() -> None:
        asyncio.ensure_future(database.call_async("gone"))  # noqa: RUF006  # It is to be forgotten.
        await asyncio.sleep(0)

    with database.shut():
        asyncio.run(leaving())
        callers = Callers(database, ["a"])
    callers.join()
    assert callers.told == {"a": "a"}


def test_the_thread_of_those_who_await_ends_when_nobody_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps nothing alive, and is there again for the next one."""
    monkeypatch.setattr(group_commit, "_IDLE_SECONDS", 0.01)
    database = Database()
    for _ in range(2):
        assert asyncio.run(database.call_async("a")) == "a"
        thread = database.line._drain
        if thread is not None:
            thread.join(20)
        assert database.line._drain is None
    line = weakref.ref(database.line)
    del database
    gc.collect()
    assert line() is None


# --- interrupts --------------------------------------------------------------------------------------------------

_NO_INTERRUPT = ("with ", "try:", "finally:", "else:")
"""The interpreter looks for a signal after a call, on a jump backwards and on entering a function: never here."""


class Interruption:
    """Raises KeyboardInterrupt at the n-th line of the module that a thread comes to, once.

    Args:
        at: Which line.
    """

    def __init__(self, at: int) -> None:
        self.reached = False
        self._left = at
        with open(group_commit.__file__, encoding="utf-8") as source:  # noqa: PTH123  # Of this package.
            self._lines = [line.strip() for line in source]

    def __call__(self, frame: FrameType, event: str, _: object) -> "Interruption | None":
        """Be called by the interpreter."""
        if frame.f_code.co_filename != group_commit.__file__:
            return None
        if event == "line" and not self._lines[frame.f_lineno - 1].startswith(_NO_INTERRUPT):
            self._left -= 1
            if self._left == 0:
                self.reached = True
                raise KeyboardInterrupt
        return self


def interrupted(call: Callable[[], object], at: int) -> tuple[object, bool]:
    """Call with an interrupt at the n-th line; return what came of it, and whether there are as many lines."""
    interruption = Interruption(at)
    sys.settrace(interruption)
    try:
        return call(), interruption.reached
    except KeyboardInterrupt as error:
        return error, interruption.reached
    finally:
        sys.settrace(None)


def test_an_interrupt_at_any_line_of_a_leader_harms_nobody() -> None:
    """Three others are waiting: each is committed once and told, whatever the leader was doing."""
    at, reached = 0, True
    while reached:
        at += 1
        database = Database()
        with database.shut():
            leading = threading.Event()
            told: list[tuple[object, bool]] = []

            def lead(database: Database = database, at: int = at, told: list[tuple[object, bool]] = told) -> None:
                told.append(interrupted(lambda: database.call("leader"), at))

            leader = threading.Thread(target=lead)
            leader.start()
            while not (database.entered.is_set() or told):
                os.sched_yield()
            callers = Callers(Waiting(database, behind=not told), ["a", "b", "c"])
            leading.set()
        callers.join()
        leader.join(20)
        ((_, reached),) = told
        assert callers.told == {"a": "a", "b": "b", "c": "c"}, f"interrupted at line {at}"
        assert sorted(map(str, database.committed)) in (["a", "b", "c"], ["a", "b", "c", "leader"])
        assert idle(database)
        assert database.call("afterwards") == "afterwards"
    assert at > 30


class Waiting(Database):
    """A database whose leader stands in line, too, until it has it.

    Args:
        database: The real one.
        behind: Whether there is such a leader.
    """

    def __init__(self, database: Database, *, behind: bool) -> None:
        self.__dict__ = database.__dict__
        self._behind = behind

    def wait_for(self, callers: int) -> None:
        """Return when so many stand in line behind the leader."""
        super().wait_for(callers + self._behind)


def test_an_interrupt_at_any_line_of_a_follower_harms_nobody() -> None:
    """It has left the line; whoever leads goes on, and so does whoever comes next."""
    at, reached = 0, True
    while reached:
        at += 1
        database = Database()
        with database.shut():
            leader = threading.Thread(target=database.call, args=("leader",))
            leader.start()
            database.entered.wait()
            told: list[tuple[object, bool]] = []

            def follow(database: Database = database, at: int = at, told: list[tuple[object, bool]] = told) -> None:
                told.append(interrupted(lambda: database.call("follower"), at))

            follower = threading.Thread(target=follow)
            follower.start()
            while not told and len(database.line._line) < 2:
                os.sched_yield()
        leader.join(20)
        follower.join(20)
        ((_, reached),) = told
        assert not leader.is_alive()
        assert not follower.is_alive()
        assert database.committed[0] == "leader"
        assert idle(database)
        assert database.call("afterwards") == "afterwards"
    assert at > 15


# --- forks -------------------------------------------------------------------------------------------------------


def test_a_child_begins_with_an_empty_line() -> None:
    """Its parent's callers are not decided for a second time, and its own are."""
    database = Database()

    def in_child() -> object:
        database.open.set()
        return database.call("child"), database.committed

    with database.shut():
        callers = Callers(database, ["a", "b"])
        child = Child(in_child)
        assert child.result() == ("child", ["child"])
    callers.join()
    assert database.committed == ["a", "b"]
