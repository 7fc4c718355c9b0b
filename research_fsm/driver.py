"""Drives a flow for a caller who blocks.

Floor 5. A flow says what it wants done; this does it. Nothing is concluded from a dispatcher that raises: an attempt
becomes ambiguous, a look sees nothing, a cancellation is passed over, and each is logged.
"""

import logging
from typing import Any, TypeVar

from research_fsm.commands import Sighting
from research_fsm.events import AttemptResult
from research_fsm.requests import (
    AttemptOutcome,
    Cancel,
    Dispatch,
    Dispatcher,
    DispatchRequest,
    Flow,
    Look,
    Read,
    Request,
    Transact,
)
from research_fsm.storage import Store
from research_fsm.tokens import with_callback_token

__all__ = ["drive", "perform"]

A = TypeVar("A")

_log = logging.getLogger(__name__)


def drive(flow: Flow[A], store: Store, dispatcher: Dispatcher | None = None) -> A:
    """Do everything that a flow asks for, and return its answer.

    Args:
        flow: A fresh flow.
        store: Where it reads and writes.
        dispatcher: The outside engine; None for the embedded queue, whose flows never ask for one.
    """
    try:
        request = next(flow)
        while True:
            request = flow.send(perform(request, store, dispatcher))
    except StopIteration as stop:
        answer: A = stop.value
        return answer


def perform(request: Request, store: Store, dispatcher: Dispatcher | None) -> Any:  # noqa: ANN401  # By request.
    """Do one thing that a flow asks for, and return what the flow is to receive."""
    match request:
        case Transact(query=query, rule=rule):
            return store.transact(query, rule)
        case Read(query=query):
            return store.read(query)
        case Dispatch(request=wanted):
            return _dispatched(with_callback_token(wanted, store.secret), dispatcher)
        case Look(request=wanted, external_ids=external_ids):
            return _seen(with_callback_token(wanted, store.secret), external_ids, dispatcher)
        case Cancel(external_id=external_id):
            return _cancelled(external_id, dispatcher)


def _dispatched(request: DispatchRequest, dispatcher: Dispatcher | None) -> AttemptOutcome:
    if dispatcher is None:
        return AttemptOutcome(result=AttemptResult.NOT_SENT, reason="no_dispatcher")
    try:
        outcome = dispatcher.dispatch(request)
        _hold_to(AttemptOutcome, outcome)
    except Exception:  # noqa: BLE001  # Logged; nothing is concluded from it, whatever it is.
        _log.exception("the dispatcher raised; whether run %s was queued is not known", request.run_id)
        return AttemptOutcome(result=AttemptResult.AMBIGUOUS, reason="dispatcher_raised")
    return outcome


def _seen(
    request: DispatchRequest, external_ids: tuple[str, ...], dispatcher: Dispatcher | None
) -> tuple[Sighting, ...]:
    if dispatcher is None:
        return ()
    try:
        sightings = tuple(dispatcher.look(request, external_ids))  # A generator raises here, not in a transaction.
        for sighting in sightings:
            _hold_to(Sighting, sighting)
    except Exception:  # noqa: BLE001  # Logged; nothing is concluded from it, whatever it is.
        _log.exception("the engine could not be asked about run %s", request.run_id)
        return ()
    return sightings


def _hold_to(of: type, returned: object) -> None:
    """Refuse what a dispatcher of somebody's own must not return, before a transaction meets it."""
    if not isinstance(returned, of):
        raise TypeError(f"a dispatcher returns {of.__name__}, not {type(returned).__name__}")


def _cancelled(external_id: str, dispatcher: Dispatcher | None) -> None:
    if dispatcher is None:
        return
    try:
        dispatcher.cancel(external_id)
    except Exception:  # noqa: BLE001  # Logged; nothing is concluded from it, whatever it is.
        _log.exception("the engine run %s could not be cancelled; its callbacks will be stale", external_id)
