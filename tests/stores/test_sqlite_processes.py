"""One SQLite store used by many: threads, processes, forks, and processes that are killed."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from research_fsm.storage import Query, Write
from research_fsm.stores.sqlite import SQLiteStore
from tests.stores.sqlite_examples import Child, appending, broken_links, end, plain, writing


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file in a folder of its own."""
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    """Open a store."""
    with SQLiteStore(path) as opened:
        yield opened


def versions(store: SQLiteStore, stream: str) -> list[int]:
    """Return the versions of a stream's events."""
    return [row.version for row in store.events(stream)]


def intact(store: SQLiteStore, path: Path) -> bool:
    """Tell whether the chain is whole and the file is, by SQLite's own check."""
    with plain(path) as client:
        return broken_links(store) == [] and client.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# --- threads -----------------------------------------------------------------------------------------------------


def test_threads_share_a_store(store: SQLiteStore, path: Path) -> None:
    """They write and read through one object; every write sees the one before."""
    together = threading.Barrier(8)
    answers: list[int] = []

    def work() -> None:
        together.wait()
        for note in range(20):
            own = store.transact(*appending("a", note))
            answers.append(own)
            assert store.read(Query(streams=("a",))).heads["a"].version >= own

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == versions(store, "a") == list(range(1, 161))
    assert intact(store, path)


def test_a_snapshot_sees_one_point_in_time(store: SQLiteStore) -> None:
    """Whatever is written meanwhile, by this store or another; its own snapshot is itself."""
    store.transact(*appending("a", 1))
    with store.snapshot() as frozen, frozen.snapshot() as again:
        store.transact(*appending("a", 2))
        store.transact(*appending("b", 1))
        for reader in (frozen, again):
            assert [head.version for head in reader.heads()] == [1]
            assert len(list(reader.events())) == 1
            view = reader.read(Query(streams=("a", "b")))
            assert list(view.heads) == ["a"]
            assert [row.version for row in view.history("a")] == [1]
    assert len(list(store.events())) == 3


def test_a_read_of_several_statements_sees_one_point_in_time(store: SQLiteStore, path: Path) -> None:
    """Somebody commits between the statement for the heads and the one for the documents: neither shows it."""
    old, new = ({("a", "profile"): body} for body in (b"old", b"new"))
    store.transact(*writing(Write(answer=None, streams=(end("a", 0, 1),), documents=old)))
    query = Query(streams=("a",), documents=("profile",))
    with SQLiteStore(path) as other:

        def between(statement: str) -> None:
            if "FROM documents" in statement and other.read(query).documents == old:
                other.transact(*writing(Write(answer=None, streams=(end("a", 1, 2),), documents=new)))

        store._channel.get().set_trace_callback(between)
        view = store.read(query)
        store._channel.get().set_trace_callback(None)
    assert (view.heads["a"].version, view.documents) == (1, old)
    view = store.read(query)
    assert (view.heads["a"].version, view.documents) == (2, new)


# --- processes ---------------------------------------------------------------------------------------------------


def writer_of(path: Path, notes: int) -> Callable[[], object]:
    """Make work that opens a store and writes to it."""

    def work() -> list[int]:
        with SQLiteStore(path) as store:
            return [store.transact(*appending("a", note)) for note in range(notes)]

    return work


def test_processes_share_a_file(path: Path) -> None:
    """Four of them append to one stream, and no version is lost or given twice."""
    children = [Child(writer_of(path, 40)) for _ in range(4)]
    answers: list[int] = []
    for child in children:
        result = child.result()
        assert isinstance(result, list)
        answers += result
    with SQLiteStore(path) as store:
        assert sorted(answers) == versions(store, "a") == list(range(1, 161))
        assert intact(store, path)


@pytest.mark.parametrize("lines", [1, 7, 40])
def test_a_killed_process_loses_nothing_it_was_told(path: Path, lines: int) -> None:
    """Kill -9 in the middle of many transactions: what was answered is there, and the file is whole."""
    reading, writing = os.pipe()

    def work() -> None:
        os.close(reading)
        store = SQLiteStore(path)
        while True:
            version = store.transact(*appending("a", "x" * 3000, "y"))
            os.write(writing, f"{version}\n".encode())

    child = Child(work)
    os.close(writing)
    with os.fdopen(reading) as told:
        seen = [int(told.readline()) for _ in range(lines)]
        os.kill(child.pid, signal.SIGKILL)
        seen += [int(line) for line in told]
    child.result()
    with SQLiteStore(path) as store:
        found = versions(store, "a")
        assert found == list(range(1, len(found) + 1))
        assert len(found) in (seen[-1], seen[-1] + 2)
        assert intact(store, path)
        assert store.transact(*appending("a", "more")) == len(found) + 1


# --- forks -------------------------------------------------------------------------------------------------------


def test_a_child_uses_the_store_it_inherited(store: SQLiteStore, path: Path) -> None:
    """Parent and child write in turn through the same object, on connections of their own."""
    store.transact(*appending("a", 0))
    connection = store._writer.connection
    reading, writing = os.pipe()

    def work() -> object:
        os.read(reading, 1)
        found: list[int] = []
        thread = threading.Thread(target=lambda: found.extend(store.transact(*appending("a", n)) for n in range(20)))
        thread.start()
        thread.join()
        return found, store.secret

    child = Child(work)
    assert store._writer.connection is None
    own = [store.transact(*appending("a", note)) for note in range(10)]
    os.write(writing, b"x")
    own += [store.transact(*appending("a", note)) for note in range(10)]
    answer = child.result()
    os.close(reading)
    os.close(writing)
    assert isinstance(answer, tuple)
    assert answer[1] == store.secret
    assert sorted(own + answer[0]) == list(range(2, 42))
    assert versions(store, "a") == list(range(1, 42))
    assert store._writer.connection is not connection
    assert intact(store, path)


def test_a_parent_that_closes_takes_nothing_from_its_child(store: SQLiteStore, path: Path) -> None:
    """The child holds the file's locks itself: the parent is not the last one, and leaves the log where it is."""
    store.transact(*appending("a", 0))
    ready, told = os.pipe()
    go, gone = os.pipe()

    def work() -> object:
        version = store.transact(*appending("a", 1))
        os.write(told, b"x")
        os.read(go, 1)
        return version, store.transact(*appending("a", 2))

    child = Child(work)
    os.read(ready, 1)
    store.close()
    os.write(gone, b"x")
    assert child.result() == (2, 3)
    for pipe in (ready, told, go, gone):
        os.close(pipe)
    with SQLiteStore(path) as again:
        assert versions(again, "a") == [1, 2, 3]
        assert intact(again, path)


def test_a_child_of_a_process_that_is_reading_is_refused(store: SQLiteStore, path: Path) -> None:
    """An open snapshot cannot be closed for a fork, so the child must not open that file at all."""
    store.transact(*appending("a", 0))

    def used() -> object:
        return store.transact(*appending("a", 1))

    def opened() -> object:
        SQLiteStore(path).close()
        return "opened"

    with store.snapshot() as frozen:
        for work in (used, opened, lambda: list(frozen.events())):
            answer = Child(work).result()
            assert isinstance(answer, str)
            assert answer.startswith("StoreUnavailable"), answer
        assert len(list(frozen.events())) == 1
    assert Child(used).result() == 2


def test_a_closed_store_is_closed_in_a_child(store: SQLiteStore) -> None:
    """A fork opens nothing again."""
    store.close()
    answer = Child(lambda: store.transact(*appending("a", 1))).result()
    assert isinstance(answer, str)
    assert answer.startswith("StoreClosed")


def test_threads_may_go_on_while_others_fork(store: SQLiteStore, path: Path) -> None:
    """A fork waits for the transaction in flight; its child finds no mutex taken."""
    answers: list[int] = []
    writer = threading.Thread(target=lambda: answers.extend(store.transact(*appending("a", n)) for n in range(60)))
    writer.start()
    children = [Child(lambda: store.transact(*appending("b", 1))) for _ in range(6)]
    found = [child.result() for child in children]
    writer.join()
    assert sorted(number for number in found if isinstance(number, int)) == [1, 2, 3, 4, 5, 6]
    assert answers == list(range(1, 61))
    assert intact(store, path)
