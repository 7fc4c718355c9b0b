"""Making and opening the tables: by many at once, by a role with few rights, and where they are not ours."""

# ruff: noqa: S608  # The schema is a name of ours.

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest

from research_fsm import audit
from research_fsm.errors import (
    InvalidInput,
    StoreDamaged,
    StoreError,
    StoreForeign,
    StoreReadOnly,
    StoreTooNew,
    StoreUnavailable,
)
from research_fsm.outcomes import Claimed
from research_fsm.profile import Profile
from research_fsm.runs import Runs
from research_fsm.stores import postgres_schema
from research_fsm.stores.evidence import evidence, followed
from research_fsm.stores.postgres import PostgresStore
from research_fsm.stores.postgres_new import new_schema
from research_fsm.stores.postgres_schema import grants
from research_fsm.testing.postgres import PostgresServer
from tests.postgres.examples import Plain, appending, notes, plain, tell


@contextmanager
def role(client: Plain, name: str) -> Iterator[str]:
    """Make a role that may log in and nothing else."""
    tell(client, f"CREATE ROLE {name} LOGIN")
    try:
        yield name
    finally:
        tell(client, f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_many_may_open_a_new_store_at_once(address: str) -> None:
    """One makes the tables, and all of them have the same store."""

    def secret(_: int) -> bytes:
        with PostgresStore(address) as store:
            return store.secret

    with ThreadPoolExecutor(12) as pool:
        secrets = set(pool.map(secret, range(12)))
    assert len(secrets) == 1
    assert len(secrets.pop()) == 32


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make this a later version of the library, with one migration more."""

    def become(step: str) -> None:
        monkeypatch.setattr(postgres_schema, "_MIGRATIONS", (*postgres_schema._MIGRATIONS, step))
        monkeypatch.setattr(postgres_schema, "SCHEMA_VERSION", len(postgres_schema._MIGRATIONS))

    return become


def test_an_older_store_is_migrated_once(address: str, later: Callable[[str], None]) -> None:
    """By whoever comes first of many, with everything that is in it."""
    with PostgresStore(address) as store:
        store.transact(*appending("a", 1))
        secret = store.secret
    later("CREATE TABLE {s}.later (note text); INSERT INTO {s}.later VALUES ('once')")

    def opened(_: int) -> tuple[bytes, list[int]]:
        with PostgresStore(address) as store:
            return store.secret, notes(store, "a")

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(opened, range(12))) == [(secret, [1])] * 12
    with plain(address) as client:
        assert tell(client, "SELECT * FROM research_fsm.later") == [("once",)]


def test_whoever_only_looks_migrates_nothing(address: str, later: Callable[[str], None]) -> None:
    """At one moment or as the log grows: they are told that it is an older store, and it stays one."""
    with PostgresStore(address) as store:
        store.transact(*appending("a", 1))
    later("CREATE TABLE {s}.later (note text)")
    for look in (evidence, followed):
        with pytest.raises(StoreUnavailable, match="an older store"), look(address, timedelta(seconds=5)):
            pass
    with plain(address) as client:
        assert tell(client, "SELECT to_regclass('research_fsm.later')") == [(None,)]


def test_a_migration_that_fails_leaves_the_store_as_it_was(
    server: PostgresServer, schema: str, later: Callable[[str], None]
) -> None:
    """All of it or nothing; a role with few rights is told that there is something to migrate."""
    with PostgresStore(server.address(), schema=schema) as store:
        store.transact(*appending("a", 1))
    version = postgres_schema.SCHEMA_VERSION
    later("CREATE TABLE {s}.later (note text); SELECT 1 / 0")
    with plain(server.address()) as client, role(client, f"role_{schema}") as name:
        tell(client, grants(name, schema))
        with pytest.raises(StoreReadOnly, match="permission denied"):
            PostgresStore(server.address(user=name), schema=schema)
        with pytest.raises(StoreError, match="division by zero"):
            PostgresStore(server.address(), schema=schema)
        assert tell(client, f"SELECT to_regclass('{schema}.later')") == [(None,)]
        found = tell(client, f"SELECT convert_from(value, 'UTF8') FROM {schema}.settings WHERE name = 'schema'")
        assert found == [(str(version),)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {}.events SET type = 'Other'",
        "DELETE FROM {}.events",
        "TRUNCATE {}.events",
        "SET session_replication_role = replica; DELETE FROM {}.events",
    ],
)
def test_the_log_is_append_only(server: PostgresServer, schema: str, statement: str) -> None:
    """For the owner of the table too, and for one who switches ordinary triggers off."""
    with PostgresStore(server.address(), schema=schema) as store, plain(server.address()) as client:
        store.transact(*appending("a", 1))
        with pytest.raises(psycopg.Error, match="append-only"):
            tell(client, statement.format(schema))
        assert [event.version for event in store.events()] == [1]


def test_a_role_that_may_only_append_is_enough(server: PostgresServer, schema: str) -> None:
    """The whole job, from the grant of credits to an erasure; only heads, receipts and the queue are ever updated."""
    PostgresStore(server.address(), schema=schema).close()
    with plain(server.address()) as client, role(client, f"role_{schema}") as name:
        tell(client, grants(name, schema))
        tell(client, f"REVOKE UPDATE ON {schema}.tokens FROM {name}")  # For whoever makes tokens and revokes them.
        updated = (
            "SELECT table_name FROM information_schema.role_table_grants WHERE grantee = %s AND privilege_type = %s"
        )
        assert sorted(client.execute(updated.encode(), (name, "UPDATE"))) == [("heads",), ("queue",), ("receipts",)]
        with PostgresStore(server.address(user=name), schema=schema) as store:
            runs = Runs(store)
            runs.grant("acme", 2)
            person = runs.add("acme", Profile(linkedin_url="https://www.linkedin.com/in/ada")).accepted().person_id
            runs.start(person, key="k").accepted()
            taken = runs.take()
            assert isinstance(taken, Claimed)
            runs.complete(taken.run_id, taken.run_no, taken.external_id, {"found": 1}).accepted()
            runs.mark_stale(person)
            runs.erase(person)
            assert list(audit.verify(store)) == []
        with plain(server.address(user=name)) as limited:
            for statement in ("UPDATE {}.events SET type = ''", "DELETE FROM {}.events", "TRUNCATE {}.events"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    tell(limited, statement.format(schema))


def test_a_role_that_may_not_make_tables_is_told(server: PostgresServer, schema: str) -> None:
    """Nothing is half made, and an administrator can do it."""
    with plain(server.address()) as client, role(client, f"role_{schema}") as name:
        with pytest.raises(StoreReadOnly, match="permission denied"):
            PostgresStore(server.address(user=name), schema=schema)
        assert tell(client, f"SELECT to_regnamespace('{schema}')") == [(None,)]


def test_a_role_with_a_schema_of_its_own_needs_no_right_to_make_one(server: PostgresServer, schema: str) -> None:
    """An administrator made it, empty; the role makes the tables, and another store where one is wanted is refused."""
    with plain(server.address()) as client, role(client, f"role_{schema}") as name:
        tell(client, f"CREATE SCHEMA {schema} AUTHORIZATION {name}")
        with PostgresStore(server.address(user=name), schema=schema) as store:
            assert store.transact(*appending("a", 1)) == 1
        with pytest.raises(StoreReadOnly, match="permission denied"):
            PostgresStore(server.address(user=name), schema=f"{schema}_2")


def test_a_new_schema_is_new_or_refused(server: PostgresServer, schema: str) -> None:
    """It is gone again if what it was made for fails, and one that was there is not touched."""
    address = f"{server.address()}?schema={schema}"
    with plain(server.address()) as client:
        with pytest.raises(ZeroDivisionError), new_schema(address, wait=1), PostgresStore(address) as store:
            store.transact(*appending("a", 1 // 0))
        assert tell(client, f"SELECT to_regnamespace('{schema}')") == [(None,)]
        with new_schema(address, wait=1), PostgresStore(address) as store:
            store.transact(*appending("a", 1))
        with pytest.raises(InvalidInput, match="already"), new_schema(address, wait=1):
            raise AssertionError("it is not made twice")
        assert tell(client, f"SELECT count(*) FROM {schema}.events") == [(1,)]


def test_a_schema_of_another_program_is_not_touched(server: PostgresServer, schema: str) -> None:
    """It has tables, and not ours."""
    with plain(server.address()) as client:
        tell(client, f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.customers (id int)")
        with pytest.raises(StoreForeign, match="another program"):
            PostgresStore(server.address(), schema=schema)
        assert tell(client, f"SELECT count(*) FROM pg_tables WHERE schemaname = '{schema}'") == [(1,)]


def test_a_store_of_a_later_version_is_not_touched(server: PostgresServer, schema: str) -> None:
    """It says to upgrade."""
    PostgresStore(server.address(), schema=schema).close()
    with plain(server.address()) as client:
        tell(client, f"UPDATE {schema}.settings SET value = '999' WHERE name = 'schema'")
    with pytest.raises(StoreTooNew, match="999"):
        PostgresStore(server.address(), schema=schema)


def test_a_store_without_its_secret_is_damaged(server: PostgresServer, schema: str) -> None:
    """Tokens could not be checked: it is not opened with a new one."""
    PostgresStore(server.address(), schema=schema).close()
    with plain(server.address()) as client:
        tell(client, f"DELETE FROM {schema}.settings WHERE name = 'secret'")
    with pytest.raises(StoreDamaged):
        PostgresStore(server.address(), schema=schema)


@pytest.mark.parametrize("schema", ["", "Caps", "a-b", "a; DROP TABLE x", "1st", "x" * 41, 'a"b'])
def test_a_schema_is_a_plain_name(server: PostgresServer, schema: str) -> None:
    """Whatever else it is, it never gets into a statement."""
    with pytest.raises(InvalidInput):
        PostgresStore(server.address(), schema=schema)


def test_two_schemas_are_two_stores(server: PostgresServer, schema: str) -> None:
    """In one database, with a secret each."""
    address = server.address()
    with PostgresStore(address, schema=schema) as one, PostgresStore(address, schema=f"{schema}_2") as other:
        one.transact(*appending("a", 1))
        assert list(other.events()) == []
        assert one.secret != other.secret


def test_a_commit_is_flushed_whatever_the_database_is_set_to(address: str) -> None:
    """A caller who is told something has it, where a host's own transactions are not worth the wait."""
    with plain(address) as client:
        name = tell(client, "SELECT current_database()")[0][0]
        tell(client, f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    for prepared in (True, False):
        with PostgresStore(address, prepared=prepared) as store:
            before = store._local or b""
            store._writers[0].wire.run(b"BEGIN;" + before + b"SELECT 1")
            assert store._writers[0].wire.run(b"SHOW synchronous_commit; ROLLBACK")[0] == [(b"on",)]
