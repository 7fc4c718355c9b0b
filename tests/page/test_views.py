"""A copy for plain SQL: the views agree with the reads, and what nobody may read is not in the file."""

import json
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from research_fsm import Profile
from research_fsm.rfc3339 import format_time
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.views import VIEWS, datasette
from tests.cli.conftest import Program, elsewhere, program

__all__ = ["elsewhere", "program"]


@pytest.fixture
def copy(program: Program, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A copy of a store with a complete person, one who waits for credits, and a token."""
    program.complete()
    program.person("globex")
    program("token", "create", "acme")
    assert program("views", "--out", tmp_path / "audit.db").exit_code == 0
    with closing(sqlite3.connect(tmp_path / "audit.db")) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def _rows(copy: sqlite3.Connection, view: str) -> list[dict[str, Any]]:
    return [dict(row) for row in copy.execute(f"SELECT * FROM {view}")]  # noqa: S608  # One of the views.


def test_people_are_as_the_reads_have_them(program: Program, copy: sqlite3.Connection) -> None:
    """Status, times and counters, in words that nobody has to decode."""
    rows = {row["person"]: row for row in _rows(copy, "people")}
    with program.runs() as runs:
        people = [*runs.people("acme").people, *runs.people("globex").people]
    assert len(rows) == len(people) == 2
    for one in people:
        row = rows[one.person_id]
        assert (row["owner"], row["status"], row["phase"], row["reports"]) == (
            one.owner,
            one.status,
            one.phase,
            one.reports,
        )
        assert row["since"] == format_time(one.since).replace("T", " ")
        assert row["run"] == one.run_id


def test_the_ledger_ends_with_the_balance(program: Program, copy: sqlite3.Connection) -> None:
    """Its running sum is what the account has, and the account's view says the same."""
    ledger = _rows(copy, "ledger")
    assert [(row["type"], row["change"], row["available_after"]) for row in ledger] == [
        ("CreditsGranted", 5, 5),
        ("CreditsHeld", -1, 4),
        ("CreditsCharged", 0, 4),
    ]
    with program.runs() as runs:
        assert runs.balance("acme").available == 4
    (account,) = _rows(copy, "accounts")
    assert (account["owner"], account["available"], account["charged"]) == ("acme", 4, 1)


def test_a_run_has_its_beginning_and_its_end(copy: sqlite3.Connection) -> None:
    """When it was queued and claimed, how it ended, who asked."""
    (run,) = _rows(copy, "runs")
    assert (run["run_no"], run["ended_by"], run["report"], run["actor"]) == (1, "RunCompleted", 1, "cli")
    assert run["started_at"] <= run["queued_at"] <= run["claimed_at"] <= run["ended_at"]


def test_the_timeline_is_the_whole_log(program: Program, copy: sqlite3.Connection) -> None:
    """In order, the account's events with the person whom they concern."""
    with program.runs() as runs:
        events = list(runs.store.events())
    rows = _rows(copy, "timeline")
    assert [(row["position"], row["type"]) for row in rows] == [(event.position, event.type) for event in events]
    held = next(row for row in rows if row["type"] == "CreditsHeld")
    assert held["follows_from"] == f"person:{held['person']}@2"


def test_neither_secrets_nor_personal_data_are_in_the_file(
    program: Program, copy: sqlite3.Connection, tmp_path: Path
) -> None:
    """Not in a table, nor in a page that was freed; the log is whole."""
    with SQLiteStore(program.store) as store:
        secret, digest = store.secret, store.tokens()[0].digest
    content = (tmp_path / "audit.db").read_bytes()
    for hidden in (secret, digest.encode(), b"linkedin.com/in/ada", b'"profile"'):
        assert hidden not in content
    assert _rows(copy, "profiles") == []


def test_documents_are_in_it_when_they_are_asked_for(program: Program, tmp_path: Path) -> None:
    """For somebody who may read them."""
    person_id = program.person()
    program("views", "--out", tmp_path / "all.db", "--with-documents")
    with closing(sqlite3.connect(tmp_path / "all.db")) as connection:
        ((person, profile),) = connection.execute("SELECT * FROM profiles").fetchall()
    assert person == person_id
    assert "linkedin.com/in/ada" in json.loads(profile)["linkedin_url"]


def test_nobody_takes_the_copy_for_a_store(copy: sqlite3.Connection, program: Program, tmp_path: Path) -> None:
    """It has no secret: opening it is refused, and so is making it where a file is."""
    assert copy is not None
    assert Program(tmp_path / "audit.db")("verify").exit_code == 7
    assert program("views", "--out", tmp_path / "audit.db").exit_code == 2


def test_datasette_is_told_of_every_view(copy: sqlite3.Connection, tmp_path: Path) -> None:
    """A description for each; what is left of the tables is hidden; every name is one of the file's."""
    about = json.loads((tmp_path / "audit.db.datasette.yaml").read_text(encoding="utf-8"))
    tables = about["databases"]["audit"]["tables"]
    names = {row["name"] for row in copy.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
    assert set(VIEWS) < set(tables) <= names
    assert json.loads(datasette("x/audit.db")) == about
    for name in VIEWS:
        copy.execute(f"SELECT * FROM {name} ORDER BY {tables[name].get('sort_desc', 1)}")  # noqa: S608  # The same.


def test_no_page_is_left_of_what_was_left_out(program: Program, tmp_path: Path) -> None:
    """It is never written: the file has no free pages in which something could be found, and is its maker's alone."""
    with program.runs() as runs:
        for number in range(40):
            runs.add("acme", Profile(first_name="Ada", last_name=str(number), company="x" * 500))
    program("views", "--out", tmp_path / "audit.db")
    with closing(sqlite3.connect(tmp_path / "audit.db")) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
    assert b"x" * 500 not in (tmp_path / "audit.db").read_bytes()
    assert stat.S_IMODE((tmp_path / "audit.db").stat().st_mode) == 0o600
