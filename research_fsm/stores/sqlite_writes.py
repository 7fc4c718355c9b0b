"""The writing half of the SQLite store: from a batch's `Changes` to rows, inside a transaction that somebody else ends.

Floor 5. Imports what a store may import. It never begins, commits or aborts a transaction.
"""

import sqlite3

from research_fsm.errors import StoreDamaged, WriteRejected
from research_fsm.stores.batch import Changes, taken
from research_fsm.stores.sqlite_errors import primary_code
from research_fsm.stores.sqlite_wiping import mark

__all__ = ["apply"]

_EVENT = "INSERT INTO events (stream, version, type, schema, at, data, meta, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"

_LAST_POSITION = """
SELECT max((SELECT coalesce(max(position), 0) FROM events), (SELECT seq FROM sqlite_sequence WHERE name = 'events'))
"""

_MAX = (1 << 63) - 1

_NO_POSITION = (
    f"the last position there is, {_MAX}, is taken by somebody who wrote past this library, and no event can follow; "
    "keep this file for inspection and restore a backup"
)

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


def apply(connection: sqlite3.Connection, where: str, changes: Changes) -> None:
    """Write everything that a batch has decided.

    Args:
        connection: In a transaction that nobody else can write beside.
        where: The file, for messages.
        changes: What to write.

    Raises:
        StoreDamaged: No position is left for an event.
        WriteRejected: A stream is at another version, or a unique key or a receipt is there already.
        sqlite3.Error: It could not be written. After any error the transaction must be aborted.
    """
    if changes.heads:
        _append(connection, where, changes)
    if changes.keys:
        keys = [(key.key, key.stream, key.value.decode(), key.personal) for key in changes.keys.values()]
        try:
            connection.executemany(_KEY, keys)
        except sqlite3.IntegrityError as error:
            raise taken(where, changes.keys.values()) from error
    if changes.settled:
        connection.executemany(_SETTLED, [(answer.decode(), key) for key, answer in changes.settled.items()])
    if changes.receipts:
        receipts = [(row.key, row.stream, row.fingerprint, row.answer.decode()) for row in changes.receipts.values()]
        try:
            connection.executemany(_RECEIPT, receipts)
        except sqlite3.IntegrityError as error:
            raise WriteRejected(where, f"there is a receipt {' or '.join(changes.receipts)} already") from error
    if changes.documents:
        connection.executemany(
            _DOCUMENT, [(stream, name, _text(body)) for (stream, name), body in changes.documents.items()]
        )
    if changes.dequeued:
        connection.executemany(_DEQUEUED, [(run_id,) for run_id in changes.dequeued])
    if changes.enqueued:
        connection.executemany(
            _ENQUEUED, [(row.run_id, row.stream, row.lease_until) for row in changes.enqueued.values()]
        )
    if changes.tokens:
        connection.executemany(
            _TOKEN,
            [
                (row.token_id, row.owner, row.kind, row.digest, row.created_at, row.revoked_at)
                for row in changes.tokens.values()
            ],
        )
    if changes.forgotten:
        for statement in _FORGOTTEN:
            connection.executemany(statement, [(stream,) for stream in changes.forgotten])
        mark(connection)


def _append(connection: sqlite3.Connection, where: str, changes: Changes) -> None:
    """Append the events of all streams, then move the heads."""
    new: list[tuple[object, ...]] = []
    moved: list[tuple[object, ...]] = []
    for head in changes.heads.values():
        stored = changes.stored[head.stream]
        row = (head.stream, head.version, head.hash, head.fold, head.state.decode(), head.tag, head.due)
        if stored is None:
            new.append((*row, head.link))
        else:
            moved.append((*row, stored))
    if changes.events:
        events = [
            (stream, version, name, schema, at, data.decode(), meta.decode(), hashed)
            for stream, version, name, schema, at, data, meta, hashed in changes.events
        ]
        try:
            connection.executemany(_EVENT, events)
        except sqlite3.OperationalError as error:  # To SQLite a log without a position left is a full disk.
            full = primary_code(error) == sqlite3.SQLITE_FULL
            if full and connection.execute(_LAST_POSITION).fetchone()[0] == _MAX:
                raise StoreDamaged(where, _NO_POSITION) from error
            raise
    if new:
        connection.executemany(_NEW_HEAD, new)
    if moved and connection.executemany(_HEAD, moved).rowcount != len(moved):
        raise WriteRejected(where, "a head moved inside the transaction, which only a changed file can do")


def _text(body: bytes) -> str | bytes:
    """Return a document as text where it is text, so that other tools can read it, and as it is where it is not."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body
