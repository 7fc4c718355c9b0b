"""The demonstration on a PostgreSQL server: the same acts, with the same kill -9, in a schema of its own."""

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


def test_every_promise_holds_and_what_it_says_to_type_works(
    server: PostgresServer, address: str, tmp_path: Path
) -> None:
    """By the owner of a database, in a schema that is kept until the last command; the password is nowhere shown."""
    role, database = f"r{address[-16:]}", address.rpartition("/")[2]
    with plain(address) as client:
        tell(client, f"CREATE ROLE {role} LOGIN; ALTER DATABASE {database} OWNER TO {role}")
    done = subprocess.run(  # noqa: S603  # Our own program.
        (sys.executable, "-m", "research_fsm", "demo", "--store", address.replace("postgres@", f"{role}:hush@")),
        capture_output=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONIOENCODING": "utf-8"},
        check=False,
        timeout=SECONDS,
        encoding="utf-8",
    )
    assert f"{len(STATEMENTS)} of {len(STATEMENTS)} promises held" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")
    with plain(address) as client:
        ((schema,),) = tell(client, SCHEMAS)
    store = f"{address.replace('postgres@', f'{role}@')}?schema={schema}"
    with PostgresStore(store) as opened:
        assert list(audit.verify(opened)) == []
        balance = Runs(opened).balance(OWNER)
        assert (balance.granted, balance.charged, balance.available, balance.held) == (10, 9, 1, 0)
    logs = [log.read_text() for log in tmp_path.rglob("*.log")]
    assert len(logs) >= 6
    assert not any("hush" in text for text in (done.stdout, *logs))
    commands = [line.strip().removeprefix("uv run ") for line in done.stdout.splitlines() if line.startswith("    ")]
    assert f"research-fsm verify --store '{store}'" in commands
    assert re.search(r"RunStarted +\| +10 \|", _typed(server, commands, "select type"))
    assert "DROP SCHEMA" in _typed(server, commands, "drop schema")
    with plain(address) as client:
        assert tell(client, SCHEMAS) == []
        tell(client, f"ALTER DATABASE {database} OWNER TO postgres; DROP ROLE {role}")
    assert list(tmp_path.iterdir()) == []


def _typed(server: PostgresServer, commands: list[str], words: str) -> str:
    """Type the command with these words, as people would, and return what it says."""
    (command,) = (command for command in commands if words in command)
    env = {**os.environ, "PATH": f"{server._programs}:{os.environ['PATH']}"}
    return subprocess.run(["bash", "-c", command], env=env, check=True, capture_output=True, text=True).stdout  # noqa: S603, S607  # What we say to type.


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
