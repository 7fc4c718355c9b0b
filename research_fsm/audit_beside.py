"""What stands beside the log, held against the log: heads, unique keys, the embedded queue, and what an erasure leaves.

Floor 6, above `audit_streams` and below `audit`, which has followed the log to its end before it asks here. It reads
no event, and never writes. The rows it is given may hold anything.
"""

from collections.abc import Iterator
from datetime import timedelta

from research_fsm import codec, decide, transactions
from research_fsm.audit_memory import Listed, Remembered, Scratch, joined
from research_fsm.audit_streams import Stream, mistyped, printable
from research_fsm.events import CreditsGranted, CreditsRevoked, RunStarted
from research_fsm.laws import Finding
from research_fsm.lifecycle import Phase, Status
from research_fsm.person import Hold, Person
from research_fsm.policy import micros
from research_fsm.storage import Head, Query, QueueEntry, Reader, UniqueKey

__all__ = ["key_of_grant", "key_of_run", "keys_differ", "rows_differ", "unsettled"]

_LONGEST_LEASE = micros(timedelta(days=36_500))
"""What a policy allows at most; the log does not say which policy wrote it."""


# --- unique keys -------------------------------------------------------------------------------------------------


def key_of_run(stream: str, event: RunStarted) -> UniqueKey:
    """Return the key by which a run is found."""
    return UniqueKey(transactions.run_key(event.run_id), stream, codec.encode(event.run_no))


def key_of_grant(owner: str, stream: str, event: CreditsGranted | CreditsRevoked) -> UniqueKey:
    """Return the key without which the same grant_id would be granted, or taken back, again."""
    if isinstance(event, CreditsGranted):
        return UniqueKey(transactions.grant_key("grant", owner, event.grant_id), stream, codec.encode(event.amount))
    return UniqueKey(transactions.grant_key("revoked", owner, event.grant_id), stream)


def keys_differ(log: Reader, called_for: Listed[tuple[int, str, bytes]]) -> Iterator[Finding]:
    """Hold the unique keys against those that the events call for; others there may be, of which no event speaks.

    Args:
        log: Where the keys are.
        called_for: By key: the version of the event, its stream, and what is kept with the key.
    """
    kept = ((_text(key.key), key) for key in log.keys())  # noqa: SIM118 - it is no mapping.
    for name, key, wanted in joined(kept, called_for.items()):
        for version, stream, value in wanted:
            if key is None:
                yield Finding("keys_are_kept", stream, version, f"the unique key {name} is missing")
            elif (key.stream, key.value) != (stream, value):
                found = key.value.decode(errors="backslashreplace")
                words = f"the unique key {name} leads to {key.stream} with {found!r}"
                yield Finding("keys_are_kept", stream, version, words)


# --- heads, the queue, and what is left at the end of a stream ---------------------------------------------------


def rows_differ(log: Reader, streams: Remembered[Stream], scratch: Scratch) -> Iterator[Finding]:
    """Look, stream by stream, at what is missing from it, and hold its head and its queue entries against it.

    Args:
        log: Where the rows are.
        streams: Every stream, as far as it was followed.
        scratch: Where the queue's entries are sorted.
    """
    now, entries = log.now(), Listed[tuple[str, str, int | None]](scratch)
    for entry in log.entries():
        entries.add(_text(entry.stream), (entry.run_id, entry.stream, entry.lease_until))
    with_heads = joined(streams.everything(), ((_text(head.stream), head) for head in log.heads()))
    rows = joined(((name, (stream, heads)) for name, stream, heads in with_heads), entries.items())
    for name, both, waiting in rows:
        stream, heads = both or (None, [])
        known = None if stream is None or stream.first is None else stream
        if stream is not None:
            yield from unsettled(name, stream)
        if known is not None:
            yield from _left_behind(log, name, known)
        yield from _heads_differ(name, known, heads)
        yield from _entries_differ(name, known, [QueueEntry(*entry) for entry in waiting], now)


def _text(name: object) -> str:
    """Return what a row is sorted by; what is no text names nothing that an event is about."""
    return name if isinstance(name, str) else ""


def unsettled(name: str, stream: Stream) -> Iterator[Finding]:
    """Look for what is missing from a stream now that all of it is known."""
    for wanted in stream.owed:
        yield Finding("credits_follow_runs", name, None, f"{wanted} is missing from the account")
    person = stream.person
    if person is None:
        return
    run = person.run
    if run is not None and run.hold is Hold.OPEN and person.status is not Status.RUNNING:
        yield Finding("one_hold_per_run", name, None, f"run {run.run_no} is over and its hold is open")
    for version, document in stream.missing if person.phase is not Phase.ERASED else ():
        yield Finding("documents_match", name, version, f"the document {document} or its salt is missing")


def _left_behind(log: Reader, name: str, stream: Stream) -> Iterator[Finding]:
    """Check that nothing personal is left of an erased person."""
    person = stream.person
    if person is None or person.phase is not Phase.ERASED:
        return
    # Each report and each run takes an event: a forged number names no more documents than there can be.
    reports = (decide.report_name(version) for version in range(1, min(person.reports, stream.events) + 1))
    failures = (decide.failure_name(run_no) for run_no in range(1, min(person.run_no, stream.events) + 1))
    names = (transactions.SALT, transactions.PROFILE, *reports, *failures)
    left = log.read(Query(streams=(name,), documents=names)).documents
    for document in sorted(document for owner, document in left if owner == name):
        yield Finding("documents_match", name, None, f"the person was erased, but {document} is still there")


def _heads_differ(name: str, stream: Stream | None, heads: list[Head]) -> Iterator[Finding]:
    if stream is not None and not heads:
        yield Finding("heads_are_folds", name, None, "there are events, but no head")
    for head in heads:
        for column, words in mistyped(head):
            yield Finding("way_out" if column == "due" else "heads_are_folds", printable(head.stream), None, words)
        for words in _head_differs(head, stream):
            yield Finding("heads_are_folds", printable(head.stream), None, words)
        person = None if stream is None else stream.person
        if person is not None and _is_forgotten(person, head):
            yield Finding("way_out", name, None, "the person is running and nobody will look")


def _is_forgotten(person: Person, head: Head) -> bool:
    return person.status is Status.RUNNING and head.due is None and not transactions.waits(person)


def _head_differs(head: Head, stream: Stream | None) -> Iterator[str]:
    if stream is None:
        yield "there is a head, but no event"
        return
    if head.version != stream.version:
        yield f"the head is at version {head.version}, the log at {stream.version}"
    elif head.hash != stream.hash:
        yield "the head's hash is not the last event's"
    if head.first != stream.first:
        yield f"the head says that the first event is at position {head.first}, it is at {stream.first}"
    state = stream.account if stream.person is None else stream.person
    if head.fold == codec.FOLD and state is not None and head.state != codec.encode(state):
        yield "the head's state is not what its events fold to"
    person = stream.person
    if person is not None and head.tag != person.phase:
        yield f"the head is tagged {head.tag}, the person is {person.phase}"
    if person is not None and head.link != transactions.account_stream(person.owner):
        yield f"the head links to {head.link}, the person is {person.owner}'s"


def _entries_differ(name: str, stream: Stream | None, entries: list[QueueEntry], now: int) -> Iterator[Finding]:
    person = None if stream is None else stream.person
    if person is not None and transactions.waits(person) and not entries:
        yield Finding("way_out", name, None, "the run has no entry in the embedded queue")
    for entry in entries:
        for words in _entry_differs(entry, person, now):
            yield Finding("way_out", printable(entry.stream), None, words)


def _entry_differs(entry: QueueEntry, person: Person | None, now: int) -> Iterator[str]:
    spoilt = dict(mistyped(entry))
    yield from (f"the entry's {words}" for words in spoilt.values())
    if person is None or person.run is None or not transactions.waits(person):
        yield "the embedded queue has an entry for no run that waits"
    elif entry.run_id != person.run.run_id:
        yield f"the entry is for run {entry.run_id}, the run that waits is {person.run.run_id}"
    if "lease_until" not in spoilt and (entry.lease_until or 0) > now + _LONGEST_LEASE:
        yield f"the entry is leased until {entry.lease_until}, longer than any lease: nobody will take it"
