"""Loses power in the middle of a commit of the SQLite store: a copy of the file and of a part of its write-ahead log.

Floor 6. A part of `simulate`. After a commit, what it wrote to the write-ahead log is cut off again frame by frame, and
in the middle of each frame: with all of it, the commit is there; with less, everything before it is, and nothing of it.
The form of the log is that of SQLite's documentation, https://sqlite.org/fileformat2.html#the_write_ahead_log.
"""

import struct
from collections.abc import Callable
from pathlib import Path

from attrs import define, frozen

from research_fsm.storage import Store
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.testing.clock import ManualClock
from research_fsm.testing.simulate.crashes import Marked, Point, left_over
from research_fsm.testing.simulate.life import fingerprint, simulate

__all__ = ["Cuts", "Log", "cut_power"]

_HEADER = 32
_FRAME_HEADER = 24
_LATER = 3_000_000_000_000_000


@frozen
class Log:
    """A write-ahead log.

    Args:
        salt: What tells its frames from those of the log before it.
        ends: Where each frame ends, in bytes, from the first on.
        commits: How many of the frames end a transaction.
    """

    salt: bytes = b""
    ends: tuple[int, ...] = ()
    commits: int = 0

    @classmethod
    def read(cls, data: bytes) -> "Log":
        """Read it from its bytes."""
        if len(data) < _HEADER:
            return cls()
        (page,) = struct.unpack(">I", data[8:12])
        salt, ends, commits, place = data[16:24], list[int](), 0, _HEADER
        size = _FRAME_HEADER + page
        while place + size <= len(data) and data[place + 8 : place + 16] == salt:
            commits += struct.unpack(">I", data[place + 4 : place + 8])[0] != 0
            place += size
            ends.append(place)
        return cls(salt, tuple(ends), commits)


@define
class Cuts:
    """How often the power was lost.

    Args:
        commits: Commits in which it was.
        cuts: Places where it was.
    """

    commits: int = 0
    cuts: int = 0


def cut_power(seed: int, folder: Path, *, every: int = 1, at_rest: bool = False) -> Cuts:
    """Simulate a world on SQLite, and lose power at every frame of some of its commits.

    Args:
        seed: The world.
        folder: An empty folder.
        every: Lose power in each so-many-th transaction.
        at_rest: Whether each copy comes to rest as well, which takes its time.

    Raises:
        AssertionError: A copy holds something else than it has to.
    """
    return _Power(seed, folder, every, at_rest=at_rest).live()


class _Power:
    """One world whose power is lost again and again."""

    def __init__(self, seed: int, folder: Path, every: int, *, at_rest: bool) -> None:
        self._seed, self._folder, self._every, self._at_rest = seed, folder, every, at_rest
        self._file = folder / "world.db"
        self._counted = Cuts()
        self._before = ""
        self._log = Log()
        self._store: Store | None = None

    def live(self) -> Cuts:
        outcome = simulate(self._seed, self._make_store)
        if outcome.wrong:
            raise AssertionError(f"seed {self._seed}: {'; '.join(outcome.wrong)}")
        return self._counted

    def _make_store(self, clock: Callable[[], int]) -> Marked:
        self._store = SQLiteStore(self._file, clock=clock)
        return Marked(self._store, self._at)

    def _at(self, point: Point, number: int) -> None:
        if number % self._every or self._store is None:
            return
        written = self._file.with_name("world.db-wal").read_bytes()
        log, now = Log.read(written), fingerprint(self._store)
        if point is Point.DECIDED:
            self._log, self._before = log, now
        elif log.salt == self._log.salt and len(log.ends) > len(self._log.ends):
            self._counted.commits += 1
            self._cut(written, log, now)

    def _cut(self, written: bytes, log: Log, now: str) -> None:
        """Cut off what the last commit wrote, frame by frame."""
        if log.commits != self._log.commits + 1:
            raise AssertionError(f"one transaction wrote {log.commits - self._log.commits} commits to the log")
        fresh = log.ends[len(self._log.ends) :]
        start = self._log.ends[-1] if self._log.ends else _HEADER
        database = self._file.read_bytes()
        for end in (start, *fresh):
            self._check(database, written[:end], now if end == fresh[-1] else self._before)
        for end in fresh:
            self._check(database, written[: (start + end) // 2], self._before)
            start = end

    def _check(self, database: bytes, log: bytes, wanted: str) -> None:
        """Open a copy as the next process would, and look at what is there."""
        self._counted.cuts += 1
        place = self._folder / f"cut{self._counted.cuts}.db"
        place.write_bytes(database)
        place.with_name(f"{place.name}-wal").write_bytes(log)
        clock = ManualClock(_LATER)
        with SQLiteStore(place, clock=clock) as copy:
            if fingerprint(copy) != wanted:
                raise AssertionError(f"seed {self._seed}: cut off after {len(log)} bytes, the log is another one")
            if self._at_rest:
                wrong = list(left_over(copy, clock, self._seed))
                if wrong:
                    raise AssertionError(f"seed {self._seed}: cut off after {len(log)} bytes: {'; '.join(wrong)}")
        for left in self._folder.glob(f"{place.name}*"):
            left.unlink()
