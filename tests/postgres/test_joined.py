"""A start inside a transaction of the host's own: both commit, or neither does, whichever library the host uses."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import django
import psycopg
import pytest
import sqlalchemy
from django.conf import settings
from sqlalchemy.orm import Session

from research_fsm import Profile, Runs
from research_fsm.audit import verify
from research_fsm.errors import InvalidInput, StoreBusy, StoreUnavailable, WriteRejected
from research_fsm.outcomes import PersonNotFound
from research_fsm.storage import Query, UniqueKey, Write
from research_fsm.stores.postgres import PostgresStore
from tests.postgres.examples import appending, notes, plain, tell

ADA = Profile(first_name="Ada", last_name="Lovelace", company="Analytical Engines")
INSERT = "INSERT INTO candidates VALUES ('from the fair')"

Host = tuple[object, Callable[[str], object]]
"""What a host hands over, and how it executes a statement of its own."""


@pytest.fixture
def store(address: str) -> Iterator[PostgresStore]:
    """Open a store beside a table of the host's."""
    with plain(address) as client:
        tell(client, "CREATE TABLE candidates (note text)")
    with PostgresStore(address) as opened:
        yield opened


@contextmanager
def with_psycopg(address: str) -> Iterator[Host]:
    """Join a transaction that the driver begins by itself."""
    with closing(psycopg.connect(address)) as connection, connection:
        yield connection, lambda sql: connection.execute(sql.encode())


@contextmanager
def with_psycopg_block(address: str) -> Iterator[Host]:
    """Join a block of an autocommit connection."""
    with psycopg.connect(address, autocommit=True) as connection, connection.transaction():
        yield connection, lambda sql: connection.execute(sql.encode())


@contextmanager
def with_sqlalchemy(address: str) -> Iterator[Host]:
    """Join a session's transaction."""
    engine = sqlalchemy.create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
    try:
        with Session(engine) as session, session.begin():
            yield session, lambda sql: session.execute(sqlalchemy.text(sql))
    finally:
        engine.dispose()


@contextmanager
def with_django(address: str) -> Iterator[Host]:
    """Join an atomic block."""
    if not settings.configured:
        settings.configure()
        django.setup()
    from django.db.utils import ConnectionHandler

    found = psycopg.conninfo.conninfo_to_dict(address)
    database = {"ENGINE": "django.db.backends.postgresql", "NAME": found["dbname"], "USER": found["user"]}
    handler = ConnectionHandler({"default": {**database, "HOST": found["host"], "PORT": found["port"]}})
    connection = handler["default"]
    connection.ensure_connection()
    try:
        connection.set_autocommit(False)
        yield connection, lambda sql: connection.cursor().execute(sql)
    except BaseException:
        connection.rollback()
        raise
    else:
        connection.commit()
    finally:
        connection.close()


HOSTS = [with_psycopg, with_psycopg_block, with_sqlalchemy, with_django]


class Aborted(Exception):
    """The host thought better of it."""


@pytest.mark.parametrize("host", HOSTS)
def test_both_commit(store: PostgresStore, address: str, host: Callable[[str], AbstractContextManager[Host]]) -> None:
    """The host's row and the run, which others see once the host has committed, and not before."""
    runs = Runs(store)
    runs.grant("acme", 2)
    with host(address) as (connection, execute):
        joined = runs.joined(connection)
        person = joined.add("acme", ADA).accepted().person_id
        execute(INSERT)
        runs.joined(connection).start(person).accepted()
        assert isinstance(runs.person(person), PersonNotFound)
    found = runs.person(person)
    assert not isinstance(found, PersonNotFound)
    assert str(found.status) == "running"
    with plain(address) as client:
        assert tell(client, "SELECT count(*) FROM candidates") == [(1,)]
    assert list(verify(store)) == []


@pytest.mark.parametrize("host", HOSTS)
def test_neither_commits(
    store: PostgresStore, address: str, host: Callable[[str], AbstractContextManager[Host]]
) -> None:
    """An exception before the commit takes back all of it, and no credit is held."""
    runs = Runs(store)
    runs.grant("acme", 2)
    before = len(list(store.events()))
    with pytest.raises(Aborted), host(address) as (connection, execute):  # noqa: PT012  # What is aborted.
        person = runs.joined(connection).add("acme", ADA).accepted().person_id
        execute(INSERT)
        runs.joined(connection).start(person).accepted()
        raise Aborted
    assert len(list(store.events())) == before
    assert runs.balance("acme").available == 2
    with plain(address) as client:
        assert tell(client, "SELECT count(*) FROM candidates") == [(0,)]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    "mistake",
    ["INSERT INTO candidates VALUES (1 / 0)", "INSERT INTO shortlist VALUES (1), (1)"],
    ids=["a statement that fails", "a commit that fails"],
)
def test_a_host_that_fails_takes_everything_back(
    store: PostgresStore, address: str, mistake: str, host: Callable[[str], AbstractContextManager[Host]]
) -> None:
    """Also where only the commit finds out what is wrong, and our part had long been written."""
    runs = Runs(store)
    runs.grant("acme", 2)
    before = len(list(store.events()))
    with plain(address) as client:
        tell(client, "CREATE TABLE shortlist (place int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(Exception, match=r"division by zero|duplicate key"), host(address) as (connection, execute):  # noqa: PT012  # What fails is the commit.
        person = runs.joined(connection).add("acme", ADA).accepted().person_id
        execute(INSERT)
        runs.joined(connection).start(person).accepted()
        execute(mistake)
    assert len(list(store.events())) == before
    assert (runs.balance("acme").available, runs.balance("acme").held) == (2, 0)
    with plain(address) as client:
        assert tell(client, "SELECT count(*) FROM candidates") == [(0,)]
    assert list(verify(store)) == []


@pytest.mark.parametrize("host", HOSTS)
def test_a_savepoint_of_the_hosts_takes_back_what_came_after_it(
    store: PostgresStore, address: str, host: Callable[[str], AbstractContextManager[Host]]
) -> None:
    """The host goes on without it, and may do it again: then it is done once."""
    runs = Runs(store)
    runs.grant("acme", 2)
    person = runs.add("acme", ADA).accepted().person_id
    with host(address) as (connection, execute):
        joined = runs.joined(connection)
        execute("SAVEPOINT theirs")
        joined.start(person).accepted()
        execute("ROLLBACK TO SAVEPOINT theirs")
        assert joined.balance("acme").available == 2
        execute(INSERT)
        joined.start(person).accepted()
    assert [event.type for event in store.events(f"person:{person}")].count("RunStarted") == 1
    assert runs.balance("acme").charged == 1
    with plain(address) as client:
        assert tell(client, "SELECT count(*) FROM candidates") == [(1,)]
    assert list(verify(store)) == []


@pytest.mark.parametrize("host", HOSTS)
def test_a_hosts_connection_that_is_cut_takes_everything_back(
    store: PostgresStore, address: str, host: Callable[[str], AbstractContextManager[Host]]
) -> None:
    """In the middle of its transaction: it is told, and nothing of it is there."""
    runs = Runs(store)
    runs.grant("acme", 2)
    person = runs.add("acme", ADA).accepted().person_id
    other = runs.add("acme", ADA).accepted().person_id
    before = len(list(store.events()))
    lost = r"connection is lost|terminating connection|Aborted"  # In whatever words a host's library has for it.
    with pytest.raises(Exception, match=lost), host(address) as (connection, execute):  # noqa: PT012  # What is aborted.
        joined = runs.joined(connection)
        joined.start(person).accepted()
        execute(INSERT)
        with plain(address) as client:
            everybody = "FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()"
            tell(client, f"SELECT pg_terminate_backend(pid, 10000) {everybody}")
        with pytest.raises(StoreUnavailable):
            joined.start(other)
        raise Aborted("Aborted")
    assert len(list(store.events())) == before
    runs.start(person).accepted()
    assert runs.balance("acme").charged == 1


def test_what_goes_wrong_leaves_the_hosts_transaction_as_it_was(store: PostgresStore, address: str) -> None:
    """A rule that raises, and a name that is taken: the host goes on and commits its own."""
    store.transact(Query(), lambda _view, _now: Write(answer=1, keys=(UniqueKey("k", "a"),)))
    with psycopg.connect(address) as connection:
        connection.execute(INSERT.encode())
        joined = store.joined(connection)
        with pytest.raises(ZeroDivisionError):
            joined.transact(Query(), lambda _view, now: Write(answer=now // 0))
        with pytest.raises(WriteRejected, match="unique key k is taken"):
            joined.transact(Query(), lambda _view, _now: Write(answer=1, keys=(UniqueKey("k", "b"),)))
        assert asyncio.run(joined.transact_async(*appending("a", 1))) == 1
        assert notes(store, "a") == []
    assert notes(store, "a") == [1]
    with plain(address) as client:
        assert tell(client, "SELECT count(*) FROM candidates") == [(1,)]


def test_a_host_whose_view_is_too_old_is_told_to_repeat(store: PostgresStore, address: str) -> None:
    """Under repeatable read a head that moved since cannot be locked."""
    store.transact(*appending("a", 1))
    with psycopg.connect(address) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT 1 FROM candidates")
        store.transact(*appending("a", 2))
        with pytest.raises(StoreBusy, match="repeat it"):
            store.joined(connection).transact(*appending("a", 3))
        connection.rollback()
    assert notes(store, "a") == [1, 2]


def test_what_cannot_be_joined_is_refused(store: PostgresStore, address: str) -> None:
    """Another database, no transaction, one that failed, and what is no connection at all."""
    elsewhere = address.rpartition("/")[0] + "/postgres"
    with psycopg.connect(elsewhere) as connection, pytest.raises(InvalidInput, match="another database"):
        store.joined(connection)
    with psycopg.connect(address, autocommit=True) as connection, pytest.raises(InvalidInput, match="no open"):
        store.joined(connection)
    with psycopg.connect(address) as connection:
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT nonsense")
        with pytest.raises(InvalidInput, match="failed"):
            store.joined(connection)
    with pytest.raises(InvalidInput, match="not str"):
        store.joined("postgresql://")


def test_a_transaction_that_is_open_has_no_feed(address: str, store: PostgresStore) -> None:
    """What it has not committed is in nobody's; it is said whom to follow instead."""
    with psycopg.connect(address) as connection:
        events = Runs(store).joined(connection).follow()
        with pytest.raises(InvalidInput, match="follow the store itself"):
            next(events)
