"""The line before a database under explored thread schedules: after each of them, everybody was served once.

The schedules are `frontrun`'s: it runs the real code of the line, switches threads between two bytecodes wherever
that can make a difference, and takes back what it tried until every schedule with so many preemptions was seen.
A thread that nobody wakes is found as a deadlock. A broken line must be found, too, or the rest would prove nothing.
"""

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, cast

import frontrun  # type: ignore[import-untyped]  # It has no types.
import pytest
from attrs import Factory, define
from frontrun.common import InterleavingResult  # type: ignore[import-untyped]  # The same.

from research_fsm.storage import Query, View, Write
from research_fsm.stores import group_commit
from research_fsm.stores.group_commit import A, GroupCommit, Take, Ticket
from tests.stores.test_group_commit import VIEW

WAIT = timedelta(days=1)
"""Nobody runs out of time: that is not what is explored here."""


class Over(Exception):
    """Nobody will await any more."""


class Forgotten(Exception):
    """Every thread waits, and nobody is left who could wake one."""


class Mailbox:
    """A queue whose waiting the explorer sees; the real one waits in C."""

    def __init__(self) -> None:
        self._letters: deque[Any] = deque()
        self._there = threading.Semaphore(0)

    def put(self, letter: object) -> None:
        """Leave something for whoever waits."""
        self._letters.append(letter)
        self._there.release()

    def get(self, timeout: float | None = None) -> Any:  # noqa: ANN401, ARG002  # As a queue's; time stands still.
        """Wait for something."""
        if not self._there.acquire():
            raise Forgotten
        letter = self._letters.popleft()
        if isinstance(letter, Over):
            raise letter
        return letter


@define(eq=False)
class Visible(Ticket[A]):
    """A ticket whose bell the explorer sees."""

    bell: "queue.SimpleQueue[None]" = Factory(cast("type[queue.SimpleQueue[None]]", Mailbox))


class Loop:
    """An event loop with one task, driven by hand: `call_soon_threadsafe` is the only thing that others do to it."""

    def __init__(self) -> None:
        self._soon = Mailbox()

    def create_future(self) -> "Promise":
        """Make what the task waits for."""
        return Promise()

    def call_soon_threadsafe(self, call: Callable[..., object], *arguments: object) -> None:
        """Let the loop call something."""
        self._soon.put((call, arguments))

    def turn(self) -> None:
        """Wait for something to call, and call it."""
        call, arguments = self._soon.get()
        call(*arguments)


class Promise:
    """A future without a loop."""

    def __init__(self) -> None:
        self.resolved = False

    def done(self) -> bool:
        """Tell whether it has a result."""
        return self.resolved

    def set_result(self, _: None) -> None:
        """Let the task go on."""
        self.resolved = True

    def __await__(self) -> Iterator["Promise"]:
        while not self.resolved:
            yield self


class World:
    """A line, a database that keeps what it committed, and what each caller saw.

    Args:
        line: What kind of line.
        slow: How many callers a slow disk serves: while it flushes, others go on. 0 for one that takes no time.
        largest_batch: How many are committed together at most.
    """

    def __init__(self, line: type[GroupCommit], *, slow: int = 0, largest_batch: int = 128) -> None:
        self.committed: list[object] = []
        self.told: list[tuple[object, object]] = []
        self.early: list[object] = []
        self.flushes, self._flushed = Mailbox(), Mailbox()
        self._slow = slow
        self._inside = False
        self.line = line(self._commit, "a database", WAIT, largest_batch=largest_batch)

    def _commit(self, _: float, take: Take) -> None:
        if self._inside:
            raise AssertionError("two callers lead at once")
        self._inside = True
        tickets = take()
        if not tickets:
            raise AssertionError("somebody leads for nobody")
        for ticket in tickets:
            ticket.settle(ticket.rule(VIEW, 0).answer, None)
        if self._slow:
            self.flushes.put(None)
            self._flushed.get()
        self.committed += [ticket.answer for ticket in tickets]
        for ticket in tickets:
            ticket.done = True
        self._inside = False

    def call(self, name: str) -> None:
        """Call, and block."""
        self._note(name, self.line.call(Query(), _answering(name)))
        self.flushes.put(Over())

    def flush(self) -> None:
        """Be the slow disk."""
        callers = self._slow
        while callers:
            try:
                self.flushes.get()
                self._flushed.put(None)
            except Over:
                callers -= 1

    def call_async(self, name: str, *, cancelled: bool = False) -> None:
        """Call, and await; one that is cancelled waits for nothing."""
        loop = Loop()
        asyncio._set_running_loop(cast("asyncio.AbstractEventLoop", loop))
        task = self.line.call_async(Query(), _answering(name))
        try:
            task.send(None)
            if cancelled:
                with suppress(asyncio.CancelledError):
                    task.throw(asyncio.CancelledError())
            else:
                loop.turn()
                task.send(None)
        except StopIteration as end:
            self._note(name, end.value)
        finally:
            asyncio._set_running_loop(None)
            self.line._to_drain.put(cast("Ticket[Any]", Over()))  # There is no other who awaits.

    def drain(self) -> None:
        """Be the thread of those who await."""
        with suppress(Over):
            self.line._drained()

    def _note(self, name: object, answer: object) -> None:
        if answer not in self.committed:
            self.early.append(name)
        self.told.append((name, answer))

    def served(self, *told: str, perhaps: Sequence[str] = ()) -> bool:
        """Tell whether these were committed once and told their own answer, in time, and nobody is left behind."""
        committed = [name for name in self.committed if name not in perhaps]
        return (
            sorted(map(str, committed)) == sorted(told)
            and len(set(self.committed)) == len(self.committed)
            and sorted(map(str, self.told)) == sorted(str((name, name)) for name in told)
            and not self.early
            and self.line._leader is None
            and self.line._leading_thread is None
            and not self.line._line
        )


def _answering(name: str) -> Callable[[View, int], Write[str]]:
    return lambda _view, _now: Write(answer=name)


class Drained(GroupCommit):
    """A line whose thread for those who await is one of the explorer's."""

    def _start_drain(self) -> None:
        """It is there already."""


@pytest.fixture(autouse=True)
def _visible(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the explorer see who waits for whom."""
    monkeypatch.setenv("FRONTRUN_ACTIVE", "1")
    monkeypatch.setattr(group_commit, "SimpleQueue", Mailbox)
    monkeypatch.setattr(group_commit, "Ticket", Visible)


def explored(
    line: type[GroupCommit],
    callers: Sequence[Callable[[World], None]],
    served: Callable[[World], bool],
    *,
    preemptions: int = 1,
    most: int | None = None,
    slow: int = 0,
    largest_batch: int = 128,
    longest_seconds: float = 5.0,
) -> InterleavingResult:
    """Return what came of the schedules of these callers: of all with so many preemptions, or of the first ones.

    Args:
        line: What kind of line.
        callers: What the threads do.
        served: What must be true after each schedule.
        preemptions: How often a thread that could go on is made to wait for another.
        most: How many schedules are enough; None for all there are.
        slow: How many callers a slow disk serves, 0 for one that takes no time.
        largest_batch: How many are committed together at most.
        longest_seconds: How long one schedule may take before its threads are given up.
    """
    result: InterleavingResult = frontrun.explore(
        setup=lambda: World(line, slow=slow, largest_batch=largest_batch),
        workers=list(callers),
        invariant=served,
        preemption_bound=preemptions,
        max_executions=most,
        timeout_per_run=longest_seconds,
        reproduce_on_failure=0,
        detect_io=False,
    )
    return result


def blocking(*names: str) -> list[Callable[[World], None]]:
    """Make callers who block."""
    return [lambda world, name=name: world.call(name) for name in names]  # type: ignore[misc]  # Bound.


# --- the line ----------------------------------------------------------------------------------------------------


def test_two_callers_are_served_under_every_schedule_with_a_preemption() -> None:
    """Whoever is interrupted wherever by the other: both are committed once, told in time, and the line is idle."""
    result = explored(GroupCommit, blocking("a", "b"), lambda world: world.served("a", "b"))
    result.assert_holds()
    assert result.num_explored > 100


def test_a_blocking_and_an_awaiting_caller_are_served() -> None:
    """Whoever of them leads commits for the other, too; the thread of those who await is explored with them."""
    callers = [*blocking("a"), lambda world: world.call_async("b"), World.drain]
    result = explored(Drained, callers, lambda world: world.served("a", "b"), most=60)
    result.assert_holds()
    assert result.num_explored == 60


@pytest.mark.long
def test_two_callers_are_served_with_two_preemptions() -> None:
    """The same, deeper: the first two thousand schedules."""
    served, callers = lambda world: world.served("a", "b"), blocking("a", "b")
    explored(GroupCommit, callers, served, preemptions=2, most=2000).assert_holds()


@pytest.mark.long
@pytest.mark.parametrize("largest_batch", [1, 2, 128])
def test_three_callers_are_served(largest_batch: int) -> None:
    """The lead is handed over to somebody who waits, or to somebody who did not fit."""
    served, callers = lambda world: world.served("a", "b", "c"), blocking("a", "b", "c")
    explored(GroupCommit, callers, served, most=1000, largest_batch=largest_batch).assert_holds()


@pytest.mark.long
def test_two_callers_of_a_slow_disk_are_served() -> None:
    """While one waits for the flush the other comes, waits, and is committed next."""
    callers = [*blocking("a", "b"), World.flush]
    explored(GroupCommit, callers, lambda world: world.served("a", "b"), most=1000, slow=2).assert_holds()


@pytest.mark.long
@pytest.mark.parametrize("cancelled", [False, True])
def test_callers_of_both_kinds_are_served(*, cancelled: bool) -> None:
    """One that is cancelled at any moment may be committed or not, and harms neither the other nor the line."""
    callers = [*blocking("a"), lambda world: world.call_async("b", cancelled=cancelled), World.drain]

    def served(world: World) -> bool:
        return world.served("a", perhaps=("b",)) if cancelled else world.served("a", "b")

    explored(Drained, callers, served, most=1000).assert_holds()


# --- broken lines ------------------------------------------------------------------------------------------------


class Forgetful(GroupCommit):
    """Whoever leads hands over to nobody."""

    def _appoint(self, ticket: Ticket[Any]) -> None:
        if self._leader is None:
            super()._appoint(ticket)
        else:
            self._leader = None


class Hasty(GroupCommit):
    """Whoever leads tells the others before it has committed."""

    def _lead(self, ticket: Ticket[Any]) -> None:
        with self._mutex:
            others = [other for other in self._line if other is not ticket]
        for other in others:
            other.settle(other.rule(VIEW, 0).answer, None)
            other.done = True
            other.bell.put(None)
        super()._lead(ticket)


class Unlocked(GroupCommit):
    """Whoever comes looks whether somebody leads, and lets go of the line before it takes the lead."""

    def _join(self, ticket: Ticket[Any]) -> None:
        with self._mutex:
            self._line.append(ticket)
            alone = self._leader is None
        if alone:
            with self._mutex:
                self._appoint(ticket)


def test_a_line_that_two_lead_is_found() -> None:
    """Else what is explored above would prove nothing."""
    with pytest.raises(AssertionError, match="leads for nobody"):
        explored(Unlocked, blocking("a", "b"), lambda world: world.served("a", "b"))


@pytest.mark.long
def test_a_line_that_forgets_somebody_is_found() -> None:
    """A schedule of it ends with a thread that nobody will wake: one that came when the batch had been taken."""
    with pytest.raises(Forgotten):
        explored(Forgetful, blocking("a", "b"), lambda world: world.served("a", "b"), longest_seconds=2)


@pytest.mark.long
def test_a_line_that_tells_too_early_is_found() -> None:
    """Somebody goes on with an answer that is not committed, while the disk is still at work."""
    callers = [*blocking("a", "b"), World.flush]
    assert explored(Hasty, callers, lambda world: world.served("a", "b"), slow=2).property_holds is False
