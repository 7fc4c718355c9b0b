"""The writing half of the PostgreSQL store: from a batch's `Changes` to statements, which somebody else sends.

Floor 5. Imports what a store may import. Each table's rows go in one statement, as one JSON value.
"""

# ruff: noqa: S608  # Statements are put together from the constants of this module.

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from research_fsm.errors import InvalidInput, ResearchError, WriteRejected
from research_fsm.stores.batch import Changes, taken
from research_fsm.stores.postgres_errors import ServerSaid
from research_fsm.stores.postgres_statements import Dialect, Statement, quoted

__all__ = ["WRITING", "proof", "rejection", "statements"]

_ROWS = "jsonb_array_elements($1) WITH ORDINALITY AS rows(r, n)"

_APPENDED = f"""
INSERT INTO {{s}}.events (stream, version, type, schema, at, data, meta, hash)
SELECT r->>0, (r->>1)::bigint, r->>2, (r->>3)::bigint, (r->>4)::bigint, r->>5, r->>6, decode(r->>7, 'base64')
FROM {_ROWS} ORDER BY n
"""

# How many rows were moved is the result of the compare-and-swap.
_MOVED = """
UPDATE {s}.heads AS heads SET version = (r->>1)::bigint, hash = decode(r->>2, 'base64'), fold = (r->>3)::bigint,
    state = r->>4, tag = r->>5, due = (r->>6)::bigint
FROM jsonb_array_elements($1) AS rows(r)
WHERE heads.stream = r->>0 AND heads.version = (r->>7)::bigint
"""

_EVENTS = Statement("events", ("jsonb",), _APPENDED)
_HEADS = Statement(
    "heads",
    ("jsonb",),
    f"WITH moved AS ({_MOVED} RETURNING 1) SELECT {{s}}.must_be((SELECT count(*) FROM moved), jsonb_array_length($1))",
)

# A stream's first position is that of its first event; of a stream without events, one behind all others.
_NEW_HEADS = Statement(
    "new_heads",
    ("jsonb",),
    """
INSERT INTO {s}.heads (stream, version, hash, fold, state, tag, due, link, first)
SELECT r->>0, (r->>1)::bigint, decode(r->>2, 'base64'), (r->>3)::bigint, r->>4, r->>5, (r->>6)::bigint, r->>7,
    coalesce((SELECT position FROM {s}.events WHERE stream = r->>0 AND version = 1),
        (SELECT max(position) + 1 FROM {s}.events), 1)
FROM jsonb_array_elements($1) AS rows(r) ORDER BY (r->>0) COLLATE "C"
""",
)
_KEYS = Statement(
    "keys",
    ("jsonb",),
    """
INSERT INTO {s}.unique_keys (key, stream, value, personal) SELECT r->>0, r->>1, r->>2, (r->>3)::boolean
FROM jsonb_array_elements($1) AS rows(r) ORDER BY (r->>0) COLLATE "C"
""",
)
_SETTLED = Statement(
    "settled",
    ("jsonb",),
    """
UPDATE {s}.receipts SET answer = r->>1 FROM jsonb_array_elements($1) AS rows(r) WHERE key = r->>0
""",
)
_RECEIPTS = Statement(
    "receipts",
    ("jsonb",),
    """
INSERT INTO {s}.receipts (key, stream, fingerprint, answer) SELECT r->>0, r->>1, r->>2, r->>3
FROM jsonb_array_elements($1) AS rows(r) ORDER BY (r->>0) COLLATE "C"
""",
)
# Removed and put, so that a role which erases documents need not be let update them, too.
_REPLACED_DOCUMENTS = Statement(
    "replaced_documents",
    ("jsonb",),
    """
DELETE FROM {s}.documents USING jsonb_array_elements($1) AS rows(r) WHERE stream = r->>0 AND name = r->>1
""",
)
_PUT_DOCUMENTS = Statement(
    "put_documents",
    ("jsonb",),
    """
INSERT INTO {s}.documents (stream, name, body) SELECT r->>0, r->>1, decode(r->>2, 'base64')
FROM jsonb_array_elements($1) AS rows(r) ORDER BY (r->>0) COLLATE "C", (r->>1) COLLATE "C"
""",
)
_DEQUEUED = Statement("dequeued", ("text[]",), "DELETE FROM {s}.queue WHERE run_id = ANY($1)")

# An entry that changes keeps its place, and so does a token.
_ENQUEUED = Statement(
    "enqueued",
    ("jsonb",),
    f"""
INSERT INTO {{s}}.queue (run_id, stream, lease_until) SELECT r->>0, r->>1, (r->>2)::bigint FROM {_ROWS} ORDER BY n
ON CONFLICT (run_id) DO UPDATE SET stream = excluded.stream, lease_until = excluded.lease_until
""",
)
_TOKENS = Statement(
    "tokens",
    ("jsonb",),
    f"""
INSERT INTO {{s}}.tokens (token_id, owner, kind, digest, created_at, revoked_at)
SELECT r->>0, r->>1, r->>2, r->>3, (r->>4)::bigint, (r->>5)::bigint FROM {_ROWS} ORDER BY n
ON CONFLICT (token_id) DO UPDATE SET owner = excluded.owner, kind = excluded.kind, digest = excluded.digest,
    created_at = excluded.created_at, revoked_at = excluded.revoked_at
""",
)
_FORGET = (
    Statement("forget_documents", ("text[]",), "DELETE FROM {s}.documents WHERE stream = ANY($1)"),
    Statement("forget_keys", ("text[]",), "DELETE FROM {s}.unique_keys WHERE stream = ANY($1) AND personal"),
    Statement(
        "forget_fingerprints",
        ("text[]",),
        "UPDATE {s}.receipts SET fingerprint = '' WHERE stream = ANY($1) AND fingerprint <> ''",
    ),
)

WRITING = (
    _EVENTS,
    _HEADS,
    _NEW_HEADS,
    _KEYS,
    _SETTLED,
    _RECEIPTS,
    _REPLACED_DOCUMENTS,
    _PUT_DOCUMENTS,
    _DEQUEUED,
    _ENQUEUED,
    _TOKENS,
    *_FORGET,
)
"""To prepare on a connection."""

_encode = msgspec.json.Encoder().encode


def statements(dialect: Dialect, changes: Changes) -> list[bytes]:
    """Return the statements that write everything a batch has decided, in order.

    Raises:
        InvalidInput: PostgreSQL cannot hold a value.
    """
    try:
        return _statements(dialect, changes)
    except (UnicodeError, OverflowError) as error:
        problem = f"PostgreSQL cannot hold it ({error}); use valid Unicode, and integers of 64 bits"
        raise InvalidInput("value", problem) from error


def _statements(dialect: Dialect, changes: Changes) -> list[bytes]:
    found: list[bytes] = []

    def put(statement: Statement, rows: Iterable[tuple[Any, ...]]) -> None:
        found.append(dialect.call(statement, _encode(list(rows))))

    _put_streams(put, changes)
    if changes.keys:
        put(_KEYS, ((row.key, row.stream, row.value.decode(), row.personal) for row in changes.keys.values()))
    if changes.settled:
        put(_SETTLED, ((key, answer.decode()) for key, answer in changes.settled.items()))
    if changes.receipts:
        rows = changes.receipts.values()
        put(_RECEIPTS, ((row.key, row.stream, row.fingerprint, row.answer.decode()) for row in rows))
    if changes.documents:
        put(_REPLACED_DOCUMENTS, changes.documents)
        put(_PUT_DOCUMENTS, ((stream, name, body) for (stream, name), body in changes.documents.items()))
    if changes.dequeued:
        found.append(dialect.call(_DEQUEUED, tuple(changes.dequeued)))
    if changes.enqueued:
        put(_ENQUEUED, ((row.run_id, row.stream, row.lease_until) for row in changes.enqueued.values()))
    if changes.tokens:
        tokens = changes.tokens.values()
        put(_TOKENS, ((t.token_id, t.owner, t.kind, t.digest, t.created_at, t.revoked_at) for t in tokens))
    if changes.forgotten:
        found.extend(dialect.call(statement, changes.forgotten) for statement in _FORGET)
    return found


def _put_streams(put: Callable[[Statement, Iterable[tuple[Any, ...]]], None], changes: Changes) -> None:
    """Append the events of all streams, then move the heads."""
    if changes.events:
        put(_EVENTS, [(*row[:5], row[5].decode(), row[6].decode(), row[7]) for row in changes.events])
    moved: list[tuple[object, ...]] = []
    new: list[tuple[object, ...]] = []
    for head in changes.heads.values():
        stored = changes.stored[head.stream]
        row = (head.stream, head.version, head.hash, head.fold, head.state.decode(), head.tag, head.due)
        if stored is None:
            new.append((*row, head.link))
        else:
            moved.append((*row, stored))
    if new:
        put(_NEW_HEADS, new)
    if moved:
        put(_HEADS, moved)


def proof(dialect: Dialect, changes: Changes) -> tuple[bytes, bool]:
    """Return a query that finds a row where changes stand, and whether nothing else can have written the same."""
    if changes.events:
        stream, version, *_, hashed = changes.events[-1]
        where = "events WHERE stream = %b AND version = %d AND hash = decode(%b, 'hex')"
        return _select(dialect, where, quoted(stream), version, quoted(hashed.hex())), True
    for table, column, names in (
        ("receipts", "key", changes.receipts),
        ("unique_keys", "key", changes.keys),
        ("tokens", "token_id", changes.tokens),
    ):
        for name in names:
            return _select(dialect, f"{table} WHERE {column} = %b", quoted(name)), False
    for entry in changes.enqueued.values():
        lease = b"NULL" if entry.lease_until is None else b"%d" % entry.lease_until
        where = "queue WHERE run_id = %b AND lease_until IS NOT DISTINCT FROM %b"
        return _select(dialect, where, quoted(entry.run_id), lease), False
    return b"SELECT WHERE false", False


def _select(dialect: Dialect, where: str, *values: bytes | int) -> bytes:
    return dialect.text(f"SELECT FROM {{s}}.{where}").encode() % values


def rejection(error: ServerSaid, changes: Changes, where: str) -> ResearchError:
    """Return the error for a name that is taken and stays so when everything is decided anew."""
    if error.constraint.startswith("unique_keys"):
        return taken(where, changes.keys.values())
    if error.constraint.startswith("receipts"):
        return WriteRejected(where, f"there is a receipt {' or '.join(changes.receipts)} already")
    return WriteRejected(
        where, f"{error.text} ({error.constraint or error.state}); a rule did not see what it wrote over"
    )
