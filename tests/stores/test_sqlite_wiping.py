"""What was erased leaves the write-ahead log, too: at once, or when whoever was reading has ended, in any process."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from research_fsm import AsyncRuns, Runs
from research_fsm.storage import Query, Wiping, Write
from research_fsm.stores import sqlite as sqlite_store
from research_fsm.stores import sqlite_wiping
from research_fsm.stores.memory import MemoryStore
from research_fsm.stores.sqlite import SQLiteStore
from tests.stores.sqlite_examples import Child, Faulty, appending, driver_error, end, plain, writing

PERSONAL = b"MARGARET-"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file in a folder of its own."""
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    """Open a store that knows somebody."""
    with SQLiteStore(path) as opened:
        documents = {("a", "profile"): PERSONAL * 1000}
        opened.transact(*writing(Write(answer=None, streams=(end("a", 0, 1),), documents=documents)))
        yield opened


def forget(store: SQLiteStore) -> None:
    """Forget whom the store knows."""
    store.transact(*writing(Write(answer=None, forgotten=("a",))))


def in_the_log(path: Path) -> bool:
    """Tell whether the bytes of the write-ahead log name somebody."""
    log = path.with_name("store.db-wal")
    return log.exists() and PERSONAL in log.read_bytes()


def is_marked(path: Path) -> bool:
    """Tell whether a mark says so."""
    with plain(path) as client:
        return sqlite_wiping.is_marked(client)


def reading(path: Path) -> sqlite3.Connection:
    """Begin to read, as any program may, at this point in time."""
    client = sqlite3.connect(path, isolation_level=None)
    client.execute("BEGIN")
    client.execute("SELECT count(*) FROM events").fetchall()
    return client


def recover(store: SQLiteStore) -> None:
    """Make a recovery pass."""
    Runs(store).recover()


def recover_async(store: SQLiteStore) -> None:
    """Make one for those who await."""
    asyncio.run(AsyncRuns(store).recover())


# --- at once -----------------------------------------------------------------------------------------------------


def test_what_is_forgotten_leaves_the_log_at_once(store: SQLiteStore, path: Path) -> None:
    """Nobody is reading, so no byte of it is left when the call returns, and no mark."""
    assert in_the_log(path)
    forget(store)
    assert not in_the_log(path)
    assert not is_marked(path)
    store.close()
    assert PERSONAL not in path.read_bytes()


def test_who_forgets_nothing_pays_nothing(store: SQLiteStore) -> None:
    """A commit neither looks for a mark nor empties the log."""
    heard: list[str] = []
    store._writer.get().set_trace_callback(heard.append)
    store.transact(*appending("b", 1))
    assert heard.count("COMMIT") == 1
    assert not [statement for statement in heard if "settings" in statement or "PRAGMA" in statement]


def test_other_stores_have_nothing_to_wipe() -> None:
    """A recovery pass asks only a store that keeps bytes for a while."""
    assert issubclass(SQLiteStore, Wiping)
    assert not isinstance(MemoryStore(), Wiping)
    assert Runs(MemoryStore()).recover().recovered == ()


# --- later -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [recover, recover_async, SQLiteStore.wipe])
def test_another_process_wipes_when_the_reader_has_ended(path: Path, again: Callable[[SQLiteStore], object]) -> None:
    """Whoever erased is gone, and another one has the store open since before: its next recovery pass does it."""
    with SQLiteStore(path) as serving:
        serving.transact(
            *writing(Write(answer=None, streams=(end("a", 0, 1),), documents={("a", "profile"): PERSONAL * 1000}))
        )
        with closing(reading(path)):
            with SQLiteStore(path) as erasing:
                forget(erasing)
            again(serving)
            assert in_the_log(path)
            assert is_marked(path)
        assert in_the_log(path)
        again(serving)
        assert not in_the_log(path)
        assert not is_marked(path)
    assert PERSONAL not in path.read_bytes()


def test_the_next_commit_of_who_erased_wipes(store: SQLiteStore, path: Path) -> None:
    """It remembers, without looking for a mark."""
    with closing(reading(path)):
        forget(store)
        store.transact(*appending("b", 1))
        assert in_the_log(path)
    store.transact(*appending("b", 2))
    assert not in_the_log(path)
    assert not is_marked(path)


def test_who_erased_wipes_when_it_closes(store: SQLiteStore, path: Path) -> None:
    """Somebody else has the store open, so SQLite itself does not empty the log then."""
    with SQLiteStore(path):
        with closing(reading(path)):
            forget(store)
        assert in_the_log(path)
        store.close()
        assert not in_the_log(path)


def test_who_opens_the_store_wipes(store: SQLiteStore, path: Path) -> None:
    """A process that comes later finds the mark, also while the others idle."""
    with closing(reading(path)):
        forget(store)
    assert in_the_log(path)
    with SQLiteStore(path):
        assert not in_the_log(path)


def test_a_process_killed_in_between_leaves_it_to_the_next(path: Path) -> None:
    """It had committed and not yet emptied the log: the mark was committed with what it forgot."""

    def dies() -> None:
        store = SQLiteStore(path)
        documents = {("a", "profile"): PERSONAL * 1000}
        store.transact(*writing(Write(answer=None, streams=(end("a", 0, 1),), documents=documents)))
        pytest.MonkeyPatch().setattr(sqlite_store, "wipe", lambda _: os.kill(os.getpid(), signal.SIGKILL))
        forget(store)

    assert Child(dies).result() is None
    assert in_the_log(path)
    with SQLiteStore(path) as store:
        assert not in_the_log(path)
        assert store.read(Query(streams=("a",), documents=("profile",))).documents == {}
    assert PERSONAL not in path.read_bytes()


@pytest.mark.parametrize("statement", ["PRAGMA wal_checkpoint", "DELETE FROM settings"])
def test_wiping_that_fails_is_tried_again(store: SQLiteStore, path: Path, statement: str) -> None:
    """What was forgotten is committed; that the log could not be emptied, or the mark not taken away, fails no call."""
    error = driver_error(sqlite3.SQLITE_IOERR, "SQLITE_IOERR")
    faulty = Faulty(store._writer.get(), statement, error, done=False)
    store._writer.connection = faulty  # type: ignore[assignment]  # It passes for one.
    forget(store)
    assert is_marked(path)
    assert store.wipe()
    assert not is_marked(path)


def test_a_later_erasures_mark_is_not_taken_away(store: SQLiteStore, path: Path) -> None:
    """Somebody erases after the log was emptied and before the mark goes: what that left is still marked."""
    with closing(reading(path)):
        forget(store)

    class Overtaken(Faulty):
        def execute(self, sql: str, parameters: tuple[str | int, ...] = ()) -> sqlite3.Cursor:
            if sql.startswith("DELETE"):
                with plain(path) as client:
                    sqlite_wiping.mark(client)
            return super().execute(sql, parameters)

    with plain(path) as client:
        overtaken = Overtaken(client, "nothing", LookupError(), done=False)
        assert sqlite_wiping.wipe(overtaken)  # type: ignore[arg-type]  # It passes for one.
    assert is_marked(path)


# --- waiting -----------------------------------------------------------------------------------------------------


def test_a_reader_that_ends_is_waited_for(store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as somebody is ready to wait, and meanwhile others may write."""
    reader = reading(path)
    forget(store)
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        with SQLiteStore(path, busy_timeout=timedelta(0)) as other:
            other.transact(*appending("b", 1))
        if len(waited) == 3:
            reader.close()

    monkeypatch.setattr("research_fsm.stores.sqlite.time.sleep", pause)
    assert not store.wipe()
    assert waited == []
    assert store.wipe(timedelta(minutes=1))
    assert len(waited) == 3
    assert not in_the_log(path)


def test_a_reader_that_does_not_end_is_not_waited_for_longer(store: SQLiteStore, path: Path) -> None:
    """The answer is that something is left."""
    with closing(reading(path)):
        forget(store)
        assert not store.wipe(timedelta(milliseconds=1))
        assert in_the_log(path)
