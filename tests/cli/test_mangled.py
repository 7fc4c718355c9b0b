"""A store that somebody edited by hand: whatever stands in its columns, who looks is told, and meets no traceback."""

# ruff: noqa: S608  # The statements are edits by hand, put together from the constants of this module.

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from research_fsm import PersonKind, Profile, codec, transactions
from research_fsm.cli.exits import Exit
from research_fsm.errors import LogUnreadable
from research_fsm.storage import NewEvent, first_hash, next_hash
from research_fsm.stores import sqlite_evidence
from research_fsm.worker import Worker
from tests.cli.conftest import Program

PEOPLE = ("status PERSON", "status PERSON --version 2", "explain PERSON", "history PERSON", "list acme")
LOOKING = (
    *PEOPLE,
    "report PERSON",
    "report PERSON --version 6",
    "balance acme",
    "balance acme --version 1",
    "token list",
    "follow --quiet-for 0s",
    "doctor",
    "verify",
    "verify --state-only",
    "verify --checkpoint stated --key key.pub",
    "checkpoint make --key key",
    "checkpoint check stated --key key.pub",
    "checkpoint prove stated --key key.pub --event PERSON_STREAM 2",
    "checkpoint prove stated --key key.pub --newer stated",
    "export log.jsonl --with-documents",
    "page --html log.html --with-names",
    "page --html log.html --owner acme",
    "views --out views.db --with-documents",
    "compare --with other:version",
)

Values = tuple[str, ...]

TEXT, NUMBER, BYTES = ("x'41ff'", "CAST(x'41ff' AS TEXT)"), ("'abc'", "x'41'"), ("'abc'", "5", "x'41'")
COLUMNS: dict[str, dict[str, Values]] = {
    "events": {
        "stream": TEXT,
        "version": NUMBER,
        "type": TEXT,
        "schema": NUMBER,
        "at": NUMBER,
        "data": (*TEXT, "'[]'", "'5'"),
        "meta": (*TEXT, "'[]'"),
        "hash": BYTES,
    },
    "heads": {
        "stream": TEXT,
        "version": NUMBER,
        "hash": BYTES,
        "fold": NUMBER,
        "state": (*TEXT, "'[]'"),
        "link": TEXT,
        "tag": TEXT,
        "due": NUMBER,
        "first": NUMBER,
    },
    "documents": {"stream": TEXT, "name": TEXT, "body": ("5", "'{}'", "'[]'", "'abc'")},
    "unique_keys": {"key": TEXT, "stream": TEXT, "value": TEXT},
    "queue": {"run_id": TEXT, "stream": TEXT, "lease_until": NUMBER},
    "tokens": {
        "token_id": TEXT,
        "owner": TEXT,
        "kind": TEXT,
        "digest": TEXT,
        "created_at": NUMBER,
        "revoked_at": NUMBER,
    },
}
EDITS = [
    (table, column, value) for table, columns in COLUMNS.items() for column in columns for value in columns[column]
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store with somebody who has a report and waits again, and what the commands need beside it."""
    folder = tmp_path_factory.mktemp("made")
    program = Program(folder / "research.db")
    with program.runs() as runs:
        runs.grant("acme", 5)
        person_id = runs.add("acme", Profile(linkedin_url="linkedin.com/in/ada")).accepted().person_id
        runs.start(person_id)
        assert Worker(runs, lambda _: {"found": 1}).run_once()
        runs.mark_stale(person_id)
        runs.start(person_id)
        other = runs.add("acme", Profile(linkedin_url="linkedin.com/in/bob")).accepted().person_id
        runs.start(other)
        runs.tokens.create("acme", PersonKind.USER)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        program("checkpoint", "key", "key")
        Path("stated").write_text(program("checkpoint", "make", "--key", "key").stdout)
    (folder / "other.py").write_text("from research_fsm.compare import ThisVersion\n\nversion = ThisVersion()\n")
    return folder, person_id


@pytest.fixture
def copied(made: tuple[Path, str], tmp_path: Path) -> tuple[Program, str]:
    """A copy of all that, and who the person is."""
    for place in made[0].iterdir():
        if place.suffix not in (".db-wal", ".db-shm"):
            shutil.copyfile(place, tmp_path / place.name)
    return Program(tmp_path / "research.db"), made[1]


@pytest.fixture
def edited(copied: tuple[Program, str]) -> Iterator[sqlite3.Connection]:
    """The copy, in the hands of somebody who edits it."""
    with closing(sqlite3.connect(copied[0].store, isolation_level=None)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        yield connection


def _called(program: Program, person_id: str, words: str) -> tuple[int, str]:
    """Call a command; a traceback is the test's."""
    for place in ("log.jsonl", "views.db"):
        Path(place).unlink(missing_ok=True)
    stream = transactions.person_stream(person_id)
    result = program(*words.replace("PERSON_STREAM", stream).replace("PERSON", person_id).split())
    return result.exit_code, result.output


@pytest.mark.parametrize(("table", "column", "value"), EDITS)
def test_a_spoilt_column_is_told(
    copied: tuple[Program, str], edited: sqlite3.Connection, table: str, column: str, value: str
) -> None:
    """Every command ends in an answer or in an error of ours, and verify finds what it is about the log."""
    edited.execute(f"UPDATE {table} SET {column} = {value} WHERE rowid = (SELECT max(rowid) FROM {table})")
    edited.execute(f"UPDATE OR IGNORE {table} SET {column} = {value} WHERE rowid = (SELECT min(rowid) FROM {table})")
    codes = {words: _called(*copied, words)[0] for words in LOOKING}
    assert {codes["verify"], codes["verify --state-only"]} <= {Exit.DONE, Exit.FINDINGS}
    if table in ("events", "heads"):
        assert codes["verify"] == Exit.FINDINGS


@pytest.mark.parametrize(
    ("words", "edit", "told"),
    [
        ("history PERSON", "events SET hash = 'abc' WHERE position = 9", "the row 9: hash is abc of type str"),
        ("follow --quiet-for 0s", "events SET at = 'noon' WHERE position = 9", "the row 9: at is noon of type str"),
        ("list acme", "heads SET tag = x'41' WHERE stream = 'person:ID'", "person:ID: tag is b'A' of type bytes"),
        ("explain PERSON", "queue SET lease_until = 'abc'", ": lease_until is abc of type str"),
        ("token list", "tokens SET created_at = 'abc'", ": created_at is abc of type str"),
    ],
)
def test_a_spoilt_row_is_named(
    copied: tuple[Program, str], edited: sqlite3.Connection, words: str, edit: str, told: str
) -> None:
    """With the column and what is in it, and where to read about all that is wrong."""
    program, person_id = copied
    edited.execute(f"UPDATE {edit}".replace("ID", person_id))
    code, output = _called(program, person_id, words)
    assert code == Exit.STORE_ERROR
    assert f"{told.replace('ID', person_id)}; `verify` lists what is wrong\n" in output


@pytest.mark.parametrize(("document", "words"), [("profile", "status PERSON"), ("report:1", "report PERSON")])
def test_a_document_that_is_none_is_named(
    copied: tuple[Program, str], edited: sqlite3.Connection, document: str, words: str
) -> None:
    """A number in place of a profile or of a report is an error that names it."""
    edited.execute("UPDATE documents SET body = 5 WHERE name = ?", (document,))
    code, output = _called(*copied, words)
    assert code == Exit.STORE_ERROR
    assert f"{copied[1]} {document}: " in output


@pytest.mark.parametrize("at", [9 * 10**18, -(9 * 10**18)])
def test_a_time_that_no_calendar_has_is_shown_as_it_is(
    copied: tuple[Program, str], edited: sqlite3.Connection, at: int
) -> None:
    """Whoever forged it made every hash anew; each command says which microsecond it is, and none gives up."""
    program, person_id = copied
    stream = transactions.person_stream(person_id)
    rows = "SELECT version, type, schema, data, meta FROM events WHERE stream = ? ORDER BY version"
    hashed, version = first_hash(stream), 0
    for version, name, schema, data, meta in edited.execute(rows, (stream,)).fetchall():
        hashed = next_hash(hashed, stream, version, NewEvent(name, schema, data.encode(), meta.encode()), at)
        edited.execute(
            "UPDATE events SET at = ?, hash = ? WHERE stream = ? AND version = ?", (at, hashed, stream, version)
        )
    with sqlite_evidence.evidence(program.store, timedelta(seconds=5)) as log:
        state = codec.encode(codec.fold_person(person_id, log.events(stream))).decode()
    edited.execute(
        "UPDATE heads SET hash = ?, state = ? WHERE stream = ?",
        (hashed, state, stream),
    )
    shown = {words: _called(program, person_id, words) for words in LOOKING}
    assert {words: told for words, told in shown.items() if told[0] not in (Exit.DONE, Exit.FINDINGS)} == {}
    for words in (*PEOPLE, "report PERSON", "follow --quiet-for 0s"):
        assert f"microsecond {at}" in shown[words][1], words


def test_a_checkpoint_is_held_against_rows_that_are_no_events(
    copied: tuple[Program, str], edited: sqlite3.Connection
) -> None:
    """Each is a finding beside all the others, and nothing is stated or proved of such a log."""
    program, _ = copied
    edited.execute("UPDATE events SET hash = 'abc' WHERE position = 1")
    edited.execute("UPDATE events SET hash = x'41' WHERE position = 2")
    edited.execute("UPDATE heads SET due = 'abc'")
    held = ("stated", "--key", "key.pub")
    findings = program.json("verify", "--checkpoint", *held, code=1)["findings"]
    assert {"readable", "chained", "way_out", "checkpointed"} <= {one["law"] for one in findings}
    words = [one["words"] for one in findings if one["law"] == "checkpointed"]
    assert words[0].startswith("the row 1: hash is abc of type str")
    assert words[1].startswith("the row 2: hash has 1 bytes and not 32")
    assert words[2].endswith("some were rewritten")
    assert program.json("checkpoint", "check", *held, code=1)["problems"] == words
    for command in (("make", "--key", "key"), ("prove", *held, "--event", "account:acme", "2")):
        assert program.json("checkpoint", *command, code=7)["what"] == "the row 1"


def test_heads_of_all_kinds_are_due_together(copied: tuple[Program, str], edited: sqlite3.Connection) -> None:
    """What is no text is sorted among the texts, and then named."""
    edited.execute("UPDATE heads SET due = 1, tag = 'dispatching' WHERE link IS NOT NULL")
    edited.execute("UPDATE heads SET stream = x'41' WHERE rowid = (SELECT max(rowid) FROM heads)")
    code, output = _called(*copied, "doctor")
    assert code == Exit.STORE_ERROR
    assert "the head of b'A': stream is b'A' of type bytes" in output


def test_a_cause_that_names_no_event_is_none(copied: tuple[Program, str], edited: sqlite3.Connection) -> None:
    """An explanation of the past reads the account's events by their causes, which may say anything."""
    program, person_id = copied
    before = program("explain", person_id, "--version", 2).stdout
    cause = codec.encode({"actor": None, "causation_id": f"person:{person_id}@one", "correlation_id": None}).decode()
    edited.execute("UPDATE events SET meta = ? WHERE stream = 'account:acme' AND version > 3", (cause,))
    assert program("explain", person_id, "--version", 2).stdout == before


def test_an_embedder_is_told_too(copied: tuple[Program, str], edited: sqlite3.Connection) -> None:
    """Whatever door is opened, a spoilt row is one error of this library."""
    program, person_id = copied
    edited.execute("UPDATE events SET hash = 'abc' WHERE position = 9")
    edited.execute("UPDATE heads SET tag = x'41' WHERE stream <> 'account:acme'")
    with program.runs() as runs:
        with pytest.raises(LogUnreadable, match="the row 9: hash is abc of type str"):
            runs.history(person_id)
        for look in (runs.person, runs.report):
            with pytest.raises(LogUnreadable, match="tag is b'A' of type bytes"):
                look(person_id)
        with pytest.raises(LogUnreadable, match="tag is b'A' of type bytes"):
            runs.people("acme")
