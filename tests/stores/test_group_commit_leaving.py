"""Whoever leaves the line before the database, or is put back into it, in the middle of a batch."""

import asyncio
import threading
from datetime import timedelta

import pytest

from research_fsm.errors import StoreUnavailable
from research_fsm.storage import Query, View, Write
from research_fsm.stores.group_commit import GroupCommit, Take
from tests.stores.test_group_commit import Callers, Database, _decided, idle

LONGEST = 20


class Breaking(Database):
    """Fails the first batch after it was taken, once a test lets it.

    Args:
        largest_batch: How many are committed together at most.
    """

    def __init__(self, largest_batch: int = 128) -> None:
        super().__init__()
        self.line = GroupCommit(self._break, "a database", timedelta(seconds=LONGEST), largest_batch=largest_batch)
        self.taken = threading.Event()
        self.go_on = threading.Event()
        self._broken = False

    def _break(self, wait: float, take: Take) -> None:
        if self._broken:
            self._commit(wait, take)
            return
        self.entered.set()
        self.open.wait()
        self._broken = True
        for ticket in take():
            _decided(ticket)
        self.taken.set()
        self.go_on.wait()
        raise StoreUnavailable("a database", "gone in the middle of a batch")


async def rests(task: "asyncio.Task[object]") -> None:
    """Wait until a task that was cancelled has ended."""
    await asyncio.wait({task}, timeout=LONGEST)
    assert task.cancelled()


def test_callers_who_are_put_back_stand_before_those_who_came_later() -> None:
    """A batch fails after it was taken: its callers are decided next, in their order, and then whoever came since."""
    database = Breaking(largest_batch=3)
    with database.shut():
        first = Callers(database, ["a", "b", "c"])
    database.taken.wait()
    later = Callers(database, ["d", "e"])
    database.go_on.set()
    for callers in (first, later):
        callers.join()
    assert isinstance(first.told.pop("a"), StoreUnavailable)
    assert {**first.told, **later.told} == {name: name for name in "bcde"}
    assert database.committed == ["b", "c", "d", "e"]
    assert idle(database)


def test_a_caller_that_is_cancelled_in_a_batch_that_fails_is_not_decided_for_again() -> None:
    """It was taken, it left, and nothing was committed: who is gone is not put back, and the others are."""
    database = Breaking()

    async def awaiting() -> object:
        leaving = asyncio.ensure_future(database.call_async("leaving"))
        staying = asyncio.ensure_future(database.call_async("staying"))
        await asyncio.sleep(0)
        database.open.set()
        await asyncio.to_thread(database.taken.wait)
        leaving.cancel()
        await rests(leaving)
        database.go_on.set()
        return await asyncio.wait_for(staying, LONGEST)

    told: list[object] = []

    def lead() -> None:
        with pytest.raises(StoreUnavailable):
            database.call("leader")
        told.append("leader")

    with database.shut():
        leader = threading.Thread(target=lead)
        leader.start()
        database.entered.wait()
        assert asyncio.run(awaiting()) == "staying"
    leader.join(LONGEST)
    assert told == ["leader"]
    assert database.committed == ["staying"]
    assert idle(database)


def test_a_leader_that_is_cancelled_keeps_its_place() -> None:
    """Its turn has come, and somebody is about to commit for it: whoever has the database finds a caller there."""
    database = Database()

    async def awaiting() -> None:
        with database.shut():
            leading = asyncio.ensure_future(database.call_async("leading"))
            await asyncio.to_thread(database.entered.wait)
            leading.cancel()
            await rests(leading)
        assert await asyncio.wait_for(database.call_async("next"), LONGEST) == "next"

    asyncio.run(awaiting())
    assert database.committed == ["leading", "next"]
    assert [] not in database.batches
    assert idle(database)


def test_a_caller_that_is_cancelled_does_not_silence_those_who_are_told_with_it() -> None:
    """Three tasks of one loop are committed by a thread; the first of them has left, and the others hear of it."""
    database = Database()
    inside, go_on = threading.Event(), threading.Event()

    def slow(_: View, __: int) -> Write[object]:
        inside.set()
        go_on.wait()
        return Write(answer="slow")

    async def awaiting() -> list[object]:
        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        tasks = [asyncio.ensure_future(database.call_async(number)) for number in range(3)]
        await asyncio.sleep(0)
        database.open.set()
        await asyncio.to_thread(inside.wait)
        tasks[0].cancel()
        await rests(tasks[0])
        go_on.set()
        told = [await asyncio.wait_for(task, LONGEST) for task in tasks[1:]]
        assert complaints == []
        return told

    def lead() -> None:
        database.line.call(Query(), slow)

    with database.shut():
        leader = threading.Thread(target=lead)
        leader.start()
        database.entered.wait()
        assert asyncio.run(awaiting()) == [1, 2]
    leader.join(LONGEST)
    assert database.committed == ["slow", 0, 1, 2]
    assert idle(database)
