"""What stands beside the log, held against the log: heads, unique keys, the embedded queue, and what an erasure leaves.

Floor 6, a part of `audit`, above `streams`. Whoever asks has followed the log to its end before it asks here. It reads
no event, and never writes. The rows it is given may hold anything.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import starmap
from typing import Any

from attrs import astuple

from research_fsm import codec, transactions
from research_fsm.audit.addresses import addresses_differ
from research_fsm.audit.memory import Lane, Listed, Remembered, Scratch, by_name
from research_fsm.audit.receipts import receipts_differ
from research_fsm.audit.streams import Stream
from research_fsm.columns import mistyped, printable, well_typed
from research_fsm.events import CreditsGranted, CreditsRevoked, RunStarted
from research_fsm.laws import Finding
from research_fsm.lifecycle import Phase, Status
from research_fsm.person import Hold, Person
from research_fsm.policy import micros
from research_fsm.storage import Head, QueueEntry, Reader, Receipt, UniqueKey

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


def keys_differ(
    log: Reader, called_for: Listed[tuple[int, str, bytes]], addresses: Listed[object]
) -> Iterator[Finding]:
    """Hold the unique keys against those that the events call for. A partner's addresses alone are in no event.

    Args:
        log: Where the keys are.
        called_for: By key: the version of the event, its stream, and what is kept with the key.
        addresses: Where the names of personal keys are listed, by stream: `rows_differ` looks at them.
    """
    kept = Lane((_text(key.key), key) for key in log.keys())  # noqa: SIM118  # It is no mapping.
    wanted = Lane(called_for.items())
    for name in by_name(kept, wanted):
        keys, calls = kept.take(name), wanted.take(name)
        for version, stream, value in calls:
            if not keys:
                yield Finding("keys_are_kept", stream, version, f"the unique key {name} is missing")
            elif (keys[0].stream, keys[0].value) != (stream, value):
                found = keys[0].value.decode(errors="backslashreplace")
                words = f"the unique key {name} leads to {keys[0].stream} with {found!r}"
                yield Finding("keys_are_kept", stream, version, words)
        for key in keys:
            if key.personal:
                addresses.add(printable(key.stream), key.key)
            elif not calls:
                # An address is not repeated in a finding.
                shown = "of an address, which is not personal" if name.startswith("url:") else name
                words = f"no event calls for the unique key {shown}"
                yield Finding("keys_are_kept", printable(key.stream), None, words)


# --- heads, the queue, and what is left at the end of a stream ---------------------------------------------------


def rows_differ(
    log: Reader,
    streams: Remembered[Stream],
    documents: Listed[tuple[int, str, str]],
    receipts: Listed[tuple[str, int, bytes]],
    addresses: Listed[object],
    scratch: Scratch,
) -> Iterator[Finding]:
    """Look, stream by stream, at what is missing from it, and hold what stands beside the log against it.

    Args:
        log: Where the rows are.
        streams: Every stream, as far as it was followed.
        documents: By stream: the version of an event that names a document, its name, and its digest.
        receipts: By stream: a receipt's key, the version of the event that calls for it, and what it says.
        addresses: By stream: the name of a personal unique key.
        scratch: Where the receipts and the queue's entries are sorted by stream.
    """
    now, entries, filed = log.now(), Listed[tuple[str, str, int | None]](scratch), Listed[tuple[Any, ...]](scratch)
    for entry in log.entries():
        entries.add(_text(entry.stream), (entry.run_id, entry.stream, entry.lease_until))
    for receipt in log.receipts():
        filed.add(_text(receipt.stream), astuple(receipt, recurse=False))
    followed = Lane(streams.everything())
    heads = Lane((_text(head.stream), head) for head in log.heads())
    kept = Lane((_text(stream), (name, body)) for stream, name, body in log.documents())
    named, waiting = Lane(documents.items()), Lane(entries.items())
    called_for, answered, personal = Lane(receipts.items()), Lane(filed.items()), Lane(addresses.items())
    for name in by_name(followed, heads, named, kept, waiting, called_for, answered, personal):
        known = next((stream for stream in followed.take(name) if stream.first is not None), None)
        if known is not None:
            yield from unsettled(name, known)
        person, bodies = None if known is None else known.person, dict(kept.take(name))
        yield from _documents_differ(name, known, named.take(name), bodies)
        yield from addresses_differ(name, person, bodies.get(transactions.PROFILE), personal.take(name))
        yield from receipts_differ(person, called_for.take(name), starmap(Receipt, answered.take(name)), name)
        yield from _heads_differ(name, known, heads.take(name))
        yield from _entries_differ(name, known, [QueueEntry(*entry) for entry in waiting.take(name)], now)


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


def _documents_differ(
    name: str, stream: Stream | None, named: list[tuple[int, str, str]], bodies: Mapping[str, bytes]
) -> Iterator[Finding]:
    """Hold a stream's documents against the digests in its events; of an erased person none may be left."""
    salt = bodies.get(transactions.SALT)
    erased = stream is not None and stream.person is not None and stream.person.phase is Phase.ERASED
    for version, document, digest in named:
        body = bodies.get(document)
        if salt is None or body is None:
            if not erased:
                yield Finding("documents_match", name, version, f"the document {document} or its salt is missing")
        elif codec.digest(salt, body) != digest:
            yield Finding("documents_match", name, version, f"the document {document} is not what was recorded")
    if erased:
        for left in sorted(map(printable, bodies)):
            yield Finding("documents_match", name, None, f"the person was erased, but {left} is still there")
    else:
        known = {transactions.SALT, *(document for _, document, _ in named)}
        for stray in sorted(map(printable, bodies.keys() - known)):
            yield Finding("documents_match", name, None, f"no event names the document {stray}")


def _heads_differ(name: str, stream: Stream | None, heads: list[Head]) -> Iterator[Finding]:
    if stream is not None and not heads:
        yield Finding("heads_are_folds", name, None, "there are events, but no head")
    for head in heads:
        for column, words in () if well_typed(head) else mistyped(head):
            yield Finding("way_out" if column == "due" else "heads_are_folds", printable(head.stream), None, words)
        for words in _head_differs(head, stream):
            yield Finding("heads_are_folds", printable(head.stream), None, words)
        person = None if stream is None else stream.person
        late = None if person is None else _looked_at_late(person, head.due)
        if late is not None:
            yield Finding("way_out", name, None, late)


def _looked_at_late(person: Person, due: object) -> str | None:
    """Tell why recovery does not look at somebody in time, if it does not; a mistyped `due` was named before."""
    if person.phase is Phase.COMPLETE and due != person.since:
        return f"the report is of {person.since}, but recovery looks at its age from {due}"
    if person.status is not Status.RUNNING or transactions.waits(person):
        return None
    deadline = None if person.run is None else person.run.deadline
    if deadline is None:
        return "the person is running without a deadline, and not in the embedded queue"
    if due is None:
        return "the person is running and nobody will look"
    late = isinstance(due, int) and due > deadline
    return f"the deadline is {deadline}, but nobody will look before {due}" if late else None


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
        yield f"the head links to {head.link}, the person is {person.owner or 'nobody'}'s"
    if stream.account is not None and (head.tag, head.link, head.due) != (transactions.ACCOUNT, None, None):
        yield f"an account's head is tagged {head.tag}, links to {head.link} and is due at {head.due}"


def _entries_differ(name: str, stream: Stream | None, entries: list[QueueEntry], now: int) -> Iterator[Finding]:
    person = None if stream is None else stream.person
    if person is not None and transactions.waits(person) and not entries:
        yield Finding("way_out", name, None, "the run has no entry in the embedded queue")
    for entry in entries:
        for words in _entry_differs(entry, person, now):
            yield Finding("way_out", printable(entry.stream), None, words)


def _entry_differs(entry: QueueEntry, person: Person | None, now: int) -> Iterator[str]:
    spoilt = {} if well_typed(entry) else dict(mistyped(entry))
    yield from (f"the entry's {words}" for words in spoilt.values())
    if person is None or person.run is None or not transactions.waits(person):
        yield "the embedded queue has an entry for no run that waits"
    elif entry.run_id != person.run.run_id:
        yield f"the entry is for run {entry.run_id}, the run that waits is {person.run.run_id}"
    if "lease_until" not in spoilt and (entry.lease_until or 0) > now + _LONGEST_LEASE:
        yield f"the entry is leased until {entry.lease_until}, longer than any lease: nobody will take it"
