"""Kills the process of a simulated world in the middle of a transaction, and looks at what it left.

Floor 6. A part of `simulate`. The process kills itself, with the signal that no program can catch, at a transaction
that is counted and not timed: so what must be left is known to the last hash, and nothing is luck.
"""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.testing.clock import ManualClock
from research_fsm.testing.simulate.crashes import Marked, Point, expected, left_over
from research_fsm.testing.simulate.life import fingerprint, simulate

__all__ = ["die", "kill"]

_LATER = 3_000_000_000_000_000


def kill(seed: int, number: int, point: Point, place: Path) -> None:
    """Simulate a world on SQLite in a process that dies in a transaction; then look at the file and go on from it.

    Args:
        seed: The world.
        number: The transaction: one of `crashes.writing`.
        point: Where in it.
        place: A file that does not exist.

    Raises:
        AssertionError: The file holds something else than it has to, or does not come to rest.
    """
    wanted = expected(seed, number)
    words = [sys.executable, "-c", "from research_fsm.testing.simulate.kill import die; die()"]
    done = subprocess.run([*words, str(seed), str(number), point, str(place)], check=False)  # noqa: S603  # Our own code.
    if done.returncode != -signal.SIGKILL:
        raise AssertionError(f"the process ended with {done.returncode} and did not kill itself")
    clock = ManualClock(_LATER)
    with SQLiteStore(place, clock=clock) as store:
        if fingerprint(store) != (wanted.after if point is Point.COMMITTED else wanted.before):
            raise AssertionError(f"seed {seed}: killed at transaction {number}, {point}: the log is another one")
        wrong = list(left_over(store, clock, seed))
    if wrong:
        raise AssertionError(f"seed {seed}: killed at transaction {number}, {point}: {'; '.join(wrong)}")


def die() -> None:
    """Be the process that is killed; its arguments are the seed, the transaction, the point and the file."""
    seed, number, point, place = int(sys.argv[1]), int(sys.argv[2]), Point(sys.argv[3]), sys.argv[4]
    armed = [False]

    def kill_here() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def at(reached: Point, transaction: int) -> None:
        if transaction == number and reached is point:
            kill_here()
        armed[0] = transaction == number and reached is Point.DECIDED and point is Point.WRITTEN

    def traced(statement: str) -> None:
        if armed[0] and statement == "COMMIT":
            kill_here()

    def connect(*args: Any, **named: Any) -> sqlite3.Connection:  # noqa: ANN401  # The driver's.
        connection = connect_really(*args, **named)
        connection.set_trace_callback(traced)
        return connection

    connect_really: Callable[..., sqlite3.Connection] = sqlite3.connect
    sqlite3.connect = connect  # type: ignore[assignment]  # It passes on whatever it is given.
    simulate(seed, lambda clock: Marked(SQLiteStore(place, clock=clock), at))
