"""Drives a flow: for a caller who blocks, and for one who awaits.

Floor 5. A flow says what it wants done; this does it. Nothing is concluded from a dispatcher that raises: an attempt
becomes ambiguous, a look sees nothing, a cancellation is passed over, and each is logged.
"""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from attrs import frozen

from research_fsm.commands import Sighting
from research_fsm.events import AttemptResult
from research_fsm.requests import (
    AsyncDispatcher,
    AttemptOutcome,
    Cancel,
    Dispatch,
    Dispatcher,
    DispatchRequest,
    Ended,
    Flow,
    Look,
    Read,
    Request,
    Transact,
    step,
)
from research_fsm.storage import Store, Wiping
from research_fsm.tokens import with_callback_token

__all__ = ["InThreads", "drive", "drive_async", "in_thread", "perform", "perform_async", "settle", "wipe"]

A = TypeVar("A")

_log = logging.getLogger(__name__)

_READING = 8
"""Threads that read for those who await, in one process."""

_SENDING = 64
"""Threads that wait for an engine through a dispatcher that blocks."""


def drive(flow: Flow[A], store: Store, dispatcher: Dispatcher | None = None) -> A:
    """Do everything that a flow asks for, and return its answer.

    Args:
        flow: A fresh flow.
        store: Where it reads and writes.
        dispatcher: The outside engine; None for the embedded queue, whose flows never ask for one.
    """
    request = step(flow, None)
    while not isinstance(request, Ended):
        request = step(flow, perform(request, store, dispatcher))
    return request.answer


def perform(request: Request, store: Store, dispatcher: Dispatcher | None) -> Any:  # noqa: ANN401  # By request.
    """Do one thing that a flow asks for, and return what the flow is to receive."""
    match request:
        case Transact(query=query, rule=rule):
            return store.transact(query, rule)
        case Read(look=look):
            return look(store)
        case _ if dispatcher is None:
            return _nobody_was_asked(request)
        case Dispatch(request=wanted):
            try:
                return _outcome(dispatcher.dispatch(with_callback_token(wanted, store.secret)))
            except Exception:  # noqa: BLE001  # Logged; nothing is concluded from it, whatever it is.
                return _raised(request)
        case Look(request=wanted, external_ids=external_ids):
            try:
                return _sightings(dispatcher.look(with_callback_token(wanted, store.secret), external_ids))
            except Exception:  # noqa: BLE001  # The same.
                return _raised(request)
        case Cancel(external_id=external_id):
            try:
                return dispatcher.cancel(external_id)
            except Exception:  # noqa: BLE001  # The same.
                return _raised(request)


async def drive_async(
    flow: Flow[A], store: Store, dispatcher: AsyncDispatcher | None = None, begun: set[Any] | None = None
) -> A:
    """Do everything that a flow asks for, and return its answer.

    A caller that is cancelled hears no answer. With an outside engine what was begun is finished all the same, in the
    background: an attempt that was armed is sent, and what the engine says is recorded. If the loop ends before that,
    recovery finishes it. Inside, a caller that still stands in line leaves it, and nothing was done.

    Args:
        flow: A fresh flow.
        store: Where it reads and writes.
        dispatcher: The outside engine; None for the embedded queue.
        begun: Keeps the task that finishes it, until it has: `settle` waits for those.
    """
    if dispatcher is None:
        return await _driven(flow, store, None)
    import asyncio

    task = asyncio.ensure_future(_driven(flow, store, dispatcher))
    for kept in (_UNDER_WAY, set() if begun is None else begun):
        kept.add(task)
        task.add_done_callback(kept.discard)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_note_what_nobody_heard)
        raise


async def settle(begun: set[Any]) -> None:
    """Wait until everything that was begun on the running loop has ended; who stops waiting cancels none of it."""
    import asyncio

    loop = asyncio.get_running_loop()
    while ours := [task for task in begun.copy() if not task.done() and task.get_loop() is loop]:
        await asyncio.wait(ours)


async def _driven(flow: Flow[A], store: Store, dispatcher: AsyncDispatcher | None) -> A:
    request = step(flow, None)
    while not isinstance(request, Ended):
        request = step(flow, await perform_async(request, store, dispatcher))
    return request.answer


async def perform_async(request: Request, store: Store, dispatcher: AsyncDispatcher | None) -> Any:  # noqa: ANN401  # By request.
    """Do one thing that a flow asks for, and return what the flow is to receive."""
    match request:
        case Transact(query=query, rule=rule):
            return await store.transact_async(query, rule)
        case Read(look=look):
            return await in_thread(lambda: look(store))
        case _ if dispatcher is None:
            return _nobody_was_asked(request)
        case Dispatch(request=wanted):
            try:
                return _outcome(await dispatcher.dispatch(with_callback_token(wanted, store.secret)))
            except Exception:  # noqa: BLE001  # Logged; nothing is concluded from it, whatever it is.
                return _raised(request)
        case Look(request=wanted, external_ids=external_ids):
            try:
                return _sightings(await dispatcher.look(with_callback_token(wanted, store.secret), external_ids))
            except Exception:  # noqa: BLE001  # The same.
                return _raised(request)
        case Cancel(external_id=external_id):
            try:
                return await dispatcher.cancel(external_id)
            except Exception:  # noqa: BLE001  # The same.
                return _raised(request)


def wipe(store: Store) -> None:
    """Have what was erased overwritten, if the store is one that could not always do it at once."""
    if isinstance(store, Wiping):
        store.wipe()


async def in_thread(blocking: Callable[[], A]) -> A:
    """Call what takes long, such as a look at a store, in one of a few threads kept for that."""
    return await _READERS.call(blocking)


@frozen
class InThreads:
    """Lets a dispatcher that blocks be awaited: each call has a thread of its own, at most 64 at once.

    Args:
        dispatcher: The one that blocks.
    """

    dispatcher: Dispatcher

    async def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Send one request."""
        return await _SENDERS.call(self.dispatcher.dispatch, request)

    async def look(self, request: DispatchRequest, external_ids: tuple[str, ...]) -> tuple[Sighting, ...]:
        """Return the engine's runs of this request."""
        return await _SENDERS.call(self.dispatcher.look, request, external_ids)

    async def cancel(self, external_id: str) -> None:
        """Ask the engine to stop one of its runs."""
        await _SENDERS.call(self.dispatcher.cancel, external_id)


# --- what a dispatcher said ----------------------------------------------------------------------------------------


def _outcome(returned: AttemptOutcome) -> AttemptOutcome:
    """Return the outcome of an attempt; refuse what a dispatcher of somebody's own must not return."""
    _hold_to(AttemptOutcome, returned)
    return returned


def _sightings(returned: tuple[Sighting, ...]) -> tuple[Sighting, ...]:
    sightings = tuple(returned)  # A generator raises here, not in a transaction.
    for sighting in sightings:
        _hold_to(Sighting, sighting)
    return sightings


def _hold_to(of: type, returned: object) -> None:
    if not isinstance(returned, of):
        raise TypeError(f"a dispatcher returns {of.__name__}, not {type(returned).__name__}")


def _nobody_was_asked(request: Request) -> Any:  # noqa: ANN401  # By request.
    """Return what there is to say without a dispatcher."""
    match request:
        case Dispatch():
            return AttemptOutcome(result=AttemptResult.NOT_SENT, reason="no_dispatcher")
        case Look():
            return ()
        case _:
            return None


def _raised(request: Request) -> Any:  # noqa: ANN401  # By request.
    """Log what a dispatcher raised, and return what that means."""
    match request:
        case Dispatch(request=wanted):
            _log.exception("the dispatcher raised; whether run %s was queued is not known", wanted.run_id)
            return AttemptOutcome(result=AttemptResult.AMBIGUOUS, reason="dispatcher_raised")
        case Look(request=wanted):
            _log.exception("the engine could not be asked about run %s", wanted.run_id)
            return ()
        case Cancel(external_id=external_id):
            _log.exception("the engine run %s could not be cancelled; its callbacks will be stale", external_id)
            return None
        case Transact() | Read():  # The last case: no dispatcher is asked for these.
            return None


# --- for those who await -------------------------------------------------------------------------------------------

_UNDER_WAY: set[Any] = set()
"""Tasks that finish what was begun: a loop alone would let go of them."""


def _note_what_nobody_heard(task: Any) -> None:  # noqa: ANN401  # A task; asyncio is not imported here.
    if not task.cancelled() and task.exception() is not None:
        _log.error("nobody waited any more for what failed", exc_info=task.exception())


class _Threads:
    """Threads of one kind, made when the first is needed, and again in a child process."""

    def __init__(self, name: str, limit: int) -> None:
        self._name, self._limit = name, limit
        self._executor: Any = None
        self._process = 0

    async def call(self, blocking: Callable[..., A], *arguments: object) -> A:
        """Call in a thread. Whoever stops waiting does not stop what was begun."""
        import asyncio
        import os
        from concurrent.futures import ThreadPoolExecutor

        if self._executor is None or self._process != os.getpid():
            self._executor, self._process = ThreadPoolExecutor(self._limit, self._name), os.getpid()
        loop = asyncio.get_running_loop()
        answer: A = await loop.run_in_executor(self._executor, _called, blocking, arguments)
        return answer


def _called(blocking: Callable[..., A], arguments: tuple[object, ...]) -> A:
    """Call; what no future can carry is raised as something else, or whoever waits would wait for ever."""
    try:
        return blocking(*arguments)
    except StopIteration as error:
        raise RuntimeError(f"{blocking!r} raised StopIteration") from error


_READERS = _Threads("research_fsm reads", _READING)
_SENDERS = _Threads("research_fsm sends", _SENDING)
