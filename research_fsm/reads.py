"""Looking at people, reports, balances and histories. Takes no write lock and changes nothing.

Floor 5. Every function takes a `storage.Reader`: a store, or a snapshot of one.
"""

from collections.abc import Mapping

from attrs import field, frozen

from research_fsm import codec, decide, transactions
from research_fsm.commands import checked_id, checked_uuid
from research_fsm.errors import InvalidInput, LogUnreadable
from research_fsm.events import PersonKind
from research_fsm.lifecycle import Phase, Status
from research_fsm.outcomes import Json, PersonNotFound
from research_fsm.person import Person
from research_fsm.storage import Query, Reader, RecordedEvent, View

__all__ = [
    "Balance",
    "PeoplePage",
    "PersonDetails",
    "ReportDetails",
    "balance",
    "details",
    "failure",
    "history",
    "people",
    "person",
    "report",
    "report_in",
]

_LARGEST_PAGE = 1000


@frozen
class PersonDetails:
    """A person as callers see them. Times are integer microseconds UTC.

    Args:
        person_id: Who it is.
        owner: Whose person it is.
        kind: Which API made them.
        status: ``idle``, ``running``, ``complete`` or ``failed``.
        phase: The same, with the three phases of a running person told apart.
        since: When the status began.
        run_id: The latest run.
        run_no: How many runs were ever started.
        deadline: When the present phase is given up, if it is.
        reports: The highest report version; 0 without a report.
        reported_at: When that report was written.
        failures_in_a_row: Failed runs since the last report; two are for a human.
        added_at: When the person was added.
        profile: What is known of them. Personal data.
        failure: What is the matter, in the words of whoever ended the latest run, if it failed and something was said.
            Not in lists. Personal data.
    """

    person_id: str
    owner: str
    kind: PersonKind
    status: Status
    phase: Phase
    since: int
    run_id: str | None
    run_no: int
    deadline: int | None
    reports: int
    reported_at: int | None
    failures_in_a_row: int
    added_at: int
    profile: Mapping[str, Json] = field(repr=False)
    failure: str | None = field(default=None, repr=False)


@frozen
class PeoplePage:
    """Some of an owner's people, newest first; `cursor` fetches the next page and is None on the last."""

    people: tuple[PersonDetails, ...]
    cursor: str | None


@frozen
class ReportDetails:
    """What a run found out.

    Args:
        report_id: The report's id, which is its run's.
        person_id: Whom it is about.
        version: Rises by one with every report of the person.
        content: Free JSON.
        change_summary: What is new since the last one, if the worker said so.
        generated_at: When it was stored, in microseconds UTC.
    """

    report_id: str
    person_id: str
    version: int
    content: Json = field(repr=False)
    change_summary: Json = field(repr=False)
    generated_at: int


@frozen
class Balance:
    """An owner's credits. `charged` is gross; ``available = granted - revoked - charged + refunded - held``."""

    owner: str
    available: int
    granted: int
    revoked: int
    held: int
    charged: int
    refunded: int


def person(reader: Reader, person_id: str, owner: str | None = None) -> PersonDetails | PersonNotFound:
    """Return a person.

    Args:
        reader: Where to look.
        person_id: The person.
        owner: Who asks; another owner's person is not found. None for somebody who may see everybody's.

    Raises:
        InvalidInput: The id is no UUID.
    """
    person_id = checked_uuid("person_id", person_id)
    stream = transactions.person_stream(person_id)
    view = reader.read(Query(streams=(stream,), documents=(transactions.PROFILE,)))
    found = transactions.person_in(view, person_id)
    if not found.visible_to(owner):
        return PersonNotFound(person_id)
    return details(found, view, failure=failure(reader, found))


def people(reader: Reader, owner: str, *, limit: int = 100, cursor: str | None = None) -> PeoplePage:
    """Return an owner's people, newest first, a page at a time; who is added meanwhile changes no later page.

    Args:
        reader: Where to look.
        owner: Whose people.
        limit: How many at most, up to 1,000; a page is shorter where people were erased.
        cursor: The one that came with the previous page.

    Raises:
        InvalidInput: The owner, the limit or the cursor is malformed.
    """
    if not 1 <= limit <= _LARGEST_PAGE:
        raise InvalidInput("limit", f"must be from 1 to {_LARGEST_PAGE}, not {limit}")
    link = transactions.account_stream(checked_id("owner", owner))
    heads = reader.linked(link, before=_position(cursor), limit=limit + 1)
    page = [head.stream for head in heads[:limit]]
    view = reader.read(Query(streams=tuple(page), documents=(transactions.PROFILE,)))
    found = (transactions.person_in(view, transactions.person_id_of(stream)) for stream in page)
    listed = tuple(details(one, view) for one in found if one.exists)
    return PeoplePage(listed, str(heads[limit - 1].first) if len(heads) > limit else None)


def report(reader: Reader, person_id: str, owner: str | None = None) -> ReportDetails | PersonNotFound | None:
    """Return a person's latest report, or None while there is none.

    Raises:
        InvalidInput: The id is no UUID.
        LogUnreadable: The report's document is missing or damaged: run `verify`.
    """
    person_id = checked_uuid("person_id", person_id)
    stream = transactions.person_stream(person_id)
    with reader.snapshot() as frozen:
        found = transactions.person_in(frozen.read(Query(streams=(stream,))), person_id)
        if not found.visible_to(owner):
            return PersonNotFound(person_id)
        if found.reported_at is None:
            return None
        name = decide.report_name(found.reports)
        documents = frozen.read(Query(streams=(stream,), documents=(name,))).documents
    if (stream, name) not in documents:
        raise LogUnreadable(f"{stream} {name}", "the document is missing; `verify` says what else is")
    return report_in(documents[stream, name], person_id, found.reports, found.reported_at)


def report_in(document: bytes, person_id: str, version: int, generated_at: int) -> ReportDetails:
    """Return the report that a document holds.

    Raises:
        LogUnreadable: It holds none.
    """
    match codec.parse(document):
        case {"id": str(report_id), "content": content, "change_summary": change_summary}:
            return ReportDetails(report_id, person_id, version, content, change_summary, generated_at)
        case _:
            what = f"{transactions.person_stream(person_id)} {decide.report_name(version)}"
            raise LogUnreadable(what, "the document holds no report; `verify` lists what is wrong")


def balance(reader: Reader, owner: str) -> Balance:
    """Return an owner's credits; an owner nobody ever granted anything has none.

    Raises:
        InvalidInput: The owner is no printable text of 1 to 255 characters.
    """
    stream = transactions.account_stream(checked_id("owner", owner))
    account = transactions.account_in(reader.read(Query(streams=(stream,))), owner)
    return Balance(
        owner,
        account.available,
        account.granted,
        account.revoked,
        account.held,
        account.charged,
        account.refunded,
    )


def history(reader: Reader, person_id: str) -> list[RecordedEvent]:
    """Return everything that ever happened to a person, erased or not, with what it meant for the account.

    Args:
        reader: Where to look.
        person_id: The person.

    Returns:
        The person's events and the account's that concern the person, by position; none if there is no such person.

    Raises:
        InvalidInput: The id is no UUID.
    """
    person_id = checked_uuid("person_id", person_id)
    stream = transactions.person_stream(person_id)
    with reader.snapshot() as frozen:
        own = list(frozen.events(stream))
        heads = frozen.read(Query(streams=(stream,))).heads
        link = heads[stream].link if stream in heads else None
        concerned = [] if link is None else [event for event in frozen.events(link) if _concerns(event, person_id)]
    return sorted((*own, *concerned), key=lambda event: event.position)


def _concerns(event: RecordedEvent, person_id: str) -> bool:
    data = codec.parse(event.data)
    return isinstance(data, dict) and data.get("person_id") == person_id


def failure(reader: Reader, found: Person) -> str | None:
    """Return what was said when a person's latest run failed, if it did and the text is still there."""
    if found.status is not Status.FAILED:
        return None
    stream, name = transactions.person_stream(found.person_id), decide.failure_name(found.run_no)
    text = reader.read(Query(streams=(stream,), documents=(name,))).documents.get((stream, name))
    return None if text is None else str(codec.parse(text))


def details(found: Person, view: View, *, failure: str | None = None) -> PersonDetails:
    """Return what is shown of a person, whose profile is in the view if there still is one.

    Raises:
        LogUnreadable: The document holds no profile.
    """
    run, stream = found.run, transactions.person_stream(found.person_id)
    profile = codec.parse(view.documents.get((stream, transactions.PROFILE), b"{}"))
    if not isinstance(profile, dict):
        raise LogUnreadable(f"{stream} {transactions.PROFILE}", "it holds no profile; `verify` lists what is wrong")
    return PersonDetails(
        person_id=found.person_id,
        owner=found.owner,
        kind=found.kind,
        status=found.status,
        phase=found.phase,
        since=found.since,
        run_id=None if run is None else run.run_id,
        run_no=found.run_no,
        deadline=None if run is None else run.deadline,
        reports=found.reports,
        reported_at=found.reported_at,
        failures_in_a_row=found.failures_in_a_row,
        added_at=found.added_at,
        profile=profile,
        failure=failure,
    )


def _position(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > len(str(2**62)):
        raise InvalidInput("cursor", "must be the one that came with the previous page")
    return int(cursor)
