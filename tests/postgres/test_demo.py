"""The demonstration on a PostgreSQL server: the same acts, with the same kill -9, in a schema of its own."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from research_fsm import Runs, audit
from research_fsm.cli import cli
from research_fsm.demo.promises import STATEMENTS
from research_fsm.demo.stage import OWNER
from research_fsm.stores.postgres import PostgresStore
from research_fsm.testing.postgres import PostgresServer
from tests.postgres.examples import plain, tell

SCHEMAS = "SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|public)'"
SECONDS = 90.0


def test_every_promise_holds(address: str, tmp_path: Path) -> None:
    """Exit code 0, in a schema that is kept and looked at by others; and the password is nowhere to be seen."""
    named = address.replace("postgres@", "postgres:hush@")
    done = subprocess.run(  # noqa: S603  # Our own program.
        (sys.executable, "-m", "research_fsm", "demo", "--json", "--store", named),
        capture_output=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        check=False,
        timeout=SECONDS,
    )
    summary = json.loads(done.stdout)
    assert [check for check in summary["checks"] if not check["held"]] == []
    assert (summary["held"], summary["failure"], done.returncode, done.stderr) == (True, None, 0, b"")
    assert {check["name"] for check in summary["checks"]} == set(STATEMENTS)
    with plain(address) as client:
        assert [f"{address}?schema={name}" for (name,) in tell(client, SCHEMAS)] == [summary["store"]]
    with PostgresStore(summary["store"]) as store:
        assert list(audit.verify(store)) == []
        balance = Runs(store).balance(OWNER)
        assert (balance.granted, balance.charged, balance.available, balance.held) == (10, 9, 1, 0)
    logs = [log.read_text() for log in tmp_path.rglob("*.log")]
    assert len(logs) >= 6
    assert not any("hush" in log for log in logs)


def test_it_says_what_to_look_at_and_how_to_drop_the_schema(
    server: PostgresServer, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands that can be copied, down to the last one; the owner of a database is enough to play in it."""
    role = f"r{address[-16:]}"
    limited = address.replace("postgres@", f"{role}@")
    with plain(address) as client:
        tell(client, f"CREATE ROLE {role} LOGIN; ALTER DATABASE {address.rpartition('/')[2]} OWNER TO {role}")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = CliRunner().invoke(cli, ["--store", f"{limited}?schema=mine", "demo"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    commands = [line.strip() for line in done.stdout.splitlines() if line.startswith("    ")]
    assert any(f"research-fsm verify --store '{limited}?schema=mine'" in command for command in commands)
    (tally,) = [command for command in commands if "select type, count(*)" in command]
    (removal,) = [command for command in commands if "drop schema" in command]
    env = {**os.environ, "PATH": f"{server._programs}:{os.environ['PATH']}"}
    for command in (tally.removeprefix("uv run "), removal):
        said = subprocess.run(["bash", "-c", command], env=env, check=True, capture_output=True, text=True).stdout  # noqa: S603, S607  # What people are told to type.
        assert re.search(r"RunStarted +\| +10 \|" if command is not removal else "DROP SCHEMA", said)
    with plain(address) as client:
        assert tell(client, SCHEMAS) == []
        tell(client, f"ALTER DATABASE {address.rpartition('/')[2]} OWNER TO postgres; DROP ROLE {role}")
    assert list(tmp_path.iterdir()) == []


def test_a_schema_that_is_there_is_refused(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A demonstration never touches a store that somebody has; nothing is left of it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = f"{address}?schema=precious"
    with PostgresStore(store) as opened:
        Runs(opened).grant("acme", 1)
        done = CliRunner().invoke(cli, ["demo", "--store", store], catch_exceptions=False)
        assert done.exit_code == 2
        assert "there is a schema precious already" in done.stderr
        assert len(list(opened.events())) == 1
    assert list(tmp_path.iterdir()) == []


def test_whoever_stops_it_leaves_nothing_behind(address: str, tmp_path: Path) -> None:
    """In the middle of the third act: the schema is gone with the processes and the logs."""
    with subprocess.Popen(  # noqa: S603  # Our own program.
        (sys.executable, "-m", "research_fsm", "demo", "--store", address),
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        seen = ""
        while "This is what they left behind" not in seen:
            line = demo.stdout.readline()
            assert line, seen
            seen += line
        demo.send_signal(signal.SIGINT)
        demo.stdout.read()
        said = demo.stderr.read()
    assert demo.returncode == 128 + signal.SIGINT
    assert "nothing is left running" in said
    assert "Traceback" not in said
    with plain(address) as client:
        assert tell(client, SCHEMAS) == []
    assert list(tmp_path.iterdir()) == []
