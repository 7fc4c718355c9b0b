"""Procrastinate's own workers, as processes, killed and stopped in the middle: each run ends and is charged once."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from research_fsm import Runs
from research_fsm.audit import verify
from research_fsm.stores.postgres import PostgresStore
from tests.postgres.examples import plain, tell
from tests.postgres.jobs import ADA, JOBS, apply_schema
from tests.system.program import killed_in_the_end, until

SERVICE = '''
import os, time
from datetime import timedelta
from pathlib import Path

from procrastinate import App, PsycopgConnector

from research_fsm import Policy, Runs
from research_fsm.dispatchers.procrastinate import Procrastinate, add_tasks
from research_fsm.stores.postgres import PostgresStore

ADDRESS = os.environ["ADDRESS"]
jobs = Procrastinate(queue="research", priority=7)
app = App(connector=PsycopgConnector(conninfo=ADDRESS))

def open_runs():
    """Open the store with short leases."""
    policy = Policy(worker_lease=timedelta(seconds=1), renew_every=timedelta(milliseconds=300))
    return Runs(PostgresStore(ADDRESS, jobs=jobs), policy=policy)

def research(request):
    """Say who is at work, and wait until somebody lets the pipeline go."""
    at_work = Path(os.environ["PYTHONPATH"]) / f"at-work-{os.getpid()}-{request.run_id}"
    at_work.touch()
    while not (at_work.parent / "go").exists():
        time.sleep(0.02)
    return {"done_by": os.getpid()}

add_tasks(app, jobs, open_runs, research, recover_at="* * * * * *")
'''


@pytest.fixture
def runs(address: str, tmp_path: Path) -> Iterator[Runs]:
    """A store whose entries are jobs, and a service beside it."""
    (tmp_path / "service.py").write_text(SERVICE)
    apply_schema(address)
    with PostgresStore(address, jobs=JOBS) as store:
        made = Runs(store)
        made.grant("acme", 100).accepted()
        yield made
        assert list(verify(store)) == []


@contextmanager
def worker(address: str, folder: Path, concurrency: int = 1) -> Iterator["subprocess.Popen[bytes]"]:
    """Run procrastinate's worker while the block runs; it is killed when the block is left."""
    words = ["--app=service.app", "worker", f"--concurrency={concurrency}"]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  # Procrastinate's own program.
            [sys.executable, "-m", "procrastinate", *words],
            stdout=log,
            stderr=log,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), "ADDRESS": address},
        )
    with killed_in_the_end(process):
        yield process


def start(runs: Runs, people: int = 1) -> list[str]:
    """Add people and start them."""
    ids = [runs.add("acme", ADA).accepted().person_id for _ in range(people)]
    for person_id in ids:
        runs.start(person_id).accepted()
    return ids


def statuses(runs: Runs) -> Counter[str]:
    """Count the people by status."""
    return Counter(str(person.status) for person in runs.people("acme").people)


def happened(runs: Runs) -> Counter[str]:
    """Count the log's events by name."""
    return Counter(event.type for event in runs.store.events())


def at_work(folder: Path, mark: str = "at-work-*") -> int:
    """Return how many deliveries have begun."""
    return len(list(folder.glob(mark)))


def test_a_killed_worker_is_taken_over(runs: Runs, address: str, tmp_path: Path) -> None:
    """``kill -9`` in the middle of a run: another worker takes it over as delivery 2, and one credit is gone."""
    start(runs)
    with worker(address, tmp_path) as first:
        until(lambda: at_work(tmp_path) == 1, "the first worker began")
        first.kill()
    (tmp_path / "go").touch()
    with worker(address, tmp_path):
        until(lambda: statuses(runs)["complete"] == 1, "the second worker finished")
    assert (happened(runs)["RunClaimed"], happened(runs)["RunCompleted"]) == (2, 1)
    assert runs.balance("acme").charged == 1


def test_a_stopped_worker_is_taken_over_and_its_report_is_stale(runs: Runs, address: str, tmp_path: Path) -> None:
    """SIGSTOP, a take-over, SIGCONT: what the slow worker reports afterwards changes nothing."""
    (person_id,) = start(runs)
    with worker(address, tmp_path) as slow:
        until(lambda: at_work(tmp_path) == 1, "the first worker began")
        slow.send_signal(signal.SIGSTOP)
        with worker(address, tmp_path):
            until(lambda: at_work(tmp_path) == 2, "the second worker began")
            (tmp_path / "go").touch()
            until(lambda: statuses(runs)["complete"] == 1, "the second worker finished")
        report = runs.report(person_id)
        slow.send_signal(signal.SIGCONT)
        slow.send_signal(signal.SIGTERM)
        assert slow.wait(60) == 0
    assert runs.report(person_id) == report
    assert (happened(runs)["RunCompleted"], runs.balance("acme").charged) == (1, 1)


def test_workers_that_are_killed_again_and_again(runs: Runs, address: str, tmp_path: Path) -> None:
    """Forty runs, two workers, one of which is killed three times with runs in its hands, and the tables emptied."""
    start(runs, 40)
    with worker(address, tmp_path, concurrency=4):
        for _time in range(3):
            with worker(address, tmp_path, concurrency=4) as doomed:
                until(lambda mark=f"at-work-{doomed.pid}-*": at_work(tmp_path, mark) == 4, "its hands are full")  # type: ignore[misc]  # Bound.
                doomed.kill()
        with plain(address) as client:
            tell(client, f"DELETE FROM procrastinate_jobs WHERE task_name = '{JOBS.task}'")  # noqa: S608  # Ours.
        (tmp_path / "go").touch()
        until(lambda: statuses(runs)["complete"] == 40, "every run is complete")
    kinds = happened(runs)
    assert (kinds["RunStarted"], kinds["RunCompleted"], kinds["RunFailed"]) == (40, 40, 0)
    assert kinds["RunClaimed"] >= 40 + 12
    assert (runs.balance("acme").charged, runs.balance("acme").held) == (40, 0)
