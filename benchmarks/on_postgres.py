"""A start on PostgreSQL for one and for many callers, against one plpgsql call each: `postgres_by_hand`.

A server of the benchmark's own is started for each case, from wheels, with the settings that it comes with. Both sides
have a database each on it, with the same people in it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from attrs import define, evolve, field, frozen

from benchmarks.competing import Act, Contest, Round, compete
from benchmarks.many_callers import in_threads
from benchmarks.people import Starts
from benchmarks.postgres_by_hand import PostgresByHand
from benchmarks.rounds import Measured, Settings, median_of, paired
from research_fsm import Runs
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
        p99s: Of each round so far: seconds within which 99 of 100 starts were answered.
    """

    callers: int
    act: Callable[[], object]
    p99s: list[float] = field(factory=list, init=False)

    def run(self, operations: int) -> None:
        """Do so many starts."""
        seconds: list[float] = []

        def timed() -> None:
            began = time.perf_counter()
            self.act()
            seconds.append(time.perf_counter() - began)

        in_threads(self.callers, operations, timed)
        self.p99s.append(sorted(seconds)[int(len(seconds) * 0.99)])


@frozen
class _Both:
    """Both sides of a case, on one server.

    Args:
        case: The library's people.
        people: The baseline's.
        by_hand: Starts them.
        addresses: Where the two databases are.
    """

    case: Starts
    people: list[str]
    by_hand: PostgresByHand
    addresses: tuple[str, str]


def _callers(
    settings: Settings, callers: int, accounts: int, target: float | None, *, p99: float | None = None, flush: str = ""
) -> Iterator[Measured]:
    name, baseline = "PostgreSQL, 1 caller", _FUNCTION
    if callers > 1:
        name = f"PostgreSQL, {callers} callers, {_spread(accounts)}"
        baseline = f"{_FUNCTION}, {_CONNECTIONS} connections"
    with both_on_postgres((settings.rounds + 1) * settings.operations, accounts, callers) as both:
        left = iter(both.people)
        own, other = _Side(callers, both.case.start_next), _Side(callers, lambda: both.by_hand.start(next(left)))
        yield paired(f"{name}{flush}", baseline, own.run, other.run, settings, target=target)
        if callers > 1:
            pairs = [(mine * 1e6, yours * 1e6) for mine, yours in zip(own.p99s[1:], other.p99s[1:], strict=True)]
            percentile = f"{name}{flush}: 99th percentile of a start"
            yield median_of(percentile, baseline, pairs, target=p99, less_is_better=True)


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
                yield _Both(sides[0], sides[1].people, by_hand, addresses)
        finally:
            for side in sides:
                side.close()


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
