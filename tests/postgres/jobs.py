"""What the tests of procrastinate's jobs share: a store beside its tables, an app, workers, and what psql shows."""

import asyncio
from typing import Any

from attrs import frozen
from procrastinate import App, PsycopgConnector

from research_fsm import Policy, Profile, Runs
from research_fsm.dispatchers.procrastinate import Procrastinate, add_tasks
from research_fsm.outcomes import Json
from research_fsm.stores.postgres import PostgresStore
from research_fsm.testing.clock import ManualClock
from research_fsm.worker import Pipeline, ResearchRequest
from tests.postgres.examples import plain, tell

__all__ = ["ADA", "JOBS", "NEW_YEAR", "Job", "Office", "apply_schema", "found"]

ADA = Profile(first_name="Ada", last_name="Lovelace", company="Analytical Engines")
JOBS = Procrastinate(queue="research", priority=7)
NEW_YEAR = "0 0 1 1 *"
"""When recovery runs, unless a test says so: a worker defers nothing that was due before it came."""


@frozen
class Job:
    """A job, as procrastinate's table has it."""

    run_id: str
    status: str
    queue: str = JOBS.queue
    priority: int = JOBS.priority
    attempts: int = 0


def found(request: ResearchRequest) -> dict[str, Json]:
    """Find out what is known."""
    return {"name": request.profile["first_name"]}


def new_app(address: str) -> App:
    """Make an app that defers no periodic task by itself."""
    return App(connector=PsycopgConnector(conninfo=address), periodic_defaults={"max_delay": 0})


def apply_schema(address: str) -> None:
    """Make procrastinate's tables, as its own command does."""
    with new_app(address).open() as app:
        app.schema_manager.apply_schema()


class Office:
    """A store whose entries are jobs, and workers of procrastinate's.

    Args:
        address: A database, with procrastinate's tables.
        clock: The store's time.
        policy: The settings.
        options: As the store has them.
    """

    def __init__(
        self,
        address: str,
        clock: ManualClock | None = None,
        policy: Policy | None = None,
        **options: Any,  # noqa: ANN401  # Several.
    ) -> None:
        self.address = address
        self.clock = clock or ManualClock()
        self.store = PostgresStore(address, clock=self.clock, jobs=JOBS, **options)
        self.runs = Runs(self.store, policy=policy)

    def added(self) -> str:
        """Add a person, with a credit."""
        self.runs.grant("acme", 1).accepted()
        return self.runs.add("acme", ADA).accepted().person_id

    def started(self) -> str:
        """Start a new person, and return the run."""
        return self.runs.start(self.added()).accepted().run_id

    def jobs(self) -> list[Job]:
        """Return the jobs of the research, in their order."""
        sql = "SELECT args->>'run_id', status::text, queue_name, priority, attempts FROM procrastinate_jobs"
        with plain(self.address) as client:
            return [Job(*row) for row in tell(client, f"{sql} WHERE task_name = '{JOBS.task}' ORDER BY id")]  # Ours.

    def app(self, pipeline: Pipeline = found) -> App:
        """Return an app with the tasks."""
        app = new_app(self.address)
        add_tasks(app, JOBS, lambda: self.runs, pipeline, recover_at=NEW_YEAR)
        return app

    def work(self, pipeline: Pipeline = found, *, recover: bool = False, workers: int = 1, **options: Any) -> None:  # noqa: ANN401  # Of procrastinate's worker.
        """Let workers do every job that is there, after a recovery if that is said."""
        app = self.app(pipeline)

        async def work() -> None:
            async with app.open_async():
                if recover:
                    await app.configure_task(f"{JOBS.task}.recover").defer_async(timestamp=0)
                given = {"wait": False, "install_signal_handlers": False, "listen_notify": False, **options}
                await asyncio.gather(*(app.run_worker_async(**given) for _ in range(workers)))

        asyncio.run(work())

    def recoveries(self) -> list[str]:
        """Return how the recoveries ended."""
        with plain(self.address) as client:
            sql = f"SELECT status::text FROM procrastinate_jobs WHERE task_name = '{JOBS.task}.recover' ORDER BY id"  # noqa: S608  # Ours.
            return [row[0] for row in tell(client, sql)]
