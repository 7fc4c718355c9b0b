"""The command line on a PostgreSQL store: the same commands, another ``--store``."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from research_fsm.cli import cli
from research_fsm.cli.session import Session
from tests.postgres.examples import plain, tell


def told(store: str, *words: str, code: int = 0) -> Any:  # noqa: ANN401  # JSON can be anything.
    """Run the program, and return what standard output says."""
    done = CliRunner().invoke(cli, ["--store", store, "--json", *words], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def test_the_whole_job_on_a_server(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Granted, added, started, worked on, and read, by a program that was only given another address."""
    (tmp_path / "pg_pipelines.py").write_text("def research(job):\n    return {'found': 1}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    told(address, "grant", "acme", "2")
    person = told(address, "add", "acme", "--linkedin-url", "https://linkedin.com/in/ada")["id"]
    assert told(address, "start", person)["outcome"] == "queued"
    assert told(address, "start", person, code=3)["error"] == "already_running"
    worked = CliRunner().invoke(cli, ["--store", address, "work", "--pipeline", "pg_pipelines:research", "--drain"])
    assert worked.exit_code == 0, worked.output
    assert told(address, "status", person)["status"] == "complete"
    assert told(address, "balance", "acme")["available"] == 1


def test_looking_makes_no_store(address: str) -> None:
    """On a database without one the program says so, and the database stays as it was."""
    assert "no store" in told(address, "balance", "acme", code=7)["problem"]
    with plain(address) as client:
        assert tell(client, "SELECT to_regnamespace('research_fsm')") == [(None,)]


def test_a_command_that_works_on_files_says_so(address: str, tmp_path: Path) -> None:
    """And names what to use instead."""
    told(address, "grant", "acme", "1")
    assert "PostgreSQL's own" in told(address, "backup", str(tmp_path / "copy.db"), code=2)["problem"]
    assert not (tmp_path / "copy.db").exists()


def test_a_log_on_a_server_is_verified_and_exported(address: str, tmp_path: Path) -> None:
    """From one point in time; the export makes a file that verifies by itself, and import-log makes files alone."""
    told(address, "grant", "acme", "1")
    told(address, "add", "acme", "--linkedin-url", "https://linkedin.com/in/ada")
    assert told(address, "verify") == []
    file = str(tmp_path / "log.jsonl")
    told(address, "export", file)
    copy = str(tmp_path / "copy.db")
    assert told(copy, "import-log", file)["events"] == 2
    assert "makes a file" in told(address, "import-log", file, code=2)["problem"]


@pytest.mark.parametrize(
    ("store", "shown"),
    [
        ("research.db", "research.db"),
        ("postgresql://me:secret@host:5432/app?sslmode=require", "postgresql://me@host:5432/app"),
        ("postgres://host/app", "postgres://host/app"),
    ],
)
def test_a_password_is_not_shown(store: str, shown: str) -> None:
    """Messages name the database, and not what opens it."""
    assert Session(store).place == shown
