"""Whoever audits a store on a server needs SELECT alone, keeps nobody waiting, and leaves no transaction open."""

# ruff: noqa: S608  # The schema and the role are names of ours.

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import research_fsm
from research_fsm import Profile, Runs
from research_fsm.cli import cli
from research_fsm.errors import StoreReadOnly
from research_fsm.stores.postgres import PostgresStore
from research_fsm.worker import Worker
from tests.postgres.examples import appending, plain, tell
from tests.system.program import killed_in_the_end, until

AUDITOR = "auditor"

OPEN = (
    "SELECT state FROM pg_stat_activity "
    f"WHERE usename = '{AUDITOR}' AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"
)


@pytest.fixture
def store(address: str) -> Iterator[PostgresStore]:
    """A store with a person who has a report, and one who waits."""
    with PostgresStore(address) as opened:
        runs = Runs(opened)
        runs.grant("acme", 5)
        for name in ("ada", "bob"):
            runs.start(runs.add("acme", Profile(linkedin_url=f"linkedin.com/in/{name}")).accepted().person_id)
        assert Worker(runs, lambda _: {"found": 1}).run_once()
        yield opened


@pytest.fixture
def auditing(address: str, store: PostgresStore) -> Iterator[str]:
    """The store's address for a role that may select and nothing else, and whose transactions are read-only."""
    with plain(address) as client:
        tell(client, f"CREATE ROLE {AUDITOR} LOGIN; ALTER ROLE {AUDITOR} SET default_transaction_read_only = on")
        tell(client, f"GRANT USAGE ON SCHEMA {store.schema} TO {AUDITOR}")
        tell(client, f"GRANT SELECT ON ALL TABLES IN SCHEMA {store.schema} TO {AUDITOR}")
        try:
            yield address.replace("postgres@", f"{AUDITOR}@")
        finally:
            tell(client, f"DROP OWNED BY {AUDITOR}; DROP ROLE {AUDITOR}")


def told(store: str, *words: str) -> Any:  # noqa: ANN401  # JSON can be anything.
    """Run the program, and return what standard output says."""
    done = CliRunner().invoke(cli, ["--store", store, "--json", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_who_may_select_may_audit(
    auditing: str, store: PostgresStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command of an audit, and every one that only shows something."""
    monkeypatch.chdir(tmp_path)
    told(auditing, "checkpoint", "key", "key")
    for name in ("old", "new"):
        (tmp_path / name).write_text(told(auditing, "checkpoint", "make", "--key", "key")["checkpoint"])
        Runs(store).grant("acme", 1)
    person = told(auditing, "list", "acme")[0]["id"]
    assert told(auditing, "verify", "--checkpoint", "old", "--key", "key.pub")["findings"] == []
    assert told(auditing, "verify", "--state-only")["findings"] == []
    assert told(auditing, "checkpoint", "check", "old", "--key", "key.pub")["problems"] == []
    proofs = (("--event", f"person:{person}", "1"), ("--newer", "new"))
    assert all(told(auditing, "checkpoint", "prove", "old", "--key", "key.pub", *words) for words in proofs)
    told(auditing, "export", "log.jsonl", "--with-documents")
    told(auditing, "compare", "--with", str(Path(research_fsm.__file__).parents[1]))
    told(auditing, "page", "--html", "page.html")
    told(auditing, "views", "--out", "views.db", "--with-documents")
    for command in ("explain", "history", "status"):
        told(auditing, command, person)
    told(auditing, "balance", "acme")
    with PostgresStore(auditing) as mine, pytest.raises(StoreReadOnly):
        mine.transact(*appending("a", 1))


def test_a_snapshot_can_write_nothing_and_keeps_nobody_waiting(auditing: str, store: PostgresStore) -> None:
    """Its transaction is read-only also for a role that may write, and none is open behind it."""
    with store.snapshot() as log:
        before = list(log.events())
        assert store.transact(*appending("a", 1)) == 1
        assert list(log.events()) == before
        with pytest.raises(StoreReadOnly, match="read-only"):
            log._source.ask([b"INSERT INTO research_fsm.settings VALUES ('a', 'b')"])
    with plain(auditing) as client, PostgresStore(auditing) as mine:
        with mine.snapshot():
            assert tell(client, OPEN) == [("idle in transaction",)]
        until(lambda: tell(client, OPEN) == [], "no transaction is open")


LOOKING = """
import sys
from research_fsm.stores.postgres import PostgresStore
with PostgresStore(sys.argv[1]) as store, store.snapshot() as log:
    print(next(log.events()).type, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_audit_that_is_stopped_leaves_no_transaction(auditing: str, number: int) -> None:
    """Interrupted or killed with its snapshot open."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(  # noqa: S603  # Our own interpreter.
        [sys.executable, "-c", LOOKING, auditing], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )
    with killed_in_the_end(process), plain(auditing) as client:
        assert process.stdout is not None
        assert process.stdout.readline() == "CreditsGranted\n"
        assert tell(client, OPEN) == [("idle in transaction",)]
        process.send_signal(number)
        process.communicate(timeout=30)
        until(lambda: tell(client, OPEN) == [], "no transaction is open")
