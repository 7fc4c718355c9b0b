"""A store that was dumped and restored goes on where it was."""

from research_fsm import audit
from research_fsm.profile import Profile
from research_fsm.runs import Runs
from research_fsm.stores.postgres import PostgresStore
from research_fsm.testing.postgres import PostgresServer
from research_fsm.testing.suites.base import contents
from tests.postgres.examples import restored


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
