"""A start on PostgreSQL for one and for many callers, against one plpgsql call each: `postgres_by_hand`.

A server of the benchmark's own is started for each case, from wheels, with the settings that it comes with. Both sides
have a database each on it, with the same people in it.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from attrs import define, evolve, field, frozen

from benchmarks.competing import Act, Contest, Round, compete
from benchmarks.many_callers import in_tasks, in_threads
from benchmarks.people import Starts
from benchmarks.postgres_by_hand import PostgresByHand, starting
from benchmarks.rounds import Measured, Settings, median_of, paired
from research_fsm import Runs
from research_fsm.async_runs import AsyncRuns
from research_fsm.stores.postgres import PostgresStore
from research_fsm.testing.postgres import PostgresServer

__all__ = ["both_on_postgres", "postgres_callers", "postgres_on_a_slow_disk", "postgres_processes"]

_CONNECTIONS = 8
"""What the baseline's callers share."""

_SPREAD = 100
"""Accounts of people who are spread."""

_OPERATIONS_TIMES = 4
"""So many more operations in a round of many callers, whose first and last batches are small ones."""

_PROCESSES = 2
_THREADS = 32
_ROUNDS = 5
_PER_SECOND = 6000
"""More starts a second than there ever were: so many people are prepared."""

_FUNCTION = "one plpgsql call each, prepared, autocommit"


def postgres_callers(settings: Settings) -> list[Measured]:
    """Compare one, eight and sixty-four callers, whose people are of many accounts, or all of one."""
    many = evolve(settings, operations=_OPERATIONS_TIMES * settings.operations)
    return [
        *_callers(settings, 1, _SPREAD, 0.7),
        *_callers(many, 8, _SPREAD, 1.1),
        *_callers(many, 8, 1, 4.0),
        *_callers(many, 64, _SPREAD, 2.5, p99=1.0),
        *_callers(many, 64, 1, 10.0, p99=1.0),
        _tasks(many, 64, _SPREAD, 2.5),
        _tasks(many, 64, 1, 10.0),
    ]


def postgres_on_a_slow_disk(settings: Settings, flush: str) -> list[Measured]:
    """Show the same where each flush takes long, as over a network: for one caller and for sixty-four."""
    return [
        *_callers(settings, 1, _SPREAD, None, flush=flush),
        *_callers(settings, 64, _SPREAD, None, flush=flush),
        *_callers(settings, 64, 1, None, flush=flush),
    ]


def postgres_processes(settings: Settings) -> list[Measured]:
    """Compare two processes of thirty-two callers each, spread and hot."""
    return [*_processes(settings, _SPREAD, 2.5), *_processes(settings, 1, 6.0)]


@define
class _Side:
    """One side of a case: its starts, each timed.

    Args:
        callers: How many threads.
        act: Starts the next person.
        server: Whose processor time counts, beside this process's.
        p99s: Of each round so far: seconds within which 99 of 100 starts were answered.
        worked: Of each round so far: processor seconds for one start, here and on the server.
    """

    callers: int
    act: Callable[[], object]
    server: PostgresServer
    p99s: list[float] = field(factory=list, init=False)
    worked: list[float] = field(factory=list, init=False)

    def run(self, operations: int) -> None:
        """Do so many starts."""
        seconds: list[float] = []

        def timed() -> None:
            began = time.perf_counter()
            self.act()
            seconds.append(time.perf_counter() - began)

        before = _processor_seconds(self.server)
        in_threads(self.callers, operations, timed)
        self.worked.append((_processor_seconds(self.server) - before) / operations)
        self.p99s.append(sorted(seconds)[int(len(seconds) * 0.99)])


@frozen
class _Both:
    """Both sides of a case, on one server.

    Args:
        case: The library's people.
        people: The baseline's.
        by_hand: Starts them.
        addresses: Where the two databases are.
        server: The server.
    """

    case: Starts
    people: list[str]
    by_hand: PostgresByHand
    addresses: tuple[str, str]
    server: PostgresServer


def _callers(
    settings: Settings, callers: int, accounts: int, target: float | None, *, p99: float | None = None, flush: str = ""
) -> Iterator[Measured]:
    name, baseline = "PostgreSQL, 1 caller", _FUNCTION
    if callers > 1:
        name = f"PostgreSQL, {callers} callers, {_spread(accounts)}"
        baseline = f"{_FUNCTION}, {_CONNECTIONS} connections"
    with both_on_postgres((settings.rounds + 1) * settings.operations, accounts, callers) as both:
        left = iter(both.people)
        own = _Side(callers, both.case.start_next, both.server)
        other = _Side(callers, lambda: both.by_hand.start(next(left)), both.server)
        measured = paired(f"{name}{flush}", baseline, own.run, other.run, settings, target=target)
        yield evolve(measured, remark=_worked(own, other))
        if callers > 1:
            pairs = [(mine * 1e6, yours * 1e6) for mine, yours in zip(own.p99s[1:], other.p99s[1:], strict=True)]
            percentile = f"{name}{flush}: 99th percentile of a start"
            yield median_of(percentile, baseline, pairs, target=p99, less_is_better=True)


def _tasks(settings: Settings, callers: int, accounts: int, target: float) -> Measured:
    with both_on_postgres((settings.rounds + 1) * settings.operations, accounts, 1) as both, asyncio.Runner() as runner:
        runs, left = AsyncRuns.of(both.case.runs), iter(both.people)
        pool = starting(both.addresses[1], _CONNECTIONS)
        start = runner.run(pool.__aenter__())

        async def own() -> None:
            person_id = both.case.next_person()
            (await runs.start(person_id, key=person_id)).accepted()

        try:
            return paired(
                f"PostgreSQL, {callers} tasks, {_spread(accounts)}",
                f"{_FUNCTION}, {callers} tasks, {_CONNECTIONS} connections",
                lambda operations: runner.run(in_tasks(callers, operations, own)),
                lambda operations: runner.run(in_tasks(callers, operations, lambda: start(next(left)))),
                settings,
                target=target,
            )
        finally:
            runner.run(pool.__aexit__(None, None, None))


def _processes(settings: Settings, accounts: int, target: float) -> Iterator[Measured]:
    rounds = min(settings.rounds, _ROUNDS)
    own, other = list[Round](), list[Round]()
    with both_on_postgres(int(rounds * settings.seconds * _PER_SECOND), accounts, 1) as both:
        sides = ((own, _ours, both.case.people), (other, _by_hand, both.people))
        for number in range(rounds):
            for (results, open_, people), address in zip(sides, both.addresses, strict=True):
                contest = Contest(_PROCESSES, _THREADS, settings.seconds, open_)
                results.append(compete(contest, address, people[number::rounds]))
    name = f"PostgreSQL, {_PROCESSES} processes × {_THREADS} callers, {_spread(accounts)}"
    baseline = f"{_FUNCTION}, {_CONNECTIONS // _PROCESSES} connections in each process"
    rounds_of_both = list(zip(own, other, strict=True))
    speeds = [(1e6 / mine.per_second, 1e6 / yours.per_second) for mine, yours in rounds_of_both]
    percentiles = [(mine.p99 * 1e6, yours.p99 * 1e6) for mine, yours in rounds_of_both]
    yield median_of(name, baseline, speeds, target=target)
    yield median_of(f"{name}: 99th percentile of a start", baseline, percentiles, less_is_better=True)


@contextmanager
def both_on_postgres(people: int, accounts: int, callers: int) -> Iterator[_Both]:
    """Prepare both sides on a new server."""
    with PostgresServer() as server:
        addresses = server.new_database(), server.new_database()
        stores = [PostgresStore(address) for address in addresses]
        sides = [Starts(store, people, accounts=accounts, keyed=True) for store in stores]
        try:
            with PostgresByHand(addresses[1], callers, _CONNECTIONS) as by_hand:
                for address in addresses:
                    with psycopg.connect(address, autocommit=True) as connection:
                        connection.execute("VACUUM ANALYZE")
                by_hand.prepare()
                yield _Both(sides[0], sides[1].people, by_hand, addresses, server)
        finally:
            for side in sides:
                side.close()


def _worked(own: _Side, other: _Side) -> str:
    """Say what a start costs both processors together, which is what counts where there is more to do than they can."""
    mine, yours = (statistics.median(side.worked[1:]) for side in (own, other))
    return (
        f"processor time, client and server: {mine * 1e6:,.0f} µs against {yours * 1e6:,.0f} µs, {yours / mine:.2f} ×"
    )


def _processor_seconds(server: PostgresServer) -> float:
    """Return what this process and the server have worked so far, as Linux counts it, without processes that ended."""
    total = time.process_time()
    for pid in server.pids():
        with suppress(OSError):
            total += int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    return total


def _spread(accounts: int) -> str:
    return "one hot account" if accounts == 1 else f"{accounts} accounts"


def _ours(address: str) -> Callable[[], Act]:
    runs = Runs(PostgresStore(address))

    def act(person_id: str) -> bool:
        runs.start(person_id, key=person_id).accepted()
        return True

    return lambda: act


def _by_hand(address: str) -> Callable[[], Act]:
    by_hand = PostgresByHand(address, _THREADS, _CONNECTIONS // _PROCESSES)
    return lambda: by_hand.start
