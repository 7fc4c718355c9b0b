"""The domain's answers. A refusal is a value with its facts, not an exception.

Floor 0. Whoever prefers exceptions calls `accepted()` on an answer, in the manner of an HTTP client's
``raise_for_status()``: a success returns itself, a refusal raises `RefusedError`, and a type checker knows which.
Times are integer microseconds UTC.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NoReturn, Self

from attrs import field, frozen

from research_fsm.errors import RefusedError
from research_fsm.events import PersonKind

__all__ = [
    "Action",
    "AddAnswer",
    "Added",
    "AlreadyAdded",
    "AlreadyRunning",
    "CallbackAnswer",
    "ClaimAnswer",
    "Claimed",
    "Completed",
    "CreateAnswer",
    "Created",
    "EntrySkipped",
    "EraseAnswer",
    "Erased",
    "Failed",
    "GivenUp",
    "GrantAnswer",
    "GrantIdReused",
    "GrantNotFound",
    "Granted",
    "InsufficientCredits",
    "Json",
    "KeyReused",
    "MarkStaleAnswer",
    "MarkedStale",
    "NotComplete",
    "PersonNotFound",
    "QueueEmpty",
    "Queued",
    "Recovered",
    "Refusal",
    "Renewed",
    "RevokeAnswer",
    "Revoked",
    "RolledBack",
    "RunNotFound",
    "StaleRun",
    "StartAnswer",
    "SubmitAnswer",
    "Submitted",
    "Success",
    "TakeAnswer",
    "Unresolved",
    "how_many_credits",
]

Json = Any
"""A JSON value: null, a boolean, a number, a string, a list or an object with string keys."""


def how_many_credits(amount: int) -> str:
    """Return an amount of credits as a sentence has it."""
    return f"{amount} credit{'' if amount == 1 else 's'}"


class Success:
    """The request was carried out, or will be."""

    __slots__ = ()

    def accepted(self) -> Self:
        """Return the answer itself."""
        return self


class Refusal:
    """The request was refused, and nothing but the refusal itself was recorded."""

    __slots__ = ()

    def accepted(self) -> NoReturn:
        """Raise the refusal.

        Raises:
            RefusedError: Always; the refusal is its `refusal`.
        """
        raise RefusedError(self)


# --- a start -----------------------------------------------------------------------------------------------------


@frozen
class Queued(Success):
    """The engine has the run and its credits are charged. HTTP 200."""

    person_id: str
    run_id: str
    run_no: int

    def __str__(self) -> str:
        return f"person {self.person_id} is queued as run {self.run_no}"


@frozen
class Unresolved(Success):
    """The run was started and nobody knows yet whether the engine has it: recovery settles it. HTTP 202."""

    person_id: str
    run_id: str
    run_no: int

    def __str__(self) -> str:
        return f"run {self.run_no} of person {self.person_id} was started; whether the engine has it is not known yet"


@frozen
class RolledBack(Refusal):
    """The engine did not take the run: the person is idle and no credit was charged. HTTP 502.

    Args:
        person_id: The person.
        run_id: The run that was rolled back.
        run_no: Its number.
        reason: ``refused``, ``not_sent`` or ``dispatch_deadline``.
        retry_at: When the engine will take requests again, in microseconds UTC, if it said so.
    """

    person_id: str
    run_id: str
    run_no: int
    reason: str
    retry_at: int | None = None

    def __str__(self) -> str:
        return f"run {self.run_no} of person {self.person_id} was rolled back ({self.reason}); no credit was charged"


@frozen
class AlreadyRunning(Refusal):
    """The person is running, or complete with nothing to run again. HTTP 409.

    Args:
        person_id: The person.
        status: ``running`` or ``complete``.
        run_no: The latest run.
        since: When the status began, in microseconds UTC.
    """

    person_id: str
    status: str
    run_no: int
    since: int

    def __str__(self) -> str:
        return f"person {self.person_id} is already {self.status} (run {self.run_no})"


@frozen
class InsufficientCredits(Refusal):
    """The owner's available credits do not suffice. HTTP 402. Credits are whole numbers."""

    owner: str
    balance: int
    required: int

    def __str__(self) -> str:
        are = "is" if self.required == 1 else "are"
        return f"{self.owner} has {how_many_credits(self.balance)} available, {self.required} {are} required"


@frozen
class PersonNotFound(Refusal):
    """There is no such person: never added, erased, or another owner's. HTTP 404."""

    person_id: str

    def __str__(self) -> str:
        return f"there is no person {self.person_id}"


@frozen
class KeyReused(Refusal):
    """The request key was used before, for another request. HTTP 422."""

    key: str

    def __str__(self) -> str:
        return f"the key {self.key!r} was already used for another request"


# --- people ------------------------------------------------------------------------------------------------------


@frozen
class Added(Success):
    """A person was added, idle."""

    person_id: str

    def __str__(self) -> str:
        return f"added person {self.person_id}"


@frozen
class AlreadyAdded(Refusal):
    """The partner has a person with this LinkedIn URL: that one is meant."""

    person_id: str

    def __str__(self) -> str:
        return f"the partner already has this LinkedIn URL, as person {self.person_id}"


@frozen
class Created(Success):
    """A person was added and started in one transaction; `start` says what became of the start."""

    person_id: str
    start: Queued | Unresolved | RolledBack

    def __str__(self) -> str:
        return f"added person {self.person_id}: {self.start}"


@frozen
class Submitted(Success):
    """A partner's person was started, and added before if nobody had the address; `start` says what became of it."""

    person_id: str
    start: Queued | Unresolved | RolledBack

    def __str__(self) -> str:
        return f"submitted person {self.person_id}: {self.start}"


@frozen
class MarkedStale(Success):
    """The person is idle again and may be refreshed."""

    person_id: str

    def __str__(self) -> str:
        return f"person {self.person_id} is idle again; the report stays readable"


@frozen
class NotComplete(Refusal):
    """Only a complete person's report can be stale. HTTP 409."""

    person_id: str
    status: str

    def __str__(self) -> str:
        return f"person {self.person_id} is {self.status}, not complete"


@frozen
class Erased(Success):
    """The person's documents are gone; the log keeps what happened, without personal data.

    Args:
        person_id: The person.
        engine_runs: Engine runs that may still be at work and are cancelled where the engine lets us.
    """

    person_id: str
    engine_runs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"erased person {self.person_id}"


# --- callbacks ---------------------------------------------------------------------------------------------------


@frozen
class Claimed(Success):
    """The worker has the run: it may begin, and must report before the deadline.

    Args:
        person_id: The person.
        owner: Whose person it is.
        kind: Which API made them.
        run_id: The run.
        run_no: Its number.
        external_id: The engine run, or the delivery, that has it.
        deadline: When the run is given up, in microseconds UTC.
        profile: What is known of the person. Personal data: never logged.
        lease_until: Until when a worker of the embedded queue has it without renewing.
    """

    person_id: str
    owner: str
    kind: PersonKind
    run_id: str
    run_no: int
    external_id: str
    deadline: int
    profile: Mapping[str, Json] = field(repr=False)
    lease_until: int | None = None

    def __str__(self) -> str:
        return f"run {self.run_no} of person {self.person_id} is claimed by {self.external_id}"


@frozen
class Completed(Success):
    """The report was stored as this version."""

    person_id: str
    run_no: int
    report_version: int

    def __str__(self) -> str:
        return f"run {self.run_no} of person {self.person_id} is complete: report {self.report_version}"


@frozen
class Failed(Success):
    """The failure was recorded."""

    person_id: str
    run_no: int

    def __str__(self) -> str:
        return f"run {self.run_no} of person {self.person_id} failed"


@frozen
class StaleRun(Refusal):
    """The callback is of no run that may report: the worker stops. HTTP 409."""

    run_id: str
    run_no: int
    external_id: str

    def __str__(self) -> str:
        return f"run {self.run_no} ({self.run_id}) is stale for {self.external_id}: stop"


@frozen
class RunNotFound(Refusal):
    """There never was such a run. HTTP 404."""

    run_id: str

    def __str__(self) -> str:
        return f"there is no run {self.run_id}"


@frozen
class Renewed(Success):
    """The worker keeps its entry of the embedded queue until `lease_until`, in microseconds UTC."""

    lease_until: int

    def __str__(self) -> str:
        return f"the lease runs until {self.lease_until}"


@frozen
class QueueEmpty(Success):
    """No entry of the embedded queue is free now, or not the one that was asked for."""

    def __str__(self) -> str:
        return "nothing is waiting"


@frozen
class GivenUp(Success):
    """An entry of the embedded queue had used up its deliveries: its run has failed."""

    person_id: str
    run_no: int

    def __str__(self) -> str:
        return f"run {self.run_no} of person {self.person_id} failed: its deliveries are used up"


@frozen
class EntrySkipped(Refusal):
    """An entry's person cannot be read: it is set aside for the length of a lease, and the others go on.

    Args:
        person_id: Whose entry it is.
        problem: What cannot be read; `verify` says what else.
    """

    person_id: str
    problem: str

    def __str__(self) -> str:
        return f"the entry of person {self.person_id} is set aside: {self.problem}"


# --- recovery ----------------------------------------------------------------------------------------------------


class Action(StrEnum):
    """What recovery did about one person."""

    ADOPTED = "adopted"
    COMPLETED = "completed"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    RESENT = "resent"
    WAITED = "waited"
    MARKED_STALE = "marked_stale"
    NOTHING = "nothing"


@frozen
class Recovered(Success):
    """What one look of recovery came to."""

    person_id: str
    run_no: int
    action: Action

    def __str__(self) -> str:
        return f"run {self.run_no} of person {self.person_id}: {self.action}"


# --- credits -----------------------------------------------------------------------------------------------------


@frozen
class Granted(Success):
    """The account has the grant, once, however often it was asked for."""

    owner: str
    grant_id: str
    amount: int

    def __str__(self) -> str:
        return f"{self.owner} has the grant {self.grant_id!r} of {how_many_credits(self.amount)}"


@frozen
class Revoked(Success):
    """The grant was taken back, whole, once."""

    owner: str
    grant_id: str
    amount: int

    def __str__(self) -> str:
        return f"the grant {self.grant_id!r} of {how_many_credits(self.amount)} was taken back from {self.owner}"


@frozen
class GrantIdReused(Refusal):
    """The grant_id was used before, with another amount."""

    owner: str
    grant_id: str
    amount: int

    def __str__(self) -> str:
        return f"{self.owner} already has a grant {self.grant_id!r}, of {how_many_credits(self.amount)}"


@frozen
class GrantNotFound(Refusal):
    """The owner has no such grant."""

    owner: str
    grant_id: str

    def __str__(self) -> str:
        return f"{self.owner} has no grant {self.grant_id!r}"


StartAnswer = Queued | Unresolved | RolledBack | AlreadyRunning | InsufficientCredits | PersonNotFound | KeyReused
AddAnswer = Added | AlreadyAdded
SubmitAnswer = Submitted | AlreadyRunning | InsufficientCredits | PersonNotFound | KeyReused
CreateAnswer = Created | AlreadyAdded | AlreadyRunning | InsufficientCredits | PersonNotFound | KeyReused
ClaimAnswer = Claimed | StaleRun | RunNotFound
TakeAnswer = Claimed | EntrySkipped | GivenUp | QueueEmpty
CallbackAnswer = Completed | Failed | StaleRun | RunNotFound
MarkStaleAnswer = MarkedStale | NotComplete | PersonNotFound
EraseAnswer = Erased | PersonNotFound
GrantAnswer = Granted | GrantIdReused
RevokeAnswer = Revoked | GrantNotFound | InsufficientCredits
