"""Workers that are killed, stopped and continued: neither a run nor a credit is lost, and an outcome counts once."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from research_fsm import PersonDetails, Policy, Profile, Runs
from research_fsm.audit import verify
from research_fsm.stores.sqlite import SQLiteStore
from tests.system.program import LEASES, until, working
from tests.system.recount import recount

OWNER = "acme"
PIPELINE = '''
import os, time
from pathlib import Path

def research(request):
    """Say who is at work, and wait until somebody lets the pipeline go."""
    at_work = Path(os.environ["PYTHONPATH"]) / f"at-work-{os.getpid()}"
    at_work.touch()
    while not (at_work.parent / "go").exists():
        time.sleep(0.02)
    return {"done_by": os.getpid()}
'''


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    """Make a store with one started run, and a pipeline that waits for the test."""
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    with SQLiteStore(tmp_path / "research.db") as store:
        made = Runs(store, policy=Policy())
        made.grant(OWNER, 5)
        yield made


def start(runs: Runs) -> str:
    """Add and start somebody."""
    person_id = runs.add(OWNER, Profile(first_name="A", last_name="B", company="C")).accepted().person_id
    runs.start(person_id).accepted()
    return person_id


def status(runs: Runs, person_id: str) -> str:
    """Return a person's status."""
    found = runs.person(person_id)
    assert isinstance(found, PersonDetails)
    return str(found.status)


def events(runs: Runs, person_id: str) -> list[str]:
    """Return the names of a person's events."""
    return [event.type for event in runs.history(person_id) if event.stream == f"person:{person_id}"]


def at_work(folder: Path) -> set[str]:
    """Return which workers have begun."""
    return {found.name for found in folder.glob("at-work-*")}


def test_a_killed_worker_is_taken_over(runs: Runs, tmp_path: Path) -> None:
    """``kill -9`` in the middle of a run: the next worker takes it over as delivery 2, and one credit is gone."""
    person_id = start(runs)
    path = tmp_path / "research.db"
    with working(path, "pipeline:research", *LEASES) as first:
        until(lambda: len(at_work(tmp_path)) == 1, "the first worker began")
        first.kill()
    (tmp_path / "go").touch()
    with working(path, "pipeline:research", *LEASES):
        until(lambda: status(runs, person_id) == "complete", "the second worker finished")
    assert events(runs, person_id).count("RunClaimed") == 2
    assert recount(path).charged == 1
    assert list(verify(runs.store)) == []


def test_a_stopped_worker_is_taken_over_and_its_report_is_stale(runs: Runs, tmp_path: Path) -> None:
    """SIGSTOP, a take-over, SIGCONT: what the slow worker reports afterwards changes nothing."""
    person_id = start(runs)
    path = tmp_path / "research.db"
    with working(path, "pipeline:research", *LEASES) as slow:
        until(lambda: len(at_work(tmp_path)) == 1, "the first worker began")
        slow.send_signal(signal.SIGSTOP)
        with working(path, "pipeline:research", *LEASES):
            until(lambda: len(at_work(tmp_path)) == 2, "the second worker began")
            (tmp_path / "go").touch()
            until(lambda: status(runs, person_id) == "complete", "the second worker finished")
        report = runs.report(person_id)
        slow.send_signal(signal.SIGCONT)
        slow.send_signal(signal.SIGTERM)
        slow.wait(60)
    assert runs.report(person_id) == report
    assert events(runs, person_id).count("RunCompleted") == 1
    assert recount(path).charged == 1
    assert list(verify(runs.store)) == []


def test_a_run_that_kills_every_worker_fails_and_keeps_its_charge(runs: Runs, tmp_path: Path) -> None:
    """Deliveries are bounded: a run whose worker dies each time fails, and what it cost is spent."""
    person_id = start(runs)
    path = tmp_path / "research.db"
    for delivery in (1, 2):
        with working(path, "pipeline:research", *LEASES, "--max-deliveries", "2") as doomed:
            until(lambda delivery=delivery: len(at_work(tmp_path)) == delivery, "it began")  # type: ignore[misc]  # Bound.
            doomed.kill()
    with working(path, "pipeline:research", *LEASES, "--max-deliveries", "2"):
        until(lambda: status(runs, person_id) == "failed", "the run was given up")
    counted = recount(path)
    assert (counted.charged, counted.holds, counted.ends) == (1, 0, {"RunFailed": 1})
    assert list(verify(runs.store)) == []
