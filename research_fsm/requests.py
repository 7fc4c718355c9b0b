"""What a flow asks of the outside, and what a dispatcher is.

Floor 3. A flow is a generator: it yields one of these requests and receives the answer. The same definition serves
blocking callers, awaiting callers, and a test that stops at every yield. No transaction is open across a yield.
"""

import re
from collections.abc import Callable, Generator
from typing import Any, Generic, Protocol, TypeVar

from attrs import Attribute, field, frozen

from research_fsm.commands import Sighting, checked_id, checked_member
from research_fsm.errors import InvalidInput
from research_fsm.events import AttemptResult, PersonKind
from research_fsm.storage import Query, Reader, Rule

__all__ = [
    "AsyncDispatcher",
    "AttemptOutcome",
    "Cancel",
    "Dispatch",
    "DispatchRequest",
    "Dispatcher",
    "Ended",
    "Flow",
    "Look",
    "Read",
    "Request",
    "Transact",
    "cancel",
    "dispatch",
    "look",
    "read",
    "step",
    "transact",
]

A = TypeVar("A")

_YEAR_9999 = 253_370_764_800_000_000
"""The first moment of the year 9999, in microseconds: later ones have no name in RFC 3339."""

_REASON = re.compile(r"[a-z0-9_]{0,64}")


@frozen
class DispatchRequest:
    """What is handed to an outside engine: ids alone, so that it can be rebuilt from the log for a resend.

    Every attempt of a run sends the same request. The profile comes with the answer to the claim.

    Args:
        person_id: Whom to research.
        run_id: The run.
        run_no: The fencing token.
        kind: Which API made the person: it chooses the task.
        dispatch_key: The idempotency key, 64 hexadecimal characters, one per run.
        token: What the worker presents with its callbacks; opens this run and nothing else.
    """

    person_id: str
    run_id: str
    run_no: int
    kind: PersonKind
    dispatch_key: str
    token: str = field(default="", repr=False)


def _code(_: object, attribute: "Attribute[str]", value: str) -> None:
    if not _REASON.fullmatch(value):
        raise InvalidInput(attribute.name, "must be at most 64 lower case letters, digits and underscores")


def _moment(_: object, attribute: "Attribute[int | None]", value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _YEAR_9999):
        raise InvalidInput(attribute.name, f"must be microseconds since 1970-01-01 UTC, not {str(value)[:100]}")


@frozen(kw_only=True)
class AttemptOutcome:
    """What one attempt came to.

    Args:
        result: *refused* and *not sent* only if the engine provably took nothing of this request.
        external_id: The engine run; needed if and only if it was accepted.
        reason: A short code such as ``http_422``: lower case letters, digits and underscores.
        retry_at: When the engine will take requests again, in microseconds UTC, if it said so.

    Raises:
        InvalidInput: The reason is no code, the moment is none, or the engine run is missing or has no business here.
    """

    result: AttemptResult
    external_id: str | None = None
    reason: str = field(default="", validator=_code)
    retry_at: int | None = field(default=None, validator=_moment)

    def __attrs_post_init__(self) -> None:
        """Hold the engine run against the result."""
        checked_member("result", AttemptResult, self.result)
        if (self.result is AttemptResult.ACCEPTED) != (self.external_id is not None):
            raise InvalidInput("external_id", "names the engine run if, and only if, the attempt was accepted")
        if self.external_id is not None:
            checked_id("external_id", self.external_id)


class Dispatcher(Protocol):
    """An outside engine behind a network.

    `dispatch` sends one request, once, and concludes nothing from silence. Whatever it raises counts as ambiguous.
    """

    def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Send one request; no retry underneath."""
        ...

    def look(self, request: DispatchRequest, external_ids: tuple[str, ...]) -> tuple[Sighting, ...]:
        """Return the engine's runs of this request: positive evidence only, an empty tuple proves nothing.

        Args:
            request: The run that is looked for.
            external_ids: Engine runs that are known of.
        """
        ...

    def cancel(self, external_id: str) -> None:
        """Ask the engine to stop one of its runs, if it can."""
        ...


class AsyncDispatcher(Protocol):
    """The same for callers who await."""

    async def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Send one request; no retry underneath."""
        ...

    async def look(self, request: DispatchRequest, external_ids: tuple[str, ...]) -> tuple[Sighting, ...]:
        """Return the engine's runs of this request: positive evidence only, an empty tuple proves nothing."""
        ...

    async def cancel(self, external_id: str) -> None:
        """Ask the engine to stop one of its runs, if it can."""
        ...


@frozen
class Transact(Generic[A]):
    """Decide and write in one transaction; answered with the rule's answer."""

    query: Query
    rule: Rule[A]


@frozen
class Read(Generic[A]):
    """Look at the store; answered with what the look found."""

    look: Callable[[Reader], A]


@frozen
class Dispatch:
    """Send one request; answered with an `AttemptOutcome`."""

    request: DispatchRequest


@frozen
class Look:
    """Ask the engine; answered with a tuple of `Sighting`, empty if it could not be asked."""

    request: DispatchRequest
    external_ids: tuple[str, ...]


@frozen
class Cancel:
    """Ask the engine to stop a run; answered with None."""

    external_id: str


Request = Transact[Any] | Read[Any] | Dispatch | Look | Cancel
Flow = Generator[Request, Any, A]


@frozen
class Ended(Generic[A]):
    """A flow has its answer, and asks for nothing more."""

    answer: A


def step(flow: Flow[A], received: Any) -> Request | Ended[A]:  # noqa: ANN401  # By request.
    """Hand a flow what it asked for, and return what it asks for next; None begins it."""
    try:
        return flow.send(received)
    except StopIteration as stop:
        return Ended(stop.value)


def transact(query: Query, rule: Rule[A]) -> Flow[A]:
    """Yield a `Transact`; used with ``yield from``, which keeps the untyped ``yield`` in one place."""
    answer: A = yield Transact(query, rule)
    return answer


def read(look: Callable[[Reader], A]) -> Flow[A]:
    """Yield a `Read`."""
    found: A = yield Read(look)
    return found


def dispatch(request: DispatchRequest) -> Flow[AttemptOutcome]:
    """Yield a `Dispatch`."""
    outcome: AttemptOutcome = yield Dispatch(request)
    return outcome


def look(request: DispatchRequest, external_ids: tuple[str, ...]) -> Flow[tuple[Sighting, ...]]:
    """Yield a `Look`."""
    sightings: tuple[Sighting, ...] = yield Look(request, external_ids)
    return sightings


def cancel(external_id: str) -> Flow[None]:
    """Yield a `Cancel`."""
    yield Cancel(external_id)
