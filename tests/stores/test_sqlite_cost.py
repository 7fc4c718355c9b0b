"""What a start costs on SQLite: how many commits, and how little is read, however long the log is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from research_fsm import Profile, Queued, Runs
from research_fsm.requests import Dispatcher
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.testing import ScriptedDispatcher


def statements(store: SQLiteStore, act: Callable[[], object]) -> list[str]:
    """Return the statements that the writing connection runs meanwhile."""
    heard: list[str] = []
    connection = store._writer.get()
    connection.set_trace_callback(heard.append)
    act()
    connection.set_trace_callback(None)
    return heard


def add(runs: Runs) -> str:
    """Add somebody."""
    return runs.add("acme", Profile(linkedin_url="linkedin.com/in/ada")).accepted().person_id


@pytest.mark.parametrize(
    ("dispatcher", "commits"), [(None, 1), (ScriptedDispatcher(), 2)], ids=["embedded queue", "outside engine"]
)
def test_a_start_costs_so_many_commits(tmp_path: Path, dispatcher: Dispatcher | None, commits: int) -> None:
    """One with the embedded queue; two with an outside engine, between which bytes leave."""
    with SQLiteStore(tmp_path / "research.db") as store:
        runs = Runs(store, dispatcher)
        runs.grant("acme", 5)
        person_id = add(runs)
        heard = statements(store, lambda: runs.start(person_id).accepted())
        assert heard.count("COMMIT") == commits


def test_a_refused_start_commits_nothing(tmp_path: Path) -> None:
    """A refusal without a request key leaves the disk alone."""
    with SQLiteStore(tmp_path / "research.db") as store:
        runs = Runs(store)
        person_id = add(runs)
        assert "COMMIT" not in statements(store, lambda: runs.start(person_id))


def test_a_start_reads_no_event_and_runs_the_same_statements_on_a_long_log(tmp_path: Path) -> None:
    """It reads heads: the thousandth start of an account does what the first one did."""
    with SQLiteStore(tmp_path / "research.db") as store:
        runs = Runs(store)
        runs.grant("acme", 5000)
        people = [add(runs) for _ in range(200)]
        heard = [statements(store, lambda one=one: runs.start(one).accepted()) for one in people]  # type: ignore[misc]  # Bound.
        assert not any("FROM events" in statement and "INSERT" not in statement for each in heard for statement in each)
        assert len({len(each) for each in heard}) == 1
        assert isinstance(runs.start(add(runs)), Queued)
