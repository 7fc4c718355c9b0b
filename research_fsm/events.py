"""The facts of the log: everything that can ever have happened to a person or to an account.

Floor 0. Imports attrs alone. An event is immutable, names ids and amounts, and holds no personal data: documents
(a person's profile, a report's content) live beside the log, and the event carries their salted digest.

Times are integer microseconds since 1970-01-01 UTC. Leases and deadlines are absolute, so that folding the events
needs no clock and no settings.
"""

from enum import StrEnum

from attrs import frozen

__all__ = [
    "AccountEvent",
    "AttemptAnswered",
    "AttemptArmed",
    "AttemptResult",
    "CallbackKind",
    "CallbackRefused",
    "CreditsCharged",
    "CreditsGranted",
    "CreditsHeld",
    "CreditsRefunded",
    "CreditsReleased",
    "CreditsRevoked",
    "Event",
    "FailReason",
    "HoldEnd",
    "Meta",
    "PersonAdded",
    "PersonErased",
    "PersonEvent",
    "PersonKind",
    "ReportMarkedStale",
    "RollBackReason",
    "RunClaimed",
    "RunCompleted",
    "RunDispatched",
    "RunFailed",
    "RunRolledBack",
    "RunStarted",
    "StaleReason",
]


class PersonKind(StrEnum):
    """Whose API made the person; it chooses the engine's task."""

    USER = "user"
    PARTNER = "partner"


class AttemptResult(StrEnum):
    """What one dispatch request came to. Ambiguous is neither success nor failure."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    AMBIGUOUS = "ambiguous"


class CallbackKind(StrEnum):
    """The three things a worker can report."""

    CLAIM = "claim"
    COMPLETE = "complete"
    FAIL = "fail"


class HoldEnd(StrEnum):
    """How the end of a run leaves its credits: said in the event, so that no later fold can move money."""

    KEPT = "kept"
    RELEASED = "released"
    REFUNDED = "refunded"


class RollBackReason(StrEnum):
    """Why a run that was never queued was given up."""

    REFUSED = "refused"
    NOT_SENT = "not_sent"
    DISPATCH_DEADLINE = "dispatch_deadline"


class FailReason(StrEnum):
    """Why a run failed; free text is kept as a document."""

    WORKER_REPORTED = "worker_reported"
    PIPELINE_ERROR = "pipeline_error"
    ENGINE_REPORTED = "engine_reported"
    NO_OUTPUT = "no_output"
    QUEUE_DEADLINE = "queue_deadline"
    RUN_DEADLINE = "run_deadline"
    DELIVERIES_USED_UP = "deliveries_used_up"


class StaleReason(StrEnum):
    """Why a report was marked stale."""

    REQUESTED = "requested"
    AGE = "age"


@frozen
class Meta:
    """Who caused an event and what it belongs to; opaque ids, never an e-mail address.

    Args:
        actor: Who asked for it, as the embedder names them.
        correlation_id: The run that the event belongs to, if any.
        causation_id: The event that this one follows from, as ``stream@version``.
    """

    actor: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None


# --- a person's life ---------------------------------------------------------------------------------------------


@frozen
class PersonAdded:
    """A person became known. `profile_digest` is the salted digest of the profile."""

    owner: str
    kind: PersonKind
    profile_digest: str


@frozen
class RunStarted:
    """A run won the compare-and-swap: it holds `cost` credits and everything with a lower run_no is stale.

    Args:
        run_id: The run's UUID.
        run_no: The person's counter of starts: the fencing token.
        cost: Credits that are held.
        inside: Whether the hand-over is a row of the same database.
        deadline: When a dispatch without an answer is given up; None when `inside`.
        request_digest: The digest of the caller's request key, if there was one.
    """

    run_id: str
    run_no: int
    cost: int
    inside: bool
    deadline: int | None
    request_digest: str | None


@frozen
class AttemptArmed:
    """A dispatch request may now be sent, by the one who holds the lease."""

    run_no: int
    attempt: int
    lease_until: int


@frozen
class AttemptAnswered:
    """What the engine said, or did not say, to one attempt.

    Args:
        run_no: The run.
        attempt: The attempt's number within the run.
        result: One of the four results.
        external_id: The engine run that was accepted, if any.
        orphan: Whether that engine run belongs to no open run, or to one that another engine run has.
        reason: The dispatcher's short code, such as ``http_422``.
    """

    run_no: int
    attempt: int
    result: AttemptResult
    external_id: str | None
    orphan: bool
    reason: str


@frozen
class RunDispatched:
    """The engine has queued the run. `external_id` and `deadline` are None in the embedded queue."""

    run_no: int
    external_id: str | None
    deadline: int | None


@frozen
class RunClaimed:
    """A worker took the run. `delivery` counts the embedded queue's deliveries and is 0 for an outside engine."""

    run_no: int
    external_id: str
    delivery: int
    deadline: int


@frozen
class RunCompleted:
    """The run's report was written. `report_version` rises by one; `report_digest` is salted."""

    run_no: int
    external_id: str
    report_version: int
    report_digest: str


@frozen
class RunFailed:
    """The run ended without a report.

    Args:
        run_no: The run.
        external_id: The engine run that reported it, if one did.
        reason: From the fixed list.
        detail_digest: The salted digest of the free text, if there was any.
        hold: Whether the charge was kept, refunded, or the open hold released.
    """

    run_no: int
    external_id: str | None
    reason: FailReason
    detail_digest: str | None
    hold: HoldEnd


@frozen
class RunRolledBack:
    """The run was never queued: the compensating event that makes the person idle and releases the hold."""

    run_no: int
    reason: RollBackReason


@frozen
class ReportMarkedStale:
    """The report may be refreshed: the person is idle again, the report stays readable."""

    reason: StaleReason


@frozen
class CallbackRefused:
    """A stale callback changed nothing; recorded once per (run_no, kind, external_id)."""

    run_no: int
    kind: CallbackKind
    external_id: str


@frozen
class PersonErased:
    """The person's documents are gone. `hold` is None when no run was open."""

    hold: HoldEnd | None


# --- an account's credits ----------------------------------------------------------------------------------------


@frozen
class CreditsGranted:
    """Credits were added."""

    grant_id: str
    amount: int


@frozen
class CreditsRevoked:
    """A wrong grant was taken back, whole."""

    grant_id: str
    amount: int


@frozen
class CreditsHeld:
    """A started run reserves its cost."""

    person_id: str
    run_id: str
    run_no: int
    amount: int


@frozen
class CreditsCharged:
    """The engine has queued the run: its hold is spent."""

    person_id: str
    run_id: str
    run_no: int
    amount: int


@frozen
class CreditsReleased:
    """The run was never queued, or never executed: its hold is un-reserved."""

    person_id: str
    run_id: str
    run_no: int
    amount: int


@frozen
class CreditsRefunded:
    """The run was charged and never executed: its charge is given back."""

    person_id: str
    run_id: str
    run_no: int
    amount: int


PersonEvent = (
    PersonAdded
    | RunStarted
    | AttemptArmed
    | AttemptAnswered
    | RunDispatched
    | RunClaimed
    | RunCompleted
    | RunFailed
    | RunRolledBack
    | ReportMarkedStale
    | CallbackRefused
    | PersonErased
)
AccountEvent = CreditsGranted | CreditsRevoked | CreditsHeld | CreditsCharged | CreditsReleased | CreditsRefunded
Event = PersonEvent | AccountEvent
