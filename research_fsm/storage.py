"""What a store promises: the question it is asked, what it loads, what it writes. Bytes and names, never a rule.

Floor 0. A store knows streams, versions, heads and JSON. It is written against this module alone, and
`research_fsm.testing` says whether it keeps the promise.

The one way to change anything is ``store.transact(query, rule)``: in one transaction the store loads what the query
names under a lock, calls ``rule(view, now)``, which is pure and may be called again, and writes all of the `Write`
that it returns, or nothing. Every event is hashed with `next_hash`. Times are integer microseconds since 1970-01-01
UTC.
"""

import hashlib
import json.encoder
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Generic, Protocol, TypeVar, runtime_checkable

from attrs import field, frozen

__all__ = [
    "Extent",
    "Followed",
    "Head",
    "NewEvent",
    "Query",
    "QueueEntry",
    "Reader",
    "Receipt",
    "RecordedEvent",
    "Rule",
    "Store",
    "StreamWrite",
    "Token",
    "UniqueKey",
    "View",
    "Watch",
    "Wiping",
    "Write",
    "first_hash",
    "next_hash",
]

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)

_quoted: Callable[[str], str] = json.encoder.encode_basestring
"""A text as JSON, with what is not ASCII as it is."""


@frozen
class NewEvent:
    """An event that is not stored yet: `data` and `meta` are the canonical JSON that will be hashed and kept."""

    type: str
    schema: int
    data: bytes
    meta: bytes


@frozen
class RecordedEvent:
    """A stored event.

    Args:
        position: Its place in the whole log, rising, with gaps.
        stream: Whose event it is.
        version: Its place in the stream, from 1 without gaps.
        type: Its name.
        schema: The form of its data.
        at: When it was recorded, in microseconds UTC.
        data: Canonical JSON, as it was hashed.
        meta: Canonical JSON, as it was hashed.
        hash: SHA-256 over the stream's previous hash and this event; 32 bytes.
    """

    position: int
    stream: str
    version: int
    type: str
    schema: int
    at: int
    data: bytes
    meta: bytes
    hash: bytes


@frozen
class Head:
    """The present end of a stream, kept beside the log and rebuildable from it.

    Args:
        stream: Its name.
        version: How many events it has.
        hash: The hash of the last one.
        fold: The version of the fold that made `state`.
        state: The folded state, as JSON.
        link: A stream that is always loaded along, fixed by the first write.
        tag: A word to look heads up by.
        due: When somebody has to look at it, in microseconds UTC.
        first: The position of its first event; the order in which linked heads are listed.
    """

    stream: str
    version: int
    hash: bytes
    fold: int
    state: bytes
    link: str | None
    tag: str
    due: int | None
    first: int


@frozen
class UniqueKey:
    """A name that one stream has for itself.

    Args:
        key: The name.
        stream: Whose it is.
        value: JSON that the rules keep with it.
        personal: Whether it is forgotten with the stream's documents.
    """

    key: str
    stream: str
    value: bytes = b"null"
    personal: bool = False


@frozen
class Receipt:
    """The answer to a request that carries a key.

    Args:
        key: The digest of caller and key.
        stream: The stream that the answer is about.
        fingerprint: What the request was, so that another one under the same key is noticed.
        answer: The answer, as JSON.
    """

    key: str
    stream: str
    fingerprint: str
    answer: bytes


@frozen
class QueueEntry:
    """A run that waits for a worker, or is with one until `lease_until`."""

    run_id: str
    stream: str
    lease_until: int | None = None


@frozen
class Token:
    """An access token of the HTTP interface; the secret itself is known to its bearer alone.

    Args:
        token_id: A public id, to list and revoke it by.
        owner: Whose people it opens.
        kind: ``user`` or ``partner``.
        digest: SHA-256 of the secret, in hexadecimal.
        created_at: When it was made, in microseconds UTC.
        revoked_at: When it was revoked, if it was.
    """

    token_id: str
    owner: str
    kind: str
    digest: str
    created_at: int
    revoked_at: int | None = None


@frozen(kw_only=True)
class Query:
    """What a rule needs to see. Heads named in any way are loaded, each with the head it links to.

    Args:
        streams: Heads by name.
        keys: Unique keys; the stream of each is loaded too.
        receipts: Receipts; the stream of each is loaded too.
        documents: Names of documents to load, of every stream that is loaded.
        entry: The run_id of a queue entry to load, with its stream.
        next_entry: Load the first queue entry that is free now: never leased, or its lease is over.
    """

    streams: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    receipts: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    entry: str | None = None
    next_entry: bool = False


@frozen(kw_only=True)
class View:
    """What was found; what does not exist is absent.

    Args:
        heads: By stream.
        keys: By unique key.
        receipts: By receipt key.
        documents: By stream and name.
        entry: The queue entry that was asked for.
        history: Reads a stream's events in the same transaction; needed only when a head's fold is an older one.
    """

    heads: Mapping[str, Head]
    keys: Mapping[str, UniqueKey]
    receipts: Mapping[str, Receipt]
    documents: Mapping[tuple[str, str], bytes]
    entry: QueueEntry | None
    history: Callable[[str], Iterator[RecordedEvent]] = field(repr=False)


@frozen(kw_only=True)
class StreamWrite:
    """A stream's new end.

    Args:
        stream: Its name.
        expected: The version that the rule saw; another one now and nothing is written.
        events: What to append; a stream that is new has at least one.
        state: The state after them.
        fold: The version of the fold that made it.
        link: As in `Head`; ignored for a stream that exists.
        tag: As in `Head`.
        due: As in `Head`.
    """

    stream: str
    expected: int
    events: tuple[NewEvent, ...]
    state: bytes
    fold: int
    link: str | None
    tag: str
    due: int | None


@frozen(kw_only=True)
class Write(Generic[A_co]):
    """What a rule decided; an empty one writes nothing. It names each stream, key and receipt at most once.

    Args:
        answer: What the caller is told, once everything is committed.
        streams: New ends of streams.
        keys: Unique keys to take.
        receipts: Receipts to add.
        settled: Receipts whose answer becomes final, with the answer; one that is not there is passed over.
        documents: Documents to put, by stream and name.
        enqueued: Queue entries to add or to change.
        dequeued: The run_ids of queue entries to remove.
        forgotten: Streams whose documents and personal unique keys are deleted and whose receipts lose their
            fingerprints.
        tokens: Access tokens to keep; one with the same token_id is replaced.
    """

    answer: A_co
    streams: tuple[StreamWrite, ...] = ()
    keys: tuple[UniqueKey, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    settled: Mapping[str, bytes] = field(factory=dict)
    documents: Mapping[tuple[str, str], bytes] = field(factory=dict)
    enqueued: tuple[QueueEntry, ...] = ()
    dequeued: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()
    tokens: tuple[Token, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (
            self.streams
            or self.keys
            or self.receipts
            or self.settled
            or self.documents
            or self.enqueued
            or self.dequeued
            or self.forgotten
            or self.tokens
        )


def first_hash(stream: str) -> bytes:
    """Return what stands for the previous hash before a stream's first event."""
    return hashlib.sha256(b"research_fsm:1:" + stream.encode()).digest()


def next_hash(previous: bytes, stream: str, version: int, event: NewEvent | RecordedEvent, at: int) -> bytes:
    """Return the hash of an event, 32 bytes.

    It is SHA-256(previous hash + canonical JSON of ``[stream, version, type, schema, at, data, meta]``). The position
    is left out, so that a log keeps its hashes when it moves to another store.
    """
    head = f"[{_quoted(stream)},{version},{_quoted(event.type)},{event.schema},{at},"
    return hashlib.sha256(b"%b%b%b,%b]" % (previous, head.encode(), event.data, event.meta)).digest()


Rule = Callable[[View, int], Write[A]]
"""Pure: looks at the view and the time in microseconds UTC, and says what to write. May be called more than once."""


class Reader(Protocol):
    """Looking, without a write lock."""

    def now(self) -> int:
        """Return the store's time in microseconds UTC."""
        ...

    def snapshot(self) -> AbstractContextManager["Reader"]:
        """Open a reader that sees one point in time, however much is written meanwhile."""
        ...

    def read(self, query: Query) -> View:
        """Load what a query names, as it is now: all of it at one point in time."""
        ...

    def events(self, stream: str | None = None, *, after: int = 0) -> Iterator[RecordedEvent]:
        """Yield events in order: of one stream by version, or of the whole log by position.

        Args:
            stream: Whose events; None for everybody's.
            after: Begin behind this version of the stream, or behind this position of the log.
        """
        ...

    def heads(self) -> Iterator[Head]:
        """Yield every head, by stream."""
        ...

    def linked(self, link: str, *, before: int | None = None, limit: int = 100) -> list[Head]:
        """Return heads that link to a stream, newest first.

        Args:
            link: The stream they link to.
            before: Only those whose `first` is below this position: the next page.
            limit: At most so many.
        """
        ...

    def due(self, tags: tuple[str, ...], until: int, *, after: tuple[int, str] | None, limit: int) -> list[Head]:
        """Return heads that somebody has to look at, most overdue first.

        Args:
            tags: Only these.
            until: Only those due at this time or before.
            after: Only those behind this (due, stream): the next page.
            limit: At most so many.
        """
        ...

    def documents(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield every document as its stream, its name and its body, by stream and then by name.

        Few are held at a time: a body is as long as its writer made it.
        """
        ...

    def keys(self) -> Iterator[UniqueKey]:
        """Yield every unique key, in order."""
        ...

    def receipts(self) -> Iterator[Receipt]:
        """Yield every receipt, by key."""
        ...

    def entries(self) -> Iterator[QueueEntry]:
        """Yield every queue entry, first come first."""
        ...

    def tokens(self, owner: str | None = None) -> list[Token]:
        """Return an owner's access tokens, or everybody's, oldest first."""
        ...

    def token(self, digest: str) -> Token | None:
        """Return the access token with this digest."""
        ...


@frozen
class Extent:
    """How far a log goes.

    Args:
        settled: Every event at or below this position is there to be read, and none will ever be added there.
        newest: The highest position that was seen. It is above `settled` while transactions are under way that may
            still add events below it.
    """

    settled: int
    newest: int


class Watch(Protocol):
    """An eye on the end of a log, for one follower; closed when it is not needed any more."""

    @property
    def where(self) -> str:
        """The file or address of the store, for messages."""
        ...

    def extent(self) -> Extent:
        """Return how far the log goes now. Waits for nobody, and what is settled never shrinks.

        Raises:
            StoreError: It could not be read; see the subclasses for what to do.
        """
        ...

    def wait(self, seconds: float) -> None:
        """Return when there may be news, at the latest after so many seconds."""
        ...

    async def wait_async(self, seconds: float) -> None:
        """Do the same for a follower who awaits."""
        ...

    def behind(self) -> str:
        """Say who keeps `settled` below `newest`, for a message."""
        ...

    def close(self) -> None:
        """Release what it holds. Closing twice is fine."""
        ...


class Followed(Protocol):
    """A log that is read as it grows."""

    def events(self, stream: str | None = None, *, after: int = 0) -> Iterator[RecordedEvent]:
        """Yield the events that there are now, as a `Reader` does."""
        ...

    def watch(self) -> Watch:
        """Open an eye on the end of the log.

        A store that gives positions in the order of its commits returns a `stores.watch.OrderedWatch`.

        Raises:
            StoreError: It could not be opened.
        """
        ...


class Store(Reader, Followed, Protocol):
    """A log with its heads, and the one way to change it."""

    @property
    def secret(self) -> bytes:
        """32 random bytes, made with the store: what callback tokens are derived from."""
        ...

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Load, decide and write in one transaction; return the answer once it is committed.

        Raises:
            StoreError: It could not be done; see the subclasses for what to do.
            BaseException: Whatever the rule raised, with nothing written.
        """
        ...

    async def transact_async(self, query: Query, rule: Rule[A]) -> A:
        """Do the same for a caller who awaits.

        A caller that is cancelled is not told what came of it: either nothing was done, or all of it was.

        Raises:
            StoreError: It could not be done; see the subclasses for what to do.
            BaseException: Whatever the rule raised, with nothing written.
        """
        ...

    def close(self) -> None:
        """Release files and connections. Closing twice is fine."""
        ...


@runtime_checkable
class Wiping(Protocol):
    """What a store has that may keep the bytes of what was forgotten for a while, and has to overwrite them later."""

    def wipe(self, wait: timedelta = timedelta(0)) -> bool:
        """Overwrite them; each recovery pass asks for it.

        Args:
            wait: How long to wait for whoever is in the way.

        Returns:
            Whether nothing is left.

        Raises:
            StoreError: The store could not be read.
        """
        ...
