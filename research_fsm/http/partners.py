"""What partners ask: a person is known by their LinkedIn address, and submitting it again is how one comes back.

Floor 8. Imports Starlette's requests and responses. No rule lives here. The contract's names are the published API's.
"""

from http import HTTPStatus

from starlette.responses import Response

from research_fsm.errors import InvalidInput
from research_fsm.events import PersonKind
from research_fsm.http import answers, bodies, people, problems
from research_fsm.http.asked import Asked
from research_fsm.lifecycle import Status
from research_fsm.outcomes import AlreadyRunning, Erased, Json, PersonNotFound, RolledBack, Submitted
from research_fsm.profile import Profile
from research_fsm.reads import PersonDetails, ReportDetails

__all__ = ["create", "delete", "get", "list_people"]

_FIELDS = ("first_name", "last_name", "linkedin_url")


async def create(asked: Asked) -> Response:
    """Research the person with this address, unless they are being researched or have been."""
    key = bodies.idempotency_key(asked.request)
    profile = _profile(await bodies.parsed(bodies.json_object, asked.body))
    caller = asked.caller
    match await asked.runs.submit(caller.owner, profile, key=key, actor=caller.actor):
        case Submitted(start=RolledBack() as refusal):
            return await asked.refused(refusal)
        case Submitted(person_id=person_id):
            return await _shown(asked, person_id, HTTPStatus.ACCEPTED)
        case AlreadyRunning(person_id=person_id):
            return await _shown(asked, person_id, HTTPStatus.OK)
        case refusal:
            return await asked.refused(refusal)


async def get(asked: Asked) -> Response:
    """Return a person with their status and their report, if there is one."""
    return await _shown(asked, asked.person_id, HTTPStatus.OK)


async def list_people(asked: Asked) -> Response:
    """Return the partner's people, newest first, a page at a time."""
    limit, cursor = people.page_of(asked.request)
    page = await asked.runs.people(asked.caller.owner, limit=limit, cursor=cursor)
    listed = [answers.person(one) for one in page.people if one.kind is PersonKind.PARTNER]
    return answers.ok({"people": listed, "cursor": page.cursor})


async def delete(asked: Asked) -> Response:
    """Delete a person; the address may be submitted anew."""
    found = await _theirs(asked, asked.person_id)
    if isinstance(found, PersonNotFound):
        return await asked.refused(found)
    match await asked.runs.erase(found.person_id, owner=asked.caller.owner, actor=asked.caller.actor):
        case Erased():
            return answers.done()
        case refusal:
            return await asked.refused(refusal)


async def _shown(asked: Asked, person_id: str, status: HTTPStatus) -> Response:
    """Show a person as they are by now, with a report only if it is the last word about them."""
    found = await _theirs(asked, person_id)
    if isinstance(found, PersonNotFound):
        return await asked.refused(found)
    report = None
    if found.status is Status.COMPLETE:
        report = await asked.runs.report(person_id, owner=asked.caller.owner)
    written = answers.report(report) if isinstance(report, ReportDetails) else None
    members: dict[str, Json] = {
        "person": answers.person(found),
        "status": str(found.status),
        "report": written,
        "change_summary": None if written is None else written["change_summary"],
    }
    if found.status is Status.RUNNING or status is HTTPStatus.ACCEPTED:
        return answers.underway(members, status)
    return answers.ok(members, status)


async def _theirs(asked: Asked, person_id: str) -> PersonDetails | PersonNotFound:
    """Return a person of the partner's; whom the same owner added as a user is not found here."""
    found = await asked.runs.person(person_id, owner=asked.caller.owner)
    if isinstance(found, PersonDetails) and found.kind is not PersonKind.PARTNER:
        return PersonNotFound(person_id)
    return found


def _profile(body: dict[str, Json]) -> Profile:
    """Return what is known of a person; members that nobody asked for are passed over."""
    for name in _FIELDS:
        if body.get(name) is None:
            raise problems.invalid(name, "is required")
    try:
        return Profile(**{name: body[name] for name in _FIELDS})
    except InvalidInput as error:
        raise problems.invalid(error.field, error.problem) from None
