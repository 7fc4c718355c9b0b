"""The store behind a real PgBouncer in transaction mode, found out by itself."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from research_fsm.errors import StoreUnavailable
from research_fsm.stores.postgres import PostgresStore
from research_fsm.testing.conformance import DurableConformance, ProcessConformance, StoreConformance
from research_fsm.testing.postgres import PostgresServer
from tests.postgres.pooler import PGBOUNCER, Pooler
from tests.postgres.test_command import told
from tests.postgres.test_server_killed import start_everybody

pytestmark = pytest.mark.skipif(
    PGBOUNCER is None, reason="there is no PgBouncer on this machine: apt-get install pgbouncer"
)


@pytest.fixture(scope="module")
def pooler(server: PostgresServer) -> Iterator[Pooler]:
    """A pooler in front of the server of these tests."""
    with Pooler(server) as running:
        yield running


class TestPostgresStoreBehindPgBouncer(StoreConformance, DurableConformance, ProcessConformance):
    """The suite that any store has to pass, where each transaction may get another connection."""

    @pytest.fixture(autouse=True)
    def _place(self, pooler: Pooler, schema: str) -> None:
        self.place = pooler.address("postgres"), schema

    def make_store(self, clock: Callable[[], int]) -> PostgresStore:
        """Open the test's schema, with nothing said about a pooler."""
        address, schema = self.place
        return PostgresStore(address, schema=schema, clock=clock)


def test_a_pooler_is_found_out(server: PostgresServer, pooler: Pooler, schema: str) -> None:
    """Through it nothing is prepared, past it everything is; and it is one store."""
    with (
        PostgresStore(pooler.address("postgres"), schema=schema) as pooled,
        PostgresStore(server.address(), schema=schema) as direct,
    ):
        assert (pooled._dialect.prepares, direct._dialect.prepares) == (False, True)
        assert pooled.secret == direct.secret


def test_the_doctor_says_that_one_answers(pooler: Pooler, schema: str) -> None:
    """And the command line works through it as it does past it."""
    store = f"{pooler.address('postgres')}?schema={schema}"
    assert told(store, "grant", "acme", "1")["outcome"] == "granted"
    checks = {check["check"]: check for check in told(store, "doctor", code=1)}
    assert checks["pooler"]["words"] == "one answers: statements are planned anew each time"
    assert [name for name, check in checks.items() if check["verdict"] == "problem"] == ["durability"]
    assert checks["durability"]["words"].startswith("fsync is off")  # As it is for these tests.


def test_a_log_is_imported_through_it(pooler: Pooler, schema: str, tmp_path: Path) -> None:
    """In one transaction, which keeps one of its connections."""
    address, file = pooler.address("postgres"), str(tmp_path / "log.jsonl")
    told(f"{address}?schema={schema}", "grant", "acme", "1")
    told(f"{address}?schema={schema}", "export", file)
    made = told(f"{address}?schema={schema}_copy", "import-log", file)
    assert made["events"] == 1
    assert told(f"{address}?schema={schema}_copy", "balance", "acme")["available"] == 1


def test_whoever_insists_on_prepared_statements_is_told(pooler: Pooler, schema: str) -> None:
    """Another store's statements could stand on a connection that is shared: nothing is said on it."""
    address = pooler.address("postgres")
    with pytest.raises(StoreUnavailable, match=r"a pooler answers.*prepared=False"):
        PostgresStore(address, schema=schema, prepared=True)
    with pytest.raises(StoreUnavailable, match=r"a pooler answers.*prepared=False"):
        PostgresStore(f"{address}?prepared=true", schema=schema)


def test_settings_do_not_stay_on_a_connection_that_is_shared(pooler: Pooler, schema: str) -> None:
    """What the store sets is gone with its transaction: the next one may be another program's."""
    address, wait = pooler.address("postgres"), timedelta(seconds=7)
    with PostgresStore(address, schema=schema, wait=wait) as store:
        shown = store._writers[0].wire.run(b"BEGIN;" + store._local + b"SHOW lock_timeout; ROLLBACK")
        assert shown[-2] == [(b"7s",)]
        for _ in range(8):  # Whichever of the pooler's connections.
            assert store._writers[0].wire.run(b"SHOW lock_timeout; SHOW enable_seqscan") == [[(b"0",)], [(b"on",)]]


def test_a_pooler_that_is_killed_loses_nothing(server: PostgresServer) -> None:
    """In the middle of hundreds of starts from several processes: whatever was going through it is looked up."""
    with Pooler(server) as pooler:

        def trouble() -> None:
            pooler.kill()
            pooler.start()

        start_everybody(pooler.new_database(), trouble)
