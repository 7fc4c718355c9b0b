"""``python -m benchmarks``: every case against its baseline, as a table, as JSON, and drawn."""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from attrs import asdict, evolve

from benchmarks.audit_cases import audit
from benchmarks.growth import growth
from benchmarks.imports import imports
from benchmarks.many_callers import one_caller, tasks, threads
from benchmarks.on_postgres import postgres_callers, postgres_on_a_slow_disk, postgres_processes
from benchmarks.over_http import over_http
from benchmarks.peers import peers, postgres_peers
from benchmarks.plot import drawn
from benchmarks.processes import processes
from benchmarks.rounds import Measured, Settings
from benchmarks.slow_flush import with_slow_flushes
from benchmarks.steps import steps

_TMPFS = Path("/dev/shm")  # noqa: S108  # It is asked for, to be measured.

Case = Callable[[Settings], list[Measured]]


def _on_tmpfs(settings: Settings) -> list[Measured]:
    if not _TMPFS.is_dir():
        print("the case on a tmpfs is left out: there is no /dev/shm", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory(dir=_TMPFS) as folder:
        measured = one_caller(evolve(settings, folder=folder), 0.65)
    return [evolve(measured, case=f"{measured.case}, on a tmpfs")]


CASES: dict[str, Case] = {
    "one": lambda settings: [one_caller(settings, 0.8)],
    "tmpfs": _on_tmpfs,
    "threads": lambda settings: [threads(settings, 8, 2.0)],
    "tasks": lambda settings: tasks(settings, 64, 4.0),
    "slow-flushes": lambda settings: with_slow_flushes(settings, "threads", "tasks"),
    "processes": processes,
    "steps": steps,
    "growth": growth,
    "imports": imports,
    "http": over_http,
    "audit": audit,
    "peers": peers,
    "postgres-callers": postgres_callers,
    "postgres-slow-flushes": lambda settings: with_slow_flushes(settings, "postgres-callers"),
    "postgres-processes": postgres_processes,
    "postgres-peers": postgres_peers,
}

_POSTGRES = "postgres"

_EXPLAINED = f"some of {', '.join(CASES)}; or postgres, or sqlite: all that need that database"

_SLOW: dict[str, Case] = {
    "threads": lambda settings: [threads(settings, 8, 6.0, ", flushes 2 ms slower")],
    "tasks": lambda settings: tasks(settings, 64, 20.0, ", flushes 2 ms slower"),
    "postgres-callers": lambda settings: postgres_on_a_slow_disk(settings, ", flushes 2 ms slower"),
}


def _measured(cases: dict[str, Case], settings: Settings) -> Iterator[Measured]:
    for name, case in cases.items():
        with tempfile.TemporaryDirectory(dir=settings.folder, prefix=f"{name}-") as folder:
            yield from case(evolve(settings, folder=folder))


def _printed(one: Measured) -> str:
    bound = ""
    if one.target is not None:
        away = abs(one.ratio / one.target - 1)
        reached = f"{'met' if one.met else 'missed'} by {away:.0%}"
        bound = f", to reach {'≤' if one.less_is_better else '≥'} {one.target:g}: {reached}"
    lines = [f"{one.case}", f"  against {one.baseline}"]
    if one.case_us:
        lines.append(f"  {one.case_us:,.1f} µs against {one.baseline_us:,.1f} µs")
    lines.append(f"  ratio {one.ratio:.2f} (from {one.lowest:.2f} to {one.highest:.2f}, {one.rounds} rounds){bound}")
    return "\n".join([*lines, *([f"  {one.remark}"] if one.remark else [])])


def _named(word: str) -> tuple[str, ...]:
    """Return the cases that a word stands for: one of them, or all on a database."""
    on_postgres = tuple(name for name in CASES if name.startswith(_POSTGRES))
    groups = {**{name: (name,) for name in CASES}, _POSTGRES: on_postgres, "sqlite": tuple({*CASES} - {*on_postgres})}
    if word not in groups:
        raise argparse.ArgumentTypeError(f"{word!r} is none of {', '.join(groups)}")
    return groups[word]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write JSON; - for standard output, instead of the table")
    parser.add_argument("--plot", metavar="FILE", type=Path, help="draw the ratios into an SVG file")
    parser.add_argument("cases", nargs="*", type=_named, metavar="CASE", help=_EXPLAINED)
    parser.add_argument("--only", nargs="+", type=_named, metavar="CASE", default=[], help="the same")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for a first look")
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds of each case")
    parser.add_argument("--operations", type=int, default=600, help="operations in a round")
    parser.add_argument("--events", type=int, default=100_000, help="length of the longest log")
    parser.add_argument("--charges", type=int, default=100_000, help="charges of an account with many")
    parser.add_argument("--full", action="store_const", const=10_000_000, dest="events", help="a log of 10^7 events")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long processes compete in a round")
    parser.add_argument("--folder", type=Path, help="where the files go: a disk, or a tmpfs")
    parser.add_argument("--flushes-are-slow", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Run the cases and say what they came to."""
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        settings = Settings(
            folder, options.rounds, options.operations, options.events, options.charges, options.seconds
        )
        if options.quick:
            settings = Settings(folder, rounds=3, operations=150, events=10_000, charges=5_000, seconds=0.5)
        cases = _SLOW if options.flushes_are_slow else CASES
        named = set(chain.from_iterable([*options.cases, *options.only]))
        chosen = {name: case for name, case in cases.items() if not named or name in named}
        results = []
        for one in _measured(chosen, settings):
            results.append(one)
            if options.json != "-":
                print(_printed(one), flush=True)
    rows = json.dumps([{**asdict(one), "met": one.met} for one in results], indent=2, ensure_ascii=False)
    if options.json == "-":
        print(rows)
    elif options.json is not None:
        Path(options.json).write_text(rows + "\n", "utf-8")
    if options.plot is not None:
        options.plot.write_text(drawn(results), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
