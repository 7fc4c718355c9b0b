"""The conformance suite of stores itself: three ways to ask it, and what it says about a store that is wrong."""

import io
import threading
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import pytest
from attrs import evolve

from research_fsm.storage import Query, Rule, View, Write
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.conformance import BrokenPromises, DurableConformance, StoreConformance, check_store
from research_fsm.testing.suites import report
from research_fsm.testing.suites.expect import raises, same, that, the
from research_fsm.testing.wrapped import Wrapped

A = TypeVar("A")

PROMISES = 76
"""How many every store is asked for: whoever asks for less says so here."""


class Forgetful(MemoryStore):
    """A store that forgets who waits in the queue, and which documents are to be deleted."""

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Leave some of it out."""

        def wrong(view: View, now: int) -> Write[A]:
            return evolve(rule(view, now), forgotten=(), dequeued=())

        return super().transact(query, wrong)


def forgetful(_: Path, clock: Callable[[], int]) -> Forgetful:
    """Make one."""
    return Forgetful(clock)


def test_a_store_that_keeps_its_promise_is_told_which() -> None:
    """Every promise is asked for twice: by those who block, and by those who await."""
    kept = check_store(lambda _, clock: MemoryStore(clock)).promises
    assert len(kept) == 2 * PROMISES
    assert kept[0] == "a new store is empty and has a secret"
    assert kept[PROMISES] == "a new store is empty and has a secret, for those who await"


def test_a_store_that_does_not_is_told_what_was_found_instead() -> None:
    """Each broken promise says what it means, what was found, and the line that looked."""
    with pytest.raises(BrokenPromises) as raised:
        check_store(forgetful)
    broken = {one.promise: one for one in raised.value.broken}
    left = broken["an entry leaves the queue"]
    assert left.meaning == "One that is not there may leave too; one that comes back stands at the end."
    assert left.found.startswith("expected [QueueEntry(run_id='2'")
    assert [where.partition(":")[0] for where in left.where] == [str(Path(report.__file__).with_name("rows.py"))]
    assert "forgetting deletes what is personal and nothing else, for those who await" in broken
    first, *_ = str(raised.value).splitlines()
    assert first == f"forgetful breaks {len(broken)} of {2 * PROMISES} promises"


def test_a_store_that_gives_out_what_is_leased_is_found_out() -> None:
    """Here alone: the rule looks at the lease itself, so that nobody is at work twice, and others wait longer."""

    class Impatient(MemoryStore):
        def _load(self, query: Query, now: int) -> View:
            return super()._load(query, now + 3_600_000_000)

    with pytest.raises(BrokenPromises) as raised:
        check_store(lambda _, clock: Impatient(clock))
    assert "an entry is free without a lease and once it is over" in {one.promise for one in raised.value.broken}


def test_a_store_that_waits_for_ever_is_reported_with_the_line_at_which_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rest is asked all the same."""
    never = threading.Event()

    class Waiting(MemoryStore):
        def tokens(self, owner: str | None = None) -> list[object]:  # type: ignore[override]  # It never returns.
            never.wait()
            return [owner]

    monkeypatch.setattr(report, "_PATIENCE_SECONDS", 0.05)
    with pytest.raises(BrokenPromises) as raised:
        report.ask("Waiting", [lambda: _asked_of(Waiting)])
    never.set()
    (waiting,) = raised.value.broken
    assert waiting.found == "it still waits after 0.05 seconds"
    assert any("never.wait()" in line for line in waiting.where)
    assert raised.value.asked == 2


def _asked_of(kind: type[MemoryStore]) -> object:
    class Asked:
        def test_tokens(self) -> None:
            """They are listed."""
            kind().tokens()

        def test_heads(self) -> None:
            """They are listed."""
            list(kind().heads())

    return Asked()


def test_a_class_is_asked_under_unittest() -> None:
    """The same class, beside `unittest.TestCase`, in a few lines."""

    class MyStore(StoreConformance, unittest.TestCase):
        def make_store(self, clock: Callable[[], int]) -> MemoryStore:
            return MemoryStore(clock)

    result = unittest.TextTestRunner(io.StringIO()).run(unittest.defaultTestLoader.loadTestsFromTestCase(MyStore))
    assert (result.testsRun, result.wasSuccessful()) == (PROMISES, True)


def test_a_failure_under_unittest_shows_the_values() -> None:
    """Without pytest's rewriting of assertions."""

    class MyStore(StoreConformance, unittest.TestCase):
        def make_store(self, clock: Callable[[], int]) -> MemoryStore:
            return Forgetful(clock)

    said = io.StringIO()
    suite = unittest.TestSuite([MyStore("test_an_entry_leaves_the_queue")])
    assert not unittest.TextTestRunner(said).run(suite).wasSuccessful()
    assert "expected [QueueEntry(run_id='2', stream='a', lease_until=None)], found [QueueEntry(run_id='1'" in (
        said.getvalue()
    )


def test_a_store_that_only_says_it_is_durable_is_found_out() -> None:
    """One that keeps everything in memory is empty when it is opened again."""
    with pytest.raises(BrokenPromises) as raised:
        check_store(_volatile, durable=True)
    assert "positions go on rising" in {one.promise for one in raised.value.broken}
    assert "a process that dies leaves every commit and nothing half done" in {
        one.promise for one in raised.value.broken
    }


def _volatile(_: Path, clock: Callable[[], int]) -> MemoryStore:
    return MemoryStore(clock)


def test_a_store_that_blocks_and_does_not_await_is_found_out() -> None:
    """What it loses is lost for those who await alone."""

    class Blocking(Wrapped):
        async def transact_async(self, query: Query, rule: Rule[A]) -> A:
            return await super().transact_async(query, lambda view, now: evolve(rule(view, now), documents={}))

    with pytest.raises(BrokenPromises) as raised:
        check_store(lambda _, clock: Blocking(MemoryStore(clock)))
    broken = {one.promise for one in raised.value.broken}
    assert "documents are loaded by name of every stream that is, for those who await" in broken
    assert "documents are loaded by name of every stream that is" not in broken


def test_a_suite_that_does_not_say_how_its_store_is_made_says_so() -> None:
    """By the name of the class."""

    class Nameless(DurableConformance):
        pass

    with pytest.raises(NotImplementedError, match="Nameless does not say how its store is made"):
        Nameless().test_positions_go_on_rising()


def test_each_test_has_a_folder_of_its_own_and_leaves_none() -> None:
    """It is empty at first, stays the same within a test, and is gone with it."""

    class Somewhere(StoreConformance):
        pass

    one, other = Somewhere(), Somewhere()
    there = one.folder
    assert list(there.iterdir()) == []
    assert (one.folder, other.folder == there) == (there, False)
    del one
    assert not there.exists()


@pytest.mark.parametrize(
    ("found", "expected", "said"),
    [
        ([1, 2], [1, 3], r"at \[1\]: expected 3, found 2"),
        ([1, 2], [1], r"^expected \[1\], found \[1, 2\]"),
        ({"a": (1, 2)}, {"a": (1, 4)}, r"at \['a'\]\[1\]: expected 4, found 2"),
        ({"a": 1}, {"b": 1}, r"^expected \{'b': 1\}, found \{'a': 1\}"),
        (Query(entry="x"), Query(entry="y"), r"at \.entry: expected 'y', found 'x'"),
        (1, "1", r"^expected '1', found 1"),
        ("a" * 400, "b", r"found 'a{299}… \(402 characters\)"),
    ],
)
def test_what_differs_is_shown_where_it_differs_first(found: object, expected: object, said: str) -> None:
    """A path to the first difference, and what stands there in each, cut where it is very long."""
    with pytest.raises(AssertionError, match=said):
        same(found, expected)


def test_checks_that_hold_say_nothing() -> None:
    """And give back what was found."""
    same([1], [1])
    that(holds=True, otherwise="never said")
    assert the(int, 1) == 1
    with raises(ValueError, "abc") as raised:
        raise ValueError("abcd")
    assert str(raised.error) == "abcd"


def test_checks_that_do_not_hold_say_what_was_expected() -> None:
    """Of kinds, of errors, and of what an error says."""
    with pytest.raises(AssertionError, match="expected int, found 'a'"):
        the(int, cast("object", "a"))
    with pytest.raises(AssertionError, match="expected ValueError, and nothing was raised"), raises(ValueError):
        pass
    with pytest.raises(AssertionError, match="expected 'y' in what the ValueError says"), raises(ValueError, "y"):
        raise ValueError("x")
