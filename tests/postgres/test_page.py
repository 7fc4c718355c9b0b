"""The log behind a served page, on a PostgreSQL server: another process verifies it by its address."""

from datetime import timedelta

import pytest

from research_fsm import Profile, Runs
from research_fsm.audit.apart import verify_apart
from research_fsm.errors import StoreUnavailable
from research_fsm.stores.postgres import PostgresStore
from tests.postgres.examples import plain, tell

WAIT = timedelta(seconds=5)


def test_it_is_verified_in_another_process(address: str) -> None:
    """While it is in use, in whichever schema; what somebody edited is found, and nothing is written."""
    place = f"{address}?schema=lives"
    with PostgresStore(place) as store:
        runs = Runs(store)
        runs.grant("acme", 5)
        person_id = runs.add("acme", Profile(first_name="Ada", last_name="L", company="X")).accepted().person_id
        runs.start(person_id).accepted()
        events = list(store.events())
        assert verify_apart(place, WAIT).seen_by("acme").findings == ()
        stream = f"person:{person_id}"
        with plain(address) as client:
            tell(client, "ALTER TABLE lives.events DISABLE TRIGGER USER")
            tell(client, f"UPDATE lives.events SET hash = decode(repeat('00', 32), 'hex') WHERE stream = '{stream}'")  # noqa: S608  # Our own.
        found = verify_apart(place, WAIT)
        assert found.position == events[-1].position
        assert ("chained", stream, 1) in {(one.law, one.stream, one.version) for one in found.findings["acme"]}
        assert [event.position for event in store.events()] == [event.position for event in events]


def test_where_there_is_no_store_none_is_made(address: str) -> None:
    """It is an error, as everywhere."""
    with pytest.raises(StoreUnavailable):
        verify_apart(address, WAIT)
    with plain(address) as client:
        assert tell(client, "SELECT FROM pg_namespace WHERE nspname = 'research_fsm'") == []
