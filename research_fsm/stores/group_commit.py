"""Callers who come during a commit are decided together and committed once.

Floor 5. It knows callers and whose turn it is; which database there is, and how it commits, it is told. Imports the
words of the store's contract and the errors.

One caller at a time leads: it takes the database, then everybody who waits, and commits for all of them. Nobody is
answered before that commit has returned. Then it hands the lead to whoever came first since. A blocking caller leads
in its own thread, so that a lone one pays for no other; awaiting callers have a thread that leads for them, started
when there is the first of them. Either kind commits the other's requests, too.

A caller that raises or is interrupted harms nobody: whoever leads in its place takes up those who were not answered.
That is safe because rules are pure.
"""

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from copy import copy
from datetime import timedelta
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from attrs import Factory, define

from research_fsm.errors import StoreBusy, StoreError
from research_fsm.storage import Query, Rule

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future

__all__ = ["GroupCommit", "Take", "Ticket", "refuse"]

A = TypeVar("A")

_IDLE_SECONDS = 5.0
"""For how long the thread of the awaiting callers waits for another one before it ends."""


@define(eq=False)
class Ticket(Generic[A]):
    """One caller's request while it waits.

    Whoever commits puts an answer or an error on it, then `done`: only once nothing can take the answer back.

    Args:
        query: What to load.
        rule: What decides.
        deadline: Until when the caller waits for its turn, on the monotonic clock, in seconds.
        awaiting: The future of a caller who awaits, with its loop.
        answer: What the rule said.
        error: What it raised, or why it could not be committed.
        done: Whether the caller may be told.
        bell: Rung when a blocking caller is to look whether it is done or leads.
        batch: The tickets that this one, leading, has taken.
        gone: Whether the caller has left: nobody needs to decide for it again.
    """

    query: Query
    rule: Rule[A]
    deadline: float
    awaiting: "tuple[Future[None], AbstractEventLoop] | None" = None
    answer: A | None = None
    error: BaseException | None = None
    done: bool = False
    bell: "SimpleQueue[None]" = Factory(SimpleQueue)
    batch: "Sequence[Ticket[Any]]" = ()
    gone: bool = False

    def result(self) -> A:
        """Return what came of it, or raise it."""
        if self.error is not None:
            raise self.error
        answer: A = self.answer  # type: ignore[assignment]  # There is one: the ticket is done and has no error.
        return answer

    def settle(self, answer: A | None, error: BaseException | None) -> None:
        """Note what came of it, to be told once it is committed."""
        self.answer, self.error = answer, error


Take = Callable[[], Sequence[Ticket[Any]]]
"""Asked once by whoever has the database: the callers to decide for, at least one."""


class GroupCommit:
    """The line of callers before one database, in one process.

    Args:
        commit: Takes the database, waiting so many seconds for it at most; asks for the callers; decides for each in
            order; commits for all; and marks them as done. What it raises is the leader's own: callers that are not
            done by then are decided again.
        where: The database, for messages.
        wait: For how long a caller waits for its turn.
        longest_line: With more callers than this waiting, another one is refused.
        largest_batch: How many are committed together at most.
    """

    def __init__(
        self,
        commit: Callable[[float, Take], None],
        where: str,
        wait: timedelta,
        *,
        longest_line: int = 10_000,
        largest_batch: int = 128,
    ) -> None:
        self._commit = commit
        self._where = where
        self._wait = wait / timedelta(seconds=1)
        self._longest_line = longest_line
        self._largest_batch = largest_batch
        self._begin_anew()
        _ALL.add(self)

    def _begin_anew(self) -> None:
        """Forget everybody: at first, and in a child process, whose parent's callers are not here."""
        self._mutex = threading.Lock()
        self._line: deque[Ticket[Any]] = deque()
        self._leader: Ticket[Any] | None = None
        self._leading_thread: int | None = None
        self._company = False
        self._drain: threading.Thread | None = None
        self._to_drain: SimpleQueue[Ticket[Any]] = SimpleQueue()

    def length(self) -> int:
        """Return how many callers there are, in line or in hand."""
        leader = self._leader
        return len(self._line) + (0 if leader is None else len(leader.batch))

    def is_led_here(self) -> bool:
        """Tell whether it is this thread that decides for all of them: then it is a rule that calls."""
        return self._leading_thread == threading.get_ident()

    def call(self, query: Query, rule: Rule[A]) -> A:
        """Decide and commit for a caller who blocks.

        Raises:
            StoreBusy: Too many were waiting, or its turn did not come in time.
            StoreError: It could not be done.
            BaseException: Whatever the rule raised.
        """
        ticket = Ticket(query, rule, time.monotonic() + self._wait)
        try:
            self._join(ticket)
            if self._leader is not ticket:
                self._wait_for_turn(ticket)
            if self._leader is ticket:
                self._lead(ticket)
        finally:
            # Once more, if an interrupt comes in the middle: the others must not wait for somebody who has left.
            try:
                self._leave(ticket)
            except BaseException:
                self._leave(ticket)
                raise
        return ticket.result()

    async def call_async(self, query: Query, rule: Rule[A]) -> A:
        """Decide and commit for a caller who awaits; one that is cancelled leaves the line if it still stands in it.

        Raises:
            StoreBusy: Too many were waiting, or its turn did not come in time.
            StoreError: It could not be done.
            BaseException: Whatever the rule raised.
        """
        import asyncio

        loop = asyncio.get_running_loop()
        future: Future[None] = loop.create_future()
        ticket = Ticket(query, rule, time.monotonic() + self._wait, (future, loop))
        try:
            self._join(ticket)
            await future
        except BaseException:
            ticket.gone = True
            self._withdraw(ticket)
            raise
        return ticket.result()

    # --- the line --------------------------------------------------------------------------------------------------

    def _join(self, ticket: Ticket[Any]) -> None:
        """Stand in line; whoever finds nobody leading leads."""
        with self._mutex:
            if self.is_led_here():
                raise StoreError(self._where, "a rule is pure: it may not use the store that calls it")
            if len(self._line) >= self._longest_line:
                raise StoreBusy(self._where, f"{len(self._line)} callers are waiting already; try again later")
            if ticket.awaiting is not None:
                self._start_drain()
            self._line.append(ticket)
            if self._leader is None:
                self._appoint(ticket)

    def _wait_for_turn(self, ticket: Ticket[Any]) -> None:
        """Block until the ticket is done or leads."""
        in_line = True
        while not ticket.done and self._leader is not ticket:
            try:
                ticket.bell.get(timeout=max(0.0, ticket.deadline - time.monotonic()) if in_line else None)
            except Empty:
                if self._withdraw(ticket):
                    raise StoreBusy(self._where, f"waited {self._wait:g} s for a turn; try again later") from None
                in_line = False  # Somebody is committing for it, and will say so.

    def _withdraw(self, ticket: Ticket[Any]) -> bool:
        """Leave the line; False if somebody has the ticket in hand already, or it leads."""
        with self._mutex:
            if ticket is self._leader or ticket not in self._line:
                return False
            self._line.remove(ticket)
            return True

    # --- the lead --------------------------------------------------------------------------------------------------

    def _lead(self, ticket: Ticket[Any]) -> None:
        """Commit for everybody who waits."""

        def take() -> Sequence[Ticket[Any]]:
            self._gather()
            with self._mutex:
                ticket.batch = tuple(islice(self._line, self._largest_batch))
                for _ in ticket.batch:
                    self._line.popleft()
                self._company = len(ticket.batch) > 1
            return ticket.batch

        self._leading_thread = threading.get_ident()
        self._commit(max(0.0, ticket.deadline - time.monotonic()), take)

    def _gather(self) -> None:
        """Let those who were just answered come back: without it every other batch would be one caller."""
        seen = 0
        while self._company and seen < len(self._line) < self._largest_batch:
            seen = len(self._line)
            time.sleep(0)

    def _leave(self, ticket: Ticket[Any]) -> None:
        """Hand over the lead and tell everybody what came of their requests. Doing it again changes nothing."""
        with self._mutex:
            ticket.gone = True
            leads = self._leader is ticket
            if (leads or not ticket.done) and ticket in self._line:
                self._line.remove(ticket)
            if leads:
                self._leading_thread = None
                self._put_back(ticket.batch)
                if self._line:
                    self._appoint(self._line[0])
                else:
                    self._leader = None
        _tell(other for other in ticket.batch if other.done and other is not ticket)

    def _put_back(self, batch: Sequence[Ticket[Any]]) -> None:
        """Let those who were taken and not answered stand in front again."""
        unanswered = [ticket for ticket in batch if not (ticket.done or ticket.gone or ticket in self._line)]
        self._line.extendleft(reversed(unanswered))

    def _appoint(self, ticket: Ticket[Any]) -> None:
        """Let a ticket lead: in its caller's thread, or in the thread of those who await."""
        self._leader = ticket
        if ticket.awaiting is None:
            ticket.bell.put(None)
        else:
            self._to_drain.put(ticket)

    # --- the thread of those who await -----------------------------------------------------------------------------

    def _start_drain(self) -> None:
        if self._drain is None:
            thread = threading.Thread(target=self._drained, name=f"commits to {self._where}", daemon=True)
            thread.start()
            self._drain = thread

    def _drained(self) -> None:
        """Lead for those who await, until none has come for a while."""
        while True:
            try:
                ticket = self._to_drain.get(timeout=_IDLE_SECONDS)
            except Empty:
                with self._mutex:
                    if self._to_drain.empty() and all(ticket.awaiting is None for ticket in self._line):
                        self._drain = None
                        return
                continue
            try:
                self._lead(ticket)
            except BaseException as error:  # noqa: BLE001  # The caller's, who is told.
                if not ticket.done:
                    ticket.settle(None, error)
                    ticket.done = True
            self._leave(ticket)
            _tell((ticket,))


def refuse(tickets: Iterable[Ticket[Any]], error: Exception) -> None:
    """Let each caller have an error of its own: one that is raised in several threads would mix their traces."""
    for ticket in tickets:
        own = copy(error)
        own.__cause__ = error.__cause__
        ticket.settle(None, own)
        ticket.done = True


def _tell(tickets: Iterable[Ticket[Any]]) -> None:
    """Wake the callers of tickets that are done; each loop once."""
    by_loop: dict[AbstractEventLoop, list[Future[None]]] = {}
    for ticket in tickets:
        if ticket.awaiting is None:
            ticket.bell.put(None)
        else:
            future, loop = ticket.awaiting
            by_loop.setdefault(loop, []).append(future)
    for loop, futures in by_loop.items():
        with suppress(RuntimeError):  # The loop was closed: nobody is left to be told.
            loop.call_soon_threadsafe(_resolve, futures)


def _resolve(futures: "Sequence[Future[None]]") -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


_ALL: "weakref.WeakSet[GroupCommit]" = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for line in list(_ALL):
        line._begin_anew()  # noqa: SLF001  # Its own module's.


os.register_at_fork(after_in_child=_after_fork_in_child)
