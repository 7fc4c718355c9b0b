"""What a transaction begins with: the heads that callers name, locked, and what stands beside them.

Floor 5. Imports what a store may import. It begins no transaction and ends none.

Heads are locked in the order of their names, always, so that two batches do not lock each other out. What stands
beside them is read after that, by statements of their own, each of which sees all that was committed when the locks
were had: read before, a receipt that another machine was just writing would be missed.
"""

# ruff: noqa: S608  # Statements are put together from the constants of this module.

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from attrs import frozen

from research_fsm.storage import Head, Query, QueueEntry, Receipt, RecordedEvent, UniqueKey
from research_fsm.stores.batch import World
from research_fsm.stores.postgres_rows import HEAD, head_of, int_of, text_of
from research_fsm.stores.postgres_statements import Dialect, Statement
from research_fsm.stores.postgres_wire import Row

__all__ = ["LOADING", "Loaded", "Run", "load"]

_TEXTS = "text[]"

# All streams that are named in any way, as one list; of each head also the one that it links to.
_NAMED = """
WITH named(streams) AS MATERIALIZED (
    SELECT $1 || ARRAY(SELECT stream FROM {s}.unique_keys WHERE key = ANY($2))
        || ARRAY(SELECT stream FROM {s}.receipts WHERE key = ANY($3))
        || ARRAY(SELECT stream FROM {s}.queue WHERE run_id = ANY($4))
), linked(streams) AS MATERIALIZED (
    SELECT streams || ARRAY(
        SELECT link FROM {s}.heads
        WHERE stream = ANY((SELECT streams FROM named)::text[]) AND link IS NOT NULL)
    FROM named
)
"""

_PLAIN_NAMED = """
WITH linked(streams) AS MATERIALIZED (
    SELECT $1 || ARRAY(SELECT link FROM {s}.heads WHERE stream = ANY($1) AND link IS NOT NULL)
)
"""

_HEADS = f"""SELECT {HEAD} FROM {{s}}.heads
WHERE stream = ANY((SELECT streams FROM linked)::text[]) ORDER BY stream"""

_LOCKED = Statement("locked", (_TEXTS,) * 4, f"{_NAMED}{_HEADS} FOR UPDATE")
_SEEN = Statement("seen", (_TEXTS,) * 4, f"{_NAMED}{_HEADS}")
_PLAIN_LOCKED = Statement("plain_locked", (_TEXTS,), f"{_PLAIN_NAMED}{_HEADS} FOR UPDATE")
_PLAIN_SEEN = Statement("plain_seen", (_TEXTS,), f"{_PLAIN_NAMED}{_HEADS}")

_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

# The transaction's number comes along: it says what became of a commit whose answer was lost.
_TIME_LOCKED = Statement("time_locked", (), f"SELECT {_NOW}, pg_current_xact_id()")
_TIME_SEEN = Statement("time_seen", (), f"SELECT {_NOW}, NULL")

_BESIDE = Statement(
    "beside",
    (_TEXTS,) * 3,
    """
SELECT 'key', key, stream, value, personal::text FROM {s}.unique_keys WHERE key = ANY($1)
UNION ALL SELECT 'receipt', key, stream, answer, fingerprint FROM {s}.receipts WHERE key = ANY($2)
UNION ALL SELECT 'entry', run_id, stream, lease_until::text, '' FROM {s}.queue WHERE run_id = ANY($3)
""",
)

_DOCUMENTS = Statement(
    "documents",
    (_TEXTS,) * 5,
    f"""{_NAMED}SELECT stream, name, encode(body, 'hex') FROM {{s}}.documents
WHERE stream = ANY((SELECT streams FROM linked)::text[]) AND name = ANY($5)""",
)

# An entry that somebody else is just taking is not waited for.
_FREE = f"""SELECT run_id, stream, lease_until FROM {{s}}.queue
WHERE lease_until IS NULL OR lease_until <= coalesce($1, {_NOW}) ORDER BY position LIMIT $2"""
_FREE_LOCKED = Statement("free_locked", ("bigint", "bigint"), f"{_FREE} FOR UPDATE SKIP LOCKED")
_FREE_SEEN = Statement("free_seen", ("bigint", "bigint"), _FREE)

_FIND = Statement("find", ("text",), f"SELECT {HEAD} FROM {{s}}.heads WHERE stream = $1 FOR UPDATE")

LOADING = (
    _LOCKED,
    _SEEN,
    _PLAIN_LOCKED,
    _PLAIN_SEEN,
    _TIME_LOCKED,
    _TIME_SEEN,
    _BESIDE,
    _DOCUMENTS,
    _FREE_LOCKED,
    _FREE_SEEN,
    _FIND,
)
"""To prepare on a connection."""

Run = Callable[[bytes], list[list[Row]]]
History = Callable[[str, int], Iterator[RecordedEvent]]


@frozen
class Loaded:
    """What was found.

    Args:
        world: For the callers' rules.
        time: The server's time once the locks were had, in microseconds UTC.
        xid: The transaction's number, if it has one.
        unlocked: Streams that were found out too late to be locked: load again, and name them.
        links: How many streams the others link to.
    """

    world: World
    time: int
    xid: str | None
    unlocked: frozenset[str]
    links: int


def load(
    run: Run,
    dialect: Dialect,
    queries: Sequence[Query],
    history: History,
    *,
    begin: bytes = b"",
    clock: Callable[[], int] | None = None,
    more: Sequence[str] = (),
    lock: bool = True,
) -> Loaded:
    """Return what queries name.

    Args:
        run: Sends a message.
        dialect: How statements are called.
        queries: What to load.
        history: Reads a stream's events up to a version.
        begin: What the first message begins with.
        clock: The time, if it is not the server's.
        more: Further streams to lock.
        lock: Whether the heads, and the queue entries that are free, are to be locked.
    """
    streams = _together([more, *(query.streams for query in queries)])
    keys = _together(query.keys for query in queries)
    receipts = _together(query.receipts for query in queries)
    run_ids = _together((query.entry,) for query in queries if query.entry is not None and not query.next_entry)
    names = _together(query.documents for query in queries)
    free: list[Row] = []
    wanted = sum(query.next_entry for query in queries)
    if wanted:
        statement = _FREE_LOCKED if lock else _FREE_SEEN
        free = run(begin + dialect.call(statement, None if clock is None else clock(), wanted))[-1]
        begin = b""
        streams = _together([streams, [text_of(row[1]) for row in free]])
    parts = _parts(dialect, (streams, keys, receipts, run_ids), names, lock=lock)
    answers = run(begin + b";\n".join(parts))[-len(parts) :]
    heads = {head.stream: head for head in map(head_of, answers[0])}
    world = World(
        find=lambda stream: _find_head(run, dialect, stream),
        history=history,
        heads=heads,
        keys={},
        receipts={},
        documents={},
        entries={text_of(row[0]): _entry(row) for row in free},
        free=tuple(text_of(row[0]) for row in free),
        asked=set(streams),
        more_entries=len(queries) > 1 and wanted > 0 and len(free) == wanted,
    )
    for rows in answers[1:-1]:
        _take(world, rows)
    found = {key.stream for key in world.keys.values()}
    found |= {receipt.stream for receipt in world.receipts.values()}
    found |= {entry.stream for entry in world.entries.values()}
    unlocked = frozenset(found - world.asked - heads.keys())
    links = {head.link for head in heads.values() if head.link is not None}
    world.asked.update(found, links)
    world.documented.update((stream, query.documents) for query in queries if query.documents for stream in heads)
    time, xid = answers[-1][0]
    return Loaded(world, int_of(time), None if xid is None else xid.decode(), unlocked, len(links))


Names = tuple[str, ...]


def _parts(dialect: Dialect, named: tuple[Names, Names, Names, Names], names: Names, *, lock: bool) -> list[bytes]:
    """Return the statements that load, the one for the heads first and the one for the time last."""
    streams, keys, receipts, run_ids = named
    if keys or receipts or run_ids:
        parts = [dialect.call(_LOCKED if lock else _SEEN, *named), dialect.call(_BESIDE, keys, receipts, run_ids)]
    else:
        parts = [dialect.call(_PLAIN_LOCKED if lock else _PLAIN_SEEN, streams)]
    if names:
        parts.append(dialect.call(_DOCUMENTS, *named, names))
    parts.append(dialect.call(_TIME_LOCKED if lock else _TIME_SEEN))
    return parts


def _take(world: World, rows: Sequence[Row]) -> None:
    """Put rows of what stands beside the heads where they belong."""
    for row in rows:
        if len(row) == 3:  # noqa: PLR2004  # A document has three columns, all else has five.
            world.documents[text_of(row[0]), text_of(row[1])] = bytes.fromhex(text_of(row[2]))
            continue
        kind, name, stream, body, last = row
        if kind == b"key":
            key = UniqueKey(text_of(name), text_of(stream), body or b"", personal=last == b"true")
            world.keys[key.key] = key
        elif kind == b"receipt":
            receipt = Receipt(text_of(name), text_of(stream), text_of(last), body or b"")
            world.receipts[receipt.key] = receipt
        else:
            world.entries[text_of(name)] = _entry((name, stream, body))


def _find_head(run: Run, dialect: Dialect, stream: str) -> Head | None:
    """Return the head of a stream that nobody has named, locked."""
    rows = run(dialect.call(_FIND, stream))[-1]
    return head_of(rows[0]) if rows else None


def _entry(row: Sequence[bytes | None]) -> QueueEntry:
    return QueueEntry(text_of(row[0]), text_of(row[1]), None if row[2] is None else int(row[2]))


def _together(names: "Sequence[Sequence[str]] | Iterator[Sequence[str]]") -> Names:
    return tuple(dict.fromkeys(chain.from_iterable(names)))
