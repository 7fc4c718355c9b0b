"""The command line on a PostgreSQL store: the same commands, another ``--store``."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import research_fsm
from research_fsm.cli import cli, examination_server
from research_fsm.cli.session import Session
from research_fsm.stores.postgres_schema import grants
from research_fsm.testing.postgres import PostgresServer
from research_fsm.testing.simulate import simulate
from tests.postgres.examples import plain, tell


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that flushes, as the doctor wants it."""
    with PostgresServer() as running:
        yield running


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


def test_every_command_works_on_a_server(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, in one life; a command that is new is to be tried here, too."""
    (tmp_path / "pg_lives.py").write_text("def research(job):\n    return {'found': 1}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    store = f"{address}?schema=lives"
    told(store, "grant", "acme", "5", "--grant-id", "g")
    told(store, "grant", "acme", "5", "--grant-id", "wrong")
    person = told(store, "add", "acme", "--linkedin-url", "https://linkedin.com/in/ada")["id"]
    told(store, "start", person, "--key", "k")
    assert (
        CliRunner().invoke(cli, ["--store", store, "work", "--pipeline", "pg_lives:research", "--drain"]).exit_code == 0
    )
    told(store, "checkpoint", "key", "key")
    (tmp_path / "cp").write_text(told(store, "checkpoint", "make", "--key", "key")["checkpoint"])
    token = told(store, "token", "create", "acme")["token_id"]
    calls = {
        "revoke": ("acme", "wrong"),
        "balance": ("acme", "--position", "1"),
        "list": ("acme",),
        "status": (person,),
        "report": (person,),
        "history": (person,),
        "explain": (person,),
        "mark-stale": (person,),
        "recover": (),
        "token": ("revoke", token),
        "verify": ("--checkpoint", "cp", "--key", "key.pub"),
        "checkpoint": ("check", "cp", "--key", "key.pub"),
        "export": ("log.jsonl",),
        "page": ("--html", "page.html"),
        "compare": ("--with", str(Path(research_fsm.__file__).parents[1])),
        "views": ("--out", "views.db"),
        "doctor": ("--pipeline", "pg_lives:research"),
        "erase": (person,),
    }
    for name, words in calls.items():
        told(store, name, *words)
    followed = CliRunner().invoke(cli, ["--store", store, "follow", "--quiet-for", "10ms"])
    with plain(address) as client:
        assert [(len(followed.stdout.splitlines()),)] == tell(client, "SELECT count(*) FROM lives.events")
    elsewhere = {"grant", "add", "start", "work", "follow", "serve", "backup", "import-log", "simulate", "demo"}
    assert set(calls) | elsewhere == set(cli.list_commands(click.Context(cli)))


def test_looking_makes_no_store(address: str) -> None:
    """On a database without one the program says so, and the database stays as it was."""
    assert "no store" in told(address, "balance", "acme", code=7)["problem"]
    with plain(address) as client:
        assert tell(client, "SELECT to_regnamespace('research_fsm')") == [(None,)]


def test_a_backup_is_postgresqls_own(address: str, tmp_path: Path) -> None:
    """The program says how, with the schema and without the password."""
    store = address.replace("postgres@", "postgres:secret@") + "?schema=mine"
    problem = told(store, "backup", str(tmp_path / "copy.dump"), code=2)["problem"]
    assert f"pg_dump --format=custom --schema=mine --file={tmp_path / 'copy.dump'} {address};" in problem
    assert list(tmp_path.iterdir()) == []


def test_a_log_on_a_server_is_verified_and_exported(address: str, tmp_path: Path) -> None:
    """From one point in time; the export makes a file that verifies by itself, and a store wherever one is wanted."""
    told(address, "grant", "acme", "1")
    told(address, "add", "acme", "--linkedin-url", "https://linkedin.com/in/ada")
    assert told(address, "verify")["findings"] == []
    file = str(tmp_path / "log.jsonl")
    told(address, "export", file, "--with-documents")
    copy = str(tmp_path / "copy.db")
    made = told(copy, "import-log", file)
    assert made["events"] == 2
    moved = f"{address}?schema=moved"
    assert told(moved, "import-log", file) == {**made, "store": moved}
    assert told(moved, "verify")["findings"] == []
    assert told(moved, "balance", "acme")["available"] == 1


def test_an_import_mixes_with_nothing_and_leaves_nothing_behind(address: str, tmp_path: Path) -> None:
    """A schema that is there stays as it is, and one that was made for a file that is no log is gone again."""
    told(address, "grant", "acme", "1")
    file = tmp_path / "log.jsonl"
    told(address, "export", str(file))
    assert "research_fsm already" in told(address, "import-log", str(file), code=2)["problem"]
    assert told(address, "balance", "acme")["available"] == 1
    file.write_text(file.read_text().replace("CreditsGranted", "CreditsRevoked"))
    assert told(f"{address}?schema=damaged", "import-log", str(file), code=7)["error"] == "store_error"
    with plain(address) as client:
        assert tell(client, "SELECT to_regnamespace('damaged')") == [(None,)]


def test_pages_and_views_are_made_of_a_store_on_a_server(address: str, tmp_path: Path) -> None:
    """The page shows it, and plain SQL over the copy says what plain SQL over the database says."""
    store = f"{address}?schema=mine"
    told(store, "grant", "acme", "2")
    person = told(store, "add", "acme", "--linkedin-url", "https://linkedin.com/in/ada")["id"]
    told(store, "start", person)
    page, copy = tmp_path / "page.html", tmp_path / "copy.db"
    assert told(store, "page", "--html", str(page)) == {"page": str(page), "findings": 0}
    assert person in page.read_text(encoding="utf-8")
    told(store, "views", "--out", str(copy))
    rows = "SELECT position, stream, version, type, schema, at, data, meta, hash FROM {}events ORDER BY position"
    heads = "SELECT * FROM {}heads ORDER BY stream"
    with closing(sqlite3.connect(copy)) as connection, plain(address) as client:
        for query in (rows, heads):
            assert connection.execute(query.format("")).fetchall() == tell(client, query.format("mine."))
        assert connection.execute("SELECT status, owner FROM people").fetchall() == [("running", "acme")]
        assert connection.execute("SELECT available FROM accounts").fetchall() == [(1,)]
    assert b"linkedin.com/in/ada" not in copy.read_bytes()


def test_a_world_is_simulated_on_a_server(address: str) -> None:
    """The same one as in memory; its schema goes again, and without a server nothing is begun."""
    found = told(address, "simulate", "--on", "postgres", "--seed", "2", "--seeds", "2")
    assert found["runs"] == sum(simulate(seed).coverage.runs for seed in (2, 3))
    with plain(address) as client:
        assert tell(client, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'research_fsm%'") == []
    assert "--store postgresql://" in told("research.db", "simulate", "--on", "postgres", code=2)["problem"]


# --- the doctor --------------------------------------------------------------------------------------------------


def checks(store: str, code: int = 0) -> dict[str, tuple[str, str]]:
    """Ask the doctor, and return verdict and words of each check."""
    return {check["check"]: (check["verdict"], check["words"]) for check in told(store, "doctor", code=code)}


def test_the_doctor_looks_at_the_server_and_changes_nothing(address: str) -> None:
    """Everything that the store relies on, by name; nothing of this machine's disk or SQLite."""
    told(address, "grant", "acme", "1")
    found = checks(address)
    assert list(found) == [
        "research-fsm",
        "Python",
        "serve",
        "server",
        "pooler",
        "durability",
        "connections",
        "transactions",
        "store",
        "rights",
        "schema",
        "log",
        "clock",
        "queue",
        "recovery",
    ]
    assert {name for name, (verdict, _) in found.items() if verdict != "ok"} == set()
    assert found["pooler"] == ("ok", "none: statements are prepared")


def test_the_doctor_makes_no_store(address: str) -> None:
    """Where there is none the server is looked at all the same, and the exit code is the store's."""
    found = checks(address, code=7)
    assert "there is no store in the schema" in found["store"][1]
    assert found["durability"][0] == "ok"
    with plain(address) as client:
        assert tell(client, "SELECT to_regnamespace('research_fsm')") == [(None,)]


def test_a_server_that_is_not_there_is_a_problem_of_the_store() -> None:
    """With the address, and without the password."""
    verdict, words = checks("postgresql://me:secret@127.0.0.1:1/nowhere", code=7)["store"]
    assert verdict == "problem"
    assert "127.0.0.1:1/nowhere" in words
    assert "secret" not in words


@pytest.mark.parametrize(
    ("statement", "check", "words", "recovery"),
    [
        (
            "ALTER TABLE research_fsm.events DISABLE TRIGGER events_no_change",
            "log",
            "events_no_change is missing",
            "ok",
        ),
        (
            "ALTER TABLE research_fsm.events ENABLE TRIGGER events_no_truncate",
            "log",
            "events_no_truncate is missing",
            "ok",
        ),
        ("UPDATE research_fsm.settings SET value = '0' WHERE name = 'schema'", "schema", "migrates it", "warning"),
    ],
)
def test_what_was_done_to_the_tables_is_a_problem(
    address: str, statement: str, check: str, words: str, recovery: str
) -> None:
    """The doctor says so, and looks at who is overdue if the tables are the ones that it knows."""
    told(address, "grant", "acme", "1")
    with plain(address) as client:
        tell(client, statement)
    found = checks(address, code=1)
    assert found[check][0] == "problem"
    assert words in found[check][1]
    assert found["recovery"][0] == recovery


def test_a_role_that_lacks_something_is_told_what(address: str) -> None:
    """By the names of the rights, and of the schema first."""
    told(address, "grant", "acme", "1")
    role = f"r{address[-16:]}"
    limited = address.replace("postgres@", f"{role}@")
    with plain(address) as client:
        tell(client, f"CREATE ROLE {role} LOGIN")
        assert "lacks the schema USAGE" in checks(limited, code=1)["rights"][1]
        tell(client, grants(role) + f"REVOKE UPDATE ON research_fsm.heads, research_fsm.queue FROM {role}")
        assert "lacks heads UPDATE, queue UPDATE:" in checks(limited, code=1)["rights"][1]
        tell(client, grants(role))
        assert checks(limited)["rights"] == ("ok", "this role may do what is needed")
        tell(client, f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_transaction_that_somebody_keeps_open_is_a_warning(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, so that it can be ended."""
    told(address, "grant", "acme", "1")
    monkeypatch.setattr(examination_server, "_OPEN", examination_server._OPEN.replace(">= 60", ">= 0"))
    with plain(f"{address}?application_name=forgotten") as client:
        tell(client, "BEGIN")
        verdict, words = checks(address)["transactions"]
        assert verdict == "warning"
        assert "(forgotten) has kept one open for" in words


# --- the address -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("balance", "acme"), ("grant", "acme", "1"), ("verify",), ("doctor",), ("demo",)])
def test_an_address_of_another_kind_is_refused(words: tuple[str, ...]) -> None:
    """It is not taken for a file, whose name would be shown with the password in it."""
    store = "postgresql+psycopg://me:secret@host/app"
    done = CliRunner().invoke(cli, ["--store", store, *words])
    assert done.exit_code == 2
    assert "begins with postgresql://" in done.output
    assert "secret" not in done.output


@pytest.mark.parametrize(
    ("store", "shown"),
    [
        ("research.db", "research.db"),
        ("postgresql://me:secret@host:5432/app?password=secret", "postgresql://me@host:5432/app"),
        ("postgres://host/app", "postgres://host/app"),
    ],
)
def test_a_password_is_not_shown(store: str, shown: str) -> None:
    """Messages name the database, and not what opens it."""
    assert Session(store).place == shown
