"""The reference store: what `storage` promises, in dictionaries behind one lock.

Floor 5. For tests, and for comparing other stores with. Nothing survives the process.
"""

import secrets
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Self, TypeVar

from research_fsm.errors import StoreClosed, StoreError
from research_fsm.storage import (
    Head,
    Query,
    QueueEntry,
    Reader,
    Receipt,
    RecordedEvent,
    Rule,
    Token,
    UniqueKey,
    View,
    Write,
)
from research_fsm.stores.memory_tables import WHERE, Tables, apply, check
from research_fsm.stores.watch import OrderedWatch

__all__ = ["MemoryStore", "wall_clock"]

A = TypeVar("A")


def wall_clock() -> int:
    """Return the machine's time in microseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1000


class MemoryStore:
    """A store in memory.

    Args:
        clock: Returns the time in microseconds UTC; tests inject one that they move by hand.
    """

    def __init__(self, clock: Callable[[], int] = wall_clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._tables = Tables()
        self._secret = secrets.token_bytes(32)
        self._closed = False
        self._deciding = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._tables.events)} events)"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def secret(self) -> bytes:
        """What callback tokens are derived from."""
        return self._secret

    def close(self) -> None:
        """Refuse everything from now on."""
        self._closed = True

    def now(self) -> int:
        """Return the injected clock's time."""
        return self._clock()

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Load, decide and write under the lock; see `storage.Store`."""
        with self._lock:
            tables = self._opened()
            now = self.now()
            write = self._decided(query, rule, now)
            check(tables, write)
            apply(tables, write, now)
            return write.answer

    async def transact_async(self, query: Query, rule: Rule[A]) -> A:
        """Do the same for a caller who awaits; nothing here takes long enough to give others a turn."""
        return self.transact(query, rule)

    def _decided(self, query: Query, rule: Rule[A], now: int) -> Write[A]:
        if self._deciding:
            raise StoreError(WHERE, "a rule must not call the store: it looks at its view, and says what to write")
        self._deciding = True
        try:
            return rule(self._load(query, now), now)
        finally:
            self._deciding = False

    def watch(self) -> OrderedWatch:
        """Open an eye on the end of the log."""
        return OrderedWatch(WHERE, self._newest)

    def _newest(self) -> int:
        with self._lock:
            tables = self._opened()
            return len(tables.events)

    @contextmanager
    def snapshot(self) -> Iterator[Reader]:
        """Open a reader over a copy of everything."""
        yield self.fork(self._clock)

    def fork(self, clock: Callable[[], int]) -> "MemoryStore":
        """Return another store with the same contents and secret, which goes its own way from here."""
        with self._lock:
            return self._holding(self._opened().copy(), self._secret, clock)

    def __reduce__(self) -> tuple[Callable[..., "MemoryStore"], tuple[object, ...]]:
        """Be pickled with everything that is kept; what is unpickled tells the machine's time until it is forked."""
        with self._lock:
            return MemoryStore._holding, (self._opened(), self._secret)

    @staticmethod
    def _holding(tables: Tables, secret: bytes, clock: Callable[[], int] = wall_clock) -> "MemoryStore":
        store = MemoryStore(clock)
        store._tables, store._secret = tables, secret
        return store

    def contents(self) -> Hashable:
        """Return everything that decides what comes next: equal in two stores whose streams went the same way."""
        with self._lock:
            tables = self._opened()
            kinds = (tables.heads, tables.documents, tables.keys, tables.receipts, tables.tokens)
            return (*(frozenset(rows.items()) for rows in kinds), tuple(tables.queue.values()))

    def read(self, query: Query) -> View:
        """Load what a query names."""
        with self._lock:
            self._opened()
            return self._load(query, self.now())

    def events(self, stream: str | None = None, *, after: int = 0) -> Iterator[RecordedEvent]:
        """Yield the events of a stream by version, or all of them by position."""
        with self._lock:
            tables = self._opened()
            # Nothing is ever taken out of the log, so that a position is a place, as a version is.
            log = tables.events if stream is None else tables.streams.get(stream, [])
            found = log[after:]
        yield from found

    def heads(self) -> Iterator[Head]:
        """Yield every head, by stream."""
        with self._lock:
            tables = self._opened()
            found = [tables.heads[stream] for stream in sorted(tables.heads)]
        yield from found

    def linked(self, link: str, *, before: int | None = None, limit: int = 100) -> list[Head]:
        """Return heads that link to a stream, newest first."""
        with self._lock:
            tables = self._opened()
            found = [head for head in tables.heads.values() if head.link == link]
        page = (head for head in found if before is None or head.first < before)
        return sorted(page, key=lambda head: -head.first)[:limit]

    def due(self, tags: tuple[str, ...], until: int, *, after: tuple[int, str] | None, limit: int) -> list[Head]:
        """Return heads that somebody has to look at, most overdue first."""
        with self._lock:
            tables = self._opened()
            found = [
                (head.due, head.stream, head)
                for head in tables.heads.values()
                if head.tag in tags and head.due is not None and head.due <= until
            ]
        page = sorted(row for row in found if after is None or row[:2] > after)
        return [head for _, _, head in page[:limit]]

    def documents(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield every document, by stream and name."""
        with self._lock:
            tables = self._opened()
            found = sorted(tables.documents.items())
        yield from ((stream, name, body) for (stream, name), body in found)

    def keys(self) -> Iterator[UniqueKey]:
        """Yield every unique key, in order."""
        with self._lock:
            tables = self._opened()
            found = [tables.keys[name] for name in sorted(tables.keys)]
        yield from found

    def receipts(self) -> Iterator[Receipt]:
        """Yield every receipt, by key."""
        with self._lock:
            tables = self._opened()
            found = [tables.receipts[name] for name in sorted(tables.receipts)]
        yield from found

    def entries(self) -> Iterator[QueueEntry]:
        """Yield every queue entry, first come first."""
        with self._lock:
            tables = self._opened()
            found = list(tables.queue.values())
        yield from found

    def tokens(self, owner: str | None = None) -> list[Token]:
        """Return an owner's access tokens, or everybody's, oldest first."""
        with self._lock:
            tables = self._opened()
            return [token for token in tables.tokens.values() if owner in (None, token.owner)]

    def token(self, digest: str) -> Token | None:
        """Return the access token with this digest."""
        with self._lock:
            tables = self._opened()
            return next((token for token in tables.tokens.values() if token.digest == digest), None)

    def _opened(self) -> Tables:
        """Return what is kept, to whoever has the lock; nobody yields to a caller meanwhile, who would keep it."""
        if self._closed:
            raise StoreClosed(WHERE, "the store was closed; open another one")
        return self._tables

    def _load(self, query: Query, now: int) -> View:
        tables = self._tables
        keys = {name: tables.keys[name] for name in query.keys if name in tables.keys}
        receipts = {name: tables.receipts[name] for name in query.receipts if name in tables.receipts}
        entry = tables.queue.get(query.entry) if query.entry is not None else None
        if query.next_entry:
            free = (row for row in tables.queue.values() if row.lease_until is None or row.lease_until <= now)
            entry = next(free, None)
        named = [*query.streams, *(key.stream for key in keys.values()), *(row.stream for row in receipts.values())]
        if entry is not None:
            named.append(entry.stream)
        heads = {stream: tables.heads[stream] for stream in named if stream in tables.heads}
        for link in [head.link for head in heads.values() if head.link is not None]:
            if link in tables.heads:
                heads[link] = tables.heads[link]
        documents = {
            (stream, name): tables.documents[stream, name]
            for name in query.documents
            for stream in heads
            if (stream, name) in tables.documents
        }

        def history(stream: str) -> Iterator[RecordedEvent]:
            seen = heads[stream].version if stream in heads else None
            return iter(tables.streams.get(stream, [])[:seen])

        return View(heads=heads, keys=keys, receipts=receipts, documents=documents, entry=entry, history=history)
