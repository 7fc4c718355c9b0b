"""What requests and answers look like, as the JSON schemas of the OpenAPI document.

Floor 8. Imports nothing of Starlette's. Limits and patterns are those that requests are checked by. A body that the
published API knows may have members that are not known here; one that is ours may not.
"""

from collections.abc import Mapping

from research_fsm.http import bodies
from research_fsm.http import credits as credits_
from research_fsm.lifecycle import Status
from research_fsm.outcomes import Json
from research_fsm.profile import PROFILE_FIELDS

__all__ = ["SCHEMAS", "UUID", "Schema", "problem", "ref"]

Schema = Mapping[str, Json]

UUID: Schema = {"type": "string", "pattern": f"^({bodies.UUID_PATTERN})$", "description": "a UUID"}
"""An id in a path."""

_TEXT: Schema = {"type": ["string", "null"]}
_TIME: Schema = {"type": "string", "format": "date-time"}
_GIVEN: Schema = {"type": "string", "minLength": 1, "maxLength": 500}
_FREE: Schema = {}
_COUNT: Schema = {"type": "integer", "minimum": 0}


def ref(name: str) -> dict[str, Json]:
    """Return how a schema is pointed at."""
    return {"$ref": f"#/components/schemas/{name}"}


def problem(status: int, codes: list[Json]) -> Schema:
    """Return the schema of a problem: RFC 9457's members, a stable code, and the facts besides."""
    text = {"type": "string"}
    members = {"type": text, "title": text, "status": {"const": status}, "detail": text, "code": {"enum": codes}}
    return _object(members, closed=False)


def _object(required: Mapping[str, Json], optional: Mapping[str, Json] | None = None, *, closed: bool = True) -> Schema:
    made: dict[str, Json] = {"type": "object", "properties": {**required, **(optional or {})}}
    if required:
        made["required"] = list(required)
    if closed:
        made["additionalProperties"] = False
    return made


def _like(schema: Schema, example: Json, words: str | None = None) -> Schema:
    """Return a schema with an example of what it is about."""
    return {**schema, "examples": [example], **({} if words is None else {"description": words})}


def _or_null(schema: Schema) -> dict[str, Json]:
    return {"anyOf": [dict(schema), {"type": "null"}]}


_STATUS: Schema = {"enum": [str(status) for status in (Status.IDLE, Status.RUNNING, Status.COMPLETE, Status.FAILED)]}
_PERSON = {
    "id": UUID,
    "user_id": _TEXT,
    **dict.fromkeys(PROFILE_FIELDS, _TEXT),
    "status": _STATUS,
    "last_enriched_at": _or_null(_TIME),
    "created_at": _TIME,
    "updated_at": _TIME,
}
_CALLBACK = {
    "run_no": {"type": "integer"},
    "external_run_id": {"type": "string", "minLength": 1, "maxLength": 255},
}
_RUN = {"run_no": 1, "external_run_id": "run_1234"}
_NEW_PERSON = ("linkedinUrl", "firstName", "lastName", "company", "role", "companyDomain", "photoUrl")

_ANSWERS: Mapping[str, Schema] = {
    "Success": _object({"success": {"const": True}}),
    "Health": _object({"status": {"const": "ok"}}),
    "Person": _object(_PERSON),
    "PersonAnswer": _object({"person": ref("Person")}),
    "WatchedPerson": _object({**_PERSON, "failures_in_a_row": _COUNT}),
    "WatchedPersonAnswer": _object({"person": ref("WatchedPerson")}),
    "People": _object({"people": {"type": "array", "items": ref("Person")}, "cursor": _TEXT}),
    "Report": _object(
        {
            "id": UUID,
            "person_id": UUID,
            "version": {"type": "integer", "minimum": 1},
            "content": _FREE,
            "change_summary": _FREE,
            "generated_at": _TIME,
        }
    ),
    "ReportAnswer": _object({"report": _or_null(ref("Report"))}),
    "Research": _object(
        {
            "person": ref("Person"),
            "status": _STATUS,
            "report": _or_null(ref("Report")),
            "change_summary": _FREE,
        }
    ),
    "Profile": _object({}, dict.fromkeys(PROFILE_FIELDS, _TEXT)),
    "Claimed": _object(
        {
            "person_id": UUID,
            "run_id": UUID,
            "run_no": {"type": "integer", "minimum": 1},
            "external_run_id": {"type": "string"},
            "deadline": _TIME,
            "profile": ref("Profile"),
        }
    ),
    "Price": _object({"action": {"const": credits_.ACTION}, "costPerUnit": _COUNT}),
    "Prices": _object({"actions": {"type": "array", "items": ref("Price")}}),
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
    "Document": {"type": "object"},
    "Page": {"type": "string"},
}

_BODIES: Mapping[str, Schema] = {
    "NewPerson": _like(
        _object({}, {name: _or_null(_GIVEN) for name in _NEW_PERSON}, closed=False),
        {"linkedinUrl": "https://www.linkedin.com/in/ada"},
        "linkedinUrl, or all of firstName, lastName and company; other members are passed over",
    ),
    "NewResearch": _like(
        _object(dict.fromkeys(("first_name", "last_name", "linkedin_url"), _GIVEN), closed=False),
        {"first_name": "Ada", "last_name": "Lovelace", "linkedin_url": "https://www.linkedin.com/in/ada"},
        "other members are passed over",
    ),
    "PreviewOf": _like(
        _object(
            {
                "action": {"const": credits_.ACTION},
                "count": {"type": "integer", "minimum": 1, "maximum": credits_.MOST},
            },
            closed=False,
        ),
        {"action": credits_.ACTION, "count": 10},
    ),
    "ClaimOf": _like(_object(_CALLBACK), _RUN),
    "CompleteOf": _like(
        _object({**_CALLBACK, "content": _FREE}, {"change_summary": _FREE}),
        {**_RUN, "content": {"headline": "Countess of computing"}},
    ),
    "FailOf": _like(_object({**_CALLBACK, "reason": {"type": "string"}}), {**_RUN, "reason": "the source was down"}),
}

SCHEMAS: Mapping[str, Schema] = {**_ANSWERS, **_BODIES}
"""By name."""
