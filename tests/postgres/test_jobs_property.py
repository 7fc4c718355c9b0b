"""Whatever becomes of jobs, workers and people, in whatever order: each run ends once, and is charged once."""

import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from research_fsm import Policy
from research_fsm.audit import verify
from research_fsm.outcomes import Claimed, Json
from research_fsm.testing.postgres import PostgresServer
from research_fsm.worker import ResearchRequest
from tests.postgres.examples import plain, tell
from tests.postgres.jobs import ADA, Office, apply_schema

CREDITS = 100
START = "everybody is started"
COLUMNS = "queue_name, task_name, args"


@pytest.fixture(scope="module")
def address(server: PostgresServer) -> str:
    """A database with procrastinate's tables; each example has a schema of its own."""
    made = server.new_database()
    apply_schema(made)
    return made


class Life:
    """Two people, and what befalls them.

    Args:
        address: A database with procrastinate's tables.
    """

    def __init__(self, address: str) -> None:
        self.office = Office(address, policy=Policy(max_deliveries=3), schema=f"life_{secrets.token_hex(8)}")
        self.runs = self.office.runs
        self.runs.grant("acme", CREDITS).accepted()
        self.people = [self.runs.add("acme", ADA).accepted().person_id for _ in range(2)]

    def start(self) -> None:
        """Start everybody who can be started."""
        for person_id in self.people:
            self.runs.start(person_id)

    def take_and_die(self) -> None:
        """Begin the next run, and every job, and never end any."""
        if isinstance(self.runs.take(), Claimed):
            self.sql("UPDATE procrastinate_jobs SET status = 'doing' WHERE status = 'todo'")

    def raising(self, request: ResearchRequest) -> dict[str, Json]:
        """Find out nothing."""
        raise LookupError(request.run_id)

    def slow(self, request: ResearchRequest) -> dict[str, Json]:
        """Take longer than the lease lasts: somebody else takes over, and is done before."""
        self.pass_()
        self.office.work(recover=True)
        return {"late": request.run_no}

    def pass_(self) -> None:
        """Let every lease end."""
        self.office.clock.advance(self.runs.policy.worker_lease)

    def sql(self, words: str) -> None:
        """Do something behind everybody's back."""
        with plain(self.office.address) as client:
            tell(client, words)

    def settle(self) -> None:
        """Let what is left come to its end: leases end, recovery defers, workers work."""
        for _ in range(self.runs.policy.max_deliveries + 1):
            self.pass_()
            self.office.work(recover=True)

    def check(self) -> None:
        """Hold what happened against what was promised."""
        assert list(verify(self.office.store)) == []
        assert list(self.office.store.entries()) == []
        started = 0
        for person_id in self.people:
            events = [event for event in self.runs.history(person_id) if event.stream.startswith("person")]
            kinds = Counter(event.type for event in events)
            ended = kinds["RunCompleted"] + kinds["RunFailed"]
            assert ended <= kinds["RunStarted"] <= ended + kinds["PersonErased"]
            started += kinds["RunStarted"]
        balance = self.runs.balance("acme")
        assert (balance.charged, balance.held, balance.available) == (started, 0, CREDITS - started)


STEPS: Mapping[str, Callable[[Life], object]] = MappingProxyType(
    {
        START: Life.start,
        "a worker works": lambda life: life.office.work(),
        "two workers work": lambda life: life.office.work(workers=2, concurrency=2),
        "a worker's pipeline raises": lambda life: life.office.work(life.raising),
        "a worker is slow": lambda life: life.office.work(life.slow),
        "a worker dies": Life.take_and_die,
        "the jobs are lost": lambda life: life.sql("DELETE FROM procrastinate_jobs"),
        "the jobs are doubled": lambda life: life.sql(
            f"INSERT INTO procrastinate_jobs ({COLUMNS}) SELECT {COLUMNS} FROM procrastinate_jobs"  # noqa: S608  # Ours.
        ),
        "procrastinate forgets its workers": lambda life: life.sql("DELETE FROM procrastinate_workers"),
        "the leases end": Life.pass_,
        "somebody is erased": lambda life: life.runs.erase(life.people[-1]),
        "recovery looks": lambda life: life.office.work(recover=True),
    }
)
"""What may happen."""


@settings(max_examples=12)
@given(steps=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=8).map(lambda steps: [START, *steps]))
def test_each_run_ends_once_and_is_charged_once(address: str, steps: list[str]) -> None:
    """Jobs that are lost, doubled or orphaned, workers that die or are slow, an erasure: never two ends of a run."""
    life = Life(address)
    try:
        for step in steps:
            STEPS[step](life)
        life.settle()
        life.check()
    finally:
        life.office.store.close()
        life.sql("TRUNCATE procrastinate_jobs CASCADE")
