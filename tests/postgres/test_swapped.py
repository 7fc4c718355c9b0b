"""Another server under the same address: one with another store, one with none, and one that took over."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from research_fsm import Profile, Runs, audit
from research_fsm.errors import CommitUnknown, StoreUnavailable
from research_fsm.outcomes import Queued
from research_fsm.stores.postgres import PostgresStore
from research_fsm.stores.postgres_errors import WireLost
from research_fsm.testing.postgres import PostgresServer
from tests.postgres.examples import Breaking, Plain, plain, tell

ADA = Profile(first_name="Ada", last_name="Lovelace", company="Analytical Engines")
WAIT = timedelta(seconds=20)


@contextmanager
def standing_in(server: PostgresServer) -> Iterator[PostgresServer]:
    """Stop a server, let another one answer at its address, and swap them back."""
    server.stop()
    other = PostgresServer()
    other.port = server.port
    with other:
        yield other
    server.start()


def counts(client: Plain) -> dict[str, int]:
    """Count bare events by type."""
    return dict(tell(client, "SELECT type, count(*) FROM research_fsm.events GROUP BY type"))


def test_another_server_is_not_written_to() -> None:
    """Whether it has no store or one of its own: callers are told, and nothing of one store gets into the other."""
    with PostgresServer() as server, PostgresStore(server.address(), wait=WAIT) as store:
        runs = Runs(store)
        runs.grant("acme", 2)
        person = runs.add("acme", ADA).accepted().person_id
        with standing_in(server) as other, plain(other.address()) as client:
            for act in (lambda: runs.start(person, key="k"), lambda: runs.balance("acme"), runs.recover):
                with pytest.raises(StoreUnavailable, match="the store's tables are not there"):
                    act()
            assert tell(client, "SELECT to_regnamespace('research_fsm')") == [(None,)]
            with PostgresStore(other.address()) as theirs:
                Runs(theirs).grant("globex", 1)
                for act in (lambda: runs.start(person, key="k"), lambda: runs.balance("acme"), runs.recover):
                    with pytest.raises(StoreUnavailable, match="another store answers"):
                        act()
                assert counts(client) == {"CreditsGranted": 1}
        assert isinstance(runs.start(person, key="k"), Queued)
        assert list(audit.verify(store)) == []
        with plain(server.address()) as client:
            assert counts(client)["RunStarted"] == 1


def test_a_commit_whose_server_was_swapped_is_unknown() -> None:
    """The other server cannot tell; once the old one is back, the same key is answered, and nothing is done twice."""
    with PostgresServer() as server, PostgresStore(server.address(), wait=WAIT) as store:
        runs = Runs(store)
        runs.grant("acme", 2)
        person = runs.add("acme", ADA).accepted().person_id
        server_of_others = standing_in(server)

        def swapped(send: object) -> WireLost:
            assert callable(send)
            send()
            PostgresStore(server_of_others.__enter__().address()).close()
            return WireLost("the connection was cut")

        Breaking(store, swapped)
        try:
            with pytest.raises(CommitUnknown, match="may last or not"):
                runs.start(person, key="k")
        finally:
            server_of_others.__exit__(None, None, None)
        assert isinstance(runs.start(person, key="k"), Queued)
        assert runs.balance("acme").charged == 1
        with plain(server.address()) as client:
            assert counts(client)["RunStarted"] == 1


@pytest.mark.parametrize("shipped", [True, False], ids=["with the commit", "without it"])
def test_a_standby_that_took_over_is_asked_what_became_of_a_commit(*, shipped: bool) -> None:
    """Its events say so: what it has is done, and what it never got is decided anew, once."""
    with PostgresServer() as server, PostgresStore(server.address(), wait=WAIT) as store:
        runs = Runs(store)
        runs.grant("acme", 2)
        person = runs.add("acme", ADA).accepted().person_id

        def failed_over(send: object) -> WireLost:
            assert callable(send)
            if shipped:
                send()
            server.stop()
            _promote(server)
            return WireLost("the connection was cut")

        before = store._writers[0].wire.server
        Breaking(store, failed_over)
        assert isinstance(runs.start(person), Queued)
        assert before is not None
        assert store._writers[0].wire.server is not None
        assert (store._writers[0].wire.server[0], store._writers[0].wire.server[1]) == (before[0], b"00000002")
        assert list(audit.verify(store)) == []
        assert runs.balance("acme").charged == 1
        with plain(server.address()) as client:
            assert counts(client)["RunStarted"] == 1


def _promote(server: PostgresServer) -> None:
    """Let a copy of a stopped server's data end its recovery, as a standby does that is promoted."""
    data = server._data
    (data / "recovery.signal").touch()
    shutil.chown(data / "recovery.signal", Path(data).owner())
    server._settings["restore_command"] = "false"
    server.start()
    with plain(server.address()) as client:
        while tell(client, "SELECT pg_is_in_recovery()") == [(True,)]:
            client.execute("SELECT pg_sleep(0.001)")
