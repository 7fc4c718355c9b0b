"""What an audit remembers is what a plain mapping would, and takes memory for what is at hand alone."""

import sqlite3
import tracemalloc
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from research_fsm.audit_memory import Remembered, Scratch


@given(
    at_hand=st.integers(1, 4),
    steps=st.lists(st.tuples(st.sampled_from(["put", "get", "change", "items"]), st.sampled_from("abcdefgh\ud800"))),
)
def test_it_remembers_as_a_mapping_does(at_hand: int, steps: list[tuple[str, str]]) -> None:
    """Whatever is put, changed in place, got and listed: nothing is lost, however little is kept at hand."""
    model: dict[str, list[int]] = {}
    with closing(Scratch()) as scratch:
        remembered = Remembered[list[int]](scratch, at_hand)
        for number, (step, name) in enumerate(steps):
            if step == "put":
                model[name] = [number]
                assert remembered.put(name, [number]) == [number]
            elif step == "items":
                assert dict(remembered.items()) == model
            else:
                found = remembered.get(name)
                assert found == model.get(name)
                if step == "change" and found is not None:
                    found.append(number)
                    model[name].append(number)
        assert list(remembered.items()) == sorted(model.items())
        assert len(remembered._hot) <= at_hand


def test_two_of_one_scratch_file_do_not_mix() -> None:
    """Each has its own names."""
    with closing(Scratch()) as scratch:
        first, second = Remembered[int](scratch, 1), Remembered[int](scratch, 1)
        for name in ("a", "b", "c"):
            first.put(name, 1)
        assert second.get("a") is None
        assert dict(second.items()) == {}


def test_more_names_take_no_more_memory() -> None:
    """Ten times as many names take the memory of those at hand."""

    def peak(names: int) -> int:
        with closing(Scratch()) as scratch:
            remembered = Remembered[bytes](scratch, 100)
            tracemalloc.start()
            for number in range(names):
                remembered.put(str(number), bytes(100))
            size = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return size

    assert peak(20_000) < 1.5 * peak(2_000)


def test_a_spoilt_name_is_not_there() -> None:
    """SQLite keeps any type in any column: what is no text names nothing."""
    with closing(Scratch()) as scratch:
        remembered = Remembered[int](scratch, 1)
        for name in ("a", "b"):
            remembered.put(name, 1)
        assert remembered.get(b"a") is None  # type: ignore[arg-type]  # That is what is tried.


def test_an_audit_that_is_given_up_leaves_nothing_open() -> None:
    """A closed scratch file is gone."""
    scratch = Scratch()
    scratch.close()
    with pytest.raises(sqlite3.ProgrammingError):
        scratch.table()
