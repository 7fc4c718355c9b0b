"""A host that makes its own ids may make one twice; whoever has it must not be written over."""

import contextlib

import pytest

from research_fsm import Profile, Runs, audit
from research_fsm.errors import ResearchError
from research_fsm.stores.memory import MemoryStore

ID = "00000000-0000-4000-8000-000000000001"


@pytest.mark.parametrize("how", ["add", "create"])
def test_a_person_is_not_added_under_somebody_elses_id(how: str) -> None:
    """Nothing is written, whether that is refused or raised: the log is whole, and the first one has their profile."""
    runs = Runs(MemoryStore(), new_id=lambda: ID)
    runs.grant("bolt", 1, grant_id="g")
    runs.add("acme", Profile(linkedin_url="linkedin.com/in/ada")).accepted()
    before = list(runs.store.events())
    with contextlib.suppress(ResearchError):
        getattr(runs, how)("bolt", Profile(linkedin_url="linkedin.com/in/bob"))
    assert list(runs.store.events()) == before
    assert list(audit.verify(runs.store)) == []
