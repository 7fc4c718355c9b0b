"""A start inside a transaction of the host's own: both commit, or neither does, whichever library the host uses."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import django
import pytest
import sqlalchemy
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from research_fsm import Profile, Runs
from research_fsm.audit import verify
from research_fsm.errors import InvalidInput, StoreBusy, WriteRejected
from research_fsm.outcomes import InsufficientCredits, PersonNotFound, Queued, RunNotFound, Unresolved
from research_fsm.storage import Query, Store, UniqueKey, View, Write
from research_fsm.stores.memory import MemoryStore
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.stores.sqlite_joined import JoinedStore
from research_fsm.testing.clock import ManualClock
from tests.core.doors import ACCEPTED, ScriptedEngine
from tests.stores.sqlite_examples import appending, broken_links, end, plain, writing
from tests.stores.test_sqlite_agrees import TIMES, everything, outcome, queries, writes

ADA = Profile(first_name="Ada", last_name="Lovelace", company="Analytical Engines")
OWNER = "acme"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file in which the host has a table of its own, too."""
    found = tmp_path / "app.db"
    SQLiteStore(found).close()
    with plain(found) as client:
        client.execute("CREATE TABLE candidates (person_id TEXT, note TEXT)")
    return found


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    """Open the store, with little patience."""
    with SQLiteStore(path, busy_timeout=timedelta(milliseconds=50)) as opened:
        yield opened


@pytest.fixture
def runs(store: SQLiteStore) -> Runs:
    """Open the doors; the owner has two credits."""
    made = Runs(store)
    made.grant(OWNER, 2)
    return made


def added(runs: Runs) -> str:
    """Return a person."""
    return runs.add(OWNER, ADA).accepted().person_id


def status(runs: Runs, person_id: str) -> str:
    """Return a person's status."""
    found = runs.person(person_id)
    assert not isinstance(found, PersonNotFound)
    return str(found.status)


def candidates(path: Path) -> int:
    """Return how many rows the host has."""
    with plain(path) as client:
        count: int = client.execute("SELECT count(*) FROM candidates").fetchone()[0]
        return count


def started(store: Store) -> int:
    """Return how many runs were started."""
    return sum(event.type == "RunStarted" for event in store.events())


# --- hosts -------------------------------------------------------------------------------------------------------

Insert = Callable[[], None]
Host = Callable[[Path], Any]
"""Opens a transaction of a host's on a file; yields what is joined, and what inserts a row of the host's own."""

ROW = "INSERT INTO candidates VALUES ('p', 'n')"


def _run(execute: Callable[[Any], object], statement: object) -> None:
    execute(statement)


@contextmanager
def by_hand(path: Path) -> Iterator[tuple[object, Insert]]:
    """Use sqlite3, and begin by hand."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection, partial(_run, connection.execute, ROW)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


@contextmanager
def implicitly(path: Path) -> Iterator[tuple[object, Insert]]:
    """Use sqlite3 as it comes: the driver begins; rows are mappings and texts are bytes, as the host likes it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        connection.text_factory = bytes
        with connection:
            yield connection, partial(_run, connection.execute, ROW)


@contextmanager
def core(path: Path) -> Iterator[tuple[object, Insert]]:
    """Use SQLAlchemy without its object mapper."""
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        yield connection, partial(_run, connection.execute, sqlalchemy.text(ROW))
    engine.dispose()


@contextmanager
def session(path: Path) -> Iterator[tuple[object, Insert]]:
    """Use a session of SQLAlchemy's."""
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    with Session(engine) as opened, opened.begin():
        yield opened, partial(_run, opened.execute, sqlalchemy.text(ROW))
    engine.dispose()


@contextmanager
def atomic(path: Path) -> Iterator[tuple[object, Insert]]:
    """Use Django."""
    from django.conf import settings as django_settings

    if not django_settings.configured:
        django_settings.configure(DATABASES={}, USE_TZ=True)
        django.setup()
    from django.db import connections, transaction

    connections.databases["host"] = connections.configure_settings(
        {"host": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}, "default": {}}
    )["host"]
    try:
        with transaction.atomic(using="host"):
            yield connections["host"], partial(_run, connections["host"].cursor().execute, ROW)
    finally:
        connections["host"].close()
        del connections["host"]


HOSTS = [by_hand, implicitly, core, session, atomic]


class AbortedError(Exception):
    """Ends a host's transaction."""


class Aborting:
    """Expects that the block ends by an `AbortedError`."""

    def __enter__(self) -> None:
        return

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        assert error is not None, "the host did not abort"
        return isinstance(error, AbortedError)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("first", ["host", "start"])
def test_both_commit(runs: Runs, path: Path, host: Host, first: str) -> None:
    """The host's row and our events are there, whichever came first."""
    person_id = added(runs)
    with host(path) as (connection, insert):
        if first == "host":
            insert()
        answer = runs.joined(connection).start(person_id)
        if first == "start":
            insert()
    assert isinstance(answer, Queued)
    assert candidates(path) == 1
    assert started(runs.store) == 1
    assert status(runs, person_id) == "running"
    assert list(verify(runs.store)) == []


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("first", ["host", "start"])
def test_neither_commits(runs: Runs, path: Path, host: Host, first: str) -> None:
    """An error after the start takes back both; nobody was started, nothing was held."""
    person_id = added(runs)
    before = list(runs.store.events())
    with Aborting(), host(path) as (connection, insert):
        if first == "host":
            insert()
        joined = runs.joined(connection)
        joined.start(person_id).accepted()
        assert status(joined, person_id) == "running"
        if first == "start":
            insert()
        raise AbortedError
    assert candidates(path) == 0
    assert list(runs.store.events()) == before
    assert runs.balance(OWNER).available == 2
    assert isinstance(runs.start(person_id), Queued)


@pytest.mark.parametrize("host", [core, session, atomic])
def test_a_savepoint_of_the_hosts_takes_its_part_back(runs: Runs, path: Path, host: Host) -> None:
    """A nested block that is aborted takes the start in it along, and leaves the one before it."""
    first, second = added(runs), added(runs)
    with host(path) as (connection, insert):
        insert()
        runs.joined(connection).start(first).accepted()
        with Aborting(), nested(connection):
            runs.joined(connection).start(second).accepted()
            raise AbortedError
    assert status(runs, first) == "running"
    assert status(runs, second) == "idle"
    assert runs.balance(OWNER).available == 1
    assert list(verify(runs.store)) == []


def nested(connection: Any) -> Any:  # noqa: ANN401  # Of several libraries.
    """Open a savepoint as the host's library does."""
    if hasattr(connection, "begin_nested"):
        return connection.begin_nested()
    from django.db import transaction

    return transaction.atomic(using="host")


# --- the rules hold within -------------------------------------------------------------------------------------------


def test_a_refusal_leaves_the_hosts_transaction_as_it_was(runs: Runs, path: Path) -> None:
    """The third start meets no credits, which the first two have held in the same transaction."""
    people = [added(runs) for _ in range(3)]
    with by_hand(path) as (connection, insert):
        joined = runs.joined(connection)
        answers = [joined.start(person_id) for person_id in people]
        insert()
    assert isinstance(answers[2], InsufficientCredits)
    assert (started(runs.store), candidates(path)) == (2, 1)


def test_what_a_rule_raises_leaves_the_hosts_transaction_as_it_was(store: SQLiteStore, path: Path) -> None:
    """So does a write that is rejected after half of it was written."""

    def raising(_: View, __: int) -> Write[int]:
        raise LookupError

    with by_hand(path) as (connection, insert):
        joined = store.joined(connection)
        insert()
        assert joined.transact(*appending("a", 1)) == 1
        with pytest.raises(LookupError):
            joined.transact(Query(), raising)
        taken = Write(answer=0, streams=(end("b", 0, 1),), keys=(UniqueKey("k", "b"),))
        joined.transact(*writing(Write(answer=0, keys=(UniqueKey("k", "a"),))))
        with pytest.raises(WriteRejected):
            joined.transact(*writing(taken))
    assert [event.stream for event in store.events()] == ["a"]
    assert candidates(path) == 1
    assert broken_links(store) == []


def test_others_see_nothing_before_the_commit(runs: Runs, path: Path) -> None:
    """And whoever wants to write meanwhile is told that somebody else is."""
    person_id = added(runs)
    with by_hand(path) as (connection, _):
        runs.joined(connection).start(person_id).accepted()
        assert status(runs, person_id) == "idle"
        with pytest.raises(StoreBusy):
            runs.start(person_id)
    assert status(runs, person_id) == "running"


def test_awaiting_works_in_the_same_thread(store: SQLiteStore, path: Path) -> None:
    """It blocks, as the host's connection does."""
    with by_hand(path) as (connection, _):
        assert asyncio.run(store.joined(connection).transact_async(*appending("a", 1))) == 1
    assert len(list(store.events())) == 1


# --- an engine outside -------------------------------------------------------------------------------------------


def test_nothing_is_sent_before_the_host_has_committed(store: SQLiteStore, path: Path) -> None:
    """The start is recorded without an attempt; after the commit, `dispatch` sends it, once."""
    engine = ScriptedEngine([ACCEPTED])
    runs = Runs(store, engine)
    runs.grant(OWNER, 2)
    person_id = added(runs)
    with by_hand(path) as (connection, _):
        joined = runs.joined(connection)
        answer = joined.start(person_id)
        assert isinstance(answer, Unresolved)
        assert engine.requests == []
        with pytest.raises(InvalidInput, match="comes after the host's commit"):
            joined.dispatch(answer.run_id)
    assert isinstance(runs.dispatch(answer.run_id), Queued)
    assert len(engine.requests) == 1
    assert isinstance(runs.dispatch(answer.run_id), Queued)
    assert len(engine.requests) == 1
    assert list(verify(store)) == []


def test_a_run_cannot_be_dispatched_before_the_host_has_committed(store: SQLiteStore, path: Path) -> None:
    """It waits for the host's lock, in vain, and says so; nothing is sent, and after the commit it is."""
    engine = ScriptedEngine([ACCEPTED])
    runs = Runs(store, engine)
    runs.grant(OWNER, 2)
    person_id = added(runs)
    with by_hand(path) as (connection, _):
        run_id = runs.joined(connection).start(person_id).accepted().run_id
        with pytest.raises(StoreBusy):
            runs.dispatch(run_id)
        assert engine.requests == []
    assert isinstance(runs.dispatch(run_id), Queued)


def test_a_run_of_an_aborted_transaction_cannot_be_dispatched(store: SQLiteStore, path: Path) -> None:
    """There is no such run, and nothing is sent."""
    engine = ScriptedEngine([ACCEPTED])
    runs = Runs(store, engine)
    runs.grant(OWNER, 2)
    person_id = added(runs)
    run_id = ""
    with Aborting(), by_hand(path) as (connection, _):
        run_id = runs.joined(connection).start(person_id).accepted().run_id
        raise AbortedError
    assert isinstance(runs.dispatch(run_id), RunNotFound)
    assert engine.requests == []


def test_a_host_that_never_dispatches_is_no_dead_end(path: Path) -> None:
    """A recovery pass sends the attempt that was never armed."""
    clock, engine = ManualClock(), ScriptedEngine([ACCEPTED])
    with SQLiteStore(path, clock=clock) as store:
        runs = Runs(store, engine)
        runs.grant(OWNER, 2)
        person_id = added(runs)
        with by_hand(path) as (connection, _):
            runs.joined(connection).start(person_id).accepted()
        clock.advance(timedelta(minutes=1))
        assert not runs.recover().errors
        assert len(engine.requests) == 1
        assert status(runs, person_id) == "running"


def test_what_is_no_part_of_a_hosts_transaction_is_refused(runs: Runs, path: Path) -> None:
    """Erasing empties the write-ahead log, which waits for the commit; recovery asks the engine in between."""
    person_id = added(runs)
    with by_hand(path) as (connection, _):
        joined = runs.joined(connection)
        with pytest.raises(InvalidInput, match="erase once the host's transaction has ended"):
            joined.erase(person_id)
        with pytest.raises(InvalidInput, match="is no part of a host's transaction"):
            joined.recover()
        with pytest.raises(InvalidInput, match="erase once"):
            joined.store.transact(Query(), lambda _view, _now: Write(answer=None, forgotten=("a",)))
    assert not isinstance(runs.person(person_id), PersonNotFound)


# --- connections that cannot be joined ---------------------------------------------------------------------------


def test_another_file_is_refused(store: SQLiteStore, tmp_path: Path) -> None:
    """A start must not end up beside the wrong log; a database in memory is no file."""
    for name in (str(tmp_path / "other.db"), ":memory:"):
        with closing(sqlite3.connect(name)) as other, pytest.raises(InvalidInput, match="the store is in"):
            store.joined(other)


@pytest.mark.parametrize("what", [None, "app.db", object()])
def test_what_is_no_connection_is_refused(store: SQLiteStore, what: object) -> None:
    """It is said what would be one."""
    with pytest.raises(InvalidInput, match="a connection of sqlite3, SQLAlchemy or Django"):
        store.joined(what)


def test_what_is_awaited_is_refused(store: SQLiteStore) -> None:
    """It is said so, and nothing is begun with it."""
    for awaited in (AsyncSession(), AsyncConnection(create_async_engine("postgresql+psycopg://"))):
        with pytest.raises(InvalidInput, match=f"one that blocks, .* not an awaited {type(awaited).__name__}"):
            store.joined(awaited)


def test_a_transaction_that_has_not_begun_is_refused(store: SQLiteStore, path: Path) -> None:
    """In autocommit nobody would commit what is begun here."""
    with plain(path) as connection:
        with pytest.raises(InvalidInput, match="begin one"):
            store.joined(connection)
        connection.execute("BEGIN IMMEDIATE")
        joined = store.joined(connection)
        connection.execute("COMMIT")
        with pytest.raises(InvalidInput, match="begin one"):
            joined.transact(*appending("a", 1))
    assert list(store.events()) == []


def test_a_transaction_that_has_read_an_older_state_is_told_how_to_begin(store: SQLiteStore, path: Path) -> None:
    """SQLite cannot let it write any more; the host repeats it, begun with the lock."""
    with plain(path) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT * FROM candidates").fetchall()
        store.transact(*appending("a", 1))
        with pytest.raises(StoreBusy, match="begin it with BEGIN IMMEDIATE"):
            store.joined(connection)
        connection.execute("ROLLBACK")


def test_a_transaction_beside_another_writer_is_told(store: SQLiteStore, path: Path) -> None:
    """Two hosts at once: the second one aborts and repeats."""
    with plain(path) as first, closing(sqlite3.connect(path, timeout=0.01)) as second:
        first.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="somebody else is writing"):
            store.joined(second)


@pytest.mark.parametrize("declared", ["TEXT", "INTEGER", "BLOB"])
def test_a_connection_that_converts_what_it_reads_is_refused(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch, declared: str
) -> None:
    """A person would not be found under an identifier that comes back as something else."""
    monkeypatch.setitem(sqlite3.converters, declared, lambda value: (value,))
    with (
        closing(sqlite3.connect(path, detect_types=sqlite3.PARSE_DECLTYPES)) as connection,
        pytest.raises(InvalidInput, match=r"converts TEXT, INTEGER or BLOB"),
    ):
        store.joined(connection)


def test_a_transaction_that_sqlite_aborts_is_told_and_not_begun_anew(store: SQLiteStore, path: Path) -> None:
    """What is told is why it was aborted; nothing more is written in what would be half of it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(ROW)
        joined = store.joined(connection)
        connection.execute(
            "CREATE TEMP TRIGGER aborts AFTER INSERT ON main.events WHEN new.stream = 'a' "
            "BEGIN SELECT RAISE(ROLLBACK, 'the disk is gone'); END"
        )
        with pytest.raises(WriteRejected, match="the disk is gone"):
            joined.transact(*appending("a", 1))
        with pytest.raises(InvalidInput, match="no open transaction"):
            joined.transact(*appending("b", 1))
        connection.commit()
    assert (list(store.events()), candidates(path)) == ([], 0)


def test_a_joined_store_ends_with_the_transaction_it_was_made_in(store: SQLiteStore, path: Path) -> None:
    """Where the driver begins, a later write would begin one that nobody thinks of committing."""
    with closing(sqlite3.connect(path)) as connection:
        joined = store.joined(connection)
        joined.transact(*appending("a", 1))
        connection.commit()
        with pytest.raises(InvalidInput, match="no open transaction"):
            joined.transact(*appending("b", 1))
        assert not connection.in_transaction
    assert [event.stream for event in store.events()] == ["a"]


def test_a_host_overwrites_what_it_deletes(store: SQLiteStore, path: Path) -> None:
    """A page that is split leaves no copies of personal documents behind, which a later erasure would not reach."""
    with plain(path) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("BEGIN IMMEDIATE")
        store.joined(connection)
        assert connection.execute("PRAGMA secure_delete").fetchone()[0] == 1
        connection.execute("COMMIT")


def test_one_joined_store_follows_the_hosts_savepoints(runs: Runs, path: Path) -> None:
    """It remembers nothing of what the host took back."""
    first, second = added(runs), added(runs)
    with by_hand(path) as (connection, _):
        assert isinstance(connection, sqlite3.Connection)
        joined = runs.joined(connection)
        connection.execute("SAVEPOINT hosts")
        joined.start(first).accepted()
        connection.execute("ROLLBACK TO hosts")
        assert status(joined, first) == "idle"
        joined.start(second).accepted()
        joined.start(first).accepted()
    assert list(verify(runs.store)) == []
    assert runs.balance(OWNER).available == 0


def test_a_host_keeps_its_own_ways(store: SQLiteStore, path: Path) -> None:
    """Its rows and texts are made as before, and closing the joined store closes nothing."""
    with implicitly(path) as (connection, insert):
        joined = store.joined(connection)
        assert isinstance(joined, JoinedStore)
        assert "app.db" in repr(joined)
        joined.transact(*appending("a", 1))
        joined.close()
        insert()
        assert isinstance(connection, sqlite3.Connection)
        row = connection.execute("SELECT person_id FROM candidates").fetchone()
        assert isinstance(row, sqlite3.Row)
        assert row["person_id"] == b"p"


# --- crashes -----------------------------------------------------------------------------------------------------

_HOST = """
    import os, signal, sqlite3, sys
    from research_fsm import Runs
    from research_fsm.stores.sqlite import SQLiteStore
    path, person_id, moment = sys.argv[1:]
    runs = Runs(SQLiteStore(path))
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    runs.joined(connection).start(person_id).accepted()
    connection.execute("INSERT INTO candidates VALUES ('p', 'n')")
    if moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    connection.execute("COMMIT")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("moment", "kept"), [("before", 0), ("after", 1)])
def test_a_killed_host_leaves_both_or_neither(runs: Runs, path: Path, moment: str, kept: int) -> None:
    """Kill -9 before the commit takes both back, after it both are there."""
    person_id = added(runs)
    command = [sys.executable, "-c", textwrap.dedent(_HOST), str(path), person_id, moment]
    assert subprocess.run(command, check=False, env=os.environ).returncode == -signal.SIGKILL  # noqa: S603  # Our own.
    assert (started(runs.store), candidates(path)) == (kept, kept)
    assert list(verify(runs.store)) == []


# --- laws --------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from(["start", "begin", "commit", "abort", "save", "back"]), st.integers(0, 3)))
)
def test_only_what_is_committed_has_happened(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    """Starts in any nesting of transactions and savepoints: the log holds those whose every block was committed."""
    path = tmp_path_factory.mktemp("joined") / "app.db"
    with SQLiteStore(path) as store, plain(path) as connection:
        runs = Runs(store)
        runs.grant(OWNER, 9)
        people = [added(runs) for _ in range(4)]
        kept: set[int] = set()
        blocks: list[set[int]] = []
        for step, which in steps:
            if step == "begin" and not blocks:
                connection.execute("BEGIN IMMEDIATE")
                blocks.append(set(kept))
            elif step == "commit" and blocks:
                connection.execute("COMMIT")
                kept = blocks[-1]
                blocks = []
            elif step == "abort" and blocks:
                connection.execute("ROLLBACK")
                blocks = []
            elif step == "save" and blocks:
                connection.execute(f"SAVEPOINT s{len(blocks)}")
                blocks.append(set(blocks[-1]))
            elif step == "back" and len(blocks) > 1:
                blocks.pop()
                connection.execute(f"ROLLBACK TO s{len(blocks)}")
                connection.execute(f"RELEASE s{len(blocks)}")
            elif step == "start" and blocks:
                answer = runs.joined(connection).start(people[which])
                assert isinstance(answer, Queued) is (which not in blocks[-1])
                blocks[-1].add(which)
        if blocks:
            connection.execute("ROLLBACK")
        running = {number for number, one in enumerate(people) if status(runs, one) == "running"}
        assert running == kept
        assert runs.balance(OWNER).available == 9 - len(kept)
        assert list(verify(store)) == []


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(TIMES, queries, writes), min_size=1, max_size=8))
def test_within_a_transaction_it_answers_as_the_reference_does(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, Query, Write[int]]]
) -> None:
    """Every answer, every view, every rejection, and all that can be read, in one long transaction of a host's."""
    now = [0]
    path = tmp_path_factory.mktemp("joined") / "app.db"
    with SQLiteStore(path, clock=lambda: now[0]) as store, plain(path) as connection:
        reference = MemoryStore(lambda: now[0])
        connection.execute("BEGIN IMMEDIATE")
        joined = store.joined(connection)
        for time, query, write in steps:
            now[0] = time
            kept = evolve(write, forgotten=())
            assert outcome(joined, query, kept) == outcome(reference, query, kept)
        assert everything(joined) == everything(reference)
        connection.execute("COMMIT")
        assert everything(store) == everything(reference)


def test_a_transaction_that_is_open_has_no_feed(runs: Runs, path: Path) -> None:
    """What it has not committed is in nobody's; it is said whom to follow instead."""
    with closing(sqlite3.connect(path)) as connection:
        events = runs.joined(connection).follow()
        with pytest.raises(InvalidInput, match="follow the store itself"):
            next(events)
