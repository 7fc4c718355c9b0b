"""The whole demonstration, with its real processes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from research_fsm import Runs, audit
from research_fsm.demo import demo_command, recount
from research_fsm.demo.promises import STATEMENTS
from research_fsm.demo.stage import OWNER, Stage
from research_fsm.stores.sqlite import SQLiteStore

PROGRAM = (sys.executable, "-m", "research_fsm", "demo")
SECONDS = 60.0
COLOURS = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS")


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which temporary folders are made below this one."""
    kept = {name: value for name, value in os.environ.items() if name not in COLOURS}
    return {**kept, "TMPDIR": str(folder), "PYTHONIOENCODING": "utf-8"}


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of living processes that name a folder."""
    if Path("/proc/self/cmdline").exists():
        return [words for words in map(_words, Path("/proc").glob("[0-9]*/cmdline")) if str(folder) in words]
    listed = subprocess.run(  # noqa: S603  # Wherever this system has it, with arguments of our own.
        (shutil.which("ps") or "/bin/ps", "-axww", "-o", "command="), capture_output=True, text=True, check=True
    )
    return [words for words in listed.stdout.splitlines() if str(folder) in words]


def _words(cmdline: Path) -> str:
    try:
        return cmdline.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:  # It ended meanwhile.
        return ""


def is_alive(pid: int) -> bool:
    """Tell whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_every_promise_holds(tmp_path: Path) -> None:
    """One command, JSON alone on standard output, exit code 0, in time; and the store says so to others, too."""
    done = subprocess.run(  # noqa: S603  # Our own program.
        (*PROGRAM, "--json"), capture_output=True, env=environment(tmp_path), check=False, timeout=SECONDS
    )
    summary: dict[str, Any] = json.loads(done.stdout)
    assert [check for check in summary["checks"] if not check["held"]] == []
    assert (summary["held"], summary["failure"], done.returncode, done.stderr) == (True, None, 0, b"")
    assert {check["name"] for check in summary["checks"]} == set(STATEMENTS)
    assert summary["seconds"] < SECONDS
    assert processes_of(tmp_path) == []
    with SQLiteStore(summary["store"]) as store:
        assert list(audit.verify(store)) == []
        balance = Runs(store).balance(OWNER)
        assert (balance.granted, balance.charged, balance.available, balance.held) == (10, 9, 1, 0)


def test_a_recount_that_disagrees_is_a_broken_promise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One event too many in the plain SQL: exit code 1, and what was expected and seen is shown; in plain text."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in COLOURS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(recount, "TALLY", recount.TALLY.replace("count(*)", "count(*) + (type = 'RunStarted')"))
    result = CliRunner().invoke(demo_command, catch_exceptions=False)
    assert result.exit_code == 1
    assert f"{len(STATEMENTS) - 1} of {len(STATEMENTS)} promises held" in result.stdout
    assert "✗ recount_agrees" in result.stdout
    assert re.search(r"expected .*'runs started': 10\b", result.stdout)
    assert re.search(r"saw .*'runs started': 11\b", result.stdout)
    assert "\x1b" not in result.stdout
    assert len(re.findall(r"^ +\d+\.\d ms  process \d+ caller +\d+  ", result.stdout, re.MULTILINE)) == 64
    assert "Look for yourself" in result.stdout
    assert processes_of(tmp_path) == []


def test_a_server_that_does_not_start_is_shown_with_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1, at once, with the reason; no promise is claimed that nobody looked at."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    broken = (sys.executable, "-c", "raise SystemExit('the port is taken')")
    monkeypatch.setattr(Stage, "_program", lambda *_: broken)
    result = CliRunner().invoke(demo_command, catch_exceptions=False)
    assert result.exit_code == 1
    assert "server should listen: server ended with 1\nthe port is taken" in result.stdout
    assert f"0 of {len(STATEMENTS)} promises held" in result.stdout
    assert "Look for yourself" not in result.stdout


@pytest.mark.parametrize(
    ("signum", "moment"),
    [
        (signal.SIGINT, "This is what they left behind"),
        (signal.SIGTERM, " ms  process"),
        (signal.SIGINT, "1  64 callers"),
    ],
    ids=["between two lives", "during the race", "while it starts"],
)
def test_whoever_stops_it_leaves_nothing_behind(tmp_path: Path, signum: signal.Signals, moment: str) -> None:
    """Ctrl-C or SIGTERM, at any moment: every process and every file of it is gone, and the exit code says why."""
    with subprocess.Popen(  # noqa: S603  # Our own program.
        PROGRAM, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as demo:
        watchdog = threading.Timer(SECONDS, demo.kill)  # Only so that a demonstration that hangs fails the test.
        watchdog.start()
        assert demo.stdout is not None
        assert demo.stderr is not None
        seen = ""
        while moment not in seen:
            line = demo.stdout.readline()
            assert line, seen
            seen += line
        demo.send_signal(signum)
        seen += demo.stdout.read()
        said = demo.stderr.read()
        watchdog.cancel()
    assert demo.returncode == 128 + signum
    assert "nothing is left running" in said
    assert "Traceback" not in said
    assert processes_of(tmp_path) == []
    pids = {
        int(pid) for words in re.findall(r"process(?:es)?\s+([\d,\s]+\d)", seen) for pid in re.findall(r"\d+", words)
    }
    assert [pid for pid in pids if is_alive(pid)] == []
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_away_ends_it_like_any_program(tmp_path: Path) -> None:
    """As ``demo | head`` does: 128 and SIGPIPE, because no promise was broken; nothing is left behind."""
    with subprocess.Popen(  # noqa: S603  # Our own program.
        PROGRAM, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.readline()
        program.stdout.close()
        said = program.stderr.read()
        assert program.wait(SECONDS) == 128 + signal.SIGPIPE
    assert b"Traceback" not in said
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []
