"""What stands beside the log, held against the log: heads, the embedded queue, and what an erasure leaves.

Floor 6, below `audit`, which has followed the log to its end before it asks here. It reads no event, and never writes.
What it knows of the log is how far `audit` has followed each stream, and the rows it is given may hold anything.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import timedelta

from attrs import Factory, define, fields, frozen

from research_fsm import codec, decide, transactions
from research_fsm.account import Account
from research_fsm.audit_memory import Remembered
from research_fsm.events import (
    AccountEvent,
    CreditsGranted,
    CreditsRevoked,
    PersonAdded,
    PersonEvent,
    RunCompleted,
    RunFailed,
    RunStarted,
)
from research_fsm.laws import Finding
from research_fsm.lifecycle import Phase, Status
from research_fsm.person import Person
from research_fsm.policy import micros
from research_fsm.storage import Head, Query, QueueEntry, Reader, RecordedEvent, UniqueKey

__all__ = [
    "Chain",
    "Grant",
    "Life",
    "documents_of",
    "forgotten",
    "heads_differ",
    "key_of_grant",
    "key_of_run",
    "left_behind",
    "mistyped",
    "printable",
]

_LONGEST_LEASE = micros(timedelta(days=36_500))
"""What a policy allows at most; the log does not say which policy wrote it."""


@define
class Chain:
    """How far a stream has been followed."""

    version: int
    hash: bytes
    first: int
    has_head: bool = False


@define
class Life:
    """A person as far as the log has been followed, and the account's events that their runs still call for."""

    person: Person
    events: int = 0
    due_credits: deque[AccountEvent] = Factory(deque)
    missing: list[tuple[int, str]] = Factory(list)
    has_entry: bool = False


@frozen
class Grant:
    """A grant as far as the log has been followed: how much, if it was granted, and whether it was taken back."""

    amount: int | None
    revoked: bool


_COLUMNS: dict[type, tuple[tuple[str, type], ...]] = {
    row: tuple((column.name, column.type) for column in fields(row) if column.type is not None)
    for row in (RecordedEvent, Head, QueueEntry)
}
"""Looked up once, as it is asked for every event."""


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


def key_of_run(stream: str, event: RunStarted) -> UniqueKey:
    """Return the key by which a run is found."""
    return UniqueKey(transactions.run_key(event.run_id), stream, codec.encode(event.run_no))


def key_of_grant(owner: str, stream: str, event: CreditsGranted | CreditsRevoked) -> UniqueKey:
    """Return the key without which the same grant_id would be granted, or taken back, again."""
    if isinstance(event, CreditsGranted):
        return UniqueKey(transactions.grant_key("grant", owner, event.grant_id), stream, codec.encode(event.amount))
    return UniqueKey(transactions.grant_key("revoked", owner, event.grant_id), stream)


def heads_differ(
    log: Reader, chains: Remembered[Chain], lives: Remembered[Life], ledgers: Remembered[Account]
) -> Iterator[Finding]:
    """Hold every head against what its events fold to."""
    for head in log.heads():
        stream = head.stream
        chain = chains.get(stream)
        if chain is not None:
            chain.has_head = True
        for name, words in mistyped(head):
            yield Finding("way_out" if name == "due" else "heads_are_folds", printable(stream), None, words)
        for words in _head_differs(head, chain, lives.get(stream), ledgers.get(stream)):
            yield Finding("heads_are_folds", printable(stream), None, words)
    for stream, chain in chains.items():
        if not chain.has_head:
            yield Finding("heads_are_folds", stream, None, "there are events, but no head")


def _head_differs(head: Head, chain: Chain | None, life: Life | None, ledger: Account | None) -> Iterator[str]:
    if chain is None:
        yield "there is a head, but no event"
        return
    if head.version != chain.version:
        yield f"the head is at version {head.version}, the log at {chain.version}"
    elif head.hash != chain.hash:
        yield "the head's hash is not the last event's"
    if head.first != chain.first:
        yield f"the head says that the first event is at position {head.first}, it is at {chain.first}"
    if head.fold == codec.FOLD and life is not None and head.state != codec.encode(life.person):
        yield "the head's state is not what its events fold to"
    if head.fold == codec.FOLD and ledger is not None and head.state != codec.encode(ledger):
        yield "the head's state is not what its events fold to"
    if life is not None and head.tag != life.person.phase:
        yield f"the head is tagged {head.tag}, the person is {life.person.phase}"
    if life is not None and head.link != transactions.account_stream(life.person.owner):
        yield f"the head links to {head.link}, the person is {life.person.owner}'s"


def forgotten(log: Reader, lives: Remembered[Life]) -> Iterator[Finding]:
    """Check that nobody who is running was forgotten."""
    for entry in log.entries():
        life = lives.get(entry.stream)
        if life is not None:
            life.has_entry = True
        for words in _entry_differs(entry, life, log.now()):
            yield Finding("way_out", printable(entry.stream), None, words)
    for head in log.heads():
        life = lives.get(head.stream)
        if life is None or life.person.status is not Status.RUNNING:
            continue
        expected = transactions.waits(life.person)
        if expected and not life.has_entry:
            yield Finding("way_out", head.stream, None, "the run has no entry in the embedded queue")
        if not expected and head.due is None:
            yield Finding("way_out", head.stream, None, "the person is running and nobody will look")


def _entry_differs(entry: QueueEntry, life: Life | None, now: int) -> Iterator[str]:
    spoilt = dict(mistyped(entry))
    yield from (f"the entry's {words}" for words in spoilt.values())
    if life is None or life.person.run is None or not transactions.waits(life.person):
        yield "the embedded queue has an entry for no run that waits"
    elif entry.run_id != life.person.run.run_id:
        yield f"the entry is for run {entry.run_id}, the run that waits is {life.person.run.run_id}"
    if "lease_until" not in spoilt and (entry.lease_until or 0) > now + _LONGEST_LEASE:
        yield f"the entry is leased until {entry.lease_until}, longer than any lease: nobody will take it"


def left_behind(log: Reader, lives: Remembered[Life]) -> Iterator[Finding]:
    """Check that nothing personal is left of an erased person."""
    for stream, life in lives.items():
        person = life.person
        if person.phase is not Phase.ERASED:
            continue
        # Each report and each run takes an event: a forged number names no more documents than there can be.
        reports = (decide.report_name(version) for version in range(1, min(person.reports, life.events) + 1))
        failures = (decide.failure_name(run_no) for run_no in range(1, min(person.run_no, life.events) + 1))
        names = (transactions.SALT, transactions.PROFILE, *reports, *failures)
        left = log.read(Query(streams=(stream,), documents=names)).documents
        for name in sorted(name for owner, name in left if owner == stream):
            yield Finding("documents_match", stream, None, f"the person was erased, but {name} is still there")
