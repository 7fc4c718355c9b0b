"""The rows of a SQLite store: append-only, chained, readable by others, found by indexes."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from research_fsm.errors import InvalidInput, WriteRejected
from research_fsm.storage import Query, QueueEntry, Receipt, Token, UniqueKey, Write
from research_fsm.stores import sqlite_reads, sqlite_writes
from research_fsm.stores.sqlite import SQLiteStore
from tests.stores.sqlite_examples import (
    NOW,
    appending,
    broken_links,
    clock,
    end,
    plain,
    writing,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file in a folder of its own."""
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    """Open a store."""
    with SQLiteStore(path, clock=clock) as opened:
        yield opened


# --- append-only -------------------------------------------------------------------------------------------------

_VALUES = "SELECT {}, {}, type, schema, at, data, meta, hash FROM events LIMIT 1"
_INSERT = "{} INTO events (stream, version, type, schema, at, data, meta, hash) " + _VALUES
_PLACED = "{} INTO events SELECT {}, 'new', 1, type, schema, at, data, meta, hash FROM events LIMIT 1"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET data = 'x' WHERE position = 1",
        "UPDATE OR REPLACE events SET position = 1 WHERE position = 2",
        "DELETE FROM events WHERE position = 3",
        "DELETE FROM events",
        _INSERT.format("INSERT", "'a'", "1"),
        _INSERT.format("INSERT OR REPLACE", "'a'", "1"),
        _INSERT.format("INSERT OR IGNORE", "'a'", "1"),
        _PLACED.format("INSERT", "2"),
        _PLACED.format("INSERT OR REPLACE", "2"),
        _PLACED.format("REPLACE", "3"),
        _PLACED.format("INSERT", "0"),
        _PLACED.format("INSERT", "-1"),
        _PLACED.format("INSERT", "-7"),
    ],
)
def test_no_client_changes_the_past(store: SQLiteStore, path: Path, statement: str) -> None:
    """A plain client, with SQLite's defaults, can neither change nor remove nor replace nor insert before the end."""
    store.transact(*appending("a", 1, 2, 3))
    with plain(path) as client:
        before = client.execute("SELECT * FROM events").fetchall()
        with pytest.raises(sqlite3.IntegrityError) as raised:
            client.execute(statement)
        assert "append-only" in str(raised.value) or "CHECK" in str(raised.value)
        assert client.execute("SELECT * FROM events").fetchall() == before


def test_a_message_says_why(store: SQLiteStore, path: Path) -> None:
    """Whoever edits the log by hand is told what it is."""
    store.transact(*appending("a", 1))
    with plain(path) as client, pytest.raises(sqlite3.IntegrityError, match="append-only: an event is never deleted"):
        client.execute("DELETE FROM events")


def test_a_position_is_never_given_twice(store: SQLiteStore, path: Path) -> None:
    """Even after the last event was removed by force, the next one gets a position of its own."""
    store.transact(*appending("a", 1, 2, 3))
    with plain(path) as client:
        client.execute("DROP TRIGGER events_no_delete")
        client.execute("DELETE FROM events WHERE position = 3")
    store.transact(*appending("b", 4))
    assert [row.position for row in store.events()] == [1, 2, 4]


def test_a_stream_that_is_written_twice_at_once_is_rejected(store: SQLiteStore) -> None:
    """The second of two ends of one stream does not follow the first."""
    twice = (end("a", 0, 1), end("a", 0, 2))
    with pytest.raises(WriteRejected, match="append-only"):
        store.transact(*writing(Write(answer=None, streams=twice)))
    assert list(store.events()) == []


def test_an_event_written_past_the_store_is_noticed(store: SQLiteStore, path: Path) -> None:
    """A head that somebody moved back makes the next write rejected, not a second version 1."""
    store.transact(*appending("a", 1, 2))
    with plain(path) as client:
        client.execute("UPDATE heads SET version = 1")
    with pytest.raises(WriteRejected):
        store.transact(*appending("a", 3))


def test_what_is_rejected_names_what_was_there(store: SQLiteStore) -> None:
    """The facts of a rejected write are in its message."""
    key, receipt = UniqueKey("url:x", "a"), Receipt("r", "a", "f", b"1")
    store.transact(*writing(Write(answer=None, streams=(end("a", 0, 1),), keys=(key,), receipts=(receipt,))))
    for write, problem in (
        (Write(answer=None, streams=(end("a", 5, 1),)), "a is at version 1, not 5"),
        (Write(answer=None, streams=(end("b", 5, 1),)), "b is at version 0, not 5"),
        (Write(answer=None, keys=(key,)), "the unique key url:x is taken"),
        (Write(answer=None, receipts=(receipt,)), "there is a receipt r already"),
    ):
        with pytest.raises(WriteRejected, match=problem):
            store.transact(*writing(write))


# --- the chain ---------------------------------------------------------------------------------------------------


def test_hashes_are_those_of_the_documented_formula(store: SQLiteStore) -> None:
    """They are computed again with hashlib and json alone, over text that is not ASCII too."""
    store.transact(*appending("person:ä", "é", {"nested": [1, None, "☃"]}, 3))
    store.transact(*appending("account:b", 1))
    store.transact(*appending("person:ä", 4))
    assert broken_links(store) == []
    assert [row.position for row in store.events()] == [1, 2, 3, 4, 5]


def test_an_edited_event_shows(store: SQLiteStore, path: Path) -> None:
    """Whoever drops the triggers can edit an event, and the chain tells."""
    store.transact(*appending("a", 1, 2, 3))
    with plain(path) as client:
        client.execute("DROP TRIGGER events_no_update")
        client.execute("""UPDATE events SET data = '{"note":9}' WHERE position = 2""")
    assert broken_links(store) == [2]


# --- rows that others can read -----------------------------------------------------------------------------------


def test_json_is_text_and_hashes_are_bytes(store: SQLiteStore, path: Path) -> None:
    """Any SQLite tool shows them, and its JSON functions work on them."""
    documents = {("a", "profile"): b'{"name":"\xc3\xa9"}', ("a", "picture"): b"\xff\xfe"}
    store.transact(*writing(Write(answer=None, streams=(end("a", 0, 7),), documents=documents)))
    with plain(path) as client:
        row = client.execute("SELECT typeof(data), typeof(meta), typeof(hash), typeof(at), at FROM events").fetchone()
        assert row == ("text", "text", "blob", "integer", NOW)
        assert client.execute("SELECT json_extract(data, '$.note') FROM events").fetchone() == (7,)
        bodies = client.execute("SELECT name, typeof(body) FROM documents ORDER BY name").fetchall()
        assert bodies == [("picture", "blob"), ("profile", "text")]
    names = ("profile", "picture")
    assert store.read(Query(streams=("a",), documents=names)).documents == documents


def test_what_sqlite_cannot_hold_is_invalid_input(store: SQLiteStore) -> None:
    """Half a surrogate pair, and a number beyond 64 bits, are named as such, whether read or written."""
    with pytest.raises(InvalidInput, match="Unicode"):
        store.transact(*appending("\ud800", 1))
    with pytest.raises(InvalidInput, match="Unicode"):
        list(store.events("\ud800"))
    with pytest.raises(InvalidInput, match="64 bits"):
        store.transact(*writing(Write(answer=None, streams=(end("a", 0, 1, due=1 << 64),))))
    assert list(store.heads()) == []


# --- indexes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (sqlite_reads._LINKED, "heads_by_link (link=? AND first<?)"),
        (sqlite_reads._DUE, "heads_by_due (tag=?"),
        (sqlite_reads._TOKEN_OF, "tokens_by_digest (digest=?)"),
        (sqlite_reads._STREAM, "sqlite_autoindex_events_1 (stream=? AND version>? AND version<?)"),
        (sqlite_reads._LOG, "INTEGER PRIMARY KEY (rowid>?)"),
        (sqlite_reads._HEADS, "sqlite_autoindex_heads_1 (stream>?)"),
        (sqlite_reads._ENTRY_OF, "sqlite_autoindex_queue_1 (run_id=?)"),
        (sqlite_reads._FREE_ENTRIES, "SCAN queue"),
        (sqlite_writes._FORGOTTEN[0], "sqlite_autoindex_documents_1 (stream=?)"),
        (sqlite_writes._FORGOTTEN[1], "personal_keys (stream=?)"),
        (sqlite_writes._FORGOTTEN[2], "fingerprints (stream=?)"),
    ],
)
def test_every_search_has_its_index(store: SQLiteStore, path: Path, statement: str, index: str) -> None:
    """Nothing is sorted; the queue alone is walked from its front, past what is leased."""
    store.transact(*appending("a", 1))
    values = (1,) * len(statement.split("?")[1:])
    with plain(path) as client:
        plan = [row[3] for row in client.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert index in " ".join(plan)
    assert not any("TEMP B-TREE" in step for step in plan), plan


def test_lists_of_names_take_few_statements(store: SQLiteStore) -> None:
    """Whatever their length, names are asked for in a dozen forms that stay prepared, and all are found."""
    names = tuple(f"stream:{number:04}" for number in range(1100))
    store.transact(*writing(Write(answer=None, streams=tuple(end(name, 0, 1) for name in names))))
    assert tuple(sorted(store.read(Query(streams=names)).heads)) == names
    seen = {len(sqlite_reads._padded(names[:count])) for count in range(1, 513)}
    assert seen == {1, 2, 4, 8, 16, 32, 64, 128, 256, 512}


# --- walking -----------------------------------------------------------------------------------------------------


def test_a_long_log_is_walked_in_pages(store: SQLiteStore) -> None:
    """Rows are fetched by the thousand, and writes go on in between."""
    store.transact(*appending("a", *range(2500)))
    asked: list[str] = []
    store._channel.get().set_trace_callback(asked.append)
    walk = store.events()
    first = [next(walk) for _ in range(1000)]
    assert len(asked) == 1
    store.transact(*appending("a", "late"))
    rest = list(walk)
    assert len(asked) == 3
    assert [row.position for row in first + rest] == list(range(1, 2502))
    assert [row.version for row in store.events("a", after=990)] == list(range(991, 2502))


def test_a_walk_that_is_left_holds_nothing(store: SQLiteStore, path: Path) -> None:
    """A half-read iterator keeps neither the mutex nor a lock on the file."""
    store.transact(*appending("a", *range(1500)))
    walk = store.events("a")
    next(walk)
    with plain(path) as client:
        assert client.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    assert store.transact(*appending("a", 1)) == 1501
    assert len(list(walk)) == 1500


def test_a_view_keeps_its_point_in_time(store: SQLiteStore) -> None:
    """The history of a view that was read goes as far as its head, however much was written since."""
    store.transact(*appending("a", 1, 2))
    view = store.read(Query(streams=("a",)))
    store.transact(*appending("a", 3))
    assert [row.version for row in view.history("a")] == [1, 2]
    assert [row.version for row in store.read(Query(streams=("a",))).history("a")] == [1, 2, 3]
    assert list(view.history("nobody")) == []


def test_an_entry_that_changes_keeps_its_place(store: SQLiteStore) -> None:
    """A lease is renewed in place; one that was removed and comes again is the last."""
    first, second = QueueEntry("r1", "a"), QueueEntry("r2", "a")
    leased = QueueEntry("r1", "a", NOW + 1)
    store.transact(*writing(Write(answer=None, enqueued=(first, second))))
    store.transact(*writing(Write(answer=None, enqueued=(leased,))))
    assert list(store.entries()) == [leased, second]
    assert store.read(Query(next_entry=True)).entry == second
    store.transact(*writing(Write(answer=None, dequeued=("r1",))))
    store.transact(*writing(Write(answer=None, enqueued=(first,))))
    assert list(store.entries()) == [second, first]


def test_a_token_is_found_by_its_digest(store: SQLiteStore) -> None:
    """One that is replaced keeps its place in the list."""
    tokens = [Token(f"t{number}", "o", "user", f"d{number}", NOW) for number in range(3)]
    store.transact(*writing(Write(answer=None, tokens=tuple(tokens))))
    revoked = Token("t0", "o", "user", "d0", NOW, NOW + 1)
    store.transact(*writing(Write(answer=None, tokens=(revoked,))))
    assert store.tokens("o") == [revoked, tokens[1], tokens[2]]
    assert store.token("d0") == revoked
