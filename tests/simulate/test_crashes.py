"""A process that is killed, power that is lost, in the middle of a commit: what is left is known to the last hash."""

import sqlite3
import struct
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from research_fsm import Runs
from research_fsm.stores import sqlite_file
from research_fsm.stores.memory import MemoryStore
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.testing import ManualClock
from research_fsm.testing.simulate import simulate
from research_fsm.testing.simulate.crashes import Marked, Point, expected, left_over, writing
from research_fsm.testing.simulate.kill import kill
from research_fsm.testing.simulate.power import Log, cut_power

SEED = 15
"""A world with both kinds of runs, and some fifty transactions that write."""

COMMITS = 18
"""In how many of them the power is lost: whoever makes the search smaller has to say so here."""


@pytest.mark.parametrize("point", Point)
@pytest.mark.parametrize("part", [3, 2])
def test_a_process_that_is_killed_leaves_what_was_committed(tmp_path: Path, part: int, point: Point) -> None:
    """Before it writes, before it commits, before it says so: the log is the one in memory, and comes to rest."""
    numbers = writing(SEED)
    kill(SEED, numbers[len(numbers) * (part - 1) // part], point, tmp_path / "killed.db")


def test_power_that_is_lost_takes_back_the_last_commit_or_nothing(tmp_path: Path) -> None:
    """At each frame of the write-ahead log and in the middle of each; how many those are is SQLite's affair."""
    counted = cut_power(SEED, tmp_path, every=3, at_rest=True)
    assert counted.commits == COMMITS
    assert counted.cuts > 4 * COMMITS
    assert list(tmp_path.glob("cut*")) == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(8))
def test_power_is_lost_in_every_commit_of_many_worlds(seed: int, tmp_path: Path) -> None:
    """The same, for minutes."""
    assert cut_power(seed, tmp_path, at_rest=seed % 4 == 0).commits > 0


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_processes_are_killed_in_many_transactions(seed: int, tmp_path: Path) -> None:
    """The same, for minutes."""
    for number in writing(seed)[::7]:
        for point in Point:
            kill(seed, number, point, tmp_path / f"{number}-{point}.db")


def test_a_store_that_does_not_commit_at_once_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose commits are not in the log when it says so would lose them with the power."""
    connect = sqlite_file.connect

    def lazy(path: str, mode: str, wait: timedelta) -> _Lazy:
        return _Lazy(connect(path, mode, wait))

    monkeypatch.setattr(sqlite_file, "connect", lazy)
    with pytest.raises(AssertionError):
        cut_power(SEED, tmp_path)


class _Lazy:
    """A connection that commits every second time only, and says that it does each time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._commits = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:  # noqa: ANN401  # The driver's.
        """Put every second commit off."""
        if sql == "COMMIT":
            self._commits += 1
            if self._commits % 2 and self._commits > 3:
                sql = "SELECT 1"
        elif sql.startswith("BEGIN IMMEDIATE") and self._connection.in_transaction:
            sql = "SELECT 1"
        return self._connection.execute(sql, *parameters)


def test_a_world_that_is_left_in_the_middle_comes_to_rest() -> None:
    """By recovery and the embedded queue's workers alone; and what cannot is named."""
    stores: list[MemoryStore] = []
    number = writing(SEED)[40]

    def make_store(clock: Callable[[], int]) -> Marked:
        stores.append(MemoryStore(clock))

        def at(_: Point, reached: int) -> None:
            if reached == number:
                raise KeyboardInterrupt

        return Marked(stores[0], at)

    with pytest.raises(KeyboardInterrupt):
        simulate(SEED, make_store)
    left = MemoryStore(clock := ManualClock(3_000_000_000_000_000))
    left._tables = stores[0]._tables
    assert list(left_over(left, clock, SEED)) == []


def test_what_is_expected_is_what_memory_has() -> None:
    """The log with a transaction and without it; after the last one it is that of the whole world."""
    numbers = writing(SEED)
    assert list(numbers) == sorted(set(numbers))
    one = expected(SEED, numbers[5])
    assert one.before != one.after
    assert expected(SEED, numbers[6]).before == one.after


def test_a_write_ahead_log_is_read_as_sqlite_writes_it(tmp_path: Path) -> None:
    """Whole frames of the same salt; a commit ends a transaction."""
    place = tmp_path / "one.db"
    with SQLiteStore(place) as store:
        before = Log.read(place.with_name("one.db-wal").read_bytes())
        Runs(store).grant("acme", 1)
        data = place.with_name("one.db-wal").read_bytes()
    log = Log.read(data)
    assert log.commits == before.commits + 1
    assert Log.read(data[: log.ends[-1] - 1]).commits == before.commits
    assert Log.read(data[:31]) == Log.read(b"") == Log()
    salted = data[: log.ends[0]] + struct.pack(">II", 1, 2) * 600
    assert Log.read(salted).ends == log.ends[:1]
