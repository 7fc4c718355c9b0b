"""A server that is killed, restarted and swapped in the middle of hundreds of starts; afterwards somebody counts."""

import multiprocessing
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest

from research_fsm import audit
from research_fsm.profile import Profile
from research_fsm.runs import Runs
from research_fsm.stores.postgres import PostgresStore
from research_fsm.testing.postgres import PostgresServer
from tests.postgres.examples import plain, tell

PROCESSES = 2
THREADS = 6
PEOPLE = 240
WAIT = timedelta(seconds=60)

_barriers: list[threading.Barrier] = []


def meet(barrier: threading.Barrier) -> None:
    """Keep the barrier in a process that was just started."""
    _barriers.append(barrier)


def start_all(address: str, people: list[str]) -> list[str]:
    """Start everybody from several threads, each with a key, and return what came of it."""
    with PostgresStore(address, wait=WAIT) as store, ThreadPoolExecutor(THREADS) as pool:
        _barriers[0].wait()  # Opening a store does not wait for a server; only what is open outlives a restart.
        runs = Runs(store)
        return list(pool.map(lambda person: type(runs.start(person, key=f"start {person}")).__name__, people))


def killed(server: PostgresServer) -> None:
    """Kill the server with signal 9, and start it again."""
    server.kill()
    server.start()


def cut(server: PostgresServer) -> None:
    """Cut every connection."""
    with plain(server.address()) as client:
        tell(client, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'research_fsm'")


def stopped(server: PostgresServer) -> None:
    """Stop the server as an administrator in a hurry does, and start it again."""
    server.stop()
    server.start()


@pytest.mark.parametrize("trouble", [killed, cut, stopped])
def test_nothing_is_lost_and_nothing_is_done_twice(trouble: Callable[[PostgresServer], None]) -> None:
    """Every start is answered, as if nothing had been; the log, the heads and the money agree with the answers."""
    with PostgresServer() as server:
        start_everybody(server.new_database(), lambda: trouble(server))


def start_everybody(address: str, trouble: Callable[[], None]) -> None:
    """Start many people from several processes, make trouble again and again, and see what came of it."""
    with PostgresStore(address, wait=WAIT) as store:
        runs = Runs(store)
        runs.grant("acme", 2 * PEOPLE)
        people = [
            runs.add("acme", Profile(first_name="P", last_name=str(n), company="x")).accepted().person_id
            for n in range(PEOPLE)
        ]
        context = multiprocessing.get_context("spawn")
        barrier = context.Barrier(PROCESSES)
        with ProcessPoolExecutor(PROCESSES, context, meet, (barrier,)) as pool:
            jobs = [pool.submit(start_all, address, people[part::PROCESSES]) for part in range(PROCESSES)]
            for share in (0.1, 0.4, 0.7):
                _wait_until_started(address, round(share * PEOPLE), jobs)
                trouble()
            answers = Counter(answer for job in jobs for answer in job.result())
        assert answers == {"Queued": PEOPLE}
        assert runs.balance("acme").charged == PEOPLE
        assert list(audit.verify(store)) == []
    _count(address)


def _wait_until_started(address: str, count: int, jobs: "Sequence[Future[list[str]]]") -> None:
    while True:
        for job in jobs:
            if job.done():
                job.result()  # Raises what ended it too early.
        try:
            with plain(address) as client:
                found = tell(client, "SELECT count(*) FROM research_fsm.events WHERE type = 'RunStarted'")[0][0]
        except psycopg.OperationalError:
            continue
        if found >= count:
            return


def _count(address: str) -> None:
    """Count bare rows with a client that knows nothing of this library."""
    with plain(address) as client:
        types = dict(tell(client, "SELECT type, count(*) FROM research_fsm.events GROUP BY type"))
        assert [types[name] for name in ("RunStarted", "CreditsHeld", "CreditsCharged")] == [PEOPLE] * 3
        twice = "SELECT stream FROM research_fsm.events WHERE type = 'RunStarted' GROUP BY stream HAVING count(*) > 1"
        assert tell(client, twice) == []
        assert tell(client, "SELECT count(*) FROM research_fsm.queue") == [(PEOPLE,)]
