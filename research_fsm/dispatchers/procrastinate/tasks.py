"""The tasks of procrastinate's workers: one does the research, the other sees that nothing is left lying.

Floor 6. Imports procrastinate, the worker of the embedded queue, and the store. No rule lives here: who may have a
run, and whose report counts, is decided where it is decided for every worker.

A job may be lost, doubled, late or done twice: the entry of the queue says what there is to do. What has no job any
more is given one by `recover`, which procrastinate defers periodically: after a worker was killed, after somebody has
emptied procrastinate's tables, and for what was started before there were jobs.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from procrastinate import App, JobContext
from procrastinate.exceptions import ConnectorException

from research_fsm.dispatchers.procrastinate.jobs import Procrastinate
from research_fsm.errors import InvalidInput, StoreUnavailable
from research_fsm.runs import Runs
from research_fsm.stores.postgres import PostgresStore
from research_fsm.worker import Pipeline, Worker

__all__ = ["add_tasks"]

_log = logging.getLogger(__name__)

_EVERY_TEN_SECONDS = "* * * * * */10"
"""As procrastinate has it: the last column is the seconds."""

_STORE = "SELECT to_regclass('{s}.settings') IS NOT NULL AS there"
_WHICH = "SELECT encode(value, 'hex') AS secret FROM {s}.settings WHERE name = 'secret'"

# An entry has a job if one waits, or if one has just begun and is about to take it. Once it was taken, its lease says
# whether somebody is at work, not the job: a worker that was killed leaves one behind that is never done.
_DEFER_MISSING = """
WITH jobs AS MATERIALIZED (
    SELECT args->>'run_id' AS run_id, status = 'todo' AS waits, EXISTS (
        SELECT FROM procrastinate_events AS begun
        WHERE job_id = all_jobs.id AND type = 'started' AND at > now() - interval '30 seconds') AS begins
    FROM procrastinate_jobs AS all_jobs WHERE task_name = %(task)s::text AND status IN ('todo', 'doing')
), missing AS MATERIALIZED (
    SELECT run_id, position FROM {s}.queue AS entries
    WHERE (lease_until IS NULL OR lease_until <= %(now)s::bigint) AND NOT EXISTS (
        SELECT FROM jobs WHERE jobs.run_id = entries.run_id AND (waits OR begins AND entries.lease_until IS NULL))
    ORDER BY position LIMIT 1000
)
SELECT coalesce(cardinality(procrastinate_defer_jobs_v1(ARRAY(
    SELECT ROW(%(queue)s::text, %(task)s::text, %(priority)s::integer, NULL, NULL,
        jsonb_build_object('run_id', run_id), NULL)::procrastinate_job_to_defer_v1
    FROM missing ORDER BY position))), 0) AS deferred
"""

# Its own rows would pile up: there is one every few seconds. Those of the last hours are found by their numbers.
_FORGET_DONE = """
DELETE FROM procrastinate_jobs
WHERE id BETWEEN %(before)s::bigint - 10000 AND %(before)s::bigint - 1 AND task_name = %(task)s AND status = 'succeeded'
"""


def add_tasks(
    app: App,
    jobs: Procrastinate,
    open_runs: Callable[[], Runs],
    pipeline: Pipeline,
    *,
    recover_at: str | None = _EVERY_TEN_SECONDS,
) -> None:
    """Let the workers of an app do the research.

    Args:
        app: Procrastinate's, on the store's own database.
        jobs: How the jobs are called: the same as the store has.
        open_runs: Returns the doors, on a `PostgresStore`; called once, in the worker's process, at the first job, so
            that importing the app connects to nothing.
        pipeline: Does the research, blocking or awaiting, in a thread of its own.
        recover_at: When to run a recovery pass and to see that every entry has a job, as a crontab; None for never,
            if something else does both.
    """
    opened: list[Runs] = []
    opening = threading.Lock()

    def runs() -> Runs:
        with opening:
            if not opened:
                made = open_runs()
                _store_of(made)
                opened.append(made)
        return opened[0]

    @app.task(name=jobs.task, queue=jobs.queue, priority=jobs.priority, pass_context=True)
    async def research(context: JobContext, run_id: str) -> None:
        """Take the run's entry and work on it, unless there is nothing to take: a job that nobody needs succeeds."""

        def work(aborted: Callable[[], bool]) -> None:
            worker = Worker(runs(), pipeline, name=f"procrastinate job {context.job.id}")
            if not worker.run_once(run_id, let_go=aborted):
                _log.info("nothing to do for run %s: it is over, or somebody has it", run_id)

        await _in_thread(work)

    recovery = f"{jobs.task}.recover"
    if recover_at is None:
        return

    @app.periodic(cron=recover_at)
    @app.task(name=recovery, queue=jobs.queue, priority=jobs.priority + 1, queueing_lock=recovery, pass_context=True)
    async def recover(context: JobContext, timestamp: int) -> None:
        """Run a recovery pass, and see that every entry of the queue has a job."""
        del timestamp
        doors = await asyncio.to_thread(runs)
        store = _store_of(doors)
        await _check_database(context.app, store)
        done = await asyncio.to_thread(doors.recover)
        for person_id, error in done.errors:
            _log.error("person %s could not be recovered: %s", person_id, error)
        await _retry_stalled(context.app, jobs.task)
        await _retry_stalled(context.app, recovery)
        now = await asyncio.to_thread(store.now)
        await _defer_missing(context.app, jobs, store.schema, now)
        own = {"before": context.job.id, "task": recovery}
        await context.app.connector.execute_query_async(_FORGET_DONE, **own)


async def _in_thread(work: Callable[[Callable[[], bool]], None]) -> None:
    """Work in a thread of its own, so that as many are at work as the worker allows; and end it before it is left.

    Args:
        work: Is given what tells whether the job was aborted.
    """
    aborted = threading.Event()
    with ThreadPoolExecutor(1, "research") as own:
        working = asyncio.get_running_loop().run_in_executor(own, work, aborted.is_set)
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:
            aborted.set()
            await working
            raise


def _store_of(runs: Runs) -> PostgresStore:
    if not isinstance(runs.store, PostgresStore):
        raise InvalidInput("open_runs", f"must return Runs on a PostgresStore, not on a {type(runs.store).__name__}")
    return runs.store


async def _check_database(app: App, store: PostgresStore) -> None:
    """See that the app is on the store's database: on another one its workers would wait for ever."""
    ask = app.connector.execute_query_one_async
    there = (await ask(_STORE.replace("{s}", store.schema)))["there"]
    secret = (await ask(_WHICH.replace("{s}", store.schema)))["secret"] if there else ""
    if secret != store.secret.hex():
        raise StoreUnavailable(repr(store), "procrastinate's app is connected to another database than the store's")


async def _retry_stalled(app: App, task: str) -> None:
    """Let the jobs of workers that died come to an end: whoever gets one takes its run over, or finds it taken."""
    for job in await app.job_manager.get_stalled_jobs(task_name=task):
        try:
            await app.job_manager.retry_job(job)
        except ConnectorException as error:  # Another process was quicker, or another recovery waits already.
            _log.info("job %s was not retried: %s", job.id, error)


async def _defer_missing(app: App, jobs: Procrastinate, schema: str, now: int) -> None:
    """Defer a job for every entry that waits without one."""
    asked = {"queue": jobs.queue, "task": jobs.task, "priority": jobs.priority, "now": now}
    found = await app.connector.execute_query_one_async(_DEFER_MISSING.replace("{s}", schema), **asked)
    if found["deferred"]:
        _log.warning("%s entries of the queue had no job, or their worker has died: deferred anew", found["deferred"])
