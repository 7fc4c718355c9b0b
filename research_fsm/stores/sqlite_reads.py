"""The looking half of the SQLite store: every statement that reads, and what its rows become.

Floor 5. Imports what a store may import, and its siblings. It never writes, keeps no cursor open while a caller looks
at a row, and fetches what may be long in pages.
"""

# ruff: noqa: S608 - the statements are put together from the constants of this module and from question marks.

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from itertools import chain
from typing import Any

from research_fsm.columns import printable
from research_fsm.storage import Head, Query, QueueEntry, Receipt, RecordedEvent, Token, UniqueKey, View
from research_fsm.stores.batch import World
from research_fsm.stores.sqlite_channel import Channel, Rows

__all__ = ["SQLiteReader", "load", "text_or_bytes"]

_PAGE = 1000
"""How many rows are fetched at a time, and so the most that an iterator holds."""

_FEW = 50
"""How many documents are fetched at a time: a body may be long."""

_CHUNK = 512
"""How many names one statement asks for at most."""

_MAX = (1 << 63) - 1

# JSON is kept as TEXT, to be readable, and handed out as the bytes that it is made of.
_EVENT = "position, stream, version, type, schema, at, CAST(data AS BLOB), CAST(meta AS BLOB), hash"
_STREAM = (
    f"SELECT {_EVENT} FROM events WHERE version > ?1 AND stream = ?2 AND version <= ?3 ORDER BY version LIMIT {_PAGE}"
)
_LOG = f"SELECT {_EVENT} FROM events WHERE position > ? ORDER BY position LIMIT {_PAGE}"

_HEAD = "stream, version, hash, fold, CAST(state AS BLOB), link, tag, due, first"
_HEAD_OF = f"SELECT {_HEAD} FROM heads WHERE stream = ?"
_HEADS = f"SELECT {_HEAD} FROM heads WHERE stream > ? ORDER BY stream LIMIT {_PAGE}"
_LINKED = f"SELECT {_HEAD} FROM heads WHERE link = ? AND first < ? ORDER BY first DESC LIMIT ?"
_DUE = f"SELECT {_HEAD} FROM heads WHERE tag = ? AND due <= ? AND (due, stream) > (?, ?) ORDER BY due, stream LIMIT ?"

_DOCUMENTS = (
    "SELECT stream, name, CAST(body AS BLOB) FROM documents WHERE (stream, name) > (?, ?) "
    f"ORDER BY stream, name LIMIT {_FEW}"
)

_KEY = "key, stream, CAST(value AS BLOB), personal"
_KEYS = f"SELECT {_KEY} FROM unique_keys WHERE key > ? ORDER BY key LIMIT {_PAGE}"

_RECEIPT = "key, stream, fingerprint, CAST(answer AS BLOB)"
_RECEIPTS = f"SELECT {_RECEIPT} FROM receipts WHERE key > ? ORDER BY key LIMIT {_PAGE}"

_ENTRY = "run_id, stream, lease_until"
_ENTRIES = f"SELECT position, {_ENTRY} FROM queue WHERE position > ? ORDER BY position LIMIT {_PAGE}"
_ENTRY_OF = f"SELECT {_ENTRY} FROM queue WHERE run_id = ?"
_FREE_ENTRIES = f"SELECT {_ENTRY} FROM queue WHERE lease_until IS NULL OR lease_until <= ? ORDER BY position LIMIT ?"

_TOKEN = "token_id, owner, kind, digest, created_at, revoked_at"  # noqa: S105 - the names of columns.
_TOKENS = f"SELECT {_TOKEN} FROM tokens ORDER BY position"
_TOKENS_OF = f"SELECT {_TOKEN} FROM tokens WHERE owner = ? ORDER BY position"
_TOKEN_OF = f"SELECT {_TOKEN} FROM tokens WHERE digest = ? ORDER BY position LIMIT 1"


class SQLiteReader:
    """What `storage.Reader` promises, over one channel.

    Args:
        channel: Where the rows come from.
        clock: Returns the time in microseconds UTC.
    """

    def __init__(self, channel: Channel, clock: Callable[[], int]) -> None:
        self._channel = channel
        self._clock = clock

    def now(self) -> int:
        """Return the clock's time in microseconds UTC."""
        return self._clock()

    @contextmanager
    def snapshot(self) -> Iterator["SQLiteReader"]:
        """Return itself: a snapshot's snapshot sees the same point in time."""
        yield self

    def read(self, query: Query) -> View:
        """Load what a query names, at one point in time."""
        with self._channel.moment() as connection:
            now = self._clock()
            return load(connection, (query,), now, self._channel).view(query, now)

    def events(self, stream: str | None = None, *, after: int = 0) -> Iterator[RecordedEvent]:
        """Yield the events of a stream by version, or all of them by position."""
        if stream is not None:
            yield from _history(self._channel, stream, after, _MAX)
        else:
            yield from (RecordedEvent(*row) for row in _paged(self._channel, _LOG, after))

    def newest(self) -> int:
        """Return the position of the last event: two who see the same one see the same log."""
        newest: int = self._channel.rows("SELECT coalesce(max(position), 0) FROM events")[0][0]
        return newest

    def heads(self) -> Iterator[Head]:
        """Yield every head, by stream."""
        yield from (Head(*row) for row in _paged(self._channel, _HEADS, ""))

    def linked(self, link: str, *, before: int | None = None, limit: int = 100) -> list[Head]:
        """Return heads that link to a stream, newest first."""
        page = self._channel.rows(_LINKED, (link, _MAX if before is None else before, limit))
        return [Head(*row) for row in page]

    def due(self, tags: tuple[str, ...], until: int, *, after: tuple[int, str] | None, limit: int) -> list[Head]:
        """Return heads that somebody has to look at, most overdue first."""
        behind = (-_MAX, "") if after is None else after
        found: Rows = []
        with self._channel.moment() as connection:
            for tag in dict.fromkeys(tags):
                found += connection.execute(_DUE, (tag, until, *behind, limit)).fetchall()
        heads = sorted((Head(*row) for row in found), key=lambda head: (head.due, printable(head.stream)))
        return heads[:limit]

    def documents(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield every document, by stream and name."""
        after = ("", "")
        while page := self._channel.rows(_DOCUMENTS, after):
            yield from page
            after = page[-1][:2]

    def keys(self) -> Iterator[UniqueKey]:
        """Yield every unique key, in order."""
        yield from (_key(row) for row in _paged(self._channel, _KEYS, ""))

    def receipts(self) -> Iterator[Receipt]:
        """Yield every receipt, by key."""
        yield from (Receipt(*row) for row in _paged(self._channel, _RECEIPTS, ""))

    def entries(self) -> Iterator[QueueEntry]:
        """Yield every queue entry, first come first."""
        yield from (QueueEntry(*row[1:]) for row in _paged(self._channel, _ENTRIES, 0))

    def tokens(self, owner: str | None = None) -> list[Token]:
        """Return an owner's access tokens, or everybody's, oldest first."""
        page = self._channel.rows(_TOKENS) if owner is None else self._channel.rows(_TOKENS_OF, (owner,))
        return [Token(*row) for row in page]

    def token(self, digest: str) -> Token | None:
        """Return the access token with this digest."""
        return next((Token(*row) for row in self._channel.rows(_TOKEN_OF, (digest,))), None)


def text_or_bytes(data: bytes) -> str | bytes:
    """Return a text, or its bytes if it is no UTF-8: one spoilt row hides no other from who looks at a snapshot."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def load(connection: sqlite3.Connection, queries: Sequence[Query], now: int, channel: Channel) -> World:
    """Return what queries name.

    Args:
        connection: Where from; in a transaction, if it takes more than one statement.
        queries: What to load.
        now: The time in microseconds UTC, which says whether a lease is over.
        channel: Whose connection it is; a history that is read later goes through it.
    """
    keys = {row[0]: _key(row) for row in _named(connection, _keys_in, _together(query.keys for query in queries))}
    receipts = {
        row[0]: Receipt(*row)
        for row in _named(connection, _receipts_in, _together(query.receipts for query in queries))
    }
    entries, free, more = _entries(connection, queries, now)
    asked = set[str]()
    for query in queries:
        asked.update(query.streams)
    asked.update(key.stream for key in keys.values())
    asked.update(receipt.stream for receipt in receipts.values())
    asked.update(entry.stream for entry in entries.values())
    heads: dict[str, Head] = {}
    for row in _named(connection, _heads_in, tuple(asked)):
        heads[row[0]] = Head(*row[:9])
        link = row[5]
        if link is not None:
            asked.add(link)
            if row[9] is not None and row[9] not in heads:
                heads[row[9]] = Head(*row[9:])

    def history(stream: str, until: int) -> Iterator[RecordedEvent]:
        return _history(channel, stream, 0, until)

    world = World(
        find=lambda stream: _head(channel, stream),
        history=history,
        heads=heads,
        keys=keys,
        receipts=receipts,
        documents={},
        entries=entries,
        free=free,
        asked=asked,
        more_entries=more,
    )
    if any(query.documents for query in queries):
        _load_documents(connection, world, queries)
    return world


def _together(names: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(names)))


def _head(channel: Channel, stream: str) -> Head | None:
    return next((Head(*row) for row in channel.rows(_HEAD_OF, (stream,))), None)


def _entries(
    connection: sqlite3.Connection, queries: Sequence[Query], now: int
) -> tuple[dict[str, QueueEntry], tuple[str, ...], bool]:
    """Return the queue entries that queries ask for, which of them are free, and whether there may be more of those."""
    entries: dict[str, QueueEntry] = {}
    more = False
    if any(query.next_entry for query in queries):
        # Each caller takes one at most, and none may be passed over because another removed the first.
        rows = connection.execute(_FREE_ENTRIES, (now, len(queries))).fetchall()
        entries.update((row[0], QueueEntry(*row)) for row in rows)
        more = len(queries) > 1 and len(rows) == len(queries)
    free = tuple(entries)
    for query in queries:
        if query.entry is not None and not query.next_entry and query.entry not in entries:
            row = connection.execute(_ENTRY_OF, (query.entry,)).fetchone()
            if row is not None:
                entries[row[0]] = QueueEntry(*row)
    return entries, free, more


def _load_documents(connection: sqlite3.Connection, world: World, queries: Sequence[Query]) -> None:
    """Load the documents of every stream that a query names in any way, queries for the same documents together."""
    streams_by_names: dict[tuple[str, ...], dict[str, None]] = {}
    for query in queries:
        if query.documents:
            entries = world.entries.values() if query.next_entry or query.entry is not None else ()
            found = (stream for stream in world.streams(query, entries) if stream in world.heads)
            streams_by_names.setdefault(query.documents, {}).update(dict.fromkeys(found))
    for names, streams in streams_by_names.items():
        wanted = _padded(names)
        rows = _named(connection, partial(_documents_in, names=len(wanted)), tuple(streams), wanted)
        world.documents.update(((stream, name), body) for stream, name, body in rows)
        world.documented.update((stream, names) for stream in streams)


def _history(channel: Channel, stream: str, after: int, until: int) -> Iterator[RecordedEvent]:
    yield from (RecordedEvent(*row) for row in _paged(channel, _STREAM, after, stream, until, place=2))


def _paged(channel: Channel, sql: str, after: int | str, *more: object, place: int = 0) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a statement page by page; the column at `place` says where the next page begins."""
    while True:
        page = channel.rows(sql, (after, *more))
        full = len(page) == _PAGE
        if full:
            page = _cut(page, place)
        yield from page
        if not full:
            return
        after = page[-1][place]


def _cut(page: Rows, place: int) -> Rows:
    """Let a page end where the next one can begin: a text that came out as bytes would be bound behind every text."""
    last = next((at for at in reversed(range(len(page))) if not isinstance(page[at][place], bytes)), len(page) - 1)
    return page[: last + 1]


def _key(row: tuple[Any, ...]) -> UniqueKey:
    return UniqueKey(row[0], row[1], row[2], bool(row[3]))


# --- lists of names ----------------------------------------------------------------------------------------------
# Filled up to a power of two by repeating the last one, so that there are ten statements and not five hundred.


def _named(
    connection: sqlite3.Connection,
    statement: Callable[[int], str],
    names: tuple[str, ...],
    more: tuple[str, ...] = (),
) -> Rows:
    rows: Rows = []
    for start in range(0, len(names), _CHUNK):
        chunk = _padded(names[start : start + _CHUNK])
        rows += connection.execute(statement(len(chunk)), chunk + more).fetchall()
    return rows


def _padded(names: tuple[str, ...]) -> tuple[str, ...]:
    missing = (1 << (len(names) - 1).bit_length()) - len(names)
    return names + names[-1:] * missing if missing else names


@cache
def _heads_in(count: int) -> str:
    """Return the statement that loads heads, each with the head it links to."""
    columns = (
        "{0}.stream, {0}.version, {0}.hash, {0}.fold, CAST({0}.state AS BLOB), {0}.link, {0}.tag, {0}.due, {0}.first"
    )
    return (
        f"SELECT {columns.format('own')}, {columns.format('linked')} FROM heads AS own "
        f"LEFT JOIN heads AS linked ON linked.stream = own.link WHERE own.stream IN ({_marks(count)})"
    )


@cache
def _keys_in(count: int) -> str:
    return f"SELECT {_KEY} FROM unique_keys WHERE key IN ({_marks(count)})"


@cache
def _receipts_in(count: int) -> str:
    return f"SELECT {_RECEIPT} FROM receipts WHERE key IN ({_marks(count)})"


@cache
def _documents_in(streams: int, names: int) -> str:
    return (
        "SELECT stream, name, CAST(body AS BLOB) FROM documents "
        f"WHERE stream IN ({_marks(streams)}) AND name IN ({_marks(names)})"
    )


def _marks(count: int) -> str:
    return ", ".join("?" * count)
