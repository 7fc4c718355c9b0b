"""A store that was dumped and restored goes on where it was."""

import re
import shlex
import subprocess
from pathlib import Path

from click.testing import CliRunner

from research_fsm import audit
from research_fsm.cli import cli
from research_fsm.profile import Profile
from research_fsm.runs import Runs
from research_fsm.stores.postgres import PostgresStore
from research_fsm.testing.postgres import PostgresServer
from research_fsm.testing.suites.base import contents
from tests.postgres.examples import restored


def test_a_backup_as_the_program_says_it_is_made_goes_on(server: PostgresServer, address: str, tmp_path: Path) -> None:
    """The very words of its refusal, then pg_restore: one schema of a database, with all that the store needs."""
    with PostgresStore(address, schema="mine") as store:
        Runs(store).grant("acme", 2)
        secret = store.secret
    file = tmp_path / "store.dump"
    refused = CliRunner().invoke(cli, ["--store", f"{address}?schema=mine", "backup", str(file)])
    told = re.search("pg_dump[^;]*", refused.stderr)
    assert told is not None
    program, *words = shlex.split(told[0])
    subprocess.run([server._programs / program, *words], check=True)  # noqa: S603  # Our own words.
    elsewhere = server.new_database()
    subprocess.run([server._programs / "pg_restore", "-d", elsewhere, file], check=True)  # noqa: S603  # The same.
    with PostgresStore(elsewhere, schema="mine") as store:
        assert store.secret == secret
        assert Runs(store).balance("acme").available == 2
        Runs(store).grant("acme", 1)
        assert list(audit.verify(store)) == []


def test_a_store_that_was_restored_goes_on(server: PostgresServer, address: str) -> None:
    """Everything is there, the log holds, positions go on rising, and it is still append-only."""
    profile = Profile(linkedin_url="https://www.linkedin.com/in/ada")
    with PostgresStore(address) as store:
        runs = Runs(store)
        runs.grant("acme", 2)
        person = runs.add("acme", profile).accepted().person_id
        runs.start(person).accepted()
        runs.tokens.create("acme")
        before, secret = contents(store), store.secret
    with PostgresStore(restored(server, address)) as store:
        assert contents(store) == before
        assert store.secret == secret
        last = max(event.position for event in store.events())
        Runs(store).grant("acme", 1)
        assert [event.version for event in store.events(after=last)] == [4]
        assert list(audit.verify(store)) == []
