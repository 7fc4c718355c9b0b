"""The writing half of the SQLite store: from a rule's `Write` to rows, inside a transaction that somebody else ends.

Floor 5. Imports what a store may import. It never begins, commits or aborts a transaction.
"""

import sqlite3
from collections.abc import Mapping, Sequence

from research_fsm.errors import WriteRejected
from research_fsm.storage import Head, StreamWrite, Write, first_hash, next_hash

__all__ = ["apply"]

_EVENT = "INSERT INTO events (stream, version, type, schema, at, data, meta, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"

_VERSION = "SELECT version, hash FROM heads WHERE stream = ?"

# A stream's first position is that of its first event; of a stream without events, the next to be given out.
_NEW_HEAD = """
INSERT INTO heads (stream, version, hash, fold, state, tag, due, link, first)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, coalesce(
    (SELECT position FROM events WHERE stream = ?1 AND version = 1),
    (SELECT seq + 1 FROM sqlite_sequence WHERE name = 'events'),
    1))
"""

_HEAD = """
UPDATE heads SET version = ?2, hash = ?3, fold = ?4, state = ?5, tag = ?6, due = ?7
WHERE stream = ?1 AND version = ?8
"""

_KEY = "INSERT INTO unique_keys (key, stream, value, personal) VALUES (?, ?, ?, ?)"

_RECEIPT = "INSERT INTO receipts (key, stream, fingerprint, answer) VALUES (?, ?, ?, ?)"

_SETTLED = "UPDATE receipts SET answer = ? WHERE key = ?"

_DOCUMENT = """
INSERT INTO documents (stream, name, body) VALUES (?, ?, ?)
ON CONFLICT (stream, name) DO UPDATE SET body = excluded.body
"""

# An entry that changes keeps its place, and so does a token.
_ENQUEUED = """
INSERT INTO queue (run_id, stream, lease_until) VALUES (?, ?, ?)
ON CONFLICT (run_id) DO UPDATE SET stream = excluded.stream, lease_until = excluded.lease_until
"""

_DEQUEUED = "DELETE FROM queue WHERE run_id = ?"

_FORGOTTEN = (
    "DELETE FROM documents WHERE stream = ?",
    "DELETE FROM unique_keys WHERE stream = ? AND personal",
    "UPDATE receipts SET fingerprint = '' WHERE stream = ? AND fingerprint <> ''",
)

_TOKEN = """
INSERT INTO tokens (token_id, owner, kind, digest, created_at, revoked_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (token_id) DO UPDATE SET owner = excluded.owner, kind = excluded.kind, digest = excluded.digest,
    created_at = excluded.created_at, revoked_at = excluded.revoked_at
"""  # noqa: S105 - a statement.


def apply(
    connection: sqlite3.Connection, where: str, heads: Mapping[str, Head], write: Write[object], now: int
) -> None:
    """Write everything that a rule decided.

    Args:
        connection: In a transaction that nobody else can write beside.
        where: The file, for messages.
        heads: Those that were loaded in the same transaction.
        write: What to write.
        now: When it happens, in microseconds UTC.

    Raises:
        WriteRejected: A stream is at another version, or a unique key or a receipt is there already.
        sqlite3.Error: It could not be written. After any error the transaction must be aborted.
    """
    if write.streams:
        _append(connection, where, heads, write.streams, now)
    if write.keys:
        keys = [(key.key, key.stream, key.value.decode(), key.personal) for key in write.keys]
        names = [f"of {key.stream}" if key.personal else key.key for key in write.keys]  # Errors name nobody.
        _insert(connection, _KEY, keys, where, names, "the unique key {} is taken")
    if write.receipts:
        receipts = [(row.key, row.stream, row.fingerprint, row.answer.decode()) for row in write.receipts]
        names = [row.key for row in write.receipts]
        _insert(connection, _RECEIPT, receipts, where, names, "there is a receipt {} already")
    if write.settled:
        connection.executemany(_SETTLED, [(answer.decode(), key) for key, answer in write.settled.items()])
    if write.documents:
        connection.executemany(
            _DOCUMENT, [(stream, name, _text(body)) for (stream, name), body in write.documents.items()]
        )
    if write.enqueued:
        connection.executemany(_ENQUEUED, [(row.run_id, row.stream, row.lease_until) for row in write.enqueued])
    if write.dequeued:
        connection.executemany(_DEQUEUED, [(run_id,) for run_id in write.dequeued])
    for stream in write.forgotten:
        for statement in _FORGOTTEN:
            connection.execute(statement, (stream,))
    if write.tokens:
        connection.executemany(
            _TOKEN,
            [(row.token_id, row.owner, row.kind, row.digest, row.created_at, row.revoked_at) for row in write.tokens],
        )


def _append(
    connection: sqlite3.Connection,
    where: str,
    heads: Mapping[str, Head],
    writes: tuple[StreamWrite, ...],
    now: int,
) -> None:
    """Append the events of all streams, then move the heads."""
    events: list[tuple[object, ...]] = []
    new: list[tuple[object, ...]] = []
    moved: list[tuple[object, ...]] = []
    for write in writes:
        stream = write.stream
        present, previous = _end(connection, heads, stream)
        if (present or 0) != write.expected:
            raise WriteRejected(where, f"{stream} is at version {present or 0}, not {write.expected}")
        version = write.expected
        for version, event in enumerate(write.events, write.expected + 1):
            previous = next_hash(previous, stream, version, event, now)
            events.append(
                (stream, version, event.type, event.schema, now, event.data.decode(), event.meta.decode(), previous)
            )
        row = (stream, version, previous, write.fold, write.state.decode(), write.tag, write.due)
        if present is None:
            new.append((*row, write.link))
        else:
            moved.append((*row, write.expected))
    if events:
        connection.executemany(_EVENT, events)
    if new:
        connection.executemany(_NEW_HEAD, new)
    if moved and connection.executemany(_HEAD, moved).rowcount != len(moved):
        raise WriteRejected(where, "a head moved inside the transaction, which only a changed file can do")


def _end(connection: sqlite3.Connection, heads: Mapping[str, Head], stream: str) -> tuple[int | None, bytes]:
    """Return a stream's version, None if it has no head, and its last hash."""
    head = heads.get(stream)
    if head is not None:
        return head.version, head.hash
    row = connection.execute(_VERSION, (stream,)).fetchone()
    return (None, first_hash(stream)) if row is None else row


def _insert(
    connection: sqlite3.Connection,
    statement: str,
    rows: Sequence[tuple[str, str, object, object]],
    where: str,
    names: Sequence[str],
    problem: str,
) -> None:
    try:
        connection.executemany(statement, rows)
    except sqlite3.IntegrityError as error:
        raise WriteRejected(where, problem.format(" or ".join(names))) from error


def _text(body: bytes) -> str | bytes:
    """Return a document as text where it is text, so that other tools can read it, and as it is where it is not."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body
