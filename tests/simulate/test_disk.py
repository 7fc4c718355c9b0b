"""A store with a fate fails as a store may, and in no other way."""

from collections.abc import Callable

import pytest

from research_fsm import Profile, Runs
from research_fsm.errors import CommitUnknown, StoreBusy
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.conformance import StoreConformance
from research_fsm.testing.simulate.disk import Disk
from research_fsm.testing.simulate.words import Fate


class TestDisk(StoreConformance):
    """A store with a good fate is a store."""

    def make_store(self, clock: Callable[[], int]) -> Disk:
        """Make an empty one."""
        return Disk(MemoryStore(clock))


def test_a_commit_that_fails_writes_nothing() -> None:
    """Though its rule was decided; the next one goes well."""
    disk = Disk(MemoryStore())
    disk.fate = Fate.BUSY
    with pytest.raises(StoreBusy):
        Runs(disk).grant("acme", 1, grant_id="g")
    assert list(disk.events()) == []
    Runs(disk).grant("acme", 1, grant_id="g").accepted()
    assert len(list(disk.events())) == 1


def test_a_commit_whose_acknowledgement_is_lost_is_done() -> None:
    """Its answer is known, though nobody is told."""
    disk = Disk(MemoryStore())
    disk.fate = Fate.UNKNOWN
    with pytest.raises(CommitUnknown):
        Runs(disk).grant("acme", 1, grant_id="g")
    assert len(list(disk.events())) == 1
    assert disk.answer == Runs(disk).grant("acme", 1, grant_id="g")


def test_a_rule_that_is_decided_twice_is_done_once() -> None:
    """As after a collision on a server."""
    disk = Disk(MemoryStore())
    disk.fate = Fate.DECIDED_TWICE
    added = Runs(disk).add("acme", Profile(linkedin_url="linkedin.com/in/ada")).accepted()
    assert [event.stream for event in disk.events()] == [f"person:{added.person_id}"]
