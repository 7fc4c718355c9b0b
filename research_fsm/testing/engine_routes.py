"""How the fake Trigger.dev reads requests and words its answers: the HTTP contract, without a client.

Floor 6. A part of `research_fsm.testing.engine`, which says what the engine has; see there.
"""

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import unquote

from research_fsm.outcomes import Json
from research_fsm.rfc3339 import format_time
from research_fsm.testing.engine_words import FakeRequest, FakeResponse, FakeRun, Status

if TYPE_CHECKING:
    from research_fsm.testing.engine import FakeEngine

__all__ = ["answer", "refused"]

_LONGEST_BODY = 3 * 1024 * 1024
_LONGEST_KEY = 2048
_LONGEST_TAG = 128
_MOST_TAGS = 10
_WINDOW_MS = 60_000

_TRIGGER = re.compile(r"/api/v1/tasks/([^/]+)/trigger")
_RUN = re.compile(r"/api/v3/runs/([^/]+)")
_CANCEL = re.compile(r"/api/v2/runs/([^/]+)/cancel")
_REPLAY = re.compile(r"/api/v1/runs/([^/]+)/replay")
_OUTPUT = re.compile(r"/packets/([^/]+)")
_LIST = "/api/v1/runs"


def answer(engine: "FakeEngine", request: FakeRequest) -> FakeResponse:
    """Answer one request: who asks comes first, the size next, then what is asked."""
    if (kept := _OUTPUT.fullmatch(request.path)) is not None:
        return _kept_output(engine, request, kept[1])
    if request.headers.get("authorization") != f"Bearer {engine.secret_key}":
        return refused(401, engine.now)
    if request.method == "POST":
        length = request.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > _LONGEST_BODY or "transfer-encoding" in request.headers:
            return refused(413, engine.now)
        return _posted(engine, request)
    if request.path == _LIST:
        return _ok({"data": [_common(run) for run in _filtered(engine, request)], "pagination": {}})
    if (read := _RUN.fullmatch(request.path)) is not None:
        return _read(engine, request, unquote(read[1]))
    return _error(404, "Not found")


def refused(status: int, now: int) -> FakeResponse:
    """Return a refusal that looks at nothing of the request; `now` in microseconds UTC."""
    if status == 429:  # noqa: PLR2004  # Too many requests.
        headers = {
            "x-ratelimit-limit": "1200",
            "x-ratelimit-remaining": "0",
            "x-ratelimit-reset": str(now // 1000 + _WINDOW_MS),
        }
        return _json(429, {"title": "Rate Limit Exceeded", "status": 429}, headers)
    headers = {"location": "https://elsewhere.invalid/"} if status == 308 else {}  # noqa: PLR2004  # Moved for good.
    words = {401: "Invalid or Missing API key", 413: "Request body too large", 422: "You have run out of credits"}
    return _json(status, {"error": words.get(status, "Something went wrong")}, headers)


# --- what is posted ----------------------------------------------------------------------------------------------


def _posted(engine: "FakeEngine", request: FakeRequest) -> FakeResponse:
    if (wanted := _TRIGGER.fullmatch(request.path)) is not None:
        return _triggered(engine, request, unquote(wanted[1]))
    if (wanted := _CANCEL.fullmatch(request.path)) is not None:
        there = engine.cancel(unquote(wanted[1]))
        return _ok({"id": unquote(wanted[1])}) if there else _error(404, "Run not found")
    if (wanted := _REPLAY.fullmatch(request.path)) is not None:
        return _ok({"id": engine.replay(unquote(wanted[1]))})
    return _error(404, "Not found")


def _triggered(engine: "FakeEngine", request: FakeRequest, task: str) -> FakeResponse:
    try:
        body = json.loads(request.body)
    except ValueError:
        return _error(400, "Invalid request body")
    options = body.get("options", {}) if isinstance(body, dict) else None
    if not isinstance(options, dict):
        return _error(400, "Invalid request body")
    for name, proper in _OPTIONS.items():
        if name in options and not proper(options[name]):
            return _error(400, f"Validation error: Invalid input at options.{name}")
    known = {name: value for name, value in options.items() if name in _OPTIONS}
    header = request.headers.get("idempotency-key")
    if header is not None:
        known["idempotencyKey"] = header
    if isinstance(known.get("tags"), list) and len(known["tags"]) > _MOST_TAGS:
        return _error(422, f"Runs can only have {_MOST_TAGS} tags")
    run, cached = engine.trigger(task, body.get("payload"), known)
    told = {"isCached": cached} if engine.tells_cached else {}
    return _ok({"id": run.external_id, **told, "somethingNew": {"more": "fields appear"}})


def _text(value: object) -> bool:
    return isinstance(value, str)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _tag(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_TAG


# Null is proper for none of them but for metadata. A name that is not here is dropped without a word.
_OPTIONS: Mapping[str, Callable[[Json], bool]] = MappingProxyType(
    {
        "concurrencyKey": _text,
        "delay": _text,
        "idempotencyKey": lambda value: isinstance(value, str) and len(value) <= _LONGEST_KEY,
        "idempotencyKeyOptions": lambda value: isinstance(value, dict),
        "idempotencyKeyTTL": _text,
        "lockToVersion": _text,
        "machine": _text,
        "maxAttempts": _whole,
        "maxDuration": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
        "metadata": lambda _: True,
        "metadataType": _text,
        "payloadType": _text,
        "priority": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
        "queue": lambda value: isinstance(value, dict) and _text(value.get("name")),
        "region": _text,
        "tags": lambda value: _tag(value) or (isinstance(value, list) and all(map(_tag, value))),
        "test": lambda value: isinstance(value, bool),
        "ttl": lambda value: _text(value) or (_whole(value) and value >= 0),
    }
)


# --- what is read ------------------------------------------------------------------------------------------------


def _filtered(engine: "FakeEngine", request: FakeRequest) -> list[FakeRun]:
    """Return a page of what is listed; a filter takes several values between commas."""
    tag, task = request.wanted("filter[tag]"), request.wanted("filter[taskIdentifier]")
    tags = set() if tag is None else set(tag.split(","))
    found = (run for run in engine.listed() if task in (None, run.task) and (not tags or tags & set(run.tags)))
    return list(found)[: int(request.wanted("page[size]") or 25)]


def _read(engine: "FakeEngine", request: FakeRequest, external_id: str) -> FakeResponse:
    run = next((run for run in engine.runs if run.external_id == external_id), None)
    if run is None:
        return _json(404, {"error": "Run not found"}, {"x-should-retry": "false"})
    if run.unseen_reads > 0:
        run.unseen_reads -= 1
        return _json(404, {"error": "Run not found"}, {"x-should-retry": "true"})
    told = _common(run) | {"payload": run.payload, "attemptCount": 1, "relatedRuns": {}}
    if "x-trigger-api-version" not in request.headers:
        older = {Status.PENDING_VERSION: "WAITING_FOR_DEPLOY", Status.WAITING: "FROZEN"}
        told["status"] = older.get(run.status, str(run.status))
    if run.status is Status.COMPLETED and run.has_output:
        if len(json.dumps(run.output)) > engine.keeps_large_outputs_elsewhere:
            told["outputPresignedUrl"] = f"{_origin(request)}/packets/{external_id}?signature=fake"
        else:
            told["output"] = run.output
    return _ok(told)


def _kept_output(engine: "FakeEngine", request: FakeRequest, external_id: str) -> FakeResponse:
    """Answer as object stores do: the address is the permit, and a second one is an error."""
    if "authorization" in request.headers or request.query != "signature=fake":
        return _error(400, "Only one auth mechanism allowed")
    return _ok(engine.run(external_id).output)


def _origin(request: FakeRequest) -> str:
    host = request.headers.get("host", "localhost")
    return f"{'http' if host.startswith(('127.', 'localhost')) else 'https'}://{host}"


def _common(run: FakeRun) -> dict[str, Json]:
    """Return what a list and a read have in common. The flags are as wrong as the real ones."""
    status = run.status
    completed = status.final and status not in (Status.EXPIRED, Status.TIMED_OUT)
    key = run.options.get("idempotencyKey")
    return {
        "id": run.external_id,
        "status": str(status),
        "taskIdentifier": run.task,
        **({} if key is None else {"idempotencyKey": key}),
        "isQueued": status in (Status.QUEUED, Status.PENDING_VERSION),
        "isExecuting": status is Status.EXECUTING,
        "isWaiting": status is Status.WAITING,
        "isCompleted": completed,
        "isSuccess": status is Status.COMPLETED,
        "isFailed": completed and status not in (Status.COMPLETED, Status.CANCELED),
        "isCancelled": status is Status.CANCELED,
        "isTest": False,
        "createdAt": format_time(run.created_at),
        "updatedAt": format_time(run.created_at),
        "tags": list(run.tags),
        "costInCents": 0,
        "baseCostInCents": 0,
        "durationMs": 0,
    }


def _ok(value: Json) -> FakeResponse:
    return _json(200, value, {})


def _error(status: int, words: str) -> FakeResponse:
    return _json(status, {"error": words}, {})


def _json(status: int, value: Json, headers: Mapping[str, str]) -> FakeResponse:
    return FakeResponse(status, {"content-type": "application/json", **headers}, json.dumps(value).encode())
