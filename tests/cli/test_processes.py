"""The program as processes: signals, kill -9, closed pipes, a port that is really listened to.

Nothing here waits for a time to pass: it waits for something to be seen, and gives up after a bounded time.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from research_fsm import Profile, RecoveryPass, Runs, StoreBusy
from research_fsm.cli.running import recovering
from research_fsm.cli.together import Task, side_by_side
from tests.cli.conftest import PATIENCE_SECONDS, Program, Spawn
from tests.cli.processes import ended, phase, queued, until

# --- workers -----------------------------------------------------------------------------------------------------


def test_a_killed_worker_is_taken_over_and_the_run_is_charged_once(
    program: Program, spawn: Spawn, tmp_path: Path
) -> None:
    """After kill -9 the next worker has the run under the next delivery; nothing is lost, nothing charged twice."""
    person_id = queued(program)
    leases = ("--worker-lease", "600ms", "--renew-every", "100ms")
    first = spawn("work", "--pipeline", "pipelines:patient", *leases)
    until((tmp_path / "at-work").exists)
    first.kill()
    assert ended(first)[0] == -signal.SIGKILL
    assert phase(program, person_id) == "executing"
    (tmp_path / "go").touch()
    second = spawn("work", "--pipeline", "pipelines:patient", *leases)
    until(lambda: phase(program, person_id) == "complete")
    second.terminate()
    assert ended(second)[0] == 0
    claims = [
        event["data"]["delivery"] for event in program.json("history", person_id) if event["type"] == "RunClaimed"
    ]
    assert claims == [1, 2]
    assert program.json("balance", "acme")["charged"] == 1
    assert program.json("verify")["findings"] == []


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_asked_to_stop_finishes_its_run(
    program: Program, spawn: Spawn, tmp_path: Path, signum: signal.Signals
) -> None:
    """The first signal lets the run at work come to its end, takes no other one, and ends with 0."""
    person_id, waiting = queued(program), queued(program)
    worker = spawn("work", "--pipeline", "pipelines:patient")
    until((tmp_path / "at-work").exists)
    worker.send_signal(signum)
    (tmp_path / "go").touch()
    code, stdout, stderr = ended(worker)
    assert (code, stdout) == (0, "")
    assert "is complete: report 1" in stderr
    assert phase(program, person_id) == "complete"
    assert phase(program, waiting) in ("queued", "complete")


def test_a_second_signal_ends_a_worker_at_once(program: Program, spawn: Spawn, tmp_path: Path) -> None:
    """Whoever insists is obeyed, though the pipeline never returns; the run waits for another worker."""
    person_id = queued(program)
    worker = spawn("work", "--pipeline", "pipelines:patient")
    until((tmp_path / "at-work").exists)

    def gone() -> bool:
        worker.terminate()
        return worker.poll() is not None

    until(gone)
    assert worker.returncode == 128 + signal.SIGTERM
    assert phase(program, person_id) == "executing"


def test_several_workers_drain_the_queue(program: Program) -> None:
    """Each run is done once, whoever takes it, and the program ends when nothing waits any more."""
    people = [queued(program) for _ in range(6)]
    assert program("work", "--pipeline", "pipelines:research", "--workers", 3, "--drain").exit_code == 0
    assert [phase(program, person_id) for person_id in people] == ["complete"] * 6
    assert all(program.json("status", person_id)["reports"] == 1 for person_id in people)


def test_recovery_is_repeated_until_it_is_asked_to_stop(program: Program, spawn: Spawn) -> None:
    """With --json each pass is a line; SIGTERM ends it with 0."""
    program("grant", "acme", 5)
    process = spawn("recover", "--every", "10ms", "--json")
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    process.terminate()
    assert ended(process)[0] == 0
    assert [json.loads(line) for line in lines] == [{"recovered": [], "errors": []}] * 2


def test_recovery_goes_on_after_a_pass_that_failed(
    program: Program, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that is away for a moment is logged, a person who cannot be looked at too, and the next pass comes."""
    error = StoreBusy("research.db", "somebody has it")
    passes: Iterator[RecoveryPass | Exception] = iter([error, RecoveryPass((), (("p", error),)), RecoveryPass((), ())])
    told: list[RecoveryPass] = []
    stop = threading.Event()

    def recover(_: Runs) -> RecoveryPass:
        done = next(passes)
        if isinstance(done, Exception):
            raise done
        return done

    def tell(done: RecoveryPass) -> None:
        told.append(done)
        if not done.errors:
            stop.set()

    monkeypatch.setattr(Runs, "recover", recover)
    with program.runs() as runs:
        recovering(runs, timedelta(milliseconds=1), tell)(stop)
    assert [len(done.errors) for done in told] == [1, 0]
    assert [record.getMessage() for record in caplog.records] == [
        "a recovery pass failed; the next one comes in 0:00:00.001000",
        "person p could not be recovered: research.db: somebody has it",
    ]


# --- pipes -------------------------------------------------------------------------------------------------------


def test_a_reader_that_goes_away_changes_neither_the_exit_code_nor_standard_error(
    program: Program, spawn: Spawn
) -> None:
    """``list OWNER | head -1`` is quiet, though there is far more to print than a pipe holds."""
    profile = Profile(first_name="A" * 500, last_name="B" * 500, company="C" * 500)
    with program.runs() as runs:
        for _ in range(60):
            runs.add("acme", profile)
    for words in (("list", "acme"), ("list", "acme", "--json")):
        process = spawn(*words)
        assert process.stdout is not None
        assert process.stdout.read(1)
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(PATIENCE_SECONDS) == 0


def test_a_follower_hears_what_others_write_and_ends_with_its_reader(program: Program, spawn: Spawn) -> None:
    """``follow | head`` gets a line for what another process writes; when the reader goes away, it ends."""
    program("grant", "acme", 5, "--grant-id", "first")
    process = spawn("follow")
    assert process.stdout is not None
    assert "credits granted (first)" in process.stdout.readline()
    program("grant", "acme", 6, "--grant-id", "second")
    assert "credits granted (second)" in process.stdout.readline()
    process.stdout.close()
    program("grant", "acme", 7)
    assert process.wait(PATIENCE_SECONDS) == 0


def test_findings_are_findings_though_nobody_reads_them(program: Program, tmp_path: Path) -> None:
    """The exit code of verify does not depend on who listens."""
    program.complete()
    with sqlite3.connect(program.store) as edited:
        edited.execute("DROP TRIGGER events_no_update")
        edited.execute("UPDATE events SET at = at + 1")
    edited.close()
    reading, writing = os.pipe()
    os.close(reading)
    called = [sys.executable, "-m", "research_fsm", "--store", str(program.store), "verify"]
    done = subprocess.run(called, cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, check=False)  # noqa: S603  # Our own interpreter.
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_terminal_that_knows_few_letters_still_gets_its_output(program: Program, tmp_path: Path) -> None:
    """What it cannot show is escaped; JSON stays JSON."""
    program("add", "acme", "--first-name", "Łucja", "--last-name", "x", "--company", "y")
    env = {**os.environ, "PYTHONIOENCODING": "iso8859-15"}
    called = [sys.executable, "-m", "research_fsm", "--store", str(program.store), "list", "acme"]
    plain = subprocess.run(called, cwd=tmp_path, env=env, capture_output=True, check=True)  # noqa: S603  # Our own interpreter.
    assert b"\\u0141ucja" in plain.stdout
    told = subprocess.run([*called, "--json"], cwd=tmp_path, env=env, capture_output=True, check=True)  # noqa: S603  # Our own interpreter.
    assert json.loads(told.stdout)[0]["first_name"] == "Łucja"


# --- tasks -------------------------------------------------------------------------------------------------------


def test_a_task_that_fails_stops_the_others_and_is_raised() -> None:
    """No process goes on with half of what it is for."""
    stopped = []

    def failing(_: object) -> None:
        raise RuntimeError("no more")

    def lasting(stop: Any) -> None:  # noqa: ANN401  # An event.
        stopped.append(stop.wait(PATIENCE_SECONDS))

    tasks: dict[str, Task] = {"lasting": lasting, "failing": failing}
    with pytest.raises(RuntimeError, match="no more"):
        side_by_side(tasks)
    assert stopped == [True]


def test_signals_are_given_back() -> None:
    """Whoever called gets the handlers back that were there."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    side_by_side({"nothing": lambda _: None})
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_process_that_a_pipeline_forks_can_be_terminated(program: Program, tmp_path: Path) -> None:
    """The child of a fork does not keep the handlers of a program that reads its news."""
    (tmp_path / "forking.py").write_text(
        "import os, signal, time\n"
        "def run(request):\n"
        "    reading, writing = os.pipe()\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        os.write(writing, b'!')\n"
        "        signal.alarm(60)\n"
        "        while True:\n"
        "            time.sleep(0.01)\n"
        "    os.read(reading, 1)\n"  # Python forgets a signal that comes while the fork is not yet over.
        "    os.kill(child, signal.SIGTERM)\n"
        "    return {'status': os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n"
    )
    person_id = queued(program)
    called = [sys.executable, "-m", "research_fsm", "--store", str(program.store)]
    called += ["work", "--pipeline", "forking:run", "--drain"]
    subprocess.run(called, cwd=tmp_path, capture_output=True, check=True, timeout=PATIENCE_SECONDS)  # noqa: S603  # Our own interpreter.
    assert program.json("report", person_id)["content"] == {"status": -signal.SIGTERM}
