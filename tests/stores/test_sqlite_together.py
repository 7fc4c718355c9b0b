"""Many callers of one SQLite store at once: what one of them suffers, and what the others notice of it."""

import asyncio
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, cast

import pytest

from research_fsm.errors import CommitUnknown, InvalidInput, StoreBusy, StoreFull
from research_fsm.storage import Query, QueueEntry, Rule, View, Write
from research_fsm.stores import sqlite as sqlite_module
from research_fsm.stores.group_commit import Ticket
from research_fsm.stores.sqlite import SQLiteStore
from tests.stores.sqlite_examples import Child, Faulty, appending, broken_links, driver_error, end, writing
from tests.stores.test_group_commit import _NO_INTERRUPT

WAIT = timedelta(seconds=20)
SHORT = timedelta(milliseconds=50)

Transaction = tuple[Query, Rule[Any]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file in a folder of its own."""
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    """Open a store."""
    with SQLiteStore(path, busy_timeout=WAIT) as opened:
        yield opened


def together(store: SQLiteStore, *transactions: Transaction) -> list[object]:
    """Commit for callers in one batch; return what each is told, an answer or an error."""
    tickets: list[Ticket[Any]] = [Ticket(query, rule, 0.0) for query, rule in transactions]
    store._commit(1.0, lambda: tickets)
    assert all(ticket.done for ticket in tickets)
    return [ticket.answer if ticket.error is None else ticket.error for ticket in tickets]


def statements(store: SQLiteStore) -> list[str]:
    """Return a list that is filled with what the writer is told from now on."""
    seen: list[str] = []
    store._writer.get().set_trace_callback(seen.append)
    return seen


# --- one batch ---------------------------------------------------------------------------------------------------


def test_a_batch_is_one_transaction(store: SQLiteStore) -> None:
    """Sixteen callers of one stream: one commit, the versions in their order, and each row of the log once."""
    seen = statements(store)
    answers = together(store, *(appending("a", number) for number in range(16)))
    assert answers == list(range(1, 17))
    assert seen.count("COMMIT") == seen.count("BEGIN IMMEDIATE") == 1
    assert sum("INSERT INTO heads" in statement for statement in seen) == 1
    assert [event.version for event in store.events("a")] == list(range(1, 17))
    assert broken_links(store) == []


def test_a_batch_that_writes_nothing_costs_no_commit(store: SQLiteStore) -> None:
    """Refusals alone are answered from a transaction that is aborted."""
    seen = statements(store)
    assert together(store, *(writing(Write(answer=number)) for number in range(4))) == [0, 1, 2, 3]
    assert "COMMIT" not in seen


def test_a_value_that_sqlite_cannot_hold_is_its_own_callers_affair(store: SQLiteStore) -> None:
    """It is refused; those before and behind it are committed."""
    wrong = writing(Write(answer=0, streams=(end("b", 0, 1, due=1 << 70),)))
    first, refused, last = together(store, appending("a", 1), wrong, appending("a", 2))
    assert (first, last) == (1, 2)
    assert isinstance(refused, InvalidInput)
    assert [head.stream for head in store.heads()] == ["a"]


def test_a_disk_that_is_full_for_one_is_not_full_for_the_others(store: SQLiteStore) -> None:
    """The report that does not fit is refused; small requests of the same batch are committed."""
    together(store, appending("a", 1))
    connection = store._writer.get()
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    told = together(store, appending("a", 2), appending("b", "x" * 100_000), appending("a", 3))
    assert told[::2] == [2, 3]
    assert isinstance(told[1], StoreFull)
    assert [event.stream for event in store.events()] == ["a", "a", "a"]
    assert broken_links(store) == []


def test_a_commit_whose_acknowledgement_is_lost_is_unknown_to_all(store: SQLiteStore) -> None:
    """Those who wrote, and those who were refused because of what the others wrote; each has an error of its own."""
    fault = driver_error(sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC")
    store._writer.connection = cast("sqlite3.Connection", Faulty(store._writer.get(), "COMMIT", fault, done=True))
    told = together(store, appending("a", 1), writing(Write(answer="refused")), appending("a", 2))
    assert all(isinstance(error, CommitUnknown) for error in told)
    assert len({id(error) for error in told}) == 3
    assert [event.version for event in store.events("a")] == [1, 2]


def test_a_commit_that_is_refused_is_tried_for_each_alone(store: SQLiteStore) -> None:
    """The first try wrote nothing, so it is safe to try again."""
    fault = driver_error(sqlite3.SQLITE_FULL, "SQLITE_FULL")
    store._writer.connection = cast("sqlite3.Connection", Faulty(store._writer.get(), "COMMIT", fault, done=False))
    assert together(store, appending("a", 1), appending("a", 2)) == [1, 2]
    assert [event.version for event in store.events("a")] == [1, 2]


def test_what_an_earlier_caller_led_to_and_was_not_loaded_is_decided_in_a_second_transaction(
    store: SQLiteStore,
) -> None:
    """A worker takes what was enqueued a moment ago: its documents were not asked for when the batch began."""
    store.transact(*writing(Write(answer=0, streams=(end("a", 0, 1),), documents={("a", "profile"): b"{}"})))

    def enqueuing(_: View, __: int) -> Write[str]:
        return Write(answer="enqueued", streams=(end("a", 1, 2),), enqueued=(QueueEntry("run", "a"),))

    def taking(view: View, _: int) -> Write[object]:
        return Write(answer=(view.entry, dict(view.documents)))

    take: Transaction = (Query(next_entry=True, documents=("profile",)), taking)
    told = together(store, (Query(streams=("a",)), enqueuing), take, appending("a", 3))
    assert told[0] == "enqueued"
    entry, documents = cast("tuple[Any, Any]", told[1])
    assert entry.run_id == "run"
    assert documents == {("a", "profile"): b"{}"}
    assert told[2] == 3


def test_an_entry_that_was_put_a_moment_ago_is_not_taken_before_older_ones(store: SQLiteStore) -> None:
    """The first two were removed by the caller before; the third was not loaded, and is next all the same."""
    stored = tuple(QueueEntry(name, "a") for name in ("one", "two", "three"))
    store.transact(*writing(Write(answer=0, streams=(end("a", 0, 1),), enqueued=stored)))
    moving: Transaction = writing(Write(answer=0, enqueued=(QueueEntry("new", "a"),), dequeued=("one", "two")))
    taking: Transaction = (Query(next_entry=True), lambda view, _: Write(answer=view.entry))
    _, taken = together(store, moving, taking)
    assert taken == QueueEntry("three", "a")


# --- interrupts --------------------------------------------------------------------------------------------------

_FOLDER = str(Path(sqlite_module.__file__).parent)


class Interruption:
    """Raises KeyboardInterrupt at the n-th line of the store's modules that a thread comes to, once.

    Args:
        at: Which line.
    """

    _sources: dict[str, list[str]] = {}  # noqa: RUF012  # Read once for all.

    def __init__(self, at: int) -> None:
        self.reached = False
        self._left = at

    def __call__(self, frame: FrameType, event: str, _: object) -> "Interruption | None":
        """Be called by the interpreter."""
        name = frame.f_code.co_filename
        if not name.startswith(_FOLDER):
            return None
        if event == "line" and not self._line(name, frame.f_lineno).startswith(_NO_INTERRUPT):
            self._left -= 1
            if self._left == 0:
                self.reached = True
                raise KeyboardInterrupt
        return self

    def _line(self, name: str, number: int) -> str:
        if name not in self._sources:
            self._sources[name] = [line.strip() for line in Path(name).read_text("utf-8").splitlines()]
        return self._sources[name][number - 1]


def test_an_interrupt_at_any_line_of_a_transaction_harms_nobody(store: SQLiteStore) -> None:
    """Two others are committed with it, each once, and told; whoever was interrupted may or may not have written."""
    at, reached, others = 0, True, 0
    gathered = store._callers._gather
    while reached:
        at += 1
        told: list[object] = []
        threads: list[threading.Thread] = []
        interruption = Interruption(at)

        def come(told: list[object] = told) -> None:
            told.append(store.transact(*appending("others", "x")))

        def gather(threads: list[threading.Thread] = threads, come: Callable[[], None] = come) -> None:
            if not threads:  # Let the others come while it leads, the first time that it looks for them.
                for _ in range(2):
                    thread = threading.Thread(target=come)
                    thread.start()
                    threads.append(thread)
                while len(store._callers._line) < 3:
                    os.sched_yield()
            gathered()

        store._callers._gather = gather  # type: ignore[method-assign]  # For the length of one call.
        sys.settrace(interruption)
        try:
            store.transact(*appending("leader", "x"))
        except KeyboardInterrupt:
            pass  # It is what the test is about.
        finally:
            sys.settrace(None)
            store._callers._gather = gathered  # type: ignore[method-assign]
        reached = interruption.reached
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive(), f"interrupted at line {at}: somebody waits forever"
        others += len(threads)
        assert sorted(cast("list[int]", told)) == list(range(others - len(threads) + 1, others + 1)), at
        assert not store._writer.in_transaction
    assert at > 150
    assert [event.version for event in store.events("others")] == list(range(1, others + 1))
    assert broken_links(store) == []


# --- processes ---------------------------------------------------------------------------------------------------


def appending_for_ever(path: Path, told: int) -> Callable[[], object]:
    """Make a process that writes until it is killed, and says so each time."""

    def work() -> None:
        with SQLiteStore(path, busy_timeout=WAIT) as own:
            while True:
                own.transact(*appending("a", "child"))
                os.write(told, b"x")

    return work


@pytest.mark.parametrize("end_signal", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_is_killed_or_stopped_keeps_nobody_for_ever(path: Path, end_signal: signal.Signals) -> None:
    """Killed, its lock is gone with it; stopped in the middle of a commit, the others are told that it is busy."""
    reading, told = os.pipe()
    child = Child(appending_for_ever(path, told))
    os.close(told)
    with os.fdopen(reading, "rb", buffering=0) as said:
        said.read(1)
        os.kill(child.pid, end_signal)
        with SQLiteStore(path, busy_timeout=SHORT) as store:
            outcomes: set[type] = set()
            for _ in range(3):
                try:
                    outcomes.add(type(store.transact(*appending("b", "parent"))))
                except StoreBusy:
                    outcomes.add(StoreBusy)
            assert outcomes <= {int, StoreBusy}
            if end_signal == signal.SIGKILL:
                assert outcomes == {int}
            else:
                os.kill(child.pid, signal.SIGCONT)
                os.kill(child.pid, signal.SIGKILL)
            child.result()
            assert store.transact(*appending("b", "parent")) >= 1
            assert broken_links(store) == []


def test_a_process_stopped_with_the_lock_makes_the_others_busy(path: Path) -> None:
    """They wait as long as they were told to, threads and tasks alike; once it goes on, so do they."""
    inside_reading, inside = os.pipe()

    def work() -> object:
        def rule(_: View, __: int) -> Write[int]:
            os.write(inside, b"x")
            os.kill(os.getpid(), signal.SIGSTOP)
            return Write(answer=1, streams=(end("a", 0, 1),))

        with SQLiteStore(path) as own:
            return own.transact(Query(streams=("a",)), rule)

    child = Child(work)
    os.read(inside_reading, 1)
    with SQLiteStore(path, busy_timeout=SHORT) as store:

        async def awaiting() -> list[object]:
            calls = (store.transact_async(*appending("a", "task")) for _ in range(3))
            return list(await asyncio.gather(*calls, return_exceptions=True))

        began = time.monotonic()
        with pytest.raises(StoreBusy):
            store.transact(*appending("a", "parent"))
        assert all(isinstance(error, StoreBusy) for error in asyncio.run(awaiting()))
        assert time.monotonic() - began < 10
        os.kill(child.pid, signal.SIGCONT)
        assert child.result() == 1
        assert store.transact(*appending("a", "parent")) == 2
    for pipe in (inside_reading, inside):
        os.close(pipe)


def test_who_gave_up_keeps_no_lock(path: Path) -> None:
    """A process that stopped waiting lets go of the lock that it is given afterwards."""
    with SQLiteStore(path, busy_timeout=SHORT) as store, SQLiteStore(path, busy_timeout=SHORT) as other:
        assert store._turn.acquire(0) == 0
        with pytest.raises(StoreBusy):
            other.transact(*appending("a", 1))
        store._turn.release()
        for number in range(1, 4):
            assert store.transact(*appending("a", number)) == 2 * number - 1
            assert other.transact(*appending("a", number)) == 2 * number


def test_a_lock_file_that_cannot_be_had_is_done_without(path: Path) -> None:
    """It is about fairness alone: writers go on, one at a time by SQLite's own lock."""
    path.with_name("store.db-lock").mkdir()
    children = [Child(lambda: _appended(path, 10)) for _ in range(3)]
    answers = [answer for child in children for answer in cast("Sequence[int]", child.result())]
    assert sorted(answers) == list(range(1, 31))


def _appended(path: Path, notes: int) -> list[int]:
    with SQLiteStore(path, busy_timeout=WAIT) as own:
        return [own.transact(*appending("a", note)) for note in range(notes)]


def test_many_processes_of_threads_and_tasks_lose_nothing(path: Path) -> None:
    """Sixteen processes, each with four threads and eight tasks, append to one stream: every version once."""
    SQLiteStore(path).close()

    def work() -> object:
        answers: list[int] = []
        with SQLiteStore(path, busy_timeout=WAIT) as own:

            def blocking() -> None:
                answers.append(own.transact(*appending("a", "thread")))

            async def awaiting() -> list[int]:
                return list(await asyncio.gather(*(own.transact_async(*appending("a", "task")) for _ in range(8))))

            threads = [threading.Thread(target=blocking) for _ in range(4)]
            for thread in threads:
                thread.start()
            answers += asyncio.run(awaiting())
            for thread in threads:
                thread.join()
        return answers

    children = [Child(work) for _ in range(16)]
    answers = [answer for child in children for answer in cast("Sequence[int]", child.result())]
    assert sorted(answers) == list(range(1, 16 * 12 + 1))
    with SQLiteStore(path) as store:
        assert [event.version for event in store.events("a")] == sorted(answers)
        assert broken_links(store) == []
