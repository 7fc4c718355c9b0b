"""Every "no" of the HTTP interface as problem+json (RFC 9457), with a stable `code` and the refusal's facts.

Floor 8. Imports Starlette's responses and the words of the domain. The one place that says which refusal has which
HTTP status; the type checker sees that no refusal is forgotten. A problem never carries a path, a statement or a
stack trace.
"""

import json
import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from http import HTTPStatus
from types import MappingProxyType

import anyio.to_thread
from attrs import field, frozen
from starlette.responses import Response

from research_fsm.async_runs import AsyncRuns
from research_fsm.errors import (
    CommitUnknown,
    InvalidInput,
    ResearchError,
    StoreBusy,
    StoreClosed,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)
from research_fsm.lifecycle import Status
from research_fsm.outcomes import (
    AlreadyAdded,
    AlreadyRunning,
    InsufficientCredits,
    Json,
    KeyReused,
    NotComplete,
    PersonNotFound,
    RolledBack,
    RunNotFound,
    StaleRun,
)
from research_fsm.rfc3339 import format_time

__all__ = [
    "MEANINGS",
    "POLL_SECONDS",
    "Code",
    "HttpRefusal",
    "Problem",
    "ProblemError",
    "failed",
    "invalid",
    "rate_limited",
    "refused",
    "refused_by",
]

POLL_SECONDS = 30
"""The suggested polling interval of somebody who waits for a run."""

_BUSY_SECONDS = 1
_UNAVAILABLE_SECONDS = 30
_SECOND = 1_000_000


class Code(StrEnum):
    """What went wrong, for programs: stable, where titles and details may be reworded."""

    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    INVALID_REQUEST = "invalid_request"
    NOT_FOUND = "not_found"
    ALREADY_RUNNING = "already_running"
    ALREADY_ADDED = "already_added"
    INSUFFICIENT_CREDITS = "insufficient_credits"
    DISPATCH_FAILED = "dispatch_failed"
    STALE_RUN = "stale_run"
    NOT_COMPLETE = "not_complete"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    RATE_LIMITED = "rate_limited"
    STORE_BUSY = "store_busy"
    STORE_UNAVAILABLE = "store_unavailable"
    INTERNAL_ERROR = "internal_error"


MEANINGS: Mapping[Code, tuple[HTTPStatus, str]] = MappingProxyType(
    {
        Code.UNAUTHORIZED: (HTTPStatus.UNAUTHORIZED, "No valid token was presented"),
        Code.FORBIDDEN: (HTTPStatus.FORBIDDEN, "The token is of another kind"),
        Code.INVALID_REQUEST: (HTTPStatus.BAD_REQUEST, "The request is malformed"),
        Code.NOT_FOUND: (HTTPStatus.NOT_FOUND, "There is no such thing"),
        Code.ALREADY_RUNNING: (HTTPStatus.CONFLICT, "The person is running, or complete with nothing to run again"),
        Code.ALREADY_ADDED: (HTTPStatus.CONFLICT, "There is a person with this LinkedIn URL"),
        Code.INSUFFICIENT_CREDITS: (HTTPStatus.PAYMENT_REQUIRED, "The available credits do not suffice"),
        Code.DISPATCH_FAILED: (HTTPStatus.BAD_GATEWAY, "The engine did not take the run; no credit was charged"),
        Code.STALE_RUN: (HTTPStatus.CONFLICT, "The run is not this worker's to report on: stop"),
        Code.NOT_COMPLETE: (HTTPStatus.CONFLICT, "Only a complete person's report can be stale"),
        Code.IDEMPOTENCY_KEY_REUSED: (
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "The Idempotency-Key was used for another request",
        ),
        Code.METHOD_NOT_ALLOWED: (HTTPStatus.METHOD_NOT_ALLOWED, "The method is not allowed here"),
        Code.REQUEST_TIMEOUT: (HTTPStatus.REQUEST_TIMEOUT, "The body did not come in time"),
        Code.PAYLOAD_TOO_LARGE: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large"),
        Code.UNSUPPORTED_MEDIA_TYPE: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body is not declared to be plain JSON"),
        Code.RATE_LIMITED: (HTTPStatus.TOO_MANY_REQUESTS, "There were too many requests"),
        Code.STORE_BUSY: (HTTPStatus.SERVICE_UNAVAILABLE, "The store is busy"),
        Code.STORE_UNAVAILABLE: (HTTPStatus.SERVICE_UNAVAILABLE, "The store is not available"),
        Code.INTERNAL_ERROR: (HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here"),
    }
)

HttpRefusal = (
    AlreadyAdded
    | AlreadyRunning
    | InsufficientCredits
    | KeyReused
    | NotComplete
    | PersonNotFound
    | RolledBack
    | RunNotFound
    | StaleRun
)
"""Every refusal that an HTTP operation can meet."""


@frozen
class Problem:
    """One answer of "no".

    Args:
        code: What went wrong; it fixes the HTTP status.
        detail: The same in words, for a human.
        facts: Further members.
        headers: Further headers.
    """

    code: Code
    detail: str
    facts: Mapping[str, Json] = field(factory=dict)
    headers: Mapping[str, str] = field(factory=dict)

    def response(self) -> Response:
        """Return the answer as it is sent. ASCII, so that half a surrogate pair in a fact can be sent, too."""
        status, title = MEANINGS[self.code]
        members = {
            "type": f"urn:research-fsm:problem:{self.code}",
            "title": title,
            "status": int(status),
            "detail": self.detail,
            "code": str(self.code),
            **self.facts,
        }
        headers = {"Cache-Control": "no-store", **self.headers}
        return Response(json.dumps(members), status, headers, media_type="application/problem+json")


class ProblemError(Exception):
    """Carries a problem from the check that found it to the one place that answers; never leaves this package."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.detail)


def invalid(where: str, what: str) -> ProblemError:
    """Return a request that says something malformed: which field, and what would be right."""
    return ProblemError(Problem(Code.INVALID_REQUEST, f"{where}: {what}", {"field": where}))


def refused(refusal: HttpRefusal, now: Callable[[], int]) -> Problem:
    """Return a refusal of the domain as a problem.

    Args:
        refusal: The refusal, with its facts.
        now: Tells the store's time in microseconds UTC; asked only if the answer says when to come back.
    """
    match refusal:
        case AlreadyRunning(person_id, status, run_no, since):
            # RFC 9457 has the member `status` for the HTTP status.
            facts = {"person_id": person_id, "person_status": status, "run_no": run_no, "since": format_time(since)}
            headers = _retry_after(POLL_SECONDS) if status == Status.RUNNING else {}
            return Problem(Code.ALREADY_RUNNING, str(refusal), facts, headers)
        case InsufficientCredits(_, balance, required):
            detail = f"credits available: {balance}; required: {required}"
            return Problem(Code.INSUFFICIENT_CREDITS, detail, {"balance": balance, "required": required})
        case RolledBack():
            return _rolled_back(refusal, now)
        case PersonNotFound(person_id):
            return Problem(Code.NOT_FOUND, str(refusal), {"person_id": person_id})
        case KeyReused():
            return Problem(Code.IDEMPOTENCY_KEY_REUSED, str(refusal))
        case AlreadyAdded(person_id):
            return Problem(Code.ALREADY_ADDED, str(refusal), {"person_id": person_id})
        case NotComplete(person_id, status):
            return Problem(Code.NOT_COMPLETE, str(refusal), {"person_id": person_id, "person_status": status})
        case StaleRun(run_id, run_no, external_id):
            facts = {"run_id": run_id, "run_no": run_no, "external_run_id": external_id}
            return Problem(Code.STALE_RUN, str(refusal), facts)
        case RunNotFound():
            return UNAUTHORIZED


async def refused_by(runs: AsyncRuns, refusal: HttpRefusal) -> Problem:
    """Return a refusal of the domain as a problem; the store's time is asked for in a thread."""
    if isinstance(refusal, RolledBack) and refusal.retry_at is not None:
        return await anyio.to_thread.run_sync(refused, refusal, runs.store.now)
    return refused(refusal, runs.store.now)


def failed(error: ResearchError) -> Problem:
    """Return an error of this library as a problem, without what only the operator may read."""
    match error:
        case InvalidInput(field=where, problem=what):
            return invalid(where, what).problem
        case StoreBusy():
            return Problem(Code.STORE_BUSY, "try again in a moment", headers=_retry_after(_BUSY_SECONDS))
        case CommitUnknown():
            detail = "whether it was done is not known: ask again, with the same Idempotency-Key if there was one"
            return Problem(Code.STORE_UNAVAILABLE, detail, headers=_retry_after(_BUSY_SECONDS))
        case StoreFull() | StoreReadOnly() | StoreUnavailable() | StoreClosed():
            detail = "nothing was done; the operator has to look at the store"
            return Problem(Code.STORE_UNAVAILABLE, detail, headers=_retry_after(_UNAVAILABLE_SECONDS))
        case _:
            return INTERNAL_ERROR


def rate_limited(seconds: float) -> Problem:
    """Return the answer to somebody who asks too often: whole seconds, rounded up, for too early is refused again."""
    return Problem(Code.RATE_LIMITED, "come back later", headers=_retry_after(max(1, math.ceil(seconds))))


UNAUTHORIZED = Problem(
    Code.UNAUTHORIZED,
    "nobody was recognised; with a token, send one header, Authorization: Bearer <token>",
    headers={"WWW-Authenticate": "Bearer"},
)
INTERNAL_ERROR = Problem(Code.INTERNAL_ERROR, "it was logged for the operator")


def _rolled_back(refusal: RolledBack, now: Callable[[], int]) -> Problem:
    facts = {
        "person_id": refusal.person_id,
        "run_id": refusal.run_id,
        "run_no": refusal.run_no,
        "reason": refusal.reason,
    }
    if refusal.retry_at is None:
        return Problem(Code.DISPATCH_FAILED, str(refusal), facts)
    seconds = -((now() - refusal.retry_at) // _SECOND)  # Rounded up: too early would be refused again.
    return Problem(Code.DISPATCH_FAILED, str(refusal), facts, _retry_after(max(1, seconds)))


def _retry_after(seconds: int) -> Mapping[str, str]:
    return {"Retry-After": str(seconds)}
