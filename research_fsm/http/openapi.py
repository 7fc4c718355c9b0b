"""What the interface promises, as an OpenAPI 3.1 document: made from the operations that are served.

Floor 8. Imports nothing of Starlette's. Limits, patterns, codes and statuses are those that requests are checked by;
what is only said here is held against the interface by a test that asks it thousands of questions.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus

from attrs import field, frozen

from research_fsm.http import bodies
from research_fsm.http import credits as credits_
from research_fsm.http.problems import MEANINGS, Code
from research_fsm.lifecycle import Status
from research_fsm.outcomes import Json
from research_fsm.profile import PROFILE_FIELDS

__all__ = ["DESCRIBED", "Described", "document"]

Schema = Mapping[str, Json]

_REF = "#/components/schemas/"
_JSON = "application/json"
_PROBLEM = "application/problem+json"

_TEXT: Schema = {"type": ["string", "null"]}
_TIME: Schema = {"type": "string", "format": "date-time"}
_UUID: Schema = {"type": "string", "pattern": f"^({bodies.UUID_PATTERN})$"}
_GIVEN: Schema = {"type": "string", "minLength": 1, "maxLength": 500}
_FREE: Schema = {}


def _object(required: Mapping[str, Json], optional: Mapping[str, Json] | None = None, *, closed: bool = True) -> Schema:
    made: dict[str, Json] = {"type": "object", "properties": {**required, **(optional or {})}}
    if required:
        made["required"] = list(required)
    if closed:
        made["additionalProperties"] = False
    return made


def _ref(name: str) -> dict[str, Json]:
    return {"$ref": _REF + name}


def _or_null(schema: Schema) -> dict[str, Json]:
    return {"anyOf": [dict(schema), {"type": "null"}]}


_PERSON = {
    "id": _UUID,
    "user_id": _TEXT,
    **dict.fromkeys(PROFILE_FIELDS, _TEXT),
    "status": {"enum": [str(status) for status in (Status.IDLE, Status.RUNNING, Status.COMPLETE, Status.FAILED)]},
    "last_enriched_at": _or_null(_TIME),
    "created_at": _TIME,
    "updated_at": _TIME,
}
_CALLBACK = {
    "run_no": {"type": "integer"},
    "external_run_id": {"type": "string", "minLength": 1, "maxLength": 255},
}

_SCHEMAS: Mapping[str, Schema] = {
    "Success": _object({"success": {"const": True}}),
    "Health": _object({"status": {"const": "ok"}}),
    "Person": _object(_PERSON),
    "PersonAnswer": _object({"person": _ref("Person")}),
    "PersonDetails": _object({"person": _object({**_PERSON, "failures_in_a_row": {"type": "integer", "minimum": 0}})}),
    "People": _object({"people": {"type": "array", "items": _ref("Person")}, "cursor": _TEXT}),
    "Report": _object(
        {
            "id": _UUID,
            "person_id": _UUID,
            "version": {"type": "integer", "minimum": 1},
            "content": _FREE,
            "change_summary": _FREE,
            "generated_at": _TIME,
        }
    ),
    "ReportAnswer": _object({"report": _or_null(_ref("Report"))}),
    "Research": _object(
        {
            "person": _ref("Person"),
            "status": _PERSON["status"],
            "report": _or_null(_ref("Report")),
            "change_summary": _FREE,
        }
    ),
    "Claimed": _object(
        {
            "person_id": _UUID,
            "run_id": _UUID,
            "run_no": {"type": "integer", "minimum": 1},
            "external_run_id": {"type": "string"},
            "deadline": _TIME,
            "profile": _object({}, dict.fromkeys(PROFILE_FIELDS, _TEXT)),
        }
    ),
    "Prices": _object(
        {
            "actions": {
                "type": "array",
                "items": _object(
                    {"action": {"const": credits_.ACTION}, "costPerUnit": {"type": "integer", "minimum": 0}}
                ),
            }
        }
    ),
    "Preview": _object(
        {
            "action": {"const": credits_.ACTION},
            "count": {"type": "integer"},
            "costPerUnit": {"type": "integer"},
            "totalCredits": {"type": "integer"},
            "sufficient": {"type": "boolean"},
            "balance": {"type": "integer"},
        }
    ),
    "NewPerson": {
        **_object(
            {},
            {
                name: _or_null(_GIVEN)
                for name in ("linkedinUrl", "firstName", "lastName", "company", "role", "companyDomain", "photoUrl")
            },
            closed=False,
        ),
        "description": "linkedinUrl, or all of firstName, lastName and company; other members are passed over",
    },
    "NewResearch": _object(dict.fromkeys(("first_name", "last_name", "linkedin_url"), _GIVEN), closed=False),
    "PreviewOf": _object(
        {
            "action": {"const": credits_.ACTION},
            "count": {"type": "integer", "minimum": 1, "maximum": credits_.MOST},
        }
    ),
    "ClaimOf": _object(_CALLBACK),
    "CompleteOf": _object({**_CALLBACK, "content": _FREE}, {"change_summary": _FREE}),
    "FailOf": _object({**_CALLBACK, "reason": {"type": "string"}}),
}


@frozen
class Described:
    """What is said of an operation besides its method and path.

    Args:
        name: Its operationId.
        summary: What it does.
        answers: The schema of each success, by status.
        codes: The problems that it can meet besides those of every operation of its kind.
        body: The schema of its body; None if it reads none.
        opened_by: ``token``, ``run`` for a callback token, or nothing.
        lists: Whether it takes a limit and a cursor.
        repeatable: Whether it takes an Idempotency-Key.
    """

    name: str
    summary: str
    answers: Mapping[int, str]
    codes: tuple[Code, ...] = ()
    body: str | None = None
    opened_by: str | None = "token"
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
        "Start a run of a person who is idle or failed.",
        {200: "Success", 202: "Success"},
        (*_START, Code.ALREADY_RUNNING),
        repeatable=True,
    ),
    ("GET", f"{_PERSON_PATH}/report"): Described(
        "getReport", "Return a person's latest report, or null.", {200: "ReportAnswer"}, (Code.NOT_FOUND,)
    ),
    ("POST", f"{_PERSON_PATH}/mark-stale"): Described(
        "markStale",
        "Make a complete person idle again.",
        {200: "Success"},
        (Code.NOT_FOUND, Code.NOT_COMPLETE),
    ),
    ("GET", _PERSON_PATH): Described("getPerson", "Return a person.", {200: "PersonDetails"}, (Code.NOT_FOUND,)),
    ("DELETE", _PERSON_PATH): Described("deletePerson", "Delete a person.", {200: "Success"}, (Code.NOT_FOUND,)),
    ("POST", _PEOPLE): Described(
        "createPerson",
        "Add a person and start them, in one.",
        {201: "PersonAnswer", 202: "PersonAnswer"},
        (*_START, Code.ALREADY_RUNNING),
        "NewPerson",
        repeatable=True,
    ),
    ("GET", _PEOPLE): Described("listPeople", "Return the people, newest first.", {200: "People"}, lists=True),
    ("POST", _RESEARCH): Described(
        "createResearch",
        "Research the person with this address, unless they are being researched or have been.",
        {200: "Research", 202: "Research"},
        _START,
        "NewResearch",
        repeatable=True,
    ),
    ("GET", _RESEARCH): Described("listResearch", "Return a partner's people.", {200: "People"}, lists=True),
    ("GET", f"{_RESEARCH}/{{person_id}}"): Described(
        "getResearch", "Return a person with status and report.", {200: "Research"}, (Code.NOT_FOUND,)
    ),
    ("DELETE", f"{_RESEARCH}/{{person_id}}"): Described(
        "deleteResearch", "Delete a partner's person.", {200: "Success"}, (Code.NOT_FOUND,)
    ),
    ("GET", "/credits/config"): Described("getPrices", "Return the price list.", {200: "Prices"}),
    ("POST", "/credits/preview"): Described(
        "previewCredits", "Say what so many runs would cost.", {200: "Preview"}, (), "PreviewOf"
    ),
    ("POST", f"{_RUN}/claim"): Described(
        "claimRun", "Take a run: a worker's first act.", {200: "Claimed"}, (Code.STALE_RUN,), "ClaimOf", "run"
    ),
    ("POST", f"{_RUN}/complete"): Described(
        "completeRun", "End a run with its report.", {200: "Success"}, (Code.STALE_RUN,), "CompleteOf", "run"
    ),
    ("POST", f"{_RUN}/fail"): Described(
        "failRun", "End a run without a report.", {200: "Success"}, (Code.STALE_RUN,), "FailOf", "run"
    ),
    ("GET", "/healthz"): Described("getHealth", "Say whether the store can be read.", {200: "Health"}, (), None, None),
    ("GET", "/openapi.json"): Described("getDocument", "Return this document.", {200: "Document"}, (), None, None),
}


def document(operations: Iterable[tuple[str, str]], prefix: str) -> dict[str, Json]:
    """Return the document of these operations, each a method and a path behind the prefix."""
    paths: dict[str, dict[str, Json]] = {}
    for method, path in operations:
        paths.setdefault(prefix + path, {})[method.lower()] = _operation(path, DESCRIBED[method, path])
    return {
        "openapi": "3.1.0",
        "info": {"title": "Deep research", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": {**_SCHEMAS, "Document": {"type": "object"}},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "An access token."},
                "run": {"type": "http", "scheme": "bearer", "description": "The callback token of one run."},
            },
        },
    }


def _operation(path: str, described: Described) -> dict[str, Json]:
    made: dict[str, Json] = {
        "operationId": described.name,
        "summary": described.summary,
        "parameters": list(_parameters(path, described)),
        "responses": {**_answers(described), **_problems(described)},
        "security": [] if described.opened_by is None else [{described.opened_by: []}],
    }
    if described.body is not None:
        made["requestBody"] = {"required": True, "content": {_JSON: {"schema": _ref(described.body)}}}
    return made


def _parameters(path: str, described: Described) -> Iterable[Json]:
    for name in ("person_id", "run_id"):
        if f"{{{name}}}" in path:
            yield {"name": name, "in": "path", "required": True, "schema": dict(_UUID)}
    if described.lists:
        yield {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000}}
        yield {"name": "cursor", "in": "query", "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"}}
    if described.repeatable:
        key = {"type": "string", "pattern": "^[\\x20-\\x7e]{1,255}$"}
        yield {"name": "Idempotency-Key", "in": "header", "schema": key}


def _answers(described: Described) -> dict[str, Json]:
    return {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "content": {_JSON: {"schema": _ref(name)}},
        }
        for status, name in described.answers.items()
    }


def _problems(described: Described) -> dict[str, Json]:
    """Return what may be answered instead, by status; each names the codes that it can have."""
    codes = {*described.codes, Code.INTERNAL_ERROR, Code.STORE_UNAVAILABLE, Code.STORE_BUSY}
    if described.opened_by is not None:
        codes |= {Code.UNAUTHORIZED, Code.INVALID_REQUEST}
    if described.opened_by == "token":
        codes.add(Code.FORBIDDEN)
    if described.body is not None:
        codes |= {Code.INVALID_REQUEST, Code.PAYLOAD_TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE}
    by_status: dict[int, list[Json]] = {}
    for code in sorted(codes):
        by_status.setdefault(int(MEANINGS[code][0]), []).append(str(code))
    return {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "content": {_PROBLEM: {"schema": _problem(status, found)}},
        }
        for status, found in sorted(by_status.items())
    }


def _problem(status: int, codes: list[Json]) -> dict[str, Json]:
    """Return the schema of a problem: RFC 9457's members, a stable code, and the facts besides."""
    text = {"type": "string"}
    members = {"type": text, "title": text, "status": {"const": status}, "detail": text, "code": {"enum": codes}}
    return dict(_object(members, closed=False))
