"""The doctor: what it looks at, and what it calls a problem."""

import shutil
import sqlite3
from collections import namedtuple
from typing import Any

import pytest

from research_fsm import Profile, Runs
from research_fsm.cli import examination
from research_fsm.events import AttemptResult
from research_fsm.stores.memory import wall_clock
from research_fsm.stores.sqlite import SQLiteStore
from tests.cli.conftest import Engine, Program

_Usage = namedtuple("_Usage", "total used free")  # noqa: PYI024  # As `shutil` returns it.
_HOUR = 3_600_000_000


def _checks(program: Program, *words: str, code: int = 0) -> dict[str, dict[str, Any]]:
    return {check["check"]: check for check in program.json("doctor", *words, code=code)}


def _edit(program: Program, statement: str) -> None:
    with sqlite3.connect(program.store) as edited:
        edited.execute(statement)
    edited.close()


def test_everything_is_looked_at(program: Program) -> None:
    """This machine, the file, whether anybody is stuck; the words say what was seen."""
    program.complete()
    checks = _checks(program, "--pipeline", "pipelines:research")
    assert list(checks) == [
        "research-fsm",
        "Python",
        "serve",
        "SQLite",
        "disk",
        "store",
        "schema",
        "journal mode",
        "integrity",
        "log",
        "erasures",
        "clock",
        "queue",
        "recovery",
        "pipeline",
    ]
    assert {name for name, check in checks.items() if check["verdict"] != "ok"} <= {"SQLite", "disk"}
    assert checks["journal mode"]["words"] == "wal"
    assert checks["queue"]["words"] == "0 runs wait for a worker"


@pytest.mark.parametrize(("version", "verdict"), [((3, 51, 2), "warning"), ((3, 51, 3), "ok"), ((3, 53, 0), "ok")])
def test_the_wal_reset_bug_is_a_warning(
    program: Program, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], verdict: str
) -> None:
    """It is rare, and nothing but a newer SQLite helps."""
    program("grant", "acme", 5)
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    monkeypatch.setattr(sqlite3, "sqlite_version", ".".join(map(str, version)))
    check = _checks(program)["SQLite"]
    assert check["verdict"] == verdict
    assert ("WAL-reset bug" in check["words"]) == (verdict == "warning")


@pytest.mark.parametrize(
    ("mebibytes", "verdict", "code"), [(99, "problem", 1), (100, "warning", 0), (1023, "warning", 0), (1024, "ok", 0)]
)
def test_a_disk_that_fills_up_is_noticed(
    program: Program, monkeypatch: pytest.MonkeyPatch, mebibytes: int, verdict: str, code: int
) -> None:
    """Little is a warning, nearly nothing a problem."""
    program("grant", "acme", 5)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(0, 0, mebibytes * 2**20))
    assert _checks(program, code=code)["disk"]["verdict"] == verdict


def test_a_trigger_that_was_dropped_is_a_problem(program: Program) -> None:
    """Whoever dropped it could have changed the log."""
    program("grant", "acme", 5)
    _edit(program, "DROP TRIGGER events_no_update")
    check = _checks(program, code=1)["log"]
    assert check["verdict"] == "problem"
    assert check["words"].startswith("events_no_update is missing or disabled")
    _edit(program, "DROP TRIGGER events_no_delete")
    words = _checks(program, code=1)["log"]["words"]
    assert " and events_no_" in words
    assert " are missing or disabled" in words


def test_without_a_store_the_machine_is_examined_all_the_same(program: Program) -> None:
    """The exit code is the store's, and everything else is still told."""
    checks = _checks(program, "--pipeline", "nowhere:run", code=7)
    assert checks["store"]["verdict"] == "problem"
    assert "`grant` or `add` makes one" in checks["store"]["words"]
    assert checks["disk"]["verdict"] in ("ok", "warning")
    assert checks["pipeline"]["verdict"] == "problem"
    assert not program.store.exists()


def test_a_missing_folder_is_a_problem(program: Program) -> None:
    """There is no disk to look at."""
    nowhere = Program(program.store.parent / "no" / "folder" / "research.db")
    assert _checks(nowhere, code=7)["disk"]["verdict"] == "problem"


def test_a_pipeline_that_cannot_be_imported_is_a_problem(program: Program) -> None:
    """The exit code says that there are findings."""
    program("grant", "acme", 5)
    check = _checks(program, "--pipeline", "pipelines:not_callable", code=1)["pipeline"]
    assert check == {
        "check": "pipeline",
        "verdict": "problem",
        "words": "'pipelines:not_callable' is a int, not a function",
    }


def test_a_clock_that_was_set_back_is_a_problem(program: Program) -> None:
    """An event of the future says so; leases and deadlines depend on the clock."""
    store = SQLiteStore(program.store, clock=lambda: wall_clock() + _HOUR)
    Runs(store).grant("acme", 5)
    store.close()
    check = _checks(program, code=1)["clock"]
    assert check["verdict"] == "problem"
    assert "it was set back" in check["words"]


def test_a_clock_before_this_library_is_a_problem(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that woke up in 1970 is told so."""
    program("grant", "acme", 5)
    monkeypatch.setattr("research_fsm.stores.memory.wall_clock", lambda: 1_000_000)
    assert _checks(program, code=1)["clock"]["words"] == "it says 1970-01-01T00:00:01.000000Z: set it"


def test_people_nobody_looks_after_are_a_warning(program: Program) -> None:
    """A run that is overdue for an hour means that no recovery runs; one that waits for a worker does not."""
    store = SQLiteStore(program.store, clock=lambda: wall_clock() - _HOUR)
    runs, outside = Runs(store), Runs(store, Engine(AttemptResult.AMBIGUOUS))
    runs.grant("acme", 5)
    waiting, lost = (
        runs.add("acme", Profile(linkedin_url="linkedin.com/in/ada")).accepted().person_id for _ in range(2)
    )
    runs.start(waiting)
    assert _checks(program)["recovery"]["words"] == "nobody is overdue"
    outside.start(lost)
    store.close()
    checks = _checks(program)
    assert checks["queue"]["words"] == "1 run waits for a worker"
    assert checks["recovery"]["verdict"] == "warning"
    assert checks["recovery"]["words"].startswith("1 person is overdue for more than a minute")
    program("recover")
    assert _checks(program)["recovery"]["verdict"] == "ok"


def test_a_damaged_page_is_a_problem(program: Program) -> None:
    """A file that is not intact is said to be so, by SQLite's own check."""
    program.complete()
    _edit(program, "CREATE TABLE spoiled (x NOT NULL)")
    _edit(program, "INSERT INTO spoiled VALUES (1)")
    _edit(program, "PRAGMA wal_checkpoint(TRUNCATE)")
    spoiled = sqlite3.connect(program.store, isolation_level=None)
    spoiled.execute("PRAGMA writable_schema = ON")
    spoiled.execute(
        "UPDATE sqlite_master SET sql = 'CREATE TABLE spoiled (y NOT NULL, x NOT NULL)' WHERE name = 'spoiled'"
    )
    spoiled.close()
    check = _checks(program, code=1)["integrity"]
    assert check["verdict"] == "problem"


def test_another_journal_mode_is_a_problem_that_the_doctor_leaves_alone(program: Program) -> None:
    """Who writes to the store switches it back; the doctor examines what it found, and asks who is overdue."""
    program.complete()
    _edit(program, "PRAGMA journal_mode = DELETE")
    found = program.store.read_bytes()
    checks = _checks(program, code=1)
    assert checks["journal mode"]["verdict"] == "problem"
    assert checks["journal mode"]["words"].startswith("delete, not wal")
    assert checks["recovery"]["words"] == "nobody is overdue"
    assert program.store.read_bytes() == found
    assert not program.store.with_name("research.db-wal").exists()


def test_an_older_schema_is_a_problem_that_the_doctor_leaves_alone(program: Program) -> None:
    """Whoever opens the store migrates it; the doctor says so first, and does not."""
    program.complete()
    _edit(program, "PRAGMA user_version = 0")
    _edit(program, "PRAGMA wal_checkpoint(TRUNCATE)")
    found = program.store.read_bytes()
    checks = _checks(program, code=1)
    assert checks["schema"]["verdict"] == "problem"
    assert checks["recovery"]["words"] == "not looked at: the store itself has a problem"
    assert "queue" not in checks
    assert program.store.read_bytes() == found


def test_an_empty_database_is_not_made_a_store(program: Program) -> None:
    """Looking makes nothing, not even in a file that has room for it."""
    _edit(program, "PRAGMA user_version = 7")
    found = program.store.read_bytes()
    assert found
    assert _checks(program, code=7)["store"]["verdict"] == "problem"
    assert program.store.read_bytes() == found


def test_problems_are_marked_for_people(program: Program) -> None:
    """Each line has its mark."""
    result = program("doctor")
    assert result.exit_code == 7
    assert "✗ store: " in result.stdout
    assert "✓ Python: " in result.stdout


def test_what_serve_needs_is_looked_for(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """An extra that is not installed is a warning: not everybody serves."""
    program("grant", "acme", 5)
    monkeypatch.setattr(examination, "find_spec", lambda _: None)
    assert _checks(program)["serve"]["words"] == (
        "`serve` needs starlette and uvicorn: pip install 'research-fsm[serve]'"
    )
