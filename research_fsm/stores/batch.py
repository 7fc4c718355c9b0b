"""One transaction for many callers: loaded once, decided in order, written once.

Floor 5. Knows rows, and neither a database nor a caller's rule. A store loads everything that the callers name into
a `World`; `decide` calls their rules one after the other, each on what the earlier ones have left; what it returns
are the rows to write. Nothing here is committed: a caller may be told only once the store has done that.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from attrs import Factory, define, field

from research_fsm.errors import WriteRejected
from research_fsm.storage import (
    Head,
    Query,
    QueueEntry,
    Receipt,
    RecordedEvent,
    StreamWrite,
    Token,
    UniqueKey,
    View,
    Write,
    first_hash,
    next_hash,
)
from research_fsm.stores.group_commit import Ticket

__all__ = ["Changes", "EventRow", "NotLoaded", "World", "decide", "taken"]

EventRow = tuple[str, int, str, int, int, bytes, bytes, bytes]
"""Stream, version, type, schema, at, data, meta and hash of an event that has no position yet."""


class NotLoaded(Exception):
    """A rule needs to see what the batch has not loaded; nobody outside of a store meets it."""


@define
class Changes:
    """The rows that a batch leaves to write, each once.

    They are written in the order of `storage.Write`, but what is dequeued goes before what is enqueued, and
    what is settled before new receipts. What is forgotten is the last of them: a batch that goes on then goes on with
    new changes.

    Args:
        events: To append, in this order.
        heads: The new ends of streams; `first` is 0 for a stream that is new.
        stored: The version that each of these streams has in the store; None for one that is new.
        keys: Unique keys to insert.
        receipts: Receipts to insert.
        settled: New answers of receipts that are stored, if they are.
        documents: To put.
        enqueued: Queue entries to put, in this order; an entry that is there keeps its place.
        dequeued: The run_ids of entries to remove.
        forgotten: Streams whose documents and personal unique keys go, and whose receipts lose their fingerprints.
        tokens: To put, by token_id.
    """

    events: list[EventRow] = Factory(list)
    heads: dict[str, Head] = Factory(dict)
    stored: dict[str, int | None] = Factory(dict)
    keys: dict[str, UniqueKey] = Factory(dict)
    receipts: dict[str, Receipt] = Factory(dict)
    settled: dict[str, bytes] = Factory(dict)
    documents: dict[tuple[str, str], bytes] = Factory(dict)
    enqueued: dict[str, QueueEntry] = Factory(dict)
    dequeued: dict[str, None] = Factory(dict)
    forgotten: tuple[str, ...] = ()
    tokens: dict[str, Token] = Factory(dict)
    empty: bool = True

    def add(self, world: "World", write: Write[Any], now: int, where: str) -> None:
        """Add what one rule decided, or nothing of it.

        Raises:
            WriteRejected: A stream is at another version, or a unique key or a receipt is there already.
        """
        if write.empty:
            return
        before = [(stream, _checked_head(world, stream, where)) for stream in write.streams]
        _check_names(world, write, where)
        self.empty = False
        for stream, head in before:
            self._append(stream, head, now)
        self._put(write)
        self.forgotten += write.forgotten

    def _append(self, write: StreamWrite, head: Head | None, now: int) -> None:
        stream, version = write.stream, write.expected
        previous = first_hash(stream) if head is None else head.hash
        for event in write.events:
            version += 1
            previous = next_hash(previous, stream, version, event, now)
            self.events.append((stream, version, event.type, event.schema, now, event.data, event.meta, previous))
        self.stored.setdefault(stream, None if head is None else head.version)
        link, first = (write.link, 0) if head is None else (head.link, head.first)
        self.heads[stream] = Head(stream, version, previous, write.fold, write.state, link, write.tag, write.due, first)

    def _put(self, write: Write[Any]) -> None:
        for key in write.keys:
            self.keys[key.key] = key
        for receipt in write.receipts:
            self.receipts[receipt.key] = receipt
        for name, answer in write.settled.items():
            if name in self.receipts:
                self.receipts[name] = _answered(self.receipts[name], answer)
            else:
                self.settled[name] = answer
        if write.documents:
            self.documents.update(write.documents)
        for entry in write.enqueued:
            self.enqueued[entry.run_id] = entry
        for run_id in write.dequeued:
            self.enqueued.pop(run_id, None)
            self.dequeued[run_id] = None
        for token in write.tokens:
            self.tokens[token.token_id] = token


@define
class World:
    """What a batch has loaded, with what it has decided so far. What was asked for and is not here does not exist.

    Args:
        find: Returns the head of a stream that nobody asked for.
        history: Returns a stream's stored events up to a version.
        heads: By stream.
        keys: By unique key.
        receipts: By receipt key.
        documents: By stream and name.
        entries: Queue entries by run_id.
        free: The run_ids of entries that were free when they were loaded, in their order.
        asked: The streams that were looked for.
        documented: The streams whose documents were looked for, each with their names.
        more_entries: Whether the queue may have free entries that were not loaded.
        changes: What is left to write.
        changed: Whether a rule's decision was taken in.
        freed: Whether an entry was put that may be free.
        written: Whether anything was.
        forgotten: Whether any of that was to forget something.
    """

    find: Callable[[str], Head | None]
    history: Callable[[str, int], Iterator[RecordedEvent]]
    heads: dict[str, Head]
    keys: dict[str, UniqueKey]
    receipts: dict[str, Receipt]
    documents: dict[tuple[str, str], bytes]
    entries: dict[str, QueueEntry]
    free: tuple[str, ...]
    asked: set[str]
    documented: set[tuple[str, tuple[str, ...]]] = Factory(set)
    more_entries: bool = False
    changes: Changes = field(factory=Changes, init=False)
    changed: bool = field(default=False, init=False)
    freed: bool = field(default=False, init=False)
    written: bool = field(default=False, init=False)
    forgotten: bool = field(default=False, init=False)

    def view(self, query: Query, now: int) -> View:
        """Return what a rule sees; it is valid while the rule is at work.

        Raises:
            NotLoaded: An earlier rule has led to what was not loaded with the batch.
        """
        entry = None
        if query.next_entry:
            entry = self._first_free(now)
        elif query.entry is not None:
            entry = self.entries.get(query.entry)
        if self.changed:
            self._check_loaded(query, entry)
        return View(
            heads=self.heads,
            keys=self.keys,
            receipts=self.receipts,
            documents=self.documents,
            entry=entry,
            history=self._history,
        )

    def _first_free(self, now: int) -> QueueEntry | None:
        """Return the first entry that is free, which is one of those that were loaded in their order, or none."""
        if self.freed:
            raise NotLoaded  # An entry that was put may stand before them, if it was there already.
        loaded = (self.entries[run_id] for run_id in self.free if run_id in self.entries)
        entry = next((row for row in loaded if _is_free(row, now)), None)
        if entry is None and self.more_entries:
            raise NotLoaded
        return entry

    def streams(self, query: Query, entries: Iterable[QueueEntry]) -> Iterator[str]:
        """Yield the streams that a query names in any way, each with the one it links to."""
        named = [*query.streams]
        named += [self.keys[name].stream for name in query.keys if name in self.keys]
        named += [self.receipts[name].stream for name in query.receipts if name in self.receipts]
        named += [entry.stream for entry in entries]
        for stream in named:
            yield stream
            head = self.heads.get(stream)
            if head is not None and head.link is not None:
                yield head.link

    def _check_loaded(self, query: Query, entry: QueueEntry | None) -> None:
        for stream in self.streams(query, () if entry is None else (entry,)):
            if stream not in self.asked:
                raise NotLoaded
            if query.documents and stream in self.heads and (stream, query.documents) not in self.documented:
                raise NotLoaded

    def head(self, stream: str) -> Head | None:
        """Return a stream's head, loaded or not."""
        if stream not in self.heads and stream not in self.asked:
            self.asked.add(stream)
            found = self.find(stream)
            if found is not None:
                self.heads[stream] = found
        return self.heads.get(stream)

    def take_in(self, write: Write[Any], now: int) -> None:
        """Let the next rule see what the last one decided."""
        self.changed = True
        for stream in write.streams:
            self.heads[stream.stream] = self.changes.heads[stream.stream]
        for key in write.keys:
            self.keys[key.key] = key
        for receipt in write.receipts:
            self.receipts[receipt.key] = receipt
        for name, answer in write.settled.items():
            if name in self.receipts:
                self.receipts[name] = _answered(self.receipts[name], answer)
        self.documents.update(write.documents)
        for entry in write.enqueued:
            self.entries[entry.run_id] = entry
            self.freed = self.freed or _is_free(entry, now)
        for run_id in write.dequeued:
            self.entries.pop(run_id, None)
        for stream_name in write.forgotten:
            self._forget(stream_name)

    def write_out(self, apply: Callable[[Changes], None]) -> None:
        """Write what is left to write."""
        if self.changes.empty:
            return
        apply(self.changes)
        self.written = True
        self.forgotten = self.forgotten or bool(self.changes.forgotten)
        self.changes = Changes()

    def _forget(self, stream: str) -> None:
        self.documents = {name: body for name, body in self.documents.items() if name[0] != stream}
        self.keys = {name: key for name, key in self.keys.items() if not (key.personal and key.stream == stream)}
        self.receipts = {
            name: Receipt(receipt.key, stream, "", receipt.answer) if receipt.stream == stream else receipt
            for name, receipt in self.receipts.items()
        }

    def _history(self, stream: str) -> Iterator[RecordedEvent]:
        head = self.head(stream)
        stored = self.changes.stored.get(stream, 0 if head is None else head.version)
        if stored:
            yield from self.history(stream, stored)
        yield from (RecordedEvent(0, *row) for row in self.changes.events if row[0] == stream)


def decide(
    tickets: Sequence[Ticket[Any]], world: World, now: int, where: str, apply: Callable[[Changes], None]
) -> Sequence[Ticket[Any]]:
    """Decide for each caller in order, and write what they decided.

    A rule that raises, or whose write is rejected, has changed nothing, and its caller is to be told so.

    Args:
        tickets: The callers.
        world: What they named, loaded.
        now: When it happens, in microseconds UTC.
        where: The database, for messages.
        apply: Writes changes, in the transaction that is open.

    Returns:
        The callers from the first one on who cannot be decided for before the earlier ones are committed.

    Raises:
        KeyboardInterrupt: Whoever leads is to stop; nothing must be committed.
        Exception: What was decided could not be written; nothing must be committed.
    """
    unseen: Write[Any] | None = None
    rest: Sequence[Ticket[Any]] = ()
    for number, ticket in enumerate(tickets):
        if unseen is not None:
            world.take_in(unseen, now)
            unseen = None
        try:
            view = world.view(ticket.query, now)
        except NotLoaded:
            rest = tickets[number:]
            break
        try:
            write = ticket.rule(view, now)
            world.changes.add(world, write, now, where)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # The caller's own, who is told.
            ticket.settle(None, error)
        else:
            ticket.settle(write.answer, None)
            unseen = write
            if write.forgotten:  # Whoever comes next may store again what is to be deleted.
                world.take_in(write, now)
                world.write_out(apply)
                unseen = None
    world.write_out(apply)
    return rest


def _checked_head(world: World, write: StreamWrite, where: str) -> Head | None:
    head = world.head(write.stream)
    version = 0 if head is None else head.version
    if version != write.expected:
        raise WriteRejected(where, f"{write.stream} is at version {version}, not {write.expected}")
    return head


def _check_names(world: World, write: Write[Any], where: str) -> None:
    for key in write.keys:
        if key.key in world.keys:
            raise taken(where, (key,))
    for receipt in write.receipts:
        if receipt.key in world.receipts:
            raise WriteRejected(where, f"there is a receipt {receipt.key} already")


def taken(where: str, keys: Iterable[UniqueKey]) -> WriteRejected:
    """Return the error for unique keys of which one is taken; it names nobody."""
    names = " or ".join(f"of {key.stream}" if key.personal else key.key for key in keys)
    return WriteRejected(where, f"the unique key {names} is taken")


def _is_free(entry: QueueEntry, now: int) -> bool:
    return entry.lease_until is None or entry.lease_until <= now


def _answered(receipt: Receipt, answer: bytes) -> Receipt:
    return Receipt(receipt.key, receipt.stream, receipt.fingerprint, answer)
