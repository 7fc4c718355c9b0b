"""Every case runs, at a size that says nothing about speed, and yields rows that can be shown, kept and drawn."""

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree as ET  # Of a picture that was drawn here.

import pytest

from benchmarks.__main__ import CASES, main
from benchmarks.by_hand import ByHand
from benchmarks.people import Starts
from benchmarks.plot import drawn
from benchmarks.rounds import Measured, Settings, median_of, paired
from research_fsm.audit import verify

QUICK = sorted(set(CASES) - {"peers", "slow-flushes"})
"""All but what starts other people's libraries, and what runs the program again; the next test does that."""


@pytest.mark.parametrize("name", QUICK)
def test_a_case_runs(name: str, tmp_path: Path) -> None:
    """Rows with a case, a baseline, a ratio above nothing, and a target that is met or missed."""
    measured = CASES[name](Settings(str(tmp_path), rounds=1, operations=8, events=10_000, charges=100, seconds=0.2))
    assert measured or name == "tmpfs"
    for one in measured:
        assert one.case
        assert one.baseline
        assert one.ratio > 0
        assert one.lowest <= one.ratio <= one.highest
        assert one.met is not None or one.target is None


def test_by_hand_writes_the_same_rows(tmp_path: Path) -> None:
    """A baseline that wrote less would make the library look slow, and one that wrote more would flatter it."""
    case, by_hand = Starts(tmp_path / "case.db", 4), ByHand(tmp_path / "by-hand.db", 4, 100)
    grown = []
    for path, start in ((tmp_path / "case.db", case.start), (tmp_path / "by-hand.db", by_hand.start)):
        before = _rows(path)
        start(4)
        grown.append({table: count - before[table] for table, count in _rows(path).items()})
    case.close()
    by_hand.close()
    assert grown[0] == grown[1]
    assert grown[0] == {"events": 16, "heads": 0, "unique_keys": 4, "queue": 4, "receipts": 0, "documents": 0}


def _rows(path: Path) -> dict[str, int]:
    tables = ("events", "heads", "unique_keys", "queue", "receipts", "documents")
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608  # Names from above.
            for table in tables
        }


def test_a_log_that_was_filled_fast_is_a_valid_one(tmp_path: Path) -> None:
    """Chained and legal, its heads what its events fold to: a start behind it is a start behind a real one."""
    case = Starts(tmp_path / "case.db", 3, events=1_000, charges=40)
    try:
        case.start(3)
        assert sum(1 for _ in case.store.events()) >= 1_000 + 5 * 40
        assert list(verify(case.store)) == []
    finally:
        case.close()


def test_importing_the_package_loads_nothing_heavy(tmp_path: Path) -> None:
    """No driver, no framework: what is shown beside the time of an import says so."""
    settings = Settings(str(tmp_path), rounds=1, operations=1, events=0, charges=0, seconds=0)
    assert CASES["imports"](settings)[0].remark.endswith("it loads nothing")


def test_the_program_writes_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a table, as JSON, and as a picture; and runs itself again where flushes are to be slow."""
    out, picture = tmp_path / "out.json", tmp_path / "out.svg"
    sizes = ["--rounds", "1", "--operations", "8", "--folder", str(tmp_path)]
    monkeypatch.setattr(
        sys, "argv", ["benchmarks", "--only", "slow-flushes", "--json", str(out), "--plot", str(picture), *sizes]
    )
    assert main() == 0
    rows = json.loads(out.read_text("utf-8"))
    assert all({"case", "baseline", "ratio", "target", "met"} <= set(row) for row in rows)
    assert len(ET.fromstring(picture.read_text("utf-8")).findall(".//{*}rect")) == len(rows) + 1  # noqa: S314


def test_a_ratio_is_of_one_round() -> None:
    """The median of the rounds' own ratios; of speeds, or where less is better of times."""
    pairs = [(10.0, 20.0), (10.0, 30.0), (40.0, 40.0)]
    fast = median_of("case", "baseline", pairs, target=2.0)
    assert (fast.ratio, fast.lowest, fast.highest, fast.met) == (2.0, 1.0, 3.0, True)
    small = median_of("case", "baseline", pairs, target=0.4, less_is_better=True)
    assert (small.ratio, small.met) == (0.5, False)


def test_rounds_alternate_and_the_first_is_not_counted() -> None:
    """Whoever goes first is not always the same."""
    order: list[str] = []
    settings = Settings("", rounds=3, operations=1, events=0, charges=0, seconds=0)
    measured = paired("a", "b", lambda _: order.append("a"), lambda _: order.append("b"), settings)
    assert "".join(order) == "abbaabba"
    assert measured.rounds == 3


def test_a_picture_shows_targets_and_escapes_names() -> None:
    """A bar each, in the colour of what it came to."""
    rows = [
        Measured("a < b", "c", 1.0, 1.0, ratio, 0.01, 99.0, 3, target)
        for ratio, target in ((2.0, 1.0), (0.5, 1.0), (3.0, None))
    ]
    picture = drawn(rows)
    ET.fromstring(picture)  # noqa: S314  # Drawn here.
    assert "a &lt; b" in picture
    assert [picture.count(f'class="{kind}"') for kind in ("met", "missed", "bar", "target")] == [1, 1, 1, 2]
