"""The words of the fake Trigger.dev: what a run is at, what can go wrong, and requests and answers as values.

Floor 6. A part of `research_fsm.testing.engine`; see there.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import parse_qs

from attrs import define, field, frozen

from research_fsm.outcomes import Json

__all__ = ["BEFORE", "CLEARING", "Broken", "FakeRequest", "FakeResponse", "FakeRun", "Fault", "Status"]


class Status(StrEnum):
    """What a run of the engine is at."""

    PENDING_VERSION = "PENDING_VERSION"
    QUEUED = "QUEUED"
    EXECUTING = "EXECUTING"
    WAITING = "WAITING"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"
    FAILED = "FAILED"
    CRASHED = "CRASHED"
    SYSTEM_FAILURE = "SYSTEM_FAILURE"
    INTERRUPTED = "INTERRUPTED"
    EXPIRED = "EXPIRED"
    TIMED_OUT = "TIMED_OUT"

    @property
    def final(self) -> bool:
        """Whether nothing comes after it."""
        return self in CLEARING or self in (Status.COMPLETED, Status.CANCELED)


CLEARING = frozenset(
    {
        Status.FAILED,
        Status.CRASHED,
        Status.SYSTEM_FAILURE,
        Status.INTERRUPTED,
        Status.EXPIRED,
        Status.TIMED_OUT,
    }
)
"""Ends after which the run's idempotency key is forgotten: the next trigger with it makes a second run."""


class Fault(StrEnum):
    """What goes wrong with one request."""

    NONE = "none"
    """Nothing."""
    UNREACHABLE = "unreachable"
    """No connection is made; behind a socket, which has one by then, the same as `REQUEST_LOST`."""
    REQUEST_LOST = "request_lost"
    """The connection breaks, and the engine took nothing."""
    ANSWER_LOST = "answer_lost"
    """The engine takes it, and the connection breaks."""
    SLOW = "slow"
    """The engine takes it, and whoever asked loses patience; a `ManualClock` moves by as much."""
    GARBAGE = "garbage"
    """The engine takes it, and the answer is a page of something in between."""
    NO_ID = "no_id"
    """The engine takes it, and answers with an empty id."""
    CREATED_THEN_500 = "created_then_500"
    """The run is created and never queued: 500."""
    GATEWAY_TIMEOUT = "gateway_timeout"
    """The engine takes it, and something in between gives up waiting: 504."""
    UNAVAILABLE = "unavailable"
    """The engine took nothing: 503. Nobody can tell it from a 503 that came later."""
    CONFLICT = "conflict"
    """The engine took nothing: 409."""
    UNAUTHORIZED = "unauthorized"
    """401, before the key is looked up."""
    OUT_OF_CREDITS = "out_of_credits"
    """422, before the key is looked up: of the engine's own credits."""
    RATE_LIMITED = "rate_limited"
    """429, before the key is looked up, with the reset in milliseconds."""
    MOVED = "moved"
    """308, to a place where nobody may go."""
    TWICE = "twice"
    """Something in between delivers it twice."""


BEFORE: Mapping[Fault, int] = MappingProxyType(
    {
        Fault.UNAUTHORIZED: 401,
        Fault.OUT_OF_CREDITS: 422,
        Fault.RATE_LIMITED: 429,
        Fault.MOVED: 308,
        Fault.UNAVAILABLE: 503,
        Fault.CONFLICT: 409,
    }
)
"""Faults that answer with a status before anything is done."""


class Broken(Exception):  # The condition, as the rest of the vocabulary.
    """There is no answer; the adapter says so in its own way.

    Args:
        fault: Why: `UNREACHABLE`, `REQUEST_LOST`, `ANSWER_LOST` or `SLOW`.
    """

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(str(fault))


@frozen
class FakeRequest:
    """One HTTP request as the engine saw it.

    Args:
        method: The HTTP method.
        path: The path, still encoded.
        query: The query, without its question mark.
        headers: The headers, with names in lower case.
        body: The body.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def wanted(self, name: str) -> str | None:
        """Return a value of the query."""
        return parse_qs(self.query).get(name, [None])[0]


@frozen
class FakeResponse:
    """One HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@define
class FakeRun:
    """One run of the engine.

    Args:
        external_id: Its id.
        task: The task's id.
        payload: What was sent.
        options: The options that the engine knows; others it dropped.
        created_at: In microseconds UTC.
        status: What it is at.
        output: What its task returned; `has_output` tells null from nothing.
        has_output: Whether it returned anything.
        queued: Whether it was ever put into the queue: after a 500 it may not have been.
        replay_of: The run that it repeats, if it is a replay.
        unseen_reads: Reads of it that still answer 404, because the replica lags.
    """

    external_id: str
    task: str
    payload: Json
    options: Mapping[str, Json]
    created_at: int
    status: Status = Status.QUEUED
    output: Json = None
    has_output: bool = False
    queued: bool = True
    replay_of: str | None = None
    unseen_reads: int = 0

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags."""
        tags = self.options.get("tags", ())
        return (tags,) if isinstance(tags, str) else tuple(tags)
