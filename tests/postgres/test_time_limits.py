"""Nothing waits for ever: locks, statements, transactions that are left open, and a server that says nothing."""

# ruff: noqa: S608  # The schema is a name of ours.

import os
import signal
from collections.abc import Iterator
from datetime import timedelta

import pytest

from research_fsm import Profile, Runs, audit
from research_fsm.errors import CommitUnknown, StoreBusy
from research_fsm.outcomes import Queued
from research_fsm.storage import View, Write
from research_fsm.stores.postgres import PostgresStore
from research_fsm.stores.postgres_errors import WireLost
from research_fsm.testing.postgres import PostgresServer
from tests.postgres.examples import Breaking, appending, notes, plain, tell

LIMITS = {"lock_timeout": b"2s", "statement_timeout": b"7s", "idle_in_transaction_session_timeout": b"12s"}


@pytest.fixture
def store(server: PostgresServer, schema: str) -> Iterator[PostgresStore]:
    """Open a store with one event in it."""
    with PostgresStore(server.address(), schema=schema, wait=timedelta(seconds=2)) as opened:
        opened.transact(*appending("a", 1))
        yield opened


def process_of(store: PostgresStore) -> int:
    """Return the server's process that writes for a store."""
    return store._writers[0].wire.get().backend_pid


def wait_until_gone(server: PostgresServer, process: int) -> None:
    """Return once a process of the server has ended."""
    with plain(server.address()) as client:
        while tell(client, f"SELECT 1 FROM pg_stat_activity WHERE pid = {process}"):
            client.execute("SELECT pg_sleep(0.001)")


@pytest.mark.parametrize("prepared", [True, False])
def test_every_transaction_has_its_limits(server: PostgresServer, schema: str, *, prepared: bool) -> None:
    """They follow from the wait, however they are set."""
    with PostgresStore(server.address(), schema=schema, prepared=prepared, wait=timedelta(seconds=2)) as store:
        for name, value in LIMITS.items():
            answers = store._writers[0].wire.run(b"BEGIN;%bSHOW %b; ROLLBACK" % (store._local, name.encode()))
            assert answers[-2] == [(value,)]


def test_a_statement_that_takes_too_long_makes_the_store_busy(
    store: PostgresStore, server: PostgresServer, schema: str
) -> None:
    """Whatever it waits for; the rule was not asked, and later it works."""
    asked: list[View] = []
    query, rule = appending("a", 2)

    def noting(view: View, now: int) -> Write[int]:
        asked.append(view)
        return rule(view, now)

    store._writers[0].wire.run(b"SET statement_timeout = 50; SET lock_timeout = 0")
    with plain(server.address()) as other, other.transaction():
        tell(other, f"SELECT FROM {schema}.heads FOR UPDATE")
        with pytest.raises(StoreBusy, match="statement timeout"):
            store.transact(query, noting)
    assert asked == []
    assert store.transact(query, rule) == 2


def test_whoever_keeps_a_transaction_open_for_too_long_decides_anew(
    store: PostgresStore, server: PostgresServer
) -> None:
    """The server ended its transaction and let others in: nothing of the first decision is written."""
    process = process_of(store)
    asked: list[int] = []
    query, rule = appending("a", 2)

    def slow(view: View, now: int) -> Write[int]:
        asked.append(view.heads["a"].version)
        if len(asked) == 1:
            wait_until_gone(server, process)
            with PostgresStore(server.address(), schema=store._dialect.schema) as other:
                other.transact(*appending("a", 9))
        return rule(view, now)

    store._writers[0].wire.run(b"SET idle_in_transaction_session_timeout = 50")
    assert store.transact(query, slow) == 3
    assert asked == [1, 2]
    assert notes(store, "a") == [1, 9, 2]


def test_a_server_that_says_nothing_is_left_for_another_connection(
    store: PostgresStore, server: PostgresServer
) -> None:
    """A process that hangs holds no lock yet: the write goes on elsewhere, once."""
    process = process_of(store)
    store._writers[0].wire._longest = 0.2
    os.kill(process, signal.SIGSTOP)
    try:
        assert store.transact(*appending("a", 2)) == 2
    finally:
        os.kill(process, signal.SIGCONT)
    wait_until_gone(server, process)
    assert notes(store, "a") == [1, 2]


def test_a_server_that_hangs_in_a_commit_leaves_it_unknown(address: str, server: PostgresServer) -> None:
    """The commit may still come, as here it does: the caller is told so, and the same key finds it, once."""
    with PostgresStore(address, wait=timedelta(milliseconds=300)) as store:
        runs = Runs(store)
        runs.grant("acme", 2)
        ada = Profile(first_name="Ada", last_name="Lovelace", company="Analytical Engines")
        person = runs.add("acme", ada).accepted().person_id
        process = process_of(store)

        def hanging(send: object) -> WireLost:
            assert callable(send)
            os.kill(process, signal.SIGSTOP)
            with pytest.raises(WireLost, match="did not answer in time") as raised:
                send()
            return raised.value

        store._writers[0].wire._longest = 0.2
        Breaking(store, hanging)
        try:
            with pytest.raises(CommitUnknown, match="may last or not"):
                runs.start(person, key="k")
        finally:
            os.kill(process, signal.SIGCONT)
        wait_until_gone(server, process)
        assert len(list(store.events(f"person:{person}"))) == 3
        assert isinstance(runs.start(person, key="k"), Queued)
        assert runs.balance("acme").charged == 1
        assert list(audit.verify(store)) == []
