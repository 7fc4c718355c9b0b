"""Many processes of threads and tasks on one store: one person, few credits, callers who leave and processes that die.

The processes are forked, and wait for each other; each opens the store for itself.
"""

import asyncio
import itertools
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from research_fsm import AsyncRuns, Profile, Runs
from research_fsm.audit import verify
from research_fsm.outcomes import Queued
from research_fsm.stores.memory import wall_clock
from research_fsm.stores.sqlite import SQLiteStore
from tests.stores.sqlite_examples import Child
from tests.system.recount import recount

PROFILE = Profile(first_name="Ada", last_name="Lovelace", company="Analytical Engines")
PROCESSES, THREADS, TASKS = 64, 2, 3
CALLERS = PROCESSES * (THREADS + TASKS)

Told = list[tuple[str, str]]
"""What callers were told: the name of the answer, and the person."""


def made(path: Path, credits_of: dict[str, int], people: int) -> list[str]:
    """Make a store with accounts that each have so many people; nobody has it open afterwards."""
    with SQLiteStore(path) as store:
        runs = Runs(store)
        for owner, amount in credits_of.items():
            runs.grant(owner, amount)
        return [
            runs.add(owner, PROFILE).accepted().person_id for owner, _ in itertools.product(credits_of, range(people))
        ]


def racing(processes: Sequence[Callable[[], object]]) -> list[object]:
    """Return what processes say that begin at the same moment; None for one that died."""
    waiting, gate = os.pipe()

    def after_the_gate(work: Callable[[], object]) -> Callable[[], object]:
        def begin() -> object:
            os.close(gate)
            os.read(waiting, 1)  # Nothing comes, but the end of it, once the parent has opened the gate.
            return work()

        return begin

    children = [Child(after_the_gate(work)) for work in processes]
    os.close(gate)
    os.close(waiting)
    return [child.result() for child in children]


def starting(path: Path, people: Sequence[str]) -> Callable[[], Told]:
    """Make a process whose threads and tasks each start one of these people, in turn."""

    def work() -> Told:
        told: Told = []
        with SQLiteStore(path) as store:
            runs, whom = Runs(store), itertools.cycle(people)

            def blocking(person_id: str) -> None:
                told.append((type(runs.start(person_id)).__name__, person_id))

            async def awaiting(person_id: str) -> None:
                told.append((type(await AsyncRuns.of(runs).start(person_id)).__name__, person_id))

            async def tasks() -> None:
                await asyncio.gather(*(awaiting(next(whom)) for _ in range(TASKS)))

            threads = [threading.Thread(target=blocking, args=(next(whom),)) for _ in range(THREADS)]
            for thread in threads:
                thread.start()
            asyncio.run(tasks())
            for thread in threads:
                thread.join()
        return told

    return work


def answers(said: Sequence[object]) -> Told:
    """Return what the callers of all processes that lived were told."""
    return [answer for told in said if told is not None for answer in cast("Told", told)]


def wrong(path: Path) -> list[str]:
    """Return everything that is wrong, by our own audit and by the independent reader."""
    with SQLiteStore(path) as store:
        return [str(finding) for finding in verify(store)] + list(recount(path).problems)


def test_one_person_and_one_credit_are_started_once(tmp_path: Path) -> None:
    """Of the callers of 64 processes exactly one is told Queued, and all the others that somebody was before them."""
    path = tmp_path / "research.db"
    people = made(path, {"acme": 1}, 1)
    told = answers(racing([starting(path, people)] * PROCESSES))
    assert Counter(answer for answer, _ in told) == {"Queued": 1, "AlreadyRunning": CALLERS - 1}
    counted = recount(path)
    assert (counted.runs, counted.charged, counted.holds) == (1, 1, 0)
    assert wrong(path) == []


def test_one_credit_for_many_people_starts_one_of_them(tmp_path: Path) -> None:
    """Whoever asks for that person is told it runs already, and everybody else that the credits do not suffice."""
    path = tmp_path / "research.db"
    people = made(path, {"acme": 1}, THREADS + TASKS)
    told = answers(racing([starting(path, people)] * PROCESSES))
    (started,) = [person_id for answer, person_id in told if answer == "Queued"]
    for_them = [answer for answer, person_id in told if person_id == started]
    for_others = Counter(answer for answer, person_id in told if person_id != started)
    assert Counter(for_them) <= Counter({"Queued": 1, "AlreadyRunning": PROCESSES - 1})
    assert for_others == {"InsufficientCredits": CALLERS - len(for_them)}
    assert recount(path).charged == 1
    assert wrong(path) == []


def test_as_many_are_started_as_there_are_credits(tmp_path: Path) -> None:
    """Ninety people and forty credits: forty are started, whichever processes ask for whom."""
    path = tmp_path / "research.db"
    people = made(path, {"acme": 40}, 90)
    turned = [people[number:] + people[:number] for number in range(0, 90, 5)]
    told = answers(racing([starting(path, some) for some in turned]))
    started = [person_id for answer, person_id in told if answer == "Queued"]
    assert len(set(started)) == len(started) == 40
    counted = recount(path)
    assert (counted.runs, counted.charged, counted.holds) == (40, 40, 0)
    assert wrong(path) == []


# --- callers who leave, processes that die -----------------------------------------------------------------------

ACCOUNTS = {"acme": 30, "beta": 15, "corp": 5}


def leaving(path: Path, people: Sequence[str], seed: int) -> Callable[[], Told]:
    """Make a process that starts many people as tasks, and cancels some of them at turns of the loop drawn by a seed.

    One process in three is killed in a transaction drawn by the same seed, with the database in its hands: it has ten
    at least, because a thread of it starts ten people one after the other.
    """
    draw = random.Random(seed)  # noqa: S311  # To be the same again.
    dies_at = draw.randrange(1, 11) if seed % 3 == 0 else 0
    mine = draw.sample(list(people), 30)
    asked = itertools.count(1)

    def clock() -> int:
        if next(asked) == dies_at:  # The store asks for the time in the middle of a transaction.
            os.kill(os.getpid(), signal.SIGKILL)
        return wall_clock()

    async def race(runs: Runs) -> Told:
        doors, told = AsyncRuns.of(runs), list[tuple[str, str]]()
        tasks = {asyncio.ensure_future(doors.start(person_id)): person_id for person_id in mine}
        for task in draw.sample(list(tasks), 10):
            for _ in range(draw.randrange(4)):
                await asyncio.sleep(0)
            task.cancel()
        for answer, person_id in zip(await asyncio.gather(*tasks, return_exceptions=True), tasks.values(), strict=True):
            told.append((type(answer).__name__, person_id))
        return told

    def work() -> Told:
        with SQLiteStore(path, clock=clock) as store:
            runs, told = Runs(store), list[tuple[str, str]]()

            def blocking() -> None:
                for person_id in mine[:10]:
                    answer = runs.start(person_id)
                    told.append((type(answer).__name__, person_id))

            thread = threading.Thread(target=blocking)
            thread.start()
            awaited = asyncio.run(race(runs))
            thread.join()
        return told + awaited

    return work


def test_callers_who_leave_and_processes_that_die_lose_and_double_nothing(tmp_path: Path) -> None:
    """Tasks are cancelled and processes killed in the middle: what was told stands, and the credits add up."""
    path = tmp_path / "research.db"
    people = made(path, ACCOUNTS, 30)
    said = racing([leaving(path, people, seed) for seed in range(24)])
    assert said.count(None) == 8
    told = answers(said)
    assert {answer for answer, _ in told} <= {"Queued", "AlreadyRunning", "InsufficientCredits", "CancelledError"}
    started = [person_id for answer, person_id in told if answer == Queued.__name__]
    assert len(set(started)) == len(started)
    assert wrong(path) == []
    with SQLiteStore(path) as store:
        runs = Runs(store)
        balances = [runs.balance(owner) for owner in ACCOUNTS]
        for person_id in people:  # Whoever comes afterwards finds a store that works, and spends what is left.
            runs.start(person_id)
        assert all(runs.balance(owner).available == 0 for owner in ACCOUNTS)
        statuses = {person_id: str(getattr(runs.person(person_id), "status", None)) for person_id in people}
    assert all(statuses[person_id] == "running" for person_id in started)
    assert sum(balance.charged + balance.available for balance in balances) == sum(ACCOUNTS.values())
    counted = recount(path)
    assert (counted.runs, counted.charged, counted.holds) == (50, 50, 0)
    assert list(statuses.values()).count("running") == 50
    assert wrong(path) == []
