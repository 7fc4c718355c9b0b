"""``python -m benchmarks``: every case against its baseline, as a table, or as JSON with ``--json``."""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from attrs import asdict

from benchmarks.by_hand import ByHand
from benchmarks.rounds import Paired, paired
from research_fsm import Profile, Runs
from research_fsm.stores.sqlite import SQLiteStore

_CREDITS = 10**9


class _Starts:
    """Starts people of one account through the library.

    Args:
        path: A file that does not exist yet.
        people: How many people to prepare.
    """

    def __init__(self, path: Path, people: int) -> None:
        self._store = SQLiteStore(path)
        self._runs = Runs(self._store)
        self._runs.grant("acme", _CREDITS)
        self._people = [self._added(number) for number in range(people)]
        self._next = iter(self._people)

    def _added(self, number: int) -> str:
        profile = Profile(first_name="Person", last_name=str(number), company="Example")
        return self._runs.add("acme", profile).accepted().person_id

    def start(self, operations: int) -> None:
        """Start so many people."""
        for _ in range(operations):
            self._runs.start(next(self._next)).accepted()

    def close(self) -> None:
        """Close the store."""
        self._store.close()


def _start_by_hand(folder: Path, rounds: int, operations: int) -> Paired:
    """Compare one caller with what somebody would write by hand: same tables, one commit per start, no hash chain."""
    people = (rounds + 1) * operations
    case = _Starts(folder / "case.db", people)
    by_hand = ByHand(folder / "by_hand.db", people, _CREDITS)
    try:
        return paired(
            "a start on SQLite, one caller, hash chain on",
            "sqlite3 by hand, same tables, no chain",
            case.start,
            by_hand.start,
            rounds=rounds,
            operations=operations,
        )
    finally:
        case.close()
        by_hand.close()


def _start_on_a_long_log(folder: Path, rounds: int, operations: int, events: int) -> Paired:
    """Compare a start on a log of many events with one on a short log: it reads two heads and replays nothing."""
    people = (rounds + 1) * operations
    long, short = _Starts(folder / "long.db", people + events // 5), _Starts(folder / "short.db", people)
    long.start(events // 5)
    try:
        return paired(
            f"a start behind {events:,} events",
            "itself on a short log",
            long.start,
            short.start,
            rounds=rounds,
            operations=operations,
        )
    finally:
        long.close()
        short.close()


def _cases(folder: Path, rounds: int, operations: int, events: int) -> Iterator[Paired]:
    yield _start_by_hand(folder, rounds, operations)
    yield _start_on_a_long_log(folder, rounds, operations, events)


def main() -> int:
    """Run every case and print what it came to."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rounds", type=int, default=15, help="counted rounds of each case")
    parser.add_argument("--operations", type=int, default=100, help="operations in a round")
    parser.add_argument("--events", type=int, default=20_000, help="length of the long log")
    parser.add_argument("--folder", type=Path, help="where the files go: a disk, or a tmpfs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        results = list(_cases(Path(folder), options.rounds, options.operations, options.events))
    if options.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
        return 0
    for result in results:
        print(f"{result.name}\n  against {result.baseline}")
        print(f"  {result.case_us:.0f} µs against {result.baseline_us:.0f} µs")
        print(f"  ratio {result.ratio:.2f} (from {result.lowest:.2f} to {result.highest:.2f}, {result.rounds} rounds)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
