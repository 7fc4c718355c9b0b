"""What an audit knows of a stream as far as it has followed it, and what it asks of every row.

Floor 6, a part of `audit`, above `memory`. Pure. The rows it is given may hold anything: a file may have been edited
by hand.
"""

from collections.abc import Iterable, Iterator
from itertools import product
from operator import attrgetter
from typing import Any, get_args

from attrs import define, fields

from research_fsm import codec, decide, transactions
from research_fsm.account import Account
from research_fsm.audit.memory import Remembered, Scratch
from research_fsm.events import AccountEvent, PersonAdded, PersonEvent, RunCompleted, RunFailed
from research_fsm.person import Hold, Person
from research_fsm.storage import Head, NewEvent, QueueEntry, RecordedEvent, first_hash

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
        owed: What the person's runs still call for in the account, first things first.
        held_run_no: The latest run of the person that an account has held credits for.
        hold: What has become of those in the account.
    """

    hash: bytes
    first: int | None = None
    version: int = 0
    person: Person | None = None
    account: Account | None = None
    owed: tuple[AccountEvent, ...] = ()
    held_run_no: int = 0
    hold: Hold = Hold.RELEASED


def remembered(scratch: Scratch, at_hand: int) -> Remembered[Stream]:
    """Return what streams are remembered in; states are written down as heads have them."""
    return Remembered(scratch, at_hand, lambda name: Stream(first_hash(name)), _packed, _unpacked)


def _packed(stream: Stream) -> tuple[object, ...]:
    person = None if stream.person is None else codec.encode(stream.person)
    account = None if stream.account is None else codec.encode(stream.account)
    owed = tuple((type(one).__name__, codec.encode(one)) for one in stream.owed)
    return (stream.hash, stream.first, stream.version, person, account, owed, stream.held_run_no, str(stream.hold))


def _unpacked(packed: tuple[Any, ...]) -> Stream:
    hash_, first, version, person, account, owed, held_run_no, hold = packed
    return Stream(
        hash_,
        first,
        version,
        None if person is None else codec.parse_person("a person", person),
        None if account is None else codec.parse_account("an account", account),
        tuple(_owed(*one) for one in owed),
        held_run_no,
        Hold(hold),
    )


def _owed(name: str, data: bytes) -> AccountEvent:
    owed: AccountEvent = codec.decode_event(NewEvent(name, codec.SCHEMAS[name], data, b""))  # type: ignore[assignment]
    return owed


_Row = RecordedEvent | Head | QueueEntry

_COLUMNS: dict[type, tuple[tuple[str, Any], ...]] = {
    row: tuple((column.name, column.type) for column in fields(row)) for row in get_args(_Row)
}
"""Looked up once, as it is asked for every row."""

_VALUES_OF = {row: attrgetter(*(name for name, _ in columns)) for row, columns in _COLUMNS.items()}

_TYPES = {
    row: frozenset(product(*(get_args(kind) or (kind,) for _, kind in columns))) for row, columns in _COLUMNS.items()
}


def well_typed(row: _Row) -> bool:
    """Tell whether each column of a row holds exactly the type that it should; `mistyped` says which does not."""
    kind = type(row)
    return tuple(map(type, _VALUES_OF[kind](row))) in _TYPES[kind]


def mistyped(row: _Row) -> Iterator[tuple[str, str]]:
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
