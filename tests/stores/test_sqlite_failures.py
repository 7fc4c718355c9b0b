"""What goes wrong around a SQLite store: each trouble is one error of ours, and the store works on afterwards."""

import errno
import os
import resource
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from research_fsm.errors import (
    CommitUnknown,
    InvalidInput,
    ResearchError,
    StoreBusy,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreForeign,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    WriteRejected,
)
from research_fsm.storage import Query, View, Write
from research_fsm.stores import sqlite_errors
from research_fsm.stores.sqlite import SQLiteStore
from tests.stores.sqlite_examples import (
    Child,
    Faulty,
    appending,
    broken_links,
    contents,
    driver_error,
    end,
    plain,
)

SHORT = timedelta(milliseconds=20)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file in a folder of its own."""
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    """Open a store that does not wait long, with one event in it."""
    with SQLiteStore(path, busy_timeout=SHORT) as opened:
        opened.transact(*appending("a", 1))
        yield opened


def make_faulty(store: SQLiteStore, statement: str, error: BaseException, *, done: bool = False) -> None:
    """Let a statement of the connection for writing fail once."""
    connection = Faulty(store._writer.get(), statement, error, done=done)
    store._writer.connection = cast("sqlite3.Connection", connection)


# --- what an error means -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SQLITE_BUSY", StoreBusy),
        ("SQLITE_BUSY_SNAPSHOT", StoreBusy),
        ("SQLITE_LOCKED", StoreBusy),
        ("SQLITE_FULL", StoreFull),
        ("SQLITE_READONLY", StoreReadOnly),
        ("SQLITE_READONLY_DBMOVED", StoreReadOnly),
        ("SQLITE_CANTOPEN", StoreUnavailable),
        ("SQLITE_PERM", StoreUnavailable),
        ("SQLITE_NOTADB", StoreForeign),
        ("SQLITE_CORRUPT", StoreDamaged),
        ("SQLITE_CONSTRAINT_TRIGGER", WriteRejected),
        ("SQLITE_IOERR_FSYNC", StoreError),
        ("SQLITE_ERROR", StoreError),
    ],
)
def test_each_code_of_the_driver_is_an_error_of_ours(path: Path, name: str, expected: type[StoreError]) -> None:
    """The class says what to do, the message what the driver said."""
    error = sqlite_errors.failure(driver_error(getattr(sqlite3, name), name), str(path), SHORT)
    assert type(error) is expected
    assert expected is StoreBusy or "what the driver said" in str(error)


def test_an_io_error_on_a_full_disk_is_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite calls some of them by the other name."""
    disk = os.statvfs_result((4096, 4096, 1000, 100, 0, 100, 100, 100, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    error = driver_error(sqlite3.SQLITE_IOERR_WRITE, "SQLITE_IOERR_WRITE")
    assert type(sqlite_errors.failure(error, str(path), SHORT)) is StoreFull
    assert type(sqlite_errors.commit_failure(error, str(path), SHORT)) is StoreFull


def test_a_disk_that_cannot_be_asked_is_not_called_full() -> None:
    """The folder is gone: the driver's own word stands."""
    error = driver_error(sqlite3.SQLITE_IOERR_WRITE, "SQLITE_IOERR_WRITE")
    assert type(sqlite_errors.failure(error, "/nowhere/at/all.db", SHORT)) is StoreError


def test_text_that_does_not_decode_is_damage(store: SQLiteStore, path: Path) -> None:
    """The driver has no code for it."""
    with plain(path) as client:
        client.execute("UPDATE heads SET tag = CAST(x'ff' AS TEXT)")
    with pytest.raises(StoreDamaged):
        list(store.heads())


# --- the lock ----------------------------------------------------------------------------------------------------


def test_a_lock_that_is_kept_makes_the_store_busy(store: SQLiteStore, path: Path) -> None:
    """The message says how long was waited and what to do; the rule was not asked; later it works."""
    query, rule = appending("a", 2)
    asked: list[View] = []

    def noting(view: View, now: int) -> Write[int]:
        asked.append(view)
        return rule(view, now)

    with plain(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match=r"waited 0\.02 s .* try again later"):
            store.transact(query, noting)
        other.execute("ROLLBACK")
    assert asked == []
    assert store.transact(query, noting) == 2


def test_threads_wait_for_a_lock_together(path: Path) -> None:
    """They all give up when one of them would have, and do not wait for the lock one after the other."""
    wait, threads = timedelta(milliseconds=500), 6
    with SQLiteStore(path, busy_timeout=wait) as store, plain(path) as other, ThreadPoolExecutor(threads) as pool:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        writing = [pool.submit(lambda: store.transact(*appending("a", 1))) for _ in range(threads)]
        assert [type(each.exception()) for each in writing] == [StoreBusy] * threads
        assert time.monotonic() - began < 3 * wait.total_seconds()
        other.execute("ROLLBACK")
        assert store.transact(*appending("a", 1)) == 1


def test_a_thread_that_is_kept_waiting_by_another_gives_up(store: SQLiteStore) -> None:
    """It waits for a rule no longer than for a lock."""
    caught: list[BaseException | None] = []

    def rule(_: View, __: int) -> Write[str]:
        caught.append(pool.submit(lambda: store.transact(*appending("b", 1))).exception(timeout=5))
        return Write(answer="outer", streams=(end("c", 0, 1),))

    with ThreadPoolExecutor(1) as pool:
        assert store.transact(Query(), rule) == "outer"
    assert [type(error) for error in caught] == [StoreBusy]
    assert [head.stream for head in store.heads()] == ["a", "c"]


def test_who_waited_for_its_turn_waits_for_the_lock_only_the_rest(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifteen of twenty milliseconds went by before it had the lock file; the next caller waits in full again."""

    class Contended:
        """A lock file that somebody else has for fifteen milliseconds."""

        def acquire(self, wait: float) -> float:
            return wait - 0.015

        def release(self) -> None:
            """Let go of it."""

    statements: list[str] = []
    connection = store._writer.get()
    usual = store._turn
    monkeypatch.setattr(store, "_turn", Contended())
    connection.set_trace_callback(statements.append)
    assert store.transact(*appending("a", 2)) == 2
    assert statements[:3] in (
        [f"PRAGMA busy_timeout = {left}", "BEGIN IMMEDIATE", "PRAGMA busy_timeout = 20"] for left in (4, 5)
    )
    monkeypatch.setattr(store, "_turn", usual)
    statements.clear()
    assert store.transact(*appending("a", 3)) == 3
    assert statements[0] == "BEGIN IMMEDIATE"


def test_reads_wait_for_no_writer(store: SQLiteStore, path: Path) -> None:
    """Every read works while somebody else is in the middle of writing, and sees what was committed."""
    with plain(path) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE heads SET tag = 'changed'")
        assert store.read(Query(streams=("a",))).heads["a"].tag == "tagged"
        assert len(list(store.events())) == 1
        assert len(list(store.heads())) == 1
        assert [*store.keys(), *store.entries(), *store.tokens(), store.token("x")] == [None]
        assert (store.linked("a"), store.due(("tagged",), 1, after=None, limit=1)) == ([], [])
        with store.snapshot() as frozen:
            assert len(list(frozen.heads())) == 1
        other.execute("ROLLBACK")


def test_reads_wait_for_no_rule(store: SQLiteStore) -> None:
    """A thread reads while another is deciding."""
    seen: list[int] = []

    def rule(_: View, now: int) -> Write[int]:
        reader = threading.Thread(target=lambda: seen.append(len(list(store.events()))))
        reader.start()
        reader.join()
        return Write(answer=now, streams=(end("b", 0, 1),))

    store.transact(Query(), rule)
    assert seen == [1]


# --- a full disk -------------------------------------------------------------------------------------------------


def test_a_full_disk_writes_nothing(store: SQLiteStore) -> None:
    """The transaction is gone as a whole; once there is room the same call works."""
    connection = store._writer.get()
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    notes = ["x" * 4000] * 40
    with pytest.raises(StoreFull, match="free some space"):
        store.transact(*appending("a", *notes))
    assert len(list(store.events())) == 1
    connection.execute("PRAGMA max_page_count = 1000000")
    assert store.transact(*appending("a", *notes)) == 41
    assert broken_links(store) == []


def limited(path: Path, work: Callable[[SQLiteStore], object]) -> Callable[[], object]:
    """Make work on a store in a process whose files may not grow any more."""

    def child() -> object:
        with SQLiteStore(path, busy_timeout=SHORT) as store:
            store.transact(*appending("a", 1))
            size = path.with_name("store.db-wal").stat().st_size
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 3000, hard))
            try:
                work(store)
            except ResearchError as error:
                failed = type(error).__name__
            else:
                failed = "nothing"
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            version = store.transact(*appending("a", 2))
            return failed, version, broken_links(store)

    return child


def test_a_commit_that_the_disk_refuses_is_unknown(path: Path) -> None:
    """A quota, or a fault of the disk, in the middle of a commit: the caller is told so, and the store works on."""
    child = Child(limited(path, lambda store: store.transact(*appending("a", "x" * 9000))))
    assert child.result() == ("CommitUnknown", 2, [])
    with SQLiteStore(path) as store:
        assert [row.version for row in store.events("a")] == [1, 2]


def test_a_backup_that_does_not_fit_leaves_no_file(path: Path) -> None:
    """Half a copy is worse than none."""
    target = path.with_name("copy.db")
    child = Child(limited(path, lambda store: store.backup(target)))
    assert child.result() == ("StoreError", 2, [])
    assert not target.exists()


# --- a commit that fails -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("done", [False, True])
def test_a_lost_acknowledgement_is_unknown(store: SQLiteStore, *, done: bool) -> None:
    """An I/O error of a commit means that it may last or not, and both are told the same."""
    make_faulty(store, "COMMIT", driver_error(sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC"), done=done)
    with pytest.raises(CommitUnknown, match="may or may not last"):
        store.transact(*appending("a", 2))
    assert store._writer.connection is None  # It is not trusted any more; the next call opens another one.
    assert len(list(store.events())) == (2 if done else 1)
    assert store.transact(*appending("a", 3)) == (3 if done else 2)


@pytest.mark.parametrize(("name", "expected"), [("SQLITE_BUSY", StoreBusy), ("SQLITE_FULL", StoreFull)])
def test_a_commit_that_is_refused_is_known(store: SQLiteStore, name: str, expected: type[StoreError]) -> None:
    """Nothing was written, and the caller may rely on it."""
    make_faulty(store, "COMMIT", driver_error(getattr(sqlite3, name), name))
    with pytest.raises(expected):
        store.transact(*appending("a", 2))
    assert len(list(store.events())) == 1
    assert store.transact(*appending("a", 2)) == 2


def test_a_transaction_that_cannot_be_aborted_takes_its_connection_along(store: SQLiteStore) -> None:
    """The rule's own error comes out, and the next call gets another connection."""
    make_faulty(store, "ROLLBACK", driver_error(sqlite3.SQLITE_IOERR, "SQLITE_IOERR"))
    spoilt = store._writer.connection

    def rule(_: View, __: int) -> Write[int]:
        raise LookupError

    with pytest.raises(LookupError):
        store.transact(Query(), rule)
    assert store.transact(*appending("a", 2)) == 2
    assert store._writer.connection is not spoilt


def test_a_transaction_that_was_left_open_is_aborted_by_the_next(store: SQLiteStore) -> None:
    """An interrupt may strike at any point, between two statements too."""
    store._writer.get().execute("BEGIN IMMEDIATE")
    store._channel.get().execute("BEGIN")
    assert len(list(store.events())) == 1
    assert store.transact(*appending("a", 2)) == 2
    assert len(list(store.events())) == 2


# --- rules -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raised",
    [KeyboardInterrupt(), sqlite3.OperationalError("of the rule's own"), InvalidInput("x", "y"), UnicodeError()],
)
def test_what_a_rule_raises_passes_unchanged(store: SQLiteStore, path: Path, raised: BaseException) -> None:
    """Even an error of the driver's class: nothing is written, no lock is kept."""

    def rule(_: View, __: int) -> Write[int]:
        raise raised

    with pytest.raises(type(raised)) as caught:
        store.transact(Query(), rule)
    assert caught.value is raised
    with plain(path) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    assert store.transact(*appending("a", 2)) == 2


def test_a_rule_may_not_write_through_the_store(store: SQLiteStore) -> None:
    """It is told so, and the outer transaction is not harmed."""

    def rule(_: View, __: int) -> Write[str]:
        with pytest.raises(StoreError, match="pure"):
            store.transact(*appending("b", 1))
        return Write(answer="outer", streams=(end("c", 0, 1),))

    assert store.transact(Query(), rule) == "outer"
    assert [head.stream for head in store.heads()] == ["a", "c"]


def test_a_rule_that_closes_the_store_writes_nothing(store: SQLiteStore, path: Path) -> None:
    """No error of the driver comes out of it."""

    def rule(_: View, __: int) -> Write[None]:
        store.close()
        return Write(answer=None, streams=(end("c", 0, 1),))

    with pytest.raises(StoreError):
        store.transact(Query(), rule)
    with SQLiteStore(path) as again:
        assert [head.stream for head in again.heads()] == ["a"]


# --- damage while it is open -------------------------------------------------------------------------------------


def spoil(path: Path, table: str) -> None:
    """Overwrite the first page of a table."""
    with plain(path) as client:
        page = client.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)


def test_damage_is_found_by_whoever_reads_it(path: Path) -> None:
    """Reads, iterators and writes say that the file is damaged; what lies elsewhere still reads."""
    with SQLiteStore(path) as store:
        store.transact(*appending("a", 1))
    spoil(path, "events")
    with SQLiteStore(path) as store:
        for use in (
            lambda: list(store.events()),
            lambda: list(store.events("a")),
            lambda: store.transact(*appending("a", 2)),
        ):
            with pytest.raises(StoreDamaged, match="restore a backup"):
                use()
        assert store.read(Query(streams=("a",))).heads["a"].version == 1


def test_a_damaged_store_is_not_backed_up(path: Path) -> None:
    """A copy of it would only hide the damage, or take an intact one's place."""
    with SQLiteStore(path) as store:
        store.transact(*appending("a", 1))
    spoil(path, "events")
    before = contents(path.parent)
    with SQLiteStore(path) as store, pytest.raises(StoreDamaged) as raised:
        store.backup(path.with_name("copy.db"))
    assert raised.value.where == str(path)
    assert contents(path.parent) == before


def test_a_log_without_a_position_left_is_not_taken_for_a_full_disk(store: SQLiteStore, path: Path) -> None:
    """Somebody wrote an event at the last position; to free some space would be no help."""
    with plain(path) as client:
        client.execute("INSERT INTO events VALUES (?, 'b', 1, 'Noted', 1, 0, '{}', '{}', x'00')", ((1 << 63) - 1,))
    for _ in range(2):
        with pytest.raises(StoreDamaged, match=f"the last position there is, {(1 << 63) - 1}, is taken"):
            store.transact(*appending("a", 2))
    assert [row.stream for row in store.events()] == ["a", "b"]


# --- backup ------------------------------------------------------------------------------------------------------


def test_a_backup_is_a_store(store: SQLiteStore, path: Path) -> None:
    """It is one file, its owner's alone to read, with the same log and secret, taken while a writer holds the lock."""
    target = path.with_name("copy.db")
    path.chmod(0o644)
    with plain(path) as other:
        other.execute("BEGIN IMMEDIATE")
        store.backup(target)
        other.execute("ROLLBACK")
    names = [entry.name for entry in path.parent.iterdir() if entry.name.startswith("copy")]
    assert (names, target.stat().st_mode & 0o777) == (["copy.db"], 0o600)
    with SQLiteStore(target) as copied:
        assert list(copied.events()) == list(store.events())
        assert copied.secret == store.secret
        assert copied.transact(*appending("a", 2)) == 2
    assert len(list(store.events())) == 1


def test_a_backup_overwrites_nothing(store: SQLiteStore, path: Path) -> None:
    """An existing file is refused, the store's own above all."""
    target = path.with_name("precious")
    target.write_text("precious")
    for taken in (target, path):
        with pytest.raises(InvalidInput, match="target"):
            store.backup(taken)
    assert target.read_text() == "precious"
    assert len(list(store.events())) == 1


def test_a_backup_into_nowhere_is_told(store: SQLiteStore, path: Path) -> None:
    """The error names the target, not the store."""
    target = path.parent / "missing" / "copy.db"
    with pytest.raises(StoreUnavailable) as raised:
        store.backup(target)
    assert raised.value.where == str(target)


def test_a_backup_without_room_for_its_name_is_told(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk may be too full even for an empty file."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(StoreFull):
        store.backup("/tmp/anything.db")  # noqa: S108 - it is not made.


# --- closing -----------------------------------------------------------------------------------------------------


def test_a_closed_store_refuses(store: SQLiteStore, path: Path) -> None:
    """Closing twice is fine; a snapshot that was open stays open until it ends."""
    with store.snapshot() as frozen:
        store.close()
        store.close()
        assert len(list(frozen.events())) == 1
    for use in (
        lambda: store.transact(*appending("a", 2)),
        lambda: list(store.events()),
        lambda: store.read(Query()),
        lambda: store.snapshot().__enter__(),
        lambda: store.backup(path.with_name("copy.db")),
        lambda: list(frozen.events()),
    ):
        with pytest.raises(StoreClosed):
            use()
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["store.db", "store.db-lock"]


def test_closing_waits_for_whoever_is_inside(store: SQLiteStore, path: Path) -> None:
    """A transaction that has begun is committed before the file is closed."""
    closing = threading.Thread(target=store.close)

    def rule(_: View, __: int) -> Write[str]:
        closing.start()
        return Write(answer="committed", streams=(end("b", 0, 1),))

    assert store.transact(Query(), rule) == "committed"
    closing.join()
    with SQLiteStore(path) as again:
        assert [head.stream for head in again.heads()] == ["a", "b"]
