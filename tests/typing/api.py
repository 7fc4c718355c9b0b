"""What a type checker knows of the doors: checked by mypy with the tests, never run.

An answer's `accepted()` is exactly its successes, a `match` over an answer is exhaustive, and nothing is `Any`.
"""

from typing import assert_never, assert_type

from procrastinate import App

from research_fsm import Profile, RecoveryPass, Runs
from research_fsm.async_runs import AsyncRuns
from research_fsm.dispatchers.procrastinate import Procrastinate, add_tasks
from research_fsm.driver import InThreads
from research_fsm.outcomes import (
    Added,
    AlreadyAdded,
    AlreadyRunning,
    Claimed,
    Completed,
    Created,
    Erased,
    Failed,
    GivenUp,
    Granted,
    GrantIdReused,
    GrantNotFound,
    InsufficientCredits,
    KeyReused,
    MarkedStale,
    NotComplete,
    PersonNotFound,
    Queued,
    QueueEmpty,
    Renewed,
    Revoked,
    RolledBack,
    RunNotFound,
    StaleRun,
    Unresolved,
)
from research_fsm.reads import Balance, PeoplePage, PersonDetails, ReportDetails
from research_fsm.requests import AsyncDispatcher, Dispatcher
from research_fsm.storage import RecordedEvent, Token
from research_fsm.stores.memory import MemoryStore
from research_fsm.stores.postgres import PostgresStore
from research_fsm.tokens import NewToken
from research_fsm.worker import Report, ResearchRequest, Worker


def successes(runs: Runs, profile: Profile) -> None:
    """Whoever prefers exceptions gets the successes, and nothing else."""
    assert_type(runs.start("p").accepted(), Queued | Unresolved)
    assert_type(runs.dispatch("r").accepted(), Queued | Unresolved)
    assert_type(runs.add("o", profile).accepted(), Added)
    assert_type(runs.create("o", profile).accepted(), Created)
    assert_type(runs.create("o", profile).accepted().start, Queued | Unresolved | RolledBack)
    assert_type(runs.claim("r", 1, "x").accepted(), Claimed)
    assert_type(runs.complete("r", 1, "x", {}).accepted(), Completed | Failed)
    assert_type(runs.fail("r", 1, "x").accepted(), Completed | Failed)
    assert_type(runs.take().accepted(), Claimed | GivenUp | QueueEmpty)
    assert_type(runs.renew("r", 1, "x").accepted(), Renewed)
    assert_type(runs.mark_stale("p").accepted(), MarkedStale)
    assert_type(runs.erase("p").accepted(), Erased)
    assert_type(runs.grant("o", 1).accepted(), Granted)
    assert_type(runs.revoke("o", "g").accepted(), Revoked)


def answers(runs: Runs, profile: Profile) -> None:
    """Whoever prefers values gets all of them."""
    assert_type(runs.add("o", profile), Added | AlreadyAdded)
    assert_type(runs.grant("o", 1), Granted | GrantIdReused)
    assert_type(runs.revoke("o", "g"), Revoked | GrantNotFound | InsufficientCredits)
    assert_type(runs.mark_stale("p"), MarkedStale | NotComplete | PersonNotFound)
    assert_type(runs.erase("p"), Erased | PersonNotFound)
    assert_type(runs.claim("r", 1, "x"), Claimed | StaleRun | RunNotFound)
    assert_type(runs.complete("r", 1, "x", {}), Completed | Failed | StaleRun | RunNotFound)
    assert_type(runs.renew("r", 1, "x"), Renewed | StaleRun)
    assert_type(runs.recover(), RecoveryPass)
    assert_type(runs.balance("o"), Balance)
    assert_type(runs.person("p"), PersonDetails | PersonNotFound)
    assert_type(runs.people("o"), PeoplePage)
    assert_type(runs.report("p"), ReportDetails | PersonNotFound | None)
    assert_type(runs.history("p"), list[RecordedEvent])
    assert_type(runs.tokens.create("o"), NewToken)
    assert_type(runs.tokens.authenticate("secret"), Token | None)


async def awaited(runs: AsyncRuns, profile: Profile) -> None:
    """Whoever awaits gets the same."""
    assert_type((await runs.start("p")).accepted(), Queued | Unresolved)
    assert_type(await runs.add("o", profile), Added | AlreadyAdded)
    assert_type((await runs.create("o", profile)).accepted().start, Queued | Unresolved | RolledBack)
    assert_type(await runs.complete("r", 1, "x", {}), Completed | Failed | StaleRun | RunNotFound)
    assert_type(await runs.report("p"), ReportDetails | PersonNotFound | None)
    assert_type(await runs.history("p"), list[RecordedEvent])
    assert_type(await runs.recover(), RecoveryPass)
    assert_type(await runs.tokens.create("o"), NewToken)
    assert_type(await runs.tokens.authenticate("secret"), Token | None)


def status_code(runs: Runs) -> int:
    """Answer every answer of a start; a missing case is an error of the type checker."""
    match runs.start("p"):
        case Queued():
            return 200
        case Unresolved():
            return 202
        case RolledBack():
            return 502
        case AlreadyRunning(status=status):
            assert_type(status, str)
            return 409
        case InsufficientCredits(balance=balance, required=required):
            assert_type(balance, int)
            assert_type(required, int)
            return 402
        case PersonNotFound():
            return 404
        case KeyReused():
            return 422
        case never:
            assert_never(never)


async def awaiting(request: ResearchRequest) -> Report:
    """Research without blocking."""
    return Report({"about": request.profile})


def blocking(request: ResearchRequest) -> dict[str, object]:
    """Research and block."""
    return {"stopped": request.stopped()}


def engines(blocking: Dispatcher, awaiting: AsyncDispatcher) -> tuple[Runs, AsyncRuns, AsyncRuns]:
    """An engine that blocks is for who blocks, and in threads for who awaits."""
    store = MemoryStore()
    return Runs(store, blocking), AsyncRuns(store, awaiting), AsyncRuns(store, InThreads(blocking))


def jobs(app: App, address: str) -> PostgresStore:
    """Procrastinate's workers have the same pipelines as ours."""
    research = Procrastinate(queue="research", priority=1)
    store = PostgresStore(address, jobs=research)
    add_tasks(app, research, lambda: Runs(store), blocking)
    add_tasks(app, research, lambda: Runs(store), awaiting, recover_at=None)
    return store


def pipelines() -> tuple[Worker, Worker]:
    """Both are pipelines, and a store in memory is a store."""
    runs = Runs(MemoryStore())
    return Worker(runs, blocking), Worker(runs, awaiting)
