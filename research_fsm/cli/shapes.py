"""What is printed as JSON: one function per kind of thing, with the names that the HTTP interface uses for the same.

Floor 6. Pure. Times are RFC 3339 text in UTC.
"""

import attrs

from research_fsm import codec
from research_fsm.laws import Erased, Finding
from research_fsm.outcomes import Json
from research_fsm.profile import PROFILE_FIELDS
from research_fsm.reads import Balance, PersonDetails, ReportDetails
from research_fsm.rfc3339 import format_time
from research_fsm.runs import RecoveryPass
from research_fsm.storage import RecordedEvent, Token

__all__ = ["balance", "erased", "event", "finding", "person", "recovery", "report", "token"]


def person(found: PersonDetails) -> Json:
    """Return a person as JSON."""
    return {
        "id": found.person_id,
        "owner": found.owner,
        "kind": str(found.kind),
        "status": str(found.status),
        "phase": str(found.phase),
        "since": format_time(found.since),
        **{name: found.profile.get(name) for name in PROFILE_FIELDS},
        "run_id": found.run_id,
        "run_no": found.run_no,
        "deadline": _time(found.deadline),
        "reports": found.reports,
        "last_enriched_at": _time(found.reported_at),
        "failures_in_a_row": found.failures_in_a_row,
        "failure": found.failure,
        "created_at": format_time(found.added_at),
    }


def report(found: ReportDetails) -> Json:
    """Return a report as JSON."""
    return {
        "id": found.report_id,
        "person_id": found.person_id,
        "version": found.version,
        "content": found.content,
        "change_summary": found.change_summary,
        "generated_at": format_time(found.generated_at),
    }


def balance(found: Balance) -> Json:
    """Return an owner's credits as JSON; `charged` is gross."""
    return attrs.asdict(found)


def event(recorded: RecordedEvent) -> Json:
    """Return an event of the log as JSON."""
    return {
        "stream": recorded.stream,
        "version": recorded.version,
        "position": recorded.position,
        "type": recorded.type,
        "schema": recorded.schema,
        "at": format_time(recorded.at),
        "data": codec.parse(recorded.data),
        "meta": codec.parse(recorded.meta),
        "hash": recorded.hash.hex(),
    }


def finding(found: Finding) -> Json:
    """Return a broken law as JSON."""
    return attrs.asdict(found)


def erased(found: Erased) -> Json:
    """Return who was erased as JSON."""
    return {"person_id": found.person_id, "at": found.when, "by": found.actor}


def token(found: Token) -> Json:
    """Return an access token as JSON, without what it is compared by."""
    return {
        "token_id": found.token_id,
        "owner": found.owner,
        "kind": found.kind,
        "created_at": format_time(found.created_at),
        "revoked_at": _time(found.revoked_at),
    }


def recovery(done: RecoveryPass) -> Json:
    """Return what a recovery pass came to as JSON."""
    return {
        "recovered": [
            {"person_id": one.person_id, "run_no": one.run_no, "action": str(one.action)} for one in done.recovered
        ],
        "errors": [{"person_id": person_id, "error": str(error)} for person_id, error in done.errors],
    }


def _time(micros: int | None) -> str | None:
    return None if micros is None else format_time(micros)
