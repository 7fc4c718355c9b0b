"""Opening a SQLite store: what it makes of a fresh file, and what it leaves alone."""

import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from research_fsm.errors import (
    InvalidInput,
    ResearchError,
    StoreDamaged,
    StoreError,
    StoreForeign,
    StoreTooNew,
    StoreUnavailable,
)
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.stores.sqlite_schema import APPLICATION_ID, SCHEMA_VERSION, migrate
from tests.stores.sqlite_examples import Child, appending, become_nobody, contents, plain


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file in a folder of its own."""
    return tmp_path / "store.db"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Make a folder that everybody may enter, which pytest's own do not allow."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


def settings_of(path: Path) -> tuple[int, int, str]:
    """Return application_id, user_version and journal mode of a file."""
    with plain(path) as connection:
        names = ("application_id", "user_version", "journal_mode")
        owner, version, mode = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
        return owner, version, mode


def refusal(path: Path) -> StoreError:
    """Return the error of opening a file that must not be opened."""
    with pytest.raises(StoreError) as raised:
        SQLiteStore(path)
    assert raised.value.where == str(path)
    return raised.value


# --- fresh files -------------------------------------------------------------------------------------------------


def test_a_file_that_is_absent_is_made(path: Path) -> None:
    """It says in its header whose it is and which schema it has, and has a write-ahead log."""
    SQLiteStore(path).close()
    assert settings_of(path) == (APPLICATION_ID, SCHEMA_VERSION, "wal")
    assert [entry.name for entry in path.parent.iterdir()] == ["store.db"]


def test_an_empty_file_is_fresh(path: Path) -> None:
    """A file of no bytes, as mktemp makes it, becomes a store."""
    path.touch()
    with SQLiteStore(path) as store:
        assert store.transact(*appending("a", 1)) == 1


def test_a_database_without_tables_is_fresh(path: Path) -> None:
    """Nothing can be lost in it."""
    with plain(path) as connection:
        connection.execute("VACUUM")
    assert path.stat().st_size > 0
    with SQLiteStore(path) as store:
        assert store.transact(*appending("a", 1)) == 1


def test_a_strange_name_is_only_a_name(tmp_path: Path) -> None:
    """Question marks, percent signs and spaces in a path do not reach SQLite's address parser."""
    path = tmp_path / "what? 100%#1.db"
    SQLiteStore(path).close()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_relative_path_is_resolved_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store stays where it was opened, wherever the process goes afterwards."""
    monkeypatch.chdir(tmp_path)
    with SQLiteStore("store.db") as store:
        monkeypatch.chdir("/")
        with store.snapshot() as frozen:
            assert list(frozen.events()) == []
        assert repr(store) == f"SQLiteStore({str(tmp_path / 'store.db')!r})"


def test_opening_again_changes_nothing(path: Path) -> None:
    """Migrations are applied once, and the secret stays."""
    with SQLiteStore(path) as store:
        store.transact(*appending("a", 1))
        secret = store.secret
    before = contents(path.parent)
    with SQLiteStore(path) as store:
        assert (store.secret, len(store.secret)) == (secret, 32)
    assert contents(path.parent) == before


def test_the_migrations_are_those_of_sqlite_utils(path: Path) -> None:
    """Their table says what was applied, so that sqlite-utils can tell it too."""
    SQLiteStore(path).close()
    with plain(path) as connection:
        rows = connection.execute("SELECT migration_set, count(*) FROM _sqlite_migrations GROUP BY 1").fetchall()
    assert rows == [("research_fsm", SCHEMA_VERSION)]


def test_an_up_to_date_file_opens_without_sqlite_utils(path: Path) -> None:
    """Its import takes longer than everything else together."""
    SQLiteStore(path).close()
    code = (
        "import sys; from research_fsm.stores.sqlite import SQLiteStore; "
        f"SQLiteStore({str(path)!r}).close(); print('sqlite_utils' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - the command is our own.
    assert done.stdout == "False\n"


def test_every_write_is_flushed_and_every_deletion_overwrites(path: Path) -> None:
    """The connection for writing is set to last through a power cut, to fire all triggers and to wipe."""
    with SQLiteStore(path) as store:
        names = ("journal_mode", "synchronous", "recursive_triggers", "secure_delete")
        connection = store._writer.get()
        found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
    assert found == ["wal", 2, 1, 1]


def test_eight_processes_make_a_store_at_once() -> None:
    """Each opens the same fresh file, round after round; all of them get the same store."""
    rounds, workers = 40, 8
    barrier = multiprocessing.get_context("fork").Barrier(workers)

    def work(folder: str) -> Callable[[], object]:
        def opened() -> list[bytes]:
            secrets = []
            try:
                for number in range(rounds):
                    barrier.wait()
                    with SQLiteStore(f"{folder}/{number}.db") as store:
                        secrets.append(store.secret)
            except ResearchError:
                barrier.abort()  # The others would wait for this process for ever.
                raise
            return secrets

        return opened

    with tempfile.TemporaryDirectory() as folder:
        children = [Child(work(folder)) for _ in range(workers)]
        answers = [child.result() for child in children]
    assert all(answer == answers[0] for answer in answers), answers
    assert isinstance(answers[0], list)
    assert len(set(answers[0])) == rounds


# --- other people's files ----------------------------------------------------------------------------------------


def make_text(path: Path) -> None:
    """Write a file that is no database."""
    path.write_text("Dear diary, " * 100)


def make_short_text(path: Path) -> None:
    """Write a file that SQLite would take for an empty one and write over."""
    path.write_text("x")


def make_bad_header(path: Path) -> None:
    """Write a file that begins like a database and is none."""
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)


def make_tables(path: Path) -> None:
    """Make a database with tables."""
    with plain(path) as connection:
        connection.execute("CREATE TABLE theirs (a)")


def make_tables_with_log(path: Path) -> None:
    """Make a database with tables and a write-ahead log."""
    with plain(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE theirs (a)")


def make_application(path: Path) -> None:
    """Make a database that is marked by another program, and has no tables yet."""
    with plain(path) as connection:
        connection.execute("PRAGMA application_id = 42")


OTHERS = [make_text, make_short_text, make_bad_header, make_tables, make_tables_with_log, make_application]


@pytest.mark.parametrize("make", OTHERS)
def test_a_foreign_file_is_not_touched(path: Path, make: Callable[[Path], None]) -> None:
    """It is refused, every byte stays, no file appears beside it."""
    make(path)
    before = contents(path.parent)
    assert isinstance(refusal(path), StoreForeign)
    assert contents(path.parent) == before


def test_a_foreign_file_is_not_touched_while_its_owner_uses_it(path: Path) -> None:
    """What it has in its log only, counts as well."""
    with plain(path) as owner:
        owner.execute("PRAGMA journal_mode = WAL")
        owner.execute("CREATE TABLE theirs (a)")
        sizes = {entry.name: entry.stat().st_size for entry in path.parent.iterdir()}
        assert isinstance(refusal(path), StoreForeign)
        assert {entry.name: entry.stat().st_size for entry in path.parent.iterdir()} == sizes
        owner.execute("INSERT INTO theirs VALUES (1)")


def test_a_foreign_file_is_not_touched_after_its_owner_died(
    path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What its log alone holds is left in the log: emptying it is for its owner to do."""
    original = tmp_path_factory.mktemp("theirs") / "store.db"
    with plain(original) as owner:
        owner.execute("PRAGMA journal_mode = WAL")
        owner.execute("CREATE TABLE theirs (a)")
        for suffix in ("", "-wal"):
            shutil.copy(f"{original}{suffix}", f"{path}{suffix}")
    before = contents(path.parent)
    assert isinstance(refusal(path), StoreForeign)
    assert contents(path.parent) == before


def test_a_file_that_turns_foreign_between_the_look_and_the_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program makes its tables just then: it keeps them, and nothing of ours is added."""

    def late(connection: sqlite3.Connection, where: str) -> None:
        make_tables(Path(where))
        migrate(connection, where)

    monkeypatch.setattr("research_fsm.stores.sqlite_file.migrate", late)
    assert isinstance(refusal(path), StoreForeign)
    with plain(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_a_later_schema_is_not_touched(path: Path) -> None:
    """An older version of the library refuses a file that it might spoil."""
    SQLiteStore(path).close()
    with plain(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = contents(path.parent)
    error = refusal(path)
    assert isinstance(error, StoreTooNew)
    assert "upgrade" in error.problem
    assert contents(path.parent) == before


# --- places that hold no store -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", ":memory:", "a\0b"])
def test_what_is_no_name_of_a_file_is_refused(name: str) -> None:
    """A store in memory is another class."""
    with pytest.raises(InvalidInput, match="MemoryStore"):
        SQLiteStore(name)


@pytest.mark.parametrize("value", [None, 5])
def test_what_is_no_name_at_all_is_refused(value: Any) -> None:  # noqa: ANN401  # On purpose.
    """It is said what would be right."""
    with pytest.raises(InvalidInput, match="must be the name of a file"):
        SQLiteStore(value)


def test_an_address_is_no_file() -> None:
    """The other store takes it; its password is not repeated."""
    with pytest.raises(InvalidInput, match="PostgresStore") as raised:
        SQLiteStore("postgresql://somebody:secret@127.0.0.1/app")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("wait", [timedelta(seconds=-1), timedelta(days=8)])
def test_a_wait_out_of_range_is_refused(path: Path, wait: timedelta) -> None:
    """SQLite would take a negative wait for none at all, and overflow on a long one."""
    with pytest.raises(InvalidInput, match="busy_timeout"):
        SQLiteStore(path, busy_timeout=wait)
    assert not path.exists()


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    """It is refused by name, as is what is neither a file nor a folder."""
    assert isinstance(refusal(tmp_path), StoreUnavailable)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert isinstance(refusal(pipe), StoreUnavailable)


def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    """The message names it."""
    error = refusal(tmp_path / "missing" / "store.db")
    assert isinstance(error, StoreUnavailable)
    assert str(tmp_path / "missing") in error.problem
    (tmp_path / "file").touch()
    assert isinstance(refusal(tmp_path / "file" / "store.db"), StoreUnavailable)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def opened_by_nobody(path: Path) -> Callable[[], object]:
    """Make work that opens a file as an ordinary user, and says which error that gave."""

    def work() -> str:
        become_nobody()
        try:
            SQLiteStore(path).close()
        except ResearchError as error:
            return type(error).__name__
        return "opened"

    return work


@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "expected"),
    [
        (0o666, 0o777, "opened"),
        (0o444, 0o777, "StoreReadOnly"),
        (0o000, 0o777, "StoreUnavailable"),
        (0o666, 0o555, "StoreReadOnly"),
        (0o666, 0o000, "StoreUnavailable"),
    ],
)
def test_permissions_are_told_apart(open_folder: Path, file_mode: int, folder_mode: int, expected: str) -> None:
    """What may not be written, and what may not even be looked at, are two errors."""
    path = open_folder / "store.db"
    SQLiteStore(path).close()
    before = path.read_bytes()
    path.chmod(file_mode)
    open_folder.chmod(folder_mode)
    assert Child(opened_by_nobody(path)).result() == expected
    open_folder.chmod(0o755)
    assert contents(open_folder) == {"store.db": before}


def test_a_fresh_file_in_a_folder_that_may_not_be_written(open_folder: Path) -> None:
    """It is not the file that is wrong, and the error says so."""
    assert Child(opened_by_nobody(open_folder / "store.db")).result() == "StoreReadOnly"


# --- damaged files -----------------------------------------------------------------------------------------------


def test_damage_to_the_schema_is_found_at_once(path: Path) -> None:
    """A file whose pages were overwritten does not open."""
    SQLiteStore(path).close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    assert isinstance(refusal(path), StoreDamaged)


def test_a_file_cut_short_is_damaged(path: Path) -> None:
    """A copy that stopped half-way does not open."""
    SQLiteStore(path).close()
    os.truncate(path, 4096 * 3)
    assert isinstance(refusal(path), StoreDamaged)


@pytest.mark.parametrize("change", ["DELETE FROM settings", "UPDATE settings SET value = x'00'"])
def test_a_store_without_its_secret_is_damaged(path: Path, change: str) -> None:
    """Another secret would make every callback out there a stranger's."""
    SQLiteStore(path).close()
    with plain(path) as connection:
        connection.execute(change)
    assert isinstance(refusal(path), StoreDamaged)


def test_a_store_that_was_replaced_is_noticed(path: Path) -> None:
    """Somebody moves a backup over an open store: nothing is written to the file that is gone."""
    with SQLiteStore(path) as store, closing(SQLiteStore(path.with_name("other.db"))):
        store.transact(*appending("a", 1))
        path.unlink()
        with pytest.raises(StoreUnavailable, match="moved or replaced"):
            store.transact(*appending("a", 2))
        SQLiteStore(path).close()
        with pytest.raises(StoreUnavailable, match="moved or replaced"):
            store.transact(*appending("a", 2))
