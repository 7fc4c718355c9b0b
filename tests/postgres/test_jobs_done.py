"""What procrastinate's workers make of the jobs: each run is done and charged once, whatever becomes of its job."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued

from research_fsm import PersonDetails, Policy, Runs
from research_fsm.audit import verify
from research_fsm.dispatchers.procrastinate import add_tasks
from research_fsm.doors import RecoveryPass
from research_fsm.errors import StoreBusy
from research_fsm.outcomes import Claimed, Json, StaleRun
from research_fsm.reads import ReportDetails
from research_fsm.stores.memory import MemoryStore
from research_fsm.worker import Report, ResearchRequest
from tests.postgres.examples import plain, tell
from tests.postgres.jobs import JOBS, NEW_YEAR, Job, Office, apply_schema, found
from tests.system.program import until


@pytest.fixture
def office(address: str) -> Iterator[Office]:
    """Open a store whose entries are jobs."""
    apply_schema(address)
    made = Office(address)
    yield made
    assert list(verify(made.store)) == []
    made.store.close()


def person(office: Office, person_id: str) -> PersonDetails:
    """Return a person."""
    details = office.runs.person(person_id)
    assert isinstance(details, PersonDetails)
    return details


def report(office: Office, person_id: str) -> Json:
    """Return what is in a person's report."""
    details = office.runs.report(person_id)
    assert isinstance(details, ReportDetails)
    return details.content


def happened(office: Office) -> Counter[str]:
    """Count the log's events by name."""
    return Counter(event.type for event in office.store.events())


def sql(office: Office, words: str) -> None:
    """Do something behind everybody's back."""
    with plain(office.address) as client:
        tell(client, words)


# --- one worker ----------------------------------------------------------------------------------------------------


def test_a_blocking_pipeline(office: Office) -> None:
    """Its answer is the report, its job has succeeded, and the log says which job it was."""
    person_id = office.added()
    run_id = office.runs.start(person_id).accepted().run_id
    office.work()
    assert report(office, person_id) == {"name": "Ada"}
    assert office.jobs() == [Job(run_id, "succeeded", attempts=1)]
    assert office.runs.balance("acme").charged == 1
    claims = [event for event in office.runs.history(person_id) if event.type == "RunClaimed"]
    assert b'"procrastinate job 1"' in claims[0].meta


def test_an_awaiting_pipeline(office: Office) -> None:
    """The same, in an event loop of its own; a `Report` says what is new."""

    async def pipeline(request: ResearchRequest) -> Report:
        await asyncio.sleep(0)
        return Report({"run": request.run_no}, "everything")

    person_id = office.added()
    office.runs.start(person_id).accepted()
    office.work(pipeline)
    assert report(office, person_id) == {"run": 1}


def test_a_pipeline_that_raises_fails_its_run_and_not_its_job(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """The text is kept as a document and is not logged; the person may be started anew, which is a new job."""
    person_id = office.added()
    run_id = office.runs.start(person_id).accepted().run_id

    def pipeline(request: ResearchRequest) -> dict[str, Json]:
        raise ValueError(request.profile["last_name"])

    with caplog.at_level(logging.DEBUG):
        office.work(pipeline)
    assert str(person(office, person_id).status) == "failed"
    assert "Lovelace" not in caplog.text
    with plain(office.address) as client:
        sql = "SELECT convert_from(body, 'UTF8') FROM research_fsm.documents WHERE name LIKE 'failure:%'"
        assert tell(client, sql) == [('"ValueError: Lovelace"',)]
    office.runs.grant("acme", 1)
    again = office.runs.start(person_id).accepted().run_id
    office.work()
    assert office.jobs() == [Job(run_id, "succeeded", attempts=1), Job(again, "succeeded", attempts=1)]
    assert report(office, person_id) == {"name": "Ada"}
    assert office.runs.balance("acme").charged == 2


def test_nothing_of_a_person_is_in_procrastinates_tables_or_logs(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the profile nor the report: a job has the run's id alone."""
    office.started()
    with caplog.at_level(logging.DEBUG):
        office.work(lambda request: {"found": f"{request.profile['last_name']} wrote the first program"})
    with plain(office.address) as client:
        rows = tell(client, "SELECT procrastinate_jobs::text FROM procrastinate_jobs")
    assert not any("Lovelace" in str(row) for row in (*rows, caplog.text))


# --- jobs that nobody needs ----------------------------------------------------------------------------------------


def test_a_job_whose_run_is_over_does_nothing(office: Office) -> None:
    """An embedded worker had it, or the person was erased: the job succeeds, and the pipeline is not asked."""
    erased, taken = office.added(), office.added()
    office.runs.start(erased).accepted()
    run_id = office.runs.start(taken).accepted().run_id
    office.runs.erase(erased).accepted()
    claimed = office.runs.take(run_id)
    assert isinstance(claimed, Claimed)
    office.runs.complete(run_id, 1, claimed.external_id, "done").accepted()
    before = happened(office)
    office.work(lambda _: pytest.fail("it was asked"))
    assert [job.status for job in office.jobs()] == ["succeeded", "succeeded"]
    assert happened(office) == before


def test_a_job_whose_run_is_with_somebody_does_nothing(office: Office) -> None:
    """It does not wait either: when that one's lease is over, recovery defers another."""
    run_id = office.started()
    claimed = office.runs.take(run_id)
    assert isinstance(claimed, Claimed)
    office.work(lambda _: pytest.fail("it was asked"))
    assert [job.status for job in office.jobs()] == ["succeeded"]
    office.work(recover=True)
    assert len(office.jobs()) == 1
    office.clock.advance(office.runs.policy.worker_lease)
    office.work(recover=True)
    assert [job.status for job in office.jobs()] == ["succeeded", "succeeded"]
    assert isinstance(office.runs.complete(run_id, 1, claimed.external_id, "late"), StaleRun)
    assert happened(office)["RunCompleted"] == 1


def test_erased_while_the_pipeline_is_at_work(office: Office) -> None:
    """What it reports is stale; the job has done its duty."""

    def pipeline(request: ResearchRequest) -> dict[str, Json]:
        office.runs.erase(request.person_id).accepted()
        return {"found": "too late"}

    office.started()
    office.work(pipeline)
    assert [job.status for job in office.jobs()] == ["succeeded"]
    assert happened(office)["RunCompleted"] == 0


# --- jobs that are lost --------------------------------------------------------------------------------------------


def test_emptied_tables_are_filled_anew(office: Office) -> None:
    """Every entry of the queue gets a job, in the queue's order, and only one."""
    run_ids = [office.started() for _ in range(3)]
    sql(office, "TRUNCATE procrastinate_jobs CASCADE")
    office.work(recover=True)
    assert office.jobs() == [Job(run_id, "succeeded", attempts=1) for run_id in run_ids]
    assert happened(office)["RunCompleted"] == 3


def test_entries_of_before_get_their_jobs(office: Office) -> None:
    """A store that was at work before there were jobs."""
    sql(office, "DROP TRIGGER queue_jobs ON research_fsm.queue")
    run_id = office.started()
    assert office.jobs() == []
    office.work(recover=True)
    assert office.jobs() == [Job(run_id, "succeeded", attempts=1)]


def test_a_job_that_waits_or_has_just_begun_is_not_lost(office: Office) -> None:
    """It is not doubled; one that began long ago and never took its entry is taken for lost."""
    waiting, begun, lost = office.started(), office.started(), office.started()
    sql(
        office,
        "UPDATE procrastinate_jobs SET status = 'doing' WHERE id > 1; UPDATE procrastinate_jobs SET queue_name = 'z'",
    )
    sql(office, "UPDATE procrastinate_events SET at = at - interval '1 minute' WHERE job_id = 3")
    sql(office, "INSERT INTO procrastinate_workers DEFAULT VALUES; UPDATE procrastinate_jobs SET worker_id = 1")
    # A job of another task is none of ours, whatever it says.
    theirs = "SELECT 'theirs', queue_name, args FROM procrastinate_jobs"
    sql(office, f"INSERT INTO procrastinate_jobs (task_name, queue_name, args) {theirs}")
    office.work(recover=True, queues=[JOBS.queue])
    assert [(job.run_id, job.status) for job in office.jobs()] == [
        (waiting, "todo"),
        (begun, "doing"),
        (lost, "doing"),
        (lost, "succeeded"),
    ]


def test_the_job_of_a_worker_that_died_comes_to_an_end(office: Office) -> None:
    """Procrastinate gives it to another worker, who takes the run over: delivery 2, one charge."""
    person_id = office.added()
    run_id = office.runs.start(person_id).accepted().run_id
    sql(office, "UPDATE procrastinate_jobs SET status = 'doing'")
    assert isinstance(office.runs.take(run_id), Claimed)
    office.clock.advance(office.runs.policy.worker_lease)
    office.work(recover=True)
    assert office.jobs() == [Job(run_id, "succeeded", attempts=2)]
    assert (happened(office)["RunClaimed"], happened(office)["RunCompleted"]) == (2, 1)
    assert office.runs.balance("acme").charged == 1


def test_a_run_that_kills_every_worker_is_given_up(office: Office) -> None:
    """After as many deliveries as the policy allows; recovery ends it, and no job is deferred for it any more."""
    office.runs.policy = Policy(max_deliveries=2)
    office = Office(office.address, office.clock, Policy(max_deliveries=2))
    person_id = office.added()
    run_id = office.runs.start(person_id).accepted().run_id
    for _delivery in range(2):
        assert isinstance(office.runs.take(run_id), Claimed)
        office.clock.advance(office.runs.policy.worker_lease)
    office.work(lambda _: pytest.fail("it was asked"), recover=True)
    assert str(person(office, person_id).status) == "failed"
    office.work(recover=True)
    assert [job.status for job in office.jobs()] == ["succeeded"]
    office.store.close()


def test_a_job_that_the_store_refuses_fails_and_is_deferred_anew(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run waits meanwhile, and nothing is lost."""

    def busy(*_: object, **__: object) -> None:
        raise StoreBusy("here", "others keep it locked")

    run_id = office.started()
    with monkeypatch.context() as patched:
        patched.setattr(office.runs, "take", busy)
        office.work()
    assert [job.status for job in office.jobs()] == ["failed"]
    office.work(recover=True)
    assert [(job.run_id, job.status) for job in office.jobs()] == [(run_id, "failed"), (run_id, "succeeded")]


def test_the_recoveries_of_workers_that_died_come_to_an_end(office: Office) -> None:
    """Two of them, of which one waits at a time: they are done after the next one, and then forgotten."""
    recover = f"{JOBS.task}.recover"
    row = f"'research', '{recover}', '{recover}', '{{\"timestamp\": 1}}', 'doing'"
    columns = "queue_name, task_name, queueing_lock, args, status"
    sql(office, f"INSERT INTO procrastinate_jobs ({columns}) VALUES ({row}), ({row})")  # noqa: S608  # Ours.
    for _pass in range(2):
        office.work(recover=True)
    assert office.recoveries() == ["succeeded"]


def test_recovery_leaves_no_rows_behind(office: Office) -> None:
    """There is one every few seconds: the last one is kept, and those that failed."""
    values = f"'research', '{JOBS.task}.recover', 'failed'"
    sql(office, f"INSERT INTO procrastinate_jobs (queue_name, task_name, status) VALUES ({values})")  # noqa: S608  # Ours.
    for _pass in range(3):
        office.work(recover=True)
    assert office.recoveries() == ["failed", "succeeded"]


def test_recovery_goes_first_and_one_waits_at_a_time(office: Office) -> None:
    """A backlog does not keep it waiting, and it makes none of its own; it is where the workers listen."""
    office.started()
    app = office.app()

    async def defer() -> None:
        async with app.open_async():
            recover = app.configure_task(f"{JOBS.task}.recover")
            await recover.defer_async(timestamp=0)
            with pytest.raises(AlreadyEnqueued):
                await recover.defer_async(timestamp=1)

    asyncio.run(defer())
    with plain(office.address) as client:
        queue = tell(client, "SELECT queue_name, task_name FROM procrastinate_jobs ORDER BY priority DESC")
    assert queue == [("research", f"{JOBS.task}.recover"), ("research", JOBS.task)]
    assert {task.queue for task in app.tasks.values() if task.name.startswith(JOBS.task)} == {"research"}


def test_recovery_is_a_whole_recovery_pass(address: str) -> None:
    """It does what `Runs.recover` does, such as to mark a report that has grown old."""
    apply_schema(address)
    office = Office(address, policy=Policy(stale_after=timedelta(hours=1)))
    person_id = office.added()
    office.runs.start(person_id).accepted()
    office.work()
    assert str(person(office, person_id).status) == "complete"
    office.clock.advance(timedelta(hours=1))
    office.work(recover=True)
    assert str(person(office, person_id).status) == "idle"
    office.store.close()


def test_a_person_who_cannot_be_recovered_is_named(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In the workers' log; the others are, and lost jobs are deferred all the same."""
    errors = RecoveryPass((), (("5a1c", LookupError("damaged")),))
    monkeypatch.setattr(office.runs, "recover", lambda: errors)
    office.started()
    sql(office, "TRUNCATE procrastinate_jobs CASCADE")
    office.work(recover=True)
    assert "person 5a1c could not be recovered: damaged" in caplog.text
    assert [job.status for job in office.jobs()] == ["succeeded"]


# --- several workers -----------------------------------------------------------------------------------------------


def test_two_workers_do_each_run_once(office: Office) -> None:
    """Twelve runs, two workers of two threads each, and every job twice: one report each, one charge each."""
    run_ids = [office.started() for _ in range(12)]
    columns = "queue_name, task_name, args"
    sql(office, f"INSERT INTO procrastinate_jobs ({columns}) SELECT {columns} FROM procrastinate_jobs")  # noqa: S608  # Ours.
    asked: list[str] = []

    def pipeline(request: ResearchRequest) -> dict[str, Json]:
        asked.append(request.run_id)
        return {}

    office.work(pipeline, workers=2, concurrency=2)
    assert sorted(asked) == sorted(run_ids)
    assert [job.status for job in office.jobs()] == ["succeeded"] * 24
    assert (happened(office)["RunCompleted"], office.runs.balance("acme").charged) == (12, 12)


def test_a_run_that_was_taken_over_has_one_report(office: Office) -> None:
    """The first worker is only slow: it is told to stop, the second reports, and the first one's is stale."""
    run_id = office.started()
    told: list[bool] = []

    def slow(request: ResearchRequest) -> dict[str, Json]:
        office.clock.advance(office.runs.policy.worker_lease)
        office.work(recover=True)
        told.append(True)
        return {"by": f"the slow one, of run {request.run_no}"}

    office.work(slow)
    assert told == [True]
    assert [(job.run_id, job.status) for job in office.jobs()] == [(run_id, "succeeded"), (run_id, "succeeded")]
    assert (happened(office)["RunCompleted"], office.runs.balance("acme").charged) == (1, 1)


def test_a_job_that_is_aborted_lets_its_run_go(office: Office) -> None:
    """Procrastinate was told to abort it: the pipeline is, the run goes on elsewhere once the lease is over."""

    def pipeline(request: ResearchRequest) -> dict[str, Json]:
        app.job_manager.cancel_job_by_id(1, abort=True)
        until(request.stopped, "the pipeline was told")
        return {}

    office.started()
    with App(connector=PsycopgConnector(conninfo=office.address)).open() as app:
        office.work(pipeline, abort_job_polling_interval=0.01)
    assert [job.status for job in office.jobs()] == ["aborted"]
    office.clock.advance(office.runs.policy.worker_lease)
    office.work(recover=True)
    assert [job.status for job in office.jobs()] == ["aborted", "succeeded"]
    assert happened(office)["RunCompleted"] == 1


# --- mistakes in the set-up ----------------------------------------------------------------------------------------


def test_an_app_on_another_database_is_told(office: Office, server: object, caplog: pytest.LogCaptureFixture) -> None:
    """Its workers would wait for ever: recovery fails, and says why."""
    elsewhere = server.new_database()  # type: ignore[attr-defined]  # The server's.
    apply_schema(elsewhere)
    other = object.__new__(Office)
    other.address, other.runs = elsewhere, office.runs
    other.work(recover=True)
    assert other.recoveries() == ["failed"]
    assert "procrastinate's app is connected to another database than the store's" in caplog.text


def test_doors_on_another_store_are_refused(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """A store in memory has no database that a job could be in; recovery says so, and so does every job."""
    office.started()
    other = object.__new__(Office)
    other.address, other.runs = office.address, Runs(MemoryStore())
    other.work(recover=True)
    assert office.recoveries() == ["failed"]
    assert [job.status for job in office.jobs()] == ["failed"]
    assert "open_runs: must return Runs on a PostgresStore, not on a MemoryStore" in caplog.text


def test_the_doors_are_opened_once_and_late(office: Office) -> None:
    """Whoever imports the app connects to nothing; the first job opens them for all."""
    opened: list[int] = []

    def open_runs() -> Runs:
        opened.append(1)
        return office.runs

    app = App(connector=PsycopgConnector(conninfo=office.address), periodic_defaults={"max_delay": 0})
    add_tasks(app, JOBS, open_runs, found, recover_at=NEW_YEAR)
    assert opened == []
    for _run in range(3):
        office.started()

    async def work() -> None:
        async with app.open_async():
            await app.run_worker_async(wait=False, install_signal_handlers=False, concurrency=3)

    asyncio.run(work())
    assert opened == [1]
    assert happened(office)["RunCompleted"] == 3


def test_recovery_may_be_left_to_something_else() -> None:
    """Then there is one task, and nothing periodic."""
    app = App(connector=PsycopgConnector())
    add_tasks(app, JOBS, lambda: pytest.fail("it was opened"), found, recover_at=None)
    assert [name for name in app.tasks if "research" in name] == [JOBS.task]
    assert app.periodic_registry.periodic_tasks == {}
