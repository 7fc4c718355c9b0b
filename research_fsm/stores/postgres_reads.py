"""The looking half of the PostgreSQL store: every statement that reads without a lock.

Floor 5. Imports what a store may import, and its siblings. What may be long is fetched in pages, and no transaction
is open while a caller looks at a row, but a snapshot's own.
"""

# ruff: noqa: S608  # Statements are put together from the constants of this module.

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from research_fsm.storage import Head, Query, QueueEntry, Receipt, RecordedEvent, Token, UniqueKey, View
from research_fsm.stores.postgres_errors import ServerSaid, WireLost
from research_fsm.stores.postgres_load import Loaded, Run, load
from research_fsm.stores.postgres_rows import EVENT, HEAD, event_of, head_of, text_of
from research_fsm.stores.postgres_statements import Argument, Dialect, Statement
from research_fsm.stores.postgres_wire import Carrier, Row

__all__ = ["READING", "PostgresReader", "Source", "history"]

_PAGE = 1000
"""How many rows are fetched at a time, and so the most that an iterator holds."""

_FEW = 50
"""How many documents are fetched at a time: a body may be long."""

_MAX = (1 << 63) - 1

_NOW = Statement("now", (), "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
_STREAM = Statement(
    "stream",
    ("bigint", "text", "bigint"),
    f"SELECT {EVENT} FROM {{s}}.events WHERE version > $1 AND stream = $2 AND version <= $3 "
    f"ORDER BY version LIMIT {_PAGE}",
)
_LOG = Statement(
    "log", ("bigint",), f"SELECT {EVENT} FROM {{s}}.events WHERE position > $1 ORDER BY position LIMIT {_PAGE}"
)
_ALL_HEADS = Statement(
    "all_heads", ("text",), f"SELECT {HEAD} FROM {{s}}.heads WHERE stream > $1 ORDER BY stream LIMIT {_PAGE}"
)
_LINKED = Statement(
    "linked",
    ("text", "bigint", "bigint"),
    f"SELECT {HEAD} FROM {{s}}.heads WHERE link = $1 AND first < $2 ORDER BY first DESC LIMIT $3",
)
_DUE = Statement(
    "due",
    ("text", "bigint", "bigint", "text", "bigint"),
    f"SELECT {HEAD} FROM {{s}}.heads WHERE tag = $1 AND due <= $2 AND (due, stream) > ($3, $4) "
    "ORDER BY due, stream LIMIT $5",
)
_DOCUMENTS = Statement(
    "all_documents",
    ("text", "text"),
    "SELECT stream, name, encode(body, 'hex') FROM {s}.documents WHERE (stream, name) > ($1, $2) "
    f"ORDER BY stream, name LIMIT {_FEW}",
)
_ALL_KEYS = Statement(
    "all_keys",
    ("text",),
    f"SELECT key, stream, value, personal FROM {{s}}.unique_keys WHERE key > $1 ORDER BY key LIMIT {_PAGE}",
)
_ALL_RECEIPTS = Statement(
    "all_receipts",
    ("text",),
    f"SELECT key, stream, fingerprint, answer FROM {{s}}.receipts WHERE key > $1 ORDER BY key LIMIT {_PAGE}",
)
_ENTRIES = Statement(
    "entries",
    ("bigint",),
    f"SELECT position, run_id, stream, lease_until FROM {{s}}.queue WHERE position > $1 "
    f"ORDER BY position LIMIT {_PAGE}",
)
_TOKEN = "token_id, owner, kind, digest, created_at, revoked_at"  # noqa: S105  # The names of columns.
_TOKENS = Statement("all_tokens", (), f"SELECT {_TOKEN} FROM {{s}}.tokens ORDER BY position")
_TOKENS_OF = Statement("tokens_of", ("text",), f"SELECT {_TOKEN} FROM {{s}}.tokens WHERE owner = $1 ORDER BY position")
_TOKEN_OF = Statement(
    "token_of", ("text",), f"SELECT {_TOKEN} FROM {{s}}.tokens WHERE digest = $1 ORDER BY position LIMIT 1"
)

READING = (
    _NOW,
    _STREAM,
    _LOG,
    _ALL_HEADS,
    _LINKED,
    _DUE,
    _DOCUMENTS,
    _ALL_KEYS,
    _ALL_RECEIPTS,
    _ENTRIES,
    _TOKENS,
    _TOKENS_OF,
    _TOKEN_OF,
)
"""To prepare on a connection."""

Ask = Callable[[Sequence[bytes]], list[list[Row]]]
"""Sends statements that are to see one point in time, and returns the rows of each; raises our own errors."""


class Source:
    """Where a reader's rows come from: a connection, on which each question sees one point in time.

    Args:
        wire: The connection.
        local: What has to be said in each transaction, where a pooler may change the connection behind it.
        lasting: Whether a transaction is open for good: a snapshot's, or a host's.
    """

    def __init__(self, wire: Carrier, local: bytes, *, lasting: bool = False) -> None:
        self._wire = wire
        self._lasting = lasting
        self._begin = b"" if lasting else b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;" + local
        self._bare = lasting or not local

    def check_open(self) -> None:
        """Raise `StoreClosed` if it was closed."""
        self.ask([b"SELECT 1"])

    def close(self, why: str) -> None:
        """Close the connection, and refuse everything from now on."""
        self._wire.close(why)

    def ask(self, calls: Sequence[bytes]) -> list[list[Row]]:
        """Send statements that are to see one point in time, and return the rows of each.

        Raises:
            StoreError: It could not be read.
        """
        message = b";\n".join(calls)
        if not self._lasting and not (self._bare and len(calls) == 1):
            message = b"%b%b;COMMIT" % (self._begin, message)
        with self._wire.translated():
            answers = self._again(message)
        return answers if len(answers) == len(calls) else answers[-1 - len(calls) : -1]

    def read(self, look: Callable[[Run, bytes], Loaded]) -> Loaded:
        """Load in several messages that see one point in time."""
        with self._wire.translated():
            try:
                return look(self._again, self._begin)
            finally:
                if not self._lasting and self._wire.in_transaction:
                    self._wire.run(b"ROLLBACK")

    def _again(self, message: bytes) -> list[list[Row]]:
        """Send a message; on a new connection, if the old one was cut before a transaction was begun on it."""
        fresh = not self._wire.in_transaction
        try:
            return self._wire.run(message)
        except WireLost:
            if not fresh:
                raise
            return self._wire.run(message)
        except ServerSaid:
            if not self._lasting and self._wire.in_transaction:
                self._wire.run(b"ROLLBACK")
            raise


class PostgresReader:
    """What `storage.Reader` promises, over a source.

    Args:
        source: Where the rows come from.
        dialect: How statements are called.
        clock: The time, if it is not the server's.
    """

    def __init__(self, source: Source, dialect: Dialect, clock: Callable[[], int] | None) -> None:
        self._source = source
        self._dialect = dialect
        self._clock = clock

    def now(self) -> int:
        """Return the server's time in microseconds UTC."""
        if self._clock is not None:
            return self._clock()
        return int(self._rows(_NOW)[0][0] or 0)

    @contextmanager
    def snapshot(self) -> "Iterator[PostgresReader]":
        """Return itself: a snapshot's snapshot sees the same point in time."""
        yield self

    def read(self, query: Query) -> View:
        """Load what a query names, at one point in time."""

        def look(run: Run, begin: bytes) -> Loaded:
            return load(run, self._dialect, (query,), self._history, begin=begin, clock=self._clock, lock=False)

        found = self._source.read(look)
        return found.world.view(query, found.time if self._clock is None else self._clock())

    def events(self, stream: str | None = None, *, after: int = 0) -> Iterator[RecordedEvent]:
        """Yield the events of a stream by version, or all of them by position."""
        if stream is not None:
            yield from self._history(stream, _MAX, after=after)
        else:
            yield from map(event_of, self._paged(_LOG, after))

    def heads(self) -> Iterator[Head]:
        """Yield every head, by stream."""
        yield from map(head_of, self._paged(_ALL_HEADS, ""))

    def linked(self, link: str, *, before: int | None = None, limit: int = 100) -> list[Head]:
        """Return heads that link to a stream, newest first."""
        return [head_of(row) for row in self._rows(_LINKED, link, _MAX if before is None else before, limit)]

    def due(self, tags: tuple[str, ...], until: int, *, after: tuple[int, str] | None, limit: int) -> list[Head]:
        """Return heads that somebody has to look at, most overdue first."""
        behind = (-_MAX, "") if after is None else after
        calls = [self._dialect.call(_DUE, tag, until, *behind, limit) for tag in dict.fromkeys(tags)]
        found = [head_of(row) for rows in self._source.ask(calls) for row in rows] if calls else []
        return sorted(found, key=lambda head: (head.due, head.stream))[:limit]

    def documents(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield every document, by stream and name."""
        after = ("", "")
        while page := self._rows(_DOCUMENTS, *after):
            yield from ((text_of(row[0]), text_of(row[1]), bytes.fromhex(text_of(row[2]))) for row in page)
            after = (text_of(page[-1][0]), text_of(page[-1][1]))

    def keys(self) -> Iterator[UniqueKey]:
        """Yield every unique key, in order."""
        for row in self._paged(_ALL_KEYS, ""):
            yield UniqueKey(text_of(row[0]), text_of(row[1]), row[2] or b"", personal=row[3] == b"t")

    def receipts(self) -> Iterator[Receipt]:
        """Yield every receipt, by key."""
        for row in self._paged(_ALL_RECEIPTS, ""):
            yield Receipt(text_of(row[0]), text_of(row[1]), text_of(row[2]), row[3] or b"")

    def entries(self) -> Iterator[QueueEntry]:
        """Yield every queue entry, first come first."""
        for row in self._paged(_ENTRIES, 0):
            yield QueueEntry(text_of(row[1]), text_of(row[2]), None if row[3] is None else int(row[3]))

    def tokens(self, owner: str | None = None) -> list[Token]:
        """Return an owner's access tokens, or everybody's, oldest first."""
        rows = self._rows(_TOKENS) if owner is None else self._rows(_TOKENS_OF, owner)
        return [_token(row) for row in rows]

    def token(self, digest: str) -> Token | None:
        """Return the access token with this digest."""
        return next((_token(row) for row in self._rows(_TOKEN_OF, digest)), None)

    def _rows(self, statement: Statement, *arguments: Argument) -> list[Row]:
        return self._source.ask([self._dialect.call(statement, *arguments)])[0]

    def _history(self, stream: str, until: int, *, after: int = 0) -> Iterator[RecordedEvent]:
        return history(self._source.ask, self._dialect, stream, until, after=after)

    def _paged(self, statement: Statement, after: int | str) -> Iterator[Row]:
        return _paged(self._source.ask, self._dialect, statement, after)


def history(ask: Ask, dialect: Dialect, stream: str, until: int, *, after: int = 0) -> Iterator[RecordedEvent]:
    """Yield a stream's events behind one version and up to another."""
    return map(event_of, _paged(ask, dialect, _STREAM, after, stream, until, place=2))


def _paged(
    ask: Ask, dialect: Dialect, statement: Statement, after: int | str, *more: Argument, place: int = 0
) -> Iterator[Row]:
    """Yield the rows of a statement page by page; the column at `place` says where the next page begins."""
    while True:
        page = ask([dialect.call(statement, after, *more)])[0]
        yield from page
        if len(page) < _PAGE:
            return
        last = text_of(page[-1][place])
        after = last if isinstance(after, str) else int(last)


def _token(row: Row) -> Token:
    token_id, owner, kind, digest = (text_of(cell) for cell in row[:4])
    return Token(token_id, owner, kind, digest, int(row[4] or 0), None if row[5] is None else int(row[5]))
