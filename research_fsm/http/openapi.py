"""What the interface promises, as an OpenAPI 3.1 document: made from the operations that are served.

Floor 8. Imports nothing of Starlette's. Codes and statuses are those that are answered; what is only said here is held
against the interface by tests that ask it thousands of questions and follow the links from answer to question.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus

from attrs import field, frozen

from research_fsm.http.problems import MEANINGS, Code
from research_fsm.http.schemas import SCHEMAS, UUID, problem, ref
from research_fsm.outcomes import Json

__all__ = ["DESCRIBED", "TAGS", "Described", "document"]

_JSON = "application/json"
_PROBLEM = "application/problem+json"
_HTML = "text/html"

TAGS: Mapping[str, str] = {
    "people": "For users: people, their runs and their reports.",
    "research": "For partners: a person is known by their LinkedIn address, and submitting it again is the way back.",
    "credits": "For both: what a run costs, and whether so many can be paid for.",
    "runs": "For workers of an outside engine: each run has a token of its own, which comes with its dispatch.",
    "service": "For everybody.",
}
"""Who an operation is for, in the order in which they are shown."""


@frozen
class Described:
    """What is said of an operation besides its method and path.

    Args:
        name: Its operationId.
        tag: Who it is for.
        summary: What it does.
        answers: The schema of each success, by status.
        codes: The problems that it can meet besides those of every operation of its kind.
        body: The schema of its body; None if it reads none.
        opened_by: ``token``, ``run`` for a callback token, or nothing.
        media_type: What its successes are.
        lists: Whether it takes a limit and a cursor.
        repeatable: Whether it takes an Idempotency-Key.
    """

    name: str
    tag: str
    summary: str
    answers: Mapping[int, str]
    codes: tuple[Code, ...] = ()
    body: str | None = None
    opened_by: str | None = "token"
    media_type: str = field(default=_JSON, kw_only=True)
    lists: bool = field(default=False, kw_only=True)
    repeatable: bool = field(default=False, kw_only=True)


_PEOPLE = "/deep-research/people"
_PERSON_PATH = _PEOPLE + "/{person_id}"
_RUN = "/deep-research/runs/{run_id}"
_RESEARCH = "/v1/research"
_START = (Code.INSUFFICIENT_CREDITS, Code.DISPATCH_FAILED, Code.IDEMPOTENCY_KEY_REUSED, Code.NOT_FOUND)

DESCRIBED: Mapping[tuple[str, str], Described] = {
    ("POST", f"{_PERSON_PATH}/run"): Described(
        "runPerson",
        "people",
        "Start a run of a person who is idle or failed.",
        {200: "Success", 202: "Success"},
        (*_START, Code.ALREADY_RUNNING),
        repeatable=True,
    ),
    ("GET", f"{_PERSON_PATH}/report"): Described(
        "getReport", "people", "Return a person's latest report, or null.", {200: "ReportAnswer"}, (Code.NOT_FOUND,)
    ),
    ("POST", f"{_PERSON_PATH}/mark-stale"): Described(
        "markStale",
        "people",
        "Make a complete person idle again, so that the report can be refreshed.",
        {200: "Success"},
        (Code.NOT_FOUND, Code.NOT_COMPLETE),
    ),
    ("GET", _PERSON_PATH): Described(
        "getPerson", "people", "Return a person.", {200: "WatchedPersonAnswer"}, (Code.NOT_FOUND,)
    ),
    ("DELETE", _PERSON_PATH): Described(
        "deletePerson", "people", "Delete a person.", {200: "Success"}, (Code.NOT_FOUND,)
    ),
    ("POST", _PEOPLE): Described(
        "createPerson",
        "people",
        "Add a person and start them, in one.",
        {201: "PersonAnswer", 202: "PersonAnswer"},
        (*_START, Code.ALREADY_RUNNING),
        "NewPerson",
        repeatable=True,
    ),
    ("GET", _PEOPLE): Described(
        "listPeople", "people", "Return the people, newest first.", {200: "People"}, lists=True
    ),
    ("POST", _RESEARCH): Described(
        "createResearch",
        "research",
        "Research the person with this address, unless they are being researched or have been.",
        {200: "Research", 202: "Research"},
        _START,
        "NewResearch",
        repeatable=True,
    ),
    ("GET", _RESEARCH): Described(
        "listResearch", "research", "Return a partner's people, newest first.", {200: "People"}, lists=True
    ),
    ("GET", f"{_RESEARCH}/{{person_id}}"): Described(
        "getResearch", "research", "Return a person with status and report.", {200: "Research"}, (Code.NOT_FOUND,)
    ),
    ("DELETE", f"{_RESEARCH}/{{person_id}}"): Described(
        "deleteResearch", "research", "Delete a partner's person.", {200: "Success"}, (Code.NOT_FOUND,)
    ),
    ("GET", "/credits/config"): Described("getPrices", "credits", "Return the price list.", {200: "Prices"}),
    ("POST", "/credits/preview"): Described(
        "previewCredits", "credits", "Say what so many runs would cost.", {200: "Preview"}, (), "PreviewOf"
    ),
    ("POST", f"{_RUN}/claim"): Described(
        "claimRun", "runs", "Take a run: a worker's first act.", {200: "Claimed"}, (Code.STALE_RUN,), "ClaimOf", "run"
    ),
    ("POST", f"{_RUN}/complete"): Described(
        "completeRun", "runs", "End a run with its report.", {200: "Success"}, (Code.STALE_RUN,), "CompleteOf", "run"
    ),
    ("POST", f"{_RUN}/fail"): Described(
        "failRun", "runs", "End a run without a report.", {200: "Success"}, (Code.STALE_RUN,), "FailOf", "run"
    ),
    ("GET", "/healthz"): Described(
        "getHealth", "service", "Say whether the store can be read.", {200: "Health"}, opened_by=None
    ),
    ("GET", "/openapi.json"): Described(
        "getDocument", "service", "Return this document.", {200: "Document"}, opened_by=None
    ),
    ("GET", "/docs"): Described(
        "getPage", "service", "Return this document for readers.", {200: "Page"}, opened_by=None, media_type=_HTML
    ),
}

_CURSOR = {"type": "string", "pattern": "^[0-9]{1,18}$", "description": "the one that came with the page before"}
_KEY = {
    "type": "string",
    "pattern": "^[\\x20-\\x7e]{1,255}$",
    "description": "1 to 255 printable ASCII characters: the same request with the same key is not done twice",
}

_WITH_PERSON = ("runPerson", "getPerson", "getReport", "markStale", "deletePerson")
_WITH_RESEARCH = ("getResearch", "deleteResearch")
_NEXT: Mapping[str, tuple[tuple[str, str, tuple[str, ...]], ...]] = {
    "createPerson": (("person_id", "/person/id", _WITH_PERSON),),
    "listPeople": (("person_id", "/people/0/id", _WITH_PERSON), ("cursor", "/cursor", ("listPeople",))),
    "createResearch": (("person_id", "/person/id", _WITH_RESEARCH),),
    "listResearch": (("person_id", "/people/0/id", _WITH_RESEARCH), ("cursor", "/cursor", ("listResearch",))),
}
"""What an answer gives to ask further with: the parameter, where it stands in the answer, which operations take it."""


def document(operations: Iterable[tuple[str, str]], prefix: str) -> dict[str, Json]:
    """Return the document of these operations, each a method and a path behind the prefix."""
    paths: dict[str, dict[str, Json]] = {}
    for method, path in operations:
        paths.setdefault(prefix + path, {})[method.lower()] = _operation(path, DESCRIBED[method, path])
    return {
        "openapi": "3.1.0",
        "info": {"title": "Deep research", "version": "1"},
        "tags": [{"name": name, "description": words} for name, words in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "An access token."},
                "run": {"type": "http", "scheme": "bearer", "description": "The callback token of one run."},
            },
        },
    }


def _operation(path: str, described: Described) -> dict[str, Json]:
    made: dict[str, Json] = {
        "operationId": described.name,
        "tags": [described.tag],
        "summary": described.summary,
        "parameters": list(_parameters(path, described)),
        "responses": {**_answers(described), **_problems(described)},
        "security": [] if described.opened_by is None else [{described.opened_by: []}],
    }
    if described.body is not None:
        made["requestBody"] = {"required": True, "content": {_JSON: {"schema": ref(described.body)}}}
    return made


def _parameters(path: str, described: Described) -> Iterable[Json]:
    for name in ("person_id", "run_id"):
        if f"{{{name}}}" in path:
            yield {"name": name, "in": "path", "required": True, "schema": dict(UUID)}
    if described.lists:
        yield {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000}}
        yield {"name": "cursor", "in": "query", "schema": _CURSOR}
    if described.repeatable:
        yield {"name": "Idempotency-Key", "in": "header", "schema": _KEY}


def _answers(described: Described) -> dict[str, Json]:
    return {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "content": {described.media_type: {"schema": ref(name)}},
            "links": _links(described.name),
        }
        for status, name in described.answers.items()
    }


def _links(name: str) -> dict[str, Json]:
    """Return what can be asked next with what is in a success."""
    return {
        following: {"operationId": following, "parameters": {parameter: f"$response.body#{pointer}"}}
        for parameter, pointer, operations in _NEXT.get(name, ())
        for following in operations
    }


def _problems(described: Described) -> dict[str, Json]:
    """Return what may be answered instead, by status; each names the codes that it can have."""
    codes = {*described.codes, Code.INTERNAL_ERROR, Code.STORE_UNAVAILABLE, Code.STORE_BUSY, Code.RATE_LIMITED}
    if described.opened_by is not None:
        codes |= {Code.UNAUTHORIZED, Code.INVALID_REQUEST}
    if described.opened_by == "token":
        codes.add(Code.FORBIDDEN)
    if described.body is not None:
        codes |= {Code.PAYLOAD_TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE, Code.REQUEST_TIMEOUT}
    by_status: dict[int, list[Json]] = {}
    for code in sorted(codes):
        by_status.setdefault(int(MEANINGS[code][0]), []).append(str(code))
    return {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "content": {_PROBLEM: {"schema": problem(status, found)}},
        }
        for status, found in sorted(by_status.items())
    }
