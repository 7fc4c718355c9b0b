"""Every case runs, at a size that says nothing about speed, and yields rows that can be shown, kept and drawn."""

import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree as ET  # Of a picture that was drawn here.

import psycopg
import pytest

from benchmarks.__main__ import CASES, main
from benchmarks.by_hand import ByHand
from benchmarks.on_postgres import both_on_postgres
from benchmarks.people import Starts
from benchmarks.plot import drawn
from benchmarks.postgres_by_hand import PostgresByHand
from benchmarks.rounds import Measured, Settings, median_of, paired
from research_fsm import codec
from research_fsm.audit import verify
from research_fsm.storage import Head
from research_fsm.stores.postgres import PostgresStore
from research_fsm.stores.sqlite import SQLiteStore

QUICK = sorted(set(CASES) - {"peers", "postgres-peers", "postgres-slow-flushes", "slow-flushes"})
"""All but what starts other people's libraries, and what runs the program again; the next test does that."""

_TABLES = ("events", "heads", "unique_keys", "queue", "receipts", "documents")


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
    case, by_hand = Starts(SQLiteStore(tmp_path / "case.db"), 4), ByHand(tmp_path / "by-hand.db", 4, 100)
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
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608  # Names from above.
            for table in _TABLES
        }


def test_on_postgresql_by_hand_does_the_same_work() -> None:
    """The same rows, and what it leaves is whole: hashes, laws, keys, queue, receipts, and heads that are folds."""
    with both_on_postgres(4, 2, 1) as both:
        grown = []
        for address, start in zip(both.addresses, (both.case.start, _each(both.by_hand, both.people)), strict=True):
            before = _rows_on_postgres(address)
            start(4)
            grown.append({table: count - before[table] for table, count in _rows_on_postgres(address).items()})
            with closing(PostgresStore(address)) as store:
                # The server writes JSON with spaces, which the audit takes for another state than ours.
                assert {finding.law for finding in verify(store)} <= {"heads_are_folds"}
                assert [json.loads(head.state) for head in store.heads()] == [_folded(store, h) for h in store.heads()]
    assert grown[0] == grown[1]
    assert grown[0] == {"events": 16, "heads": 0, "unique_keys": 4, "queue": 4, "receipts": 4, "documents": 0}


def test_on_postgresql_by_hand_refuses() -> None:
    """A key that was used is answered again, a person is started once, and nothing is spent that is not there."""
    with both_on_postgres(2, 1, 1) as both:
        first, second = both.people
        both.by_hand.start(first)
        both.by_hand.start(first)
        with psycopg.connect(both.addresses[1], options="-c search_path=research_fsm") as connection:
            again = connection.execute("SELECT start_by_hand(%s, 'a', 'another key')", (first,)).fetchone()
            connection.execute(
                """UPDATE heads SET state = (state::jsonb || '{"revoked": 999999999}')::text WHERE link IS NULL"""
            )
            poor = connection.execute("SELECT start_by_hand(%s, 'b', 'a third key')", (second,)).fetchone()
            (events,) = connection.execute("SELECT count(*) FROM events WHERE type = 'RunStarted'").fetchone() or (0,)
    assert again == (f'["AlreadyRunning", "{first}"]',)
    assert poor == (f'["InsufficientCredits", "{second}"]',)
    assert events == 1


def _each(by_hand: PostgresByHand, people: list[str]) -> Callable[[int], None]:
    return lambda operations: [by_hand.start(person_id) for person_id in people[:operations]].clear()


def _folded(store: PostgresStore, head: Head) -> object:
    kind, name = head.stream.split(":")
    events = store.events(head.stream)
    return json.loads(codec.encode(codec.fold_person(name, events) if kind == "person" else codec.fold_account(events)))


def _rows_on_postgres(address: str) -> dict[str, int]:
    with psycopg.connect(address, options="-c search_path=research_fsm") as connection:
        return {table: (connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,))[0] for table in _TABLES}  # noqa: S608  # Names from above.


def test_a_log_that_was_filled_fast_is_a_valid_one(tmp_path: Path) -> None:
    """Chained and legal, its heads what its events fold to: a start behind it is a start behind a real one."""
    case = Starts(SQLiteStore(tmp_path / "case.db"), 3, events=1_000, charges=40)
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
