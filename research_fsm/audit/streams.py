"""What an audit knows of a stream as far as it has followed it, and which documents its events name.

Floor 6, a part of `audit`, above `memory`. Pure.
"""

from collections.abc import Iterable
from typing import Any

from attrs import define

from research_fsm import codec, decide, transactions
from research_fsm.account import Account
from research_fsm.audit.memory import Remembered, Scratch
from research_fsm.events import AccountEvent, PersonAdded, PersonEvent, RunCompleted, RunFailed
from research_fsm.person import Hold, Person
from research_fsm.storage import NewEvent, first_hash

__all__ = ["Stream", "documents_of", "remembered"]


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
