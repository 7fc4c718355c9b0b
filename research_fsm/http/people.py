"""What users ask about their people: each operation is one call of `AsyncRuns`, and its answer in HTTP's words.

Floor 8. Imports Starlette's requests and responses. No rule lives here.
"""

import re
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from research_fsm.errors import InvalidInput
from research_fsm.http import answers, bodies, problems
from research_fsm.http.asked import Asked
from research_fsm.outcomes import (
    Created,
    Erased,
    Json,
    MarkedStale,
    PersonNotFound,
    Queued,
    RolledBack,
    Unresolved,
)
from research_fsm.profile import Profile
from research_fsm.reads import ReportDetails

__all__ = ["create", "delete", "get", "list_people", "mark_stale", "page_of", "report", "run"]

_LIMIT = re.compile(r"[0-9]{1,9}")
_FIELDS = {
    "linkedin_url": "linkedinUrl",
    "first_name": "firstName",
    "last_name": "lastName",
    "company": "company",
    "role": "role",
    "company_domain": "companyDomain",
    "photo_url": "photoUrl",
}
"""The fields of a profile, and what a request calls them."""


async def run(asked: Asked) -> Response:
    """Start a run of a person who is idle or failed."""
    key = bodies.idempotency_key(asked.request)
    caller = asked.caller
    match await asked.runs.start(asked.person_id, owner=caller.owner, key=key, actor=caller.actor):
        case Queued():
            return answers.done()
        case Unresolved():
            return answers.accepted({"success": True})
        case refusal:
            return await asked.refused(refusal)


async def create(asked: Asked) -> Response:
    """Add a person and start them, in one."""
    key = bodies.idempotency_key(asked.request)
    profile = _profile(await bodies.parsed(bodies.json_object, asked.body))
    caller = asked.caller
    match await asked.runs.create(caller.owner, profile, kind=caller.kind, key=key, actor=caller.actor):
        case Created(start=RolledBack() as refusal):
            return await asked.refused(refusal)
        case Created(person_id, start):
            return await _created(asked, person_id, settled=isinstance(start, Queued))
        case refusal:
            return await asked.refused(refusal)


async def get(asked: Asked) -> Response:
    """Return a person, with what the polling rule needs to know."""
    found = await asked.runs.person(asked.person_id, owner=asked.caller.owner)
    if isinstance(found, PersonNotFound):
        return await asked.refused(found)
    return answers.ok({"person": answers.person(found) | {"failures_in_a_row": found.failures_in_a_row}})


async def list_people(asked: Asked) -> Response:
    """Return the caller's people, newest first, a page at a time."""
    limit, cursor = page_of(asked.request)
    page = await asked.runs.people(asked.caller.owner, limit=limit, cursor=cursor)
    return answers.ok({"people": [answers.person(one) for one in page.people], "cursor": page.cursor})


async def report(asked: Asked) -> Response:
    """Return a person's latest report, or null."""
    match await asked.runs.report(asked.person_id, owner=asked.caller.owner):
        case None:
            return answers.ok({"report": None})
        case ReportDetails() as found:
            return answers.ok({"report": answers.report(found)})
        case PersonNotFound() as refusal:
            return await asked.refused(refusal)


async def mark_stale(asked: Asked) -> Response:
    """Make a complete person idle again, so that they can be run again."""
    match await asked.runs.mark_stale(asked.person_id, owner=asked.caller.owner, actor=asked.caller.actor):
        case MarkedStale():
            return answers.done()
        case refusal:
            return await asked.refused(refusal)


async def delete(asked: Asked) -> Response:
    """Delete a person; a run in flight is cancelled where the engine allows, spent credits are not refunded."""
    match await asked.runs.erase(asked.person_id, owner=asked.caller.owner, actor=asked.caller.actor):
        case Erased():
            return answers.done()
        case refusal:
            return await asked.refused(refusal)


def page_of(request: Request) -> tuple[int, str | None]:
    """Return which page a list is asked for: its limit and its cursor.

    Raises:
        ProblemError: The limit is no whole number.
    """
    limit, cursor = bodies.query(request, "limit"), bodies.query(request, "cursor")
    if limit is not None and not _LIMIT.fullmatch(limit):
        raise problems.invalid("limit", "must be a whole number")
    return (100 if limit is None else int(limit)), cursor


async def _created(asked: Asked, person_id: str, *, settled: bool) -> Response:
    """Show a new person as they are by now; a replay of the request shows them as they have become."""
    found = await asked.runs.person(person_id, owner=asked.caller.owner)
    if isinstance(found, PersonNotFound):
        return await asked.refused(found)
    members = {"person": answers.person(found)}
    return answers.ok(members, HTTPStatus.CREATED) if settled else answers.accepted(members)


def _profile(body: dict[str, Json]) -> Profile:
    """Return what is known of a new person; members that nobody asked for are passed over."""
    try:
        return Profile(**{field: body.get(name) for field, name in _FIELDS.items()})
    except InvalidInput as error:
        if error.field in _FIELDS:
            raise problems.invalid(_FIELDS[error.field], error.problem) from None
        raise problems.invalid("body", "needs linkedinUrl, or all of firstName, lastName and company") from None
