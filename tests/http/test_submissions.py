"""A hundred submissions of one address at once, from several processes: one person, one run, one credit."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from research_fsm import PersonKind, Runs
from research_fsm.audit import verify
from research_fsm.testing.postgres import PostgresServer
from tests.http.service import OWNER
from tests.http.submitting import opened

PROCESSES, CALLERS = 4, 25
_ROOT = Path(__file__).parents[2]
_PATIENCE_SECONDS = 120


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Name a store that there is not yet: a file, or a database of a server of this test's own."""
    if request.param == "sqlite":
        yield str(tmp_path / "research.db")
        return
    with PostgresServer() as server:
        yield server.new_database()


def test_many_processes_submit_one_address(address: str) -> None:
    """One of a hundred is told 202, all others 200 with the same person; the engine is sent one run."""
    store = opened(address)
    runs = Runs(store)
    runs.grant(OWNER, 5).accepted()
    token = runs.tokens.create(OWNER, PersonKind.PARTNER).secret
    words = [sys.executable, "-m", "tests.http.submitting", address, token, str(CALLERS)]
    children = [
        subprocess.Popen(words, cwd=_ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603  # Ours.
        for _ in range(PROCESSES)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    told = [json.loads(child.communicate(timeout=_PATIENCE_SECONDS)[0]) for child in children]
    statuses: Counter[str] = Counter()
    for one in told:
        statuses.update(one["statuses"])
    assert statuses == {"202": 1, "200": PROCESSES * CALLERS - 1}
    assert len({person for one in told for person in one["people"]}) == 1
    assert sum(one["sent"] for one in told) == 1
    balance = runs.balance(OWNER)
    assert (balance.charged, balance.available) == (1, 4)
    assert [event.type for event in store.events()].count("RunStarted") == 1
    assert list(verify(store)) == []
    store.close()
