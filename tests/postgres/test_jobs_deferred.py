"""A start and its job are one transaction: one job per run that was committed, and none of any other."""

import asyncio
import secrets
from collections.abc import Iterator

import psycopg
import pytest

from research_fsm import AsyncRuns, Runs
from research_fsm.audit import verify
from research_fsm.dispatchers.procrastinate import Procrastinate
from research_fsm.errors import InvalidInput, ResearchError, StoreReadOnly, StoreUnavailable
from research_fsm.outcomes import Queued
from research_fsm.stores.postgres import PostgresStore
from research_fsm.stores.postgres_schema import grants
from research_fsm.testing.clock import ManualClock
from research_fsm.testing.postgres import PostgresServer
from research_fsm.testing.suites.base import at_once
from tests.postgres.examples import Breaking, lost_after, lost_before, plain, restored, tell
from tests.postgres.jobs import ADA, JOBS, Job, Office, apply_schema

GROUP = 64


@pytest.fixture(params=[True, False], ids=["prepared", "pooled"])
def office(address: str, request: pytest.FixtureRequest) -> Iterator[Office]:
    """Open a store whose entries are jobs."""
    apply_schema(address)
    made = Office(address, prepared=request.param)
    yield made
    assert list(verify(made.store)) == []
    made.store.close()


def transactions(office: Office, sql: str) -> set[int]:
    """Return which transactions wrote the rows that a query names."""
    with plain(office.address) as client:
        return {row[0] for row in tell(client, sql)}


def test_a_start_defers_one_job(office: Office) -> None:
    """It names the run and nobody, in the queue and with the priority that were set."""
    assert office.jobs() == []
    run_id = office.started()
    assert office.jobs() == [Job(run_id, "todo", "research", 7)]
    with plain(office.address) as client:
        assert tell(client, "SELECT args, lock, queueing_lock, scheduled_at FROM procrastinate_jobs") == [
            ({"run_id": run_id}, None, None, None)
        ]


def test_the_job_is_written_by_the_transaction_of_the_events(office: Office) -> None:
    """The server says that one transaction wrote both."""
    office.started()
    (events,) = transactions(office, "SELECT xmin::text::bigint FROM research_fsm.events WHERE type = 'RunStarted'")
    assert transactions(office, "SELECT xmin::text::bigint FROM procrastinate_jobs") == {events}


def test_a_refused_start_defers_nothing(office: Office) -> None:
    """Neither for want of credits nor for a run that is open; a request that is repeated defers nothing anew."""
    person_id = office.runs.add("acme", ADA).accepted().person_id
    office.runs.start(person_id)
    assert office.jobs() == []
    office.runs.grant("acme", 1)
    first = office.runs.start(person_id, key="k")
    assert office.runs.start(person_id, key="k") == first
    office.runs.start(person_id)
    assert len(office.jobs()) == 1


def test_a_group_of_starts_is_one_transaction_with_a_job_for_each(office: Office) -> None:
    """Sixty-four callers stand in line: every run has its job, in the order in which they were decided."""
    people = [office.added() for _ in range(GROUP)]

    async def start() -> list[object]:
        runs = AsyncRuns.of(office.runs)
        writer = office.store._writers[0]
        writer.shared = True  # As it is found out to be: they all have one account, so one line is faster than two.
        with writer.wire.lock:  # Whoever leads waits for it before it takes the line.
            answers = asyncio.gather(*(runs.start(person_id) for person_id in people))
            await asyncio.sleep(0)
            assert len(writer.callers._line) == GROUP
        return list(await answers)

    answers = asyncio.run(start())
    assert [type(answer) for answer in answers] == [Queued] * GROUP
    assert [job.run_id for job in office.jobs()] == [entry.run_id for entry in office.store.entries()]
    assert len(office.jobs()) == GROUP
    (written,) = transactions(office, "SELECT xmin::text::bigint FROM procrastinate_jobs")
    assert transactions(office, "SELECT xmin::text::bigint FROM research_fsm.queue") == {written}


def test_a_start_that_cannot_defer_is_no_start(office: Office) -> None:
    """Procrastinate's tables are gone: nobody is running, and no credit is held."""
    person_id = office.added()
    with plain(office.address) as client:
        tell(client, "DROP TABLE procrastinate_jobs CASCADE")
    with pytest.raises(ResearchError):
        office.runs.start(person_id)
    assert str(office.runs.person(person_id).status) == "idle"  # type: ignore[union-attr]  # It is there.
    assert office.runs.balance("acme").held == 0


def test_taking_and_renewing_defer_nothing(office: Office) -> None:
    """An entry that changes keeps its job."""
    run_id = office.started()
    claimed = office.runs.take(run_id).accepted()
    office.runs.renew(run_id, 1, claimed.external_id).accepted()  # type: ignore[union-attr]  # It was claimed.
    assert len(office.jobs()) == 1


@pytest.mark.parametrize(("trouble", "jobs"), [(lost_before, 1), (lost_after, 1)])
def test_a_commit_whose_answer_is_lost_has_its_job_once(address: str, trouble: object, jobs: int) -> None:
    """Done or not, what the store finds out is true of the job as well."""
    apply_schema(address)
    office = Office(address)
    person_id = office.added()
    Breaking(office.store, trouble)  # type: ignore[arg-type]  # One of two functions.
    assert isinstance(office.runs.start(person_id), Queued)
    assert len(office.jobs()) == jobs
    office.store.close()


def test_the_hosts_transaction_takes_the_job_along(office: Office) -> None:
    """Nobody sees it before the host commits, and it is gone if the host does not."""
    with psycopg.connect(office.address) as connection:
        joined = office.runs.joined(connection)
        person_id = office.added()
        joined.start(person_id).accepted()
        assert office.jobs() == []
        connection.rollback()
        assert office.jobs() == []
        run_id = office.runs.joined(connection).start(person_id).accepted().run_id
        connection.commit()
    assert office.jobs() == [Job(run_id, "todo")]


def test_whoever_opens_the_store_defers_jobs_from_then_on(office: Office) -> None:
    """A process that knows nothing of jobs starts runs that have one, as every process does."""
    with PostgresStore(office.address) as other:
        run_id = Runs(other).start(office.added()).accepted().run_id
    assert [job.run_id for job in office.jobs()] == [run_id]


def test_other_settings_hold_from_then_on(office: Office) -> None:
    """The last ones that were given, for everybody."""
    PostgresStore(office.address, jobs=Procrastinate(queue="slow", priority=-1, task=JOBS.task)).close()
    run_id = office.started()
    assert office.jobs() == [Job(run_id, "todo", "slow", -1)]


def test_the_same_settings_again_change_nothing(office: Office) -> None:
    """Of many that come at once one sets it up, and whoever comes later touches nothing; but what was disabled is."""
    other = Procrastinate(queue="slow", task=JOBS.task)

    def opened(_: int = 0) -> list[tuple[int]]:
        PostgresStore(office.address, jobs=other).close()
        with plain(office.address) as client:
            return tell(client, "SELECT oid::bigint FROM pg_trigger WHERE tgname = 'queue_jobs'")

    (first,), *others = at_once(4, opened)
    assert others == [[first]] * 3
    with plain(office.address) as client:
        tell(client, "ALTER TABLE research_fsm.queue DISABLE TRIGGER queue_jobs")
    assert opened() != [first]
    office.started()
    assert len(office.jobs()) == 1


def test_a_role_that_may_start_runs_need_not_be_let_into_procrastinate(office: Office) -> None:
    """The job is deferred in the name of whoever set it up; a role of few rights cannot set up other ones."""
    role = f"starter_{secrets.token_hex(4)}"
    with plain(office.address) as client:
        tell(client, f"CREATE ROLE {role} LOGIN")
        tell(client, grants(role))
    person_id = office.added()
    narrow = office.address.replace("postgres@", f"{role}@")
    with PostgresStore(narrow, jobs=JOBS, clock=office.clock) as store:
        Runs(store).start(person_id).accepted()
    assert len(office.jobs()) == 1
    with pytest.raises(StoreReadOnly):
        PostgresStore(narrow, jobs=Procrastinate())
    with plain(office.address) as client, pytest.raises(psycopg.errors.InsufficientPrivilege):
        tell(client, f"SET ROLE {role}; TABLE procrastinate_jobs")


def test_a_restored_database_has_its_jobs_once_and_goes_on(office: Office, server: PostgresServer) -> None:
    """What waits has the job that it had, and what is started there gets one."""
    office.started()
    elsewhere = Office(restored(server, office.address), office.clock)
    assert elsewhere.jobs() == office.jobs()
    run_id = elsewhere.started()
    assert [job.run_id for job in elsewhere.jobs()] == [office.jobs()[0].run_id, run_id]
    assert len(office.jobs()) == 1
    elsewhere.store.close()


def test_procrastinates_tables_may_be_in_another_schema(address: str) -> None:
    """Named by a setting."""
    with plain(address) as client:
        tell(client, "CREATE SCHEMA tasks")
    apply_schema(f"{address}?options=-csearch_path%3Dtasks")
    with PostgresStore(address, jobs=Procrastinate(schema="tasks"), clock=ManualClock()) as store:
        runs = Runs(store)
        runs.grant("acme", 1)
        runs.create("acme", ADA).accepted()
    with plain(address) as client:
        assert tell(client, "SELECT count(*) FROM tasks.procrastinate_jobs") == [(1,)]


def test_a_database_without_procrastinate_is_refused(address: str) -> None:
    """With what to do about it."""
    with pytest.raises(StoreUnavailable, match=r"not in the schema public of this database; .* schema --apply"):
        PostgresStore(address, jobs=JOBS)


def test_whoever_may_not_defer_is_refused(address: str) -> None:
    """When the store is opened, not when somebody is started: a role that may make a store, and no job."""
    apply_schema(address)
    role = f"maker_{secrets.token_hex(4)}"
    with plain(address) as client:
        tell(client, f"CREATE ROLE {role} LOGIN")
        (database,) = tell(client, "SELECT current_database()")[0]
        tell(client, f"GRANT CREATE ON DATABASE {database} TO {role}")
    narrow = address.replace("postgres@", f"{role}@")
    with pytest.raises(StoreReadOnly, match="permission denied for table procrastinate_jobs"):
        PostgresStore(narrow, jobs=JOBS)


def test_procrastinates_tables_of_an_older_version_are_refused(address: str) -> None:
    """With what to do about it."""
    apply_schema(address)
    with plain(address) as client:
        tell(client, "DROP FUNCTION procrastinate_defer_jobs_v1 CASCADE")
    with pytest.raises(StoreUnavailable, match=r"another version; .* 3\.2 or later"):
        PostgresStore(address, jobs=JOBS)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("queue", ""),
        ("queue", "it's"),
        ("queue", "q" * 101),
        ("task", "$$"),
        ("task", None),
        ("priority", 2**31),
        ("priority", True),
        ("priority", "1"),
        ("schema", "Public"),
        ("schema", "a;b"),
    ],
)
def test_settings_that_are_none_are_refused(field: str, value: object) -> None:
    """By name, before anything is connected to."""
    with pytest.raises(InvalidInput, match=f"^{field}: "):
        Procrastinate(**{field: value})  # type: ignore[arg-type]  # That is the point.
