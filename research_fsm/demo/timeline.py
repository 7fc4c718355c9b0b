"""One person's history as people read it: what happened, when, and what it meant for the credits.

Floor 6. Pure. The sentences are made from the recorded events alone.
"""

from collections.abc import Iterable

from attrs import frozen

from research_fsm import codec
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

__all__ = ["Line", "lines"]

_MICROSECONDS = 1_000_000


@frozen
class Line:
    """One line of a timeline.

    Args:
        seconds: Since the first event.
        name: The event's name.
        is_credit: Whether it is the account's.
        words: What happened.
    """

    seconds: float
    name: str
    is_credit: bool
    words: str


def lines(history: Iterable[RecordedEvent]) -> list[Line]:
    """Return a history as lines, in its order.

    Args:
        history: What `Runs.history` returns.
    """
    events = list(history)
    return [
        Line(
            seconds=(recorded.at - events[0].at) / _MICROSECONDS,
            name=recorded.type,
            is_credit=recorded.stream.startswith("account:"),
            words=_words(codec.decode_event(recorded)),
        )
        for recorded in events
    ]


def _words(event: Event) -> str:  # noqa: PLR0912  # A case per event, and the type checker sees that none is missing.
    match event:
        case PersonAdded(owner=owner):
            return f"added for {owner}, idle"
        case RunStarted(run_no=run_no):
            return f"run {run_no} starts"
        case AttemptArmed(attempt=attempt):
            return f"request {attempt} to the engine may be sent"
        case AttemptAnswered(attempt=attempt, result=result, reason=reason):
            return f"request {attempt} was {result}" + (f" ({reason})" if reason else "")
        case RunDispatched():
            return "queued"
        case RunClaimed(delivery=0, external_id=external_id):
            return f"claimed by {external_id}"
        case RunClaimed(delivery=1):
            return "a worker takes it"
        case RunClaimed(delivery=delivery):
            return f"its worker fell silent: another takes over, delivery {delivery}"
        case RunCompleted(report_version=version):
            return f"complete, report {version}"
        case RunFailed(reason=reason, hold=hold):
            return f"failed: {reason}; its credit is {hold}"
        case RunRolledBack(reason=reason):
            return f"rolled back: {reason}; idle again"
        case ReportMarkedStale(reason=reason):
            return f"the report is stale ({reason}); idle again"
        case CallbackRefused(kind=kind, external_id=external_id):
            return f"a stale {kind} of {external_id} changed nothing"
        case PersonErased():
            return "erased"
        case _:
            return _credit_words(event)


def _credit_words(
    event: CreditsGranted | CreditsRevoked | CreditsHeld | CreditsCharged | CreditsReleased | CreditsRefunded,
) -> str:
    match event:
        case CreditsGranted(amount=amount):
            return f"{amount} granted"
        case CreditsRevoked(amount=amount):
            return f"{amount} taken back"
        case CreditsHeld(amount=amount):
            return f"{amount} reserved"
        case CreditsCharged(amount=amount):
            return f"{amount} spent"
        case CreditsReleased(amount=amount):
            return f"{amount} back: the reservation is released"
        case CreditsRefunded(amount=amount):
            return f"{amount} back: the charge is refunded"
