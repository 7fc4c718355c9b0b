"""What an audit remembers is what a plain mapping would, and takes memory for what is at hand alone."""

import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from research_fsm import Profile, Runs
from research_fsm.audit import verify
from research_fsm.audit.memory import Kept, Lane, Listed, Remembered, Scratch, by_name
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.worker import Worker


def _none(_: str) -> list[int]:
    return []


@given(
    at_hand=st.integers(1, 4),
    steps=st.lists(st.tuples(st.sampled_from(["put", "change", "trim", "all"]), st.sampled_from("abcdefgh\ud800"))),
)
def test_it_remembers_as_a_mapping_does(at_hand: int, steps: list[tuple[str, str]]) -> None:
    """Whatever is put, changed in place, and written down meanwhile: nothing is lost, however little is at hand."""
    model: dict[str, list[int]] = {}
    with closing(Scratch()) as scratch:
        remembered = Remembered(scratch, at_hand, _none, tuple, list[int])
        for number, (step, name) in enumerate(steps):
            if step == "put":
                model[name] = [number]
                remembered[name] = [number]
            elif step == "change":
                assert remembered[name] == model.get(name, [])
                model.setdefault(name, []).append(number)
                remembered[name].append(number)
            elif step == "trim":
                remembered.trim()
                assert len(remembered) <= at_hand
            else:
                assert dict(remembered.everything()) == model
        assert list(remembered.everything()) == sorted(model.items())


def test_two_of_one_scratch_file_do_not_mix() -> None:
    """Each has its own names."""
    with closing(Scratch()) as scratch:
        first, second = Remembered(scratch, 1, int), Remembered(scratch, 1, lambda _: -1)
        first.update(a=1, b=2, c=3)
        first.trim()
        assert second["a"] == -1
        assert dict(second.everything()) == {"a": -1}


def test_more_names_take_no_more_memory() -> None:
    """Ten times as many names take the memory of those at hand."""

    def peak(names: int) -> int:
        with closing(Scratch()) as scratch:
            remembered = Remembered(scratch, 100, str.encode)
            listed = Listed[int](scratch)
            kept = Kept[int](scratch, int, int)
            tracemalloc.start()
            for number in range(names):
                remembered[str(number)] = bytes(100)
                kept.append(number)
                listed.add(str(number), number)
                remembered.trim()
            size = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return size

    assert peak(20_000) < peak(2_000) + 18_000 * 10  # Each name and its values are longer than ten bytes.


def test_long_documents_are_not_held_together(tmp_path: Path) -> None:
    """Three times as many people with long reports take the memory of a few of them."""

    def peak(people: int) -> int:
        with SQLiteStore(tmp_path / f"{people}.db") as store:
            runs = Runs(store)
            runs.grant("acme", people)
            for number in range(people):
                runs.create("acme", Profile(linkedin_url=f"linkedin.com/in/{number}")).accepted()
            worker = Worker(runs, lambda _: {"text": "x" * 100_000})
            assert all(worker.run_once() for _ in range(people))
            tracemalloc.start()
            assert list(verify(store)) == []
            size = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return size

    assert peak(120) < 1.5 * peak(40)


_NAMES = st.text("ab\xe9\U00010000", max_size=2)


@given(st.lists(st.tuples(_NAMES, st.integers())))
def test_a_list_is_read_by_name_and_then_as_it_was_written(rows: list[tuple[str, int]]) -> None:
    """Two of one name come in the order in which they were added."""
    with closing(Scratch()) as scratch:
        listed = Listed[int](scratch)
        for name, value in rows:
            listed.add(name, value)
        assert list(listed.items()) == sorted(rows, key=lambda row: row[0])


@given(st.lists(st.text(), max_size=9))
def test_what_is_kept_is_read_as_it_came_and_as_often_as_is_asked_for(texts: list[str]) -> None:
    """Also while more comes."""
    with closing(Scratch()) as scratch:
        kept = Kept[str](scratch, lambda text: (text,), lambda packed: str(packed[0]))
        for number, text in enumerate(texts):
            kept.append(text)
            assert (len(kept), list(kept)) == (number + 1, texts[: number + 1])
        assert list(kept) == list(kept) == texts


_ROWS = st.lists(st.tuples(_NAMES, st.integers()))


@given(st.lists(_ROWS, max_size=4))
def test_sorted_sequences_are_read_beside_each_other(sequences: list[list[tuple[str, int]]]) -> None:
    """Each name comes once, in order, with all that each sequence has of it."""
    lanes = [Lane(sorted(rows)) for rows in sequences]
    found = [(name, [lane.take(name) for lane in lanes]) for name in by_name(*lanes)]
    assert [name for name, _ in found] == sorted({name for rows in sequences for name, _ in rows})
    for name, taken in found:
        assert taken == [sorted(value for its, value in rows if its == name) for rows in sequences]


def test_an_audit_that_is_given_up_leaves_nothing_open() -> None:
    """A closed scratch file is gone."""
    scratch = Scratch()
    scratch.close()
    with pytest.raises(sqlite3.ProgrammingError):
        scratch.table("(name)")
