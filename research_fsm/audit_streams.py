"""What an audit knows of a stream as far as it has followed it, and what it asks of every row.

Floor 6, above `audit_memory`. Pure. The rows it is given may hold anything: a file may have been edited by hand.
"""

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any

from attrs import define, fields

from research_fsm import codec, decide, transactions
from research_fsm.account import Account
from research_fsm.audit_memory import Remembered, Scratch
from research_fsm.events import AccountEvent, PersonAdded, PersonEvent, RunCompleted, RunFailed
from research_fsm.person import Hold, Person
from research_fsm.storage import Head, QueueEntry, RecordedEvent, first_hash

__all__ = ["Stream", "documents_of", "mistyped", "printable", "remembered", "well_typed"]


@define
class Stream:
    """A stream as far as the log has been followed.

    Args:
        hash: The hash of its latest event.
        first: The position of its first event; None while others' events name it and it has none.
        version: The version of its latest event.
        person: What the events of a person fold to.
        account: What the events of an account fold to.
        events: How many there were that say what happened.
        owed: What the person's runs still call for in the account, first things first.
        missing: Documents that were not found, with the version of the event that names each.
        held_run_no: The latest run of the person that an account has held credits for.
        hold: What has become of those in the account.
    """

    hash: bytes
    first: int | None = None
    version: int = 0
    person: Person | None = None
    account: Account | None = None
    events: int = 0
    owed: tuple[AccountEvent, ...] = ()
    missing: tuple[tuple[int, str], ...] = ()
    held_run_no: int = 0
    hold: Hold = Hold.RELEASED


def remembered(scratch: Scratch, at_hand: int) -> Remembered[Stream]:
    """Return what streams are remembered in; states are written down as heads have them, which is fast."""
    return Remembered(scratch, at_hand, lambda name: Stream(first_hash(name)), _packed, _unpacked)


def _packed(stream: Stream) -> tuple[object, ...]:
    hash_, first, version, person, account, *rest, hold = _FIELDS_OF(stream)
    states = (None if state is None else codec.encode(state) for state in (person, account))
    return (hash_, first, version, *states, *rest, str(hold))


def _unpacked(packed: tuple[Any, ...]) -> Stream:
    stream = Stream(*packed)
    if stream.person is not None:
        stream.person = codec.parse_person("a person", packed[3])
    if stream.account is not None:
        stream.account = codec.parse_account("an account", packed[4])
    stream.hold = Hold(stream.hold)
    return stream


_FIELDS_OF = attrgetter(*(field.name for field in fields(Stream)))

_COLUMNS: dict[type, tuple[tuple[str, type], ...]] = {
    row: tuple((column.name, column.type) for column in fields(row) if column.type is not None)
    for row in (RecordedEvent, Head, QueueEntry)
}
"""Looked up once, as it is asked for every event."""

_TYPES = tuple(kind for _, kind in _COLUMNS[RecordedEvent])
_VALUES_OF = attrgetter(*(name for name, _ in _COLUMNS[RecordedEvent]))


def well_typed(recorded: RecordedEvent) -> bool:
    """Tell whether each column of an event holds exactly the type that it should; `mistyped` says which does not."""
    return tuple(map(type, _VALUES_OF(recorded))) == _TYPES


def mistyped(row: RecordedEvent | Head | QueueEntry) -> Iterator[tuple[str, str]]:
    """Yield the columns of a row that hold another type than a store promises: SQLite, for one, keeps any in any."""
    for name, kind in _COLUMNS[type(row)]:
        value = getattr(row, name)
        if not isinstance(value, kind):
            yield name, f"{name} is {printable(value)} of type {type(value).__name__}"


def printable(value: object) -> str:
    """Return a text, or how anything else looks, cut short."""
    return value if isinstance(value, str) else repr(value)[:80]


def documents_of(event: PersonEvent) -> Iterable[tuple[str, str]]:
    """Return the documents that an event names, with their digests."""
    match event:
        case PersonAdded(profile_digest=digest):
            return ((transactions.PROFILE, digest),)
        case RunCompleted(report_version=version, report_digest=digest):
            return ((decide.report_name(version), digest),)
        case RunFailed(run_no=run_no, detail_digest=detail) if detail is not None:
            return ((decide.failure_name(run_no), detail),)
        case _:
            return ()
