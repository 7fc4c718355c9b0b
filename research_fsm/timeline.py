"""What each event of a person's history says to people: what happened, to which run, and what it did to the credits.

Floor 6. Pure. An event that this version cannot read is named as it is stored, so that a history is always shown.
"""

from collections.abc import Mapping

from research_fsm import codec
from research_fsm.errors import LogUnreadable
from research_fsm.events import (
    AttemptAnswered,
    AttemptArmed,
    CallbackRefused,
    CreditsCharged,
    CreditsGranted,
    CreditsHeld,
    CreditsRefunded,
    CreditsReleased,
    CreditsRevoked,
    Event,
    HoldEnd,
    PersonAdded,
    PersonErased,
    ReportMarkedStale,
    RunClaimed,
    RunCompleted,
    RunDispatched,
    RunFailed,
    RunRolledBack,
    RunStarted,
)
from research_fsm.storage import RecordedEvent

__all__ = ["credits_in_words", "in_words", "run_in_words"]


_HOLDS: Mapping[HoldEnd, str] = {
    HoldEnd.KEPT: "the charge stays",
    HoldEnd.RELEASED: "the credits are released",
    HoldEnd.REFUNDED: "the credits are refunded",
}


def in_words(recorded: RecordedEvent) -> str:
    """Return what happened."""
    event = _read(recorded)
    return f"{recorded.type} schema {recorded.schema}, which cannot be read" if event is None else _words(event)


def run_in_words(recorded: RecordedEvent) -> str:
    """Return which run it happened to, with the attempt or the delivery."""
    match _read(recorded):
        case AttemptArmed(run_no, attempt) | AttemptAnswered(run_no, attempt):
            return f"{run_no}, attempt {attempt}"
        case RunClaimed(run_no=run_no, delivery=delivery) if delivery:
            return f"{run_no}, delivery {delivery}"
        case None | PersonAdded() | PersonErased() | ReportMarkedStale() | CreditsGranted() | CreditsRevoked():
            return ""
        case event:
            return str(event.run_no)


def credits_in_words(recorded: RecordedEvent) -> str:
    """Return what it did to the credits that are available, with a sign."""
    match _read(recorded):
        case CreditsHeld(amount=amount) | CreditsRevoked(amount=amount):
            return f"-{amount}"
        case CreditsReleased(amount=amount) | CreditsRefunded(amount=amount) | CreditsGranted(amount=amount):
            return f"+{amount}"
        case CreditsCharged():
            return "±0"
        case _:
            return ""


def _read(recorded: RecordedEvent) -> Event | None:
    try:
        return codec.decode_event(recorded)
    except LogUnreadable:
        return None


def _words(event: Event) -> str:  # noqa: PLR0912  # A case per event, and the type checker sees that none is missing.
    match event:
        case PersonAdded(owner=owner, kind=kind):
            return f"added by {owner} ({kind})"
        case RunStarted(run_no=run_no, cost=cost):
            return f"run {run_no} started, for {cost} credit{'' if cost == 1 else 's'}"
        case AttemptArmed():
            return "a dispatch request may be sent"
        case AttemptAnswered(result=result, external_id=external_id, orphan=orphan, reason=reason):
            words = [str(result).replace("_", " "), *(part for part in (reason, external_id) if part)]
            return f"the dispatch was answered: {', '.join(words)}{' (an orphan)' if orphan else ''}"
        case RunDispatched(external_id=external_id):
            return "queued" if external_id is None else f"queued at the engine as {external_id}"
        case RunClaimed(delivery=0, external_id=external_id):
            return f"claimed by {external_id}"
        case RunClaimed(delivery=1):
            return "claimed by a worker"
        case RunClaimed(delivery=delivery):
            return f"the worker fell silent: taken over by another, delivery {delivery}"
        case RunCompleted(report_version=version):
            return f"complete: report {version}"
        case RunFailed(reason=reason, hold=hold):
            return f"failed ({str(reason).replace('_', ' ')}); {_HOLDS[hold]}"
        case RunRolledBack(reason=reason):
            return f"rolled back ({str(reason).replace('_', ' ')}); the person is idle"
        case ReportMarkedStale(reason=reason):
            return f"the report was marked stale ({reason}); the person is idle"
        case CallbackRefused(kind=kind, external_id=external_id):
            return f"a stale {kind} of {external_id} was refused"
        case PersonErased(hold=hold):
            return "erased" if hold is None else f"erased with a run open; {_HOLDS[hold]}"
        case CreditsGranted(grant_id=grant_id):
            return f"credits granted ({grant_id})"
        case CreditsRevoked(grant_id=grant_id):
            return f"credits revoked ({grant_id})"
        case CreditsHeld():
            return "credits held"
        case CreditsCharged():
            return "credits charged"
        case CreditsReleased():
            return "credits released"
        case CreditsRefunded():
            return "credits refunded"
