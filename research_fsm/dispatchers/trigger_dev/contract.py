"""Trigger.dev's HTTP contract in pure functions: what is sent, and what the answer to a trigger means.

Floor 5. Imports no HTTP client: `client` sends, `conversations` says in which order, `evidence` reads. Every attempt
of a run sends the same bytes, because one function makes them from the request and the settings alone: the engine
does not compare payloads when it knows the key. Whatever is not certainly *no* is ambiguous.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote, urlencode

from attrs import field, frozen

from research_fsm import codec
from research_fsm.dispatchers.trigger_dev.settings import TriggerDevSettings
from research_fsm.errors import LogUnreadable
from research_fsm.events import AttemptResult
from research_fsm.outcomes import Json
from research_fsm.requests import AttemptOutcome, DispatchRequest

__all__ = [
    "MOST_LISTED",
    "Answer",
    "Call",
    "NoAnswer",
    "Reply",
    "cancel_request",
    "classify",
    "is_engine_id",
    "json_object",
    "list_request",
    "output_request",
    "probe_request",
    "run_request",
    "tag",
    "trigger_request",
]

_API_VERSION = "2025-07-16"
_LONGEST_ANSWER = 64 * 1024
_LONGEST_READ = 4 * 1024 * 1024
MOST_LISTED = 10
_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_MILLISECONDS = re.compile(r"[0-9]{12,14}")
_UNCERTAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT})
_REPEAT_ELSEWHERE = frozenset({HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT})


@frozen
class Call:
    """One HTTP request, to the last byte.

    Args:
        method: The HTTP method.
        url: The whole address.
        headers: What is sent besides Host and Content-Length. Holds the key.
        body: The body; None for none.
        longest: Bytes of the answer's body that are read at most.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    longest: int = _LONGEST_READ


@frozen
class Answer:
    """What the engine, or something in between, answered.

    Args:
        status: The HTTP status.
        headers: The headers, with names in lower case.
        body: The whole body; None if it is too long, too slow, or broke off.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


@frozen
class NoAnswer:
    """Nothing was answered.

    Args:
        reason: A short code, like ``connect_timeout``.
        sent: Whether a byte may have left.
    """

    reason: str
    sent: bool


Reply = Answer | NoAnswer


# --- what is sent ------------------------------------------------------------------------------------------------


def trigger_request(settings: TriggerDevSettings, request: DispatchRequest) -> Call:
    """Return what triggers a run: ids, and where to call back with which token. It names no person.

    An option that is not wanted is left out: the engine refuses null, and drops names that it does not know.
    """
    payload = {
        "person_id": request.person_id,
        "run_id": request.run_id,
        "run_no": request.run_no,
        "callback": {"url": f"{settings.public_url}/deep-research/runs/{request.run_id}", "token": request.token},
    }
    options = {
        "idempotencyKey": request.dispatch_key,
        "idempotencyKeyTTL": settings.key_ttl,
        "tags": [tag(request.run_id)],
        "ttl": int(settings.queue_ttl.total_seconds()),
    }
    path = f"/api/v1/tasks/{quote(settings.task(request.kind), safe='')}/trigger"
    headers = _headers(settings) | {"Content-Type": "application/json"}
    body = codec.encode({"payload": payload, "options": options})
    return Call("POST", settings.api_url + path, headers, body, longest=_LONGEST_ANSWER)


def cancel_request(settings: TriggerDevSettings, external_id: str) -> Call:
    """Return what asks the engine to stop a run."""
    headers = _headers(settings) | {"Content-Type": "application/json"}
    url = f"{settings.api_url}/api/v2/runs/{quote(external_id, safe='')}/cancel"
    return Call("POST", url, headers, b"{}", longest=_LONGEST_ANSWER)


def run_request(settings: TriggerDevSettings, external_id: str) -> Call:
    """Return what reads one of the engine's runs; without the version's header, statuses have older names."""
    headers = _headers(settings) | {"x-trigger-api-version": _API_VERSION}
    return Call("GET", f"{settings.api_url}/api/v3/runs/{quote(external_id, safe='')}", headers)


def list_request(settings: TriggerDevSettings, request: DispatchRequest) -> Call:
    """Return what lists the engine's runs that carry a run's tag."""
    wanted = {
        "filter[tag]": tag(request.run_id),
        "filter[taskIdentifier]": settings.task(request.kind),
        "page[size]": str(MOST_LISTED),
    }
    return _listing(settings, wanted)


def probe_request(settings: TriggerDevSettings, task: str) -> Call:
    """Return what lists one run of a task: a read that needs the key and changes nothing."""
    return _listing(settings, {"filter[taskIdentifier]": task, "page[size]": "1"})


def output_request(url: str) -> Call:
    """Return what fetches an output that is kept elsewhere. The key does not go there: the address is the permit."""
    return Call("GET", url, {"Accept-Encoding": "identity", "User-Agent": "research-fsm"})


def tag(run_id: str) -> str:
    """Return the tag by which a run is found in the engine. A run's id is nobody's personal data."""
    return f"research-run:{run_id}"


def is_engine_id(external_id: str) -> bool:
    """Tell whether this can be the id of an engine run: workers choose what they claim with."""
    return _ID.fullmatch(external_id) is not None


def _listing(settings: TriggerDevSettings, wanted: Mapping[str, str]) -> Call:
    return Call("GET", f"{settings.api_url}/api/v1/runs?{urlencode(wanted)}", _headers(settings))


def _headers(settings: TriggerDevSettings) -> dict[str, str]:
    # An answer that was packed could be small on the wire and large in memory.
    return {
        "Authorization": f"Bearer {settings.secret_key}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "research-fsm",
    }


# --- what an answer to a trigger means ---------------------------------------------------------------------------


def classify(reply: Reply) -> AttemptOutcome:
    """Say what an attempt came to.

    * A 2xx with an engine run: accepted. Without a readable one: ambiguous, and a resend tells.
    * A 4xx that HTTP defines: refused, since it says that the request will not be done. Not so 408 and 409; and a
      4xx that nobody defined may come from a gateway that gave up waiting.
    * 307 and 308 say "send it elsewhere": the request was not done here. After another 3xx it may have been, for
      a POST is often answered so. No redirect is followed: it would be a second request.
    * Anything else, and silence after a byte was sent: ambiguous.
    """
    if isinstance(reply, NoAnswer):
        result = AttemptResult.AMBIGUOUS if reply.sent else AttemptResult.NOT_SENT
        return AttemptOutcome(result=result, reason=reply.reason)
    reason = f"http_{reply.status}"
    if 200 <= reply.status < 300:  # noqa: PLR2004  # The class of an HTTP status.
        external_id = _accepted_id(reply.body)
        if external_id is None:
            return AttemptOutcome(result=AttemptResult.AMBIGUOUS, reason="unreadable_answer")
        return AttemptOutcome(result=AttemptResult.ACCEPTED, external_id=external_id, reason=reason)
    if not _certainly_not_done(reply.status):
        return AttemptOutcome(result=AttemptResult.AMBIGUOUS, reason=reason)
    return AttemptOutcome(result=AttemptResult.REFUSED, reason=reason, retry_at=_retry_at(reply))


def _certainly_not_done(status: int) -> bool:
    defined = any(status == known for known in HTTPStatus)
    return status in _REPEAT_ELSEWHERE or (400 <= status < 500 and defined and status not in _UNCERTAIN)  # noqa: PLR2004  # The class of an HTTP status.


def _accepted_id(body: bytes | None) -> str | None:
    answered = json_object(body)
    external_id = answered.get("id")
    readable = isinstance(external_id, str) and is_engine_id(external_id)
    return external_id if readable and isinstance(answered.get("isCached", False), bool) else None


def _retry_at(answer: Answer) -> int | None:
    """Return the moment of a 429's reset in microseconds; the engine says it in milliseconds."""
    reset = answer.headers.get("x-ratelimit-reset", "")
    limited = answer.status == HTTPStatus.TOO_MANY_REQUESTS and _MILLISECONDS.fullmatch(reset)
    return int(reset) * 1000 if limited else None


def json_object(body: bytes | None) -> dict[str, Json]:
    """Return the JSON object that a body is, or an empty one."""
    try:
        parsed = codec.parse(body or b"null")
    except (LogUnreadable, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}
