"""Time travel: a person, an account or a report as they were at a version, a position or a moment.

Floor 6. Folds the log up to a point with the same `evolve` as everything else. It reads one snapshot, calls nothing
outside, asks no engine and never writes: a replay has no side effects. What is said of the past is what the log says:
leases of the embedded queue and settings are in no event, and documents are kept only until the person is erased.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from attrs import Attribute, field, frozen

from research_fsm import account as accounts
from research_fsm import codec, decide, reads, transactions
from research_fsm import person as people
from research_fsm.account import Account
from research_fsm.commands import checked_id, checked_uuid
from research_fsm.errors import InvalidInput, LogUnreadable
from research_fsm.laws import Erased
from research_fsm.lifecycle import Phase
from research_fsm.outcomes import PersonNotFound
from research_fsm.person import Person
from research_fsm.reads import Balance, PersonDetails, ReportDetails
from research_fsm.storage import Query, Reader, RecordedEvent

__all__ = [
    "AtMoment",
    "AtPosition",
    "AtVersion",
    "Point",
    "ReportErased",
    "Then",
    "account",
    "balance",
    "check_there",
    "details",
    "person",
    "report",
    "until",
]

S = TypeVar("S")


def _from_zero(_: object, attribute: "Attribute[int]", value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidInput(attribute.name, f"must be a whole number from 0, not {value!r}")


@frozen
class AtVersion:
    """After this many events of the stream that is asked about; 0 is before the first."""

    version: int = field(validator=_from_zero)

    def covers(self, recorded: RecordedEvent) -> bool:
        """Tell whether an event had happened by then."""
        return recorded.version <= self.version


@frozen
class AtPosition:
    """After the event at this position of the whole log. Between two of one transaction is a point nobody ever saw."""

    position: int = field(validator=_from_zero)

    def covers(self, recorded: RecordedEvent) -> bool:
        """Tell whether an event had happened by then."""
        return recorded.position <= self.position


@frozen
class AtMoment:
    """At this time, in microseconds UTC: with every event that the store had recorded by then."""

    moment: int = field(validator=_from_zero)

    def covers(self, recorded: RecordedEvent) -> bool:
        """Tell whether an event had happened by then."""
        return recorded.at <= self.moment


Point = AtVersion | AtPosition | AtMoment
"""A point of the past. None, wherever one is taken, is the end of the log."""


@frozen
class Then(Generic[S]):
    """A state as it was.

    Args:
        state: The folded state.
        last: The last event that is in it; None before the first.
    """

    state: S
    last: RecordedEvent | None

    @property
    def version(self) -> int:
        """How many events of the stream are in it."""
        return 0 if self.last is None else self.last.version


@frozen
class ReportErased:
    """There was a report by then, and it was deleted with the person: the log has its version and its digest alone.

    Args:
        person_id: Whom it was about.
        version: Which report it was.
        generated_at: When it was stored, in microseconds UTC.
        erased_at: When the person was erased.
        erased_by: Who asked for it, if that was said.
    """

    person_id: str
    version: int
    generated_at: int
    erased_at: int
    erased_by: str | None

    def __str__(self) -> str:
        return f"report {self.version} of person {Erased(self.person_id, self.erased_at, self.erased_by)}"


def until(history: Iterable[RecordedEvent], point: Point | None) -> Iterator[RecordedEvent]:
    """Yield a stream's events up to a point: the longest beginning that had happened by then."""
    for recorded in history:
        if point is not None and not point.covers(recorded):
            return
        yield recorded


def person(reader: Reader, person_id: str, point: Point | None = None) -> Then[Person]:
    """Return a person as they were.

    Args:
        reader: Where to look.
        person_id: The person.
        point: When; versions are those of the person's stream.

    Raises:
        InvalidInput: The id is no UUID, or the point lies behind the end.
        LogUnreadable: An event up to then cannot be read.
    """
    person_id = checked_uuid("person_id", person_id)
    history = until(reader.events(transactions.person_stream(person_id)), point)
    then = _folded(
        people.nobody(person_id),
        history,
        lambda state, recorded: people.evolve(state, codec.decode_person_event(recorded), recorded.at),
    )
    check_there(reader, point, then.version)
    return then


def account(reader: Reader, owner: str, point: Point | None = None) -> Then[Account]:
    """Return an owner's account as it was: `state.available` is the balance that callers were shown.

    Args:
        reader: Where to look.
        owner: Whose account.
        point: When; versions are those of the account's stream.

    Raises:
        InvalidInput: The owner is no printable text of 1 to 255 characters, or the point lies behind the end.
        LogUnreadable: An event up to then cannot be read.
    """
    stream = transactions.account_stream(checked_id("owner", owner))
    history = until(reader.events(stream), point)
    then = _folded(
        accounts.EMPTY, history, lambda state, recorded: accounts.evolve(state, codec.decode_account_event(recorded))
    )
    check_there(reader, point, then.version)
    return then


def balance(reader: Reader, owner: str, point: Point | None = None) -> Balance:
    """Return an owner's credits as `reads.balance` would have shown them; it takes and raises what `account` does."""
    then = account(reader, owner, point).state
    return Balance(owner, then.available, then.granted, then.revoked, then.held, then.charged, then.refunded)


def details(
    reader: Reader, person_id: str, point: Point | None = None, *, owner: str | None = None
) -> PersonDetails | PersonNotFound:
    """Return a person as `reads.person` would have shown them; the profile is in no event, and is the one of today.

    Args:
        reader: Where to look.
        person_id: The person.
        point: When; versions are those of the person's stream.
        owner: Who asks; another owner's person is not found.

    Raises:
        InvalidInput: The id is no UUID, or the point lies behind the end.
        LogUnreadable: An event up to then cannot be read.
    """
    with reader.snapshot() as log:
        then = person(log, person_id, point).state
        if not then.visible_to(owner):
            return PersonNotFound(then.person_id)
        stream = transactions.person_stream(then.person_id)
        view = log.read(Query(streams=(stream,), documents=(transactions.PROFILE,)))
        return reads.details(then, view, failure=reads.failure(log, then))


def report(
    reader: Reader, person_id: str, point: Point | None = None, *, owner: str | None = None
) -> ReportDetails | ReportErased | PersonNotFound | None:
    """Return the report that was a person's latest at some point, or None if there was none yet.

    Every version's document is kept until the person is erased.

    Args:
        reader: Where to look.
        person_id: The person.
        point: When; versions are those of the person's stream.
        owner: Who asks; another owner's person is not found.

    Raises:
        InvalidInput: The id is no UUID, or the point lies behind the end.
        LogUnreadable: The document is missing although the person was not erased: run `verify`.
    """
    person_id = checked_uuid("person_id", person_id)
    stream = transactions.person_stream(person_id)
    with reader.snapshot() as log:
        then = person(log, person_id, point).state
        if not then.visible_to(owner):
            return PersonNotFound(person_id)
        if then.reported_at is None:
            return None
        name = decide.report_name(then.reports)
        body = log.read(Query(streams=(stream,), documents=(name,))).documents.get((stream, name))
        if body is None:
            return _erased(log, then, then.reported_at)
    return reads.report_in(body, person_id, then.reports, then.reported_at)


def _erased(log: Reader, then: Person, generated_at: int) -> ReportErased:
    now = person(log, then.person_id)
    if now.state.phase is not Phase.ERASED or now.last is None:
        what = f"{transactions.person_stream(then.person_id)} {decide.report_name(then.reports)}"
        raise LogUnreadable(what, "the document is missing; `verify` says what else is")
    actor = codec.decode_meta(now.last.meta).actor
    return ReportErased(then.person_id, then.reports, generated_at, now.last.at, actor)


def check_there(reader: Reader, point: Point | None, version: int) -> None:
    """Refuse a point behind the end: a mistyped number must not be answered with the present.

    Args:
        reader: Whose log it is a point of, and whose time is the end of time.
        point: The point.
        version: The version of the stream at that point, or the last one there is.

    Raises:
        InvalidInput: The point lies behind the end.
    """
    match point:
        case AtVersion(version=wanted) if version and version < wanted:
            raise InvalidInput("version", f"the stream ends with {version}, before {wanted}")
        case AtPosition(position=wanted) if wanted and next(reader.events(after=wanted - 1), None) is None:
            raise InvalidInput("position", f"the log ends before {wanted}")
        case AtMoment(moment=wanted) if wanted > reader.now():
            raise InvalidInput("moment", "must not lie in the future: nobody knows what the log will say")


def _folded(state: S, history: Iterable[RecordedEvent], evolved: Callable[[S, RecordedEvent], S]) -> Then[S]:
    last = None
    for recorded in history:
        state, last = evolved(state, recorded), recorded
    return Then(state, last)
