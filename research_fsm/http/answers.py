"""What is answered with a yes: people and reports as the contract spells them.

Floor 8. Imports Starlette's responses. Times are RFC 3339 in UTC.
"""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import JSONResponse, Response

from research_fsm.events import PersonKind
from research_fsm.http.problems import POLL_SECONDS
from research_fsm.outcomes import Json
from research_fsm.profile import PROFILE_FIELDS
from research_fsm.reads import PersonDetails, ReportDetails
from research_fsm.rfc3339 import format_time

__all__ = ["accepted", "done", "ok", "person", "report", "time_or_null", "underway"]


def ok(members: Mapping[str, Json], status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Return a JSON answer. Nobody in between may keep it: it is somebody's personal data, or soon out of date."""
    return JSONResponse(dict(members), status, {"Cache-Control": "no-store"})


def done() -> Response:
    """Return the answer to something that was done."""
    return ok({"success": True})


def accepted(members: Mapping[str, Json]) -> Response:
    """Return the answer to something that was begun and is not settled yet: ask again later."""
    return underway(members, HTTPStatus.ACCEPTED)


def underway(members: Mapping[str, Json], status: HTTPStatus) -> Response:
    """Return a JSON answer about something that goes on: it says when to ask again."""
    headers = {"Cache-Control": "no-store", "Retry-After": str(POLL_SECONDS)}
    return JSONResponse(dict(members), status, headers)


def person(details: PersonDetails) -> dict[str, Json]:
    """Return a person as every operation shows them."""
    return {
        "id": details.person_id,
        "user_id": details.owner if details.kind is PersonKind.USER else None,
        **{name: details.profile.get(name) for name in PROFILE_FIELDS},
        "status": str(details.status),
        "last_enriched_at": time_or_null(details.reported_at),
        "created_at": format_time(details.added_at),
        "updated_at": format_time(details.since),
    }


def report(details: ReportDetails) -> dict[str, Json]:
    """Return a report. The first one changes nothing, whatever its worker said."""
    return {
        "id": details.report_id,
        "person_id": details.person_id,
        "version": details.version,
        "content": details.content,
        "change_summary": details.change_summary if details.version > 1 else None,
        "generated_at": format_time(details.generated_at),
    }


def time_or_null(micros: int | None) -> str | None:
    """Return a time that may not have come yet."""
    return None if micros is None else format_time(micros)
