"""The recount by plain SQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from research_fsm import Profile, Runs
from research_fsm.demo import recount
from research_fsm.stores.sqlite import SQLiteStore

ADA = Profile(first_name="Ada", last_name="Lovelace", company="Analytical Engines")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the file of a store that does not exist yet."""
    return tmp_path / "a store #1?.db"  # A name that means something in a URI.


@pytest.fixture
def runs(path: Path) -> Iterator[Runs]:
    """Return a store with ten credits of acme's and three of somebody else's."""
    with SQLiteStore(path) as store:
        runs = Runs(store)
        runs.grant("acme", 10)
        runs.revoke("acme", runs.grant("acme", 5, grant_id="wrong").accepted().grant_id)
        yield runs


def test_it_counts_events_and_adds_up_credits(path: Path, runs: Runs) -> None:
    """Every type is counted, and the balance follows from the sums alone."""
    for _ in range(2):
        runs.start(runs.add("acme", ADA).accepted().person_id).accepted()
    tally = recount.tally(recount.in_file(path))
    assert tally.events == {
        "CreditsGranted": 2,
        "CreditsRevoked": 1,
        "CreditsHeld": 2,
        "CreditsCharged": 2,
        "PersonAdded": 2,
        "RunStarted": 2,
        "RunDispatched": 2,
    }
    assert (tally.available, tally.held) == (8, 0)
    assert tally.available == runs.balance("acme").available


@pytest.mark.parametrize(
    ("amounts", "available", "held"),
    [
        ({}, 0, 0),
        ({"CreditsGranted": 10, "CreditsHeld": 3}, 7, 3),
        ({"CreditsGranted": 10, "CreditsHeld": 3, "CreditsCharged": 3}, 7, 0),
        ({"CreditsGranted": 10, "CreditsHeld": 3, "CreditsReleased": 3}, 10, 0),
        ({"CreditsGranted": 10, "CreditsHeld": 3, "CreditsCharged": 3, "CreditsRefunded": 3}, 10, 0),
        ({"CreditsGranted": 10, "CreditsRevoked": 10}, 0, 0),
    ],
)
def test_the_balance_follows_from_the_definition(amounts: dict[str, int], available: int, held: int) -> None:
    """What is available = granted - revoked - charged + refunded - held."""
    tally = recount.Tally({}, amounts)
    assert (tally.available, tally.held) == (available, held)


def test_it_reads_one_person_and_their_credits(path: Path, runs: Runs) -> None:
    """A person's events come in order, and so do the account's that name them, without anybody else's."""
    ada, other = (runs.add("acme", ADA).accepted().person_id for _ in range(2))
    runs.start(ada)
    runs.start(other)
    events = recount.events_of(recount.in_file(path), ada)
    assert [name for name, _ in events] == ["PersonAdded", "RunStarted", "RunDispatched"]
    assert events[1][1]["run_no"] == 1
    assert recount.credits_of(recount.in_file(path), ada) == ["CreditsHeld", "CreditsCharged"]
    assert not recount.events_of(recount.in_file(path), "nobody")
    assert not recount.credits_of(recount.in_file(path), "nobody")


def test_it_reads_the_leases_of_the_queue(path: Path, runs: Runs) -> None:
    """A run that waits has none, one that is at work has the time at which it ends."""
    waiting, working = (runs.add("acme", ADA).accepted().person_id for _ in range(2))
    runs.start(working)
    runs.take().accepted()
    runs.start(waiting)
    leases = recount.leases(recount.in_file(path))
    until = leases.pop(working)
    assert until is not None
    assert until > runs.store.now()
    assert leases == {waiting: None}


def test_it_changes_nothing(path: Path, runs: Runs) -> None:
    """It cannot even make a file, where there is none."""
    runs.start(runs.add("acme", ADA).accepted().person_id)
    before = [event.hash for event in runs.store.events()]
    recount.tally(recount.in_file(path))
    assert [event.hash for event in runs.store.events()] == before
    missing = path.with_name("missing.db")
    with pytest.raises(Exception, match="unable to open database file"):
        recount.tally(recount.in_file(missing))
    assert not missing.exists()
