"""A create's key is kept whatever it was answered, and one damaged person keeps nobody else waiting."""

from datetime import timedelta

import pytest
from attrs import evolve

from research_fsm import AlreadyAdded, Created, InvalidInput, PersonKind, PersonNotFound, Policy, Profile, Runs, codec
from research_fsm.errors import LogUnreadable
from research_fsm.outcomes import Claimed, EntrySkipped, Queued, QueueEmpty
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing import ManualClock

ADA = Profile(linkedin_url="linkedin.com/in/ada")


def test_a_create_that_found_the_person_there_is_answered_so_again_and_not_found_after_an_erasure() -> None:
    """Asking again with the key never adds and charges a second time, whatever became of the person."""
    runs = Runs(MemoryStore())
    runs.grant("acme", 5)
    first = runs.create("acme", ADA, kind=PersonKind.PARTNER)
    assert isinstance(first, Created)
    there = AlreadyAdded(first.person_id)
    assert runs.create("acme", ADA, kind=PersonKind.PARTNER, key="k") == there
    assert runs.create("acme", ADA, kind=PersonKind.PARTNER, key="k") == there
    runs.erase(first.person_id).accepted()
    before = list(runs.store.events())
    assert runs.create("acme", ADA, kind=PersonKind.PARTNER, key="k") == PersonNotFound(first.person_id)
    assert list(runs.store.events()) == before


def test_the_receipt_of_a_start_cannot_say_that_somebody_was_there() -> None:
    """Only a create is answered so; in a start's receipt it is damage, and nothing is made of it."""
    kept = codec.encode_answer(AlreadyAdded("p"))
    assert codec.decode_create_answer(kept) == AlreadyAdded("p")
    with pytest.raises(LogUnreadable):
        codec.decode_answer(kept)


def test_a_damaged_person_at_the_head_of_the_queue_is_set_aside() -> None:
    """The next entry is taken; the damaged one is looked at again when the lease that nobody has is over."""
    clock = ManualClock()
    store = MemoryStore(clock)
    runs = Runs(store, policy=Policy(worker_lease=timedelta(seconds=10)))
    runs.grant("acme", 5)
    damaged, whole = (runs.add("acme", ADA).accepted().person_id for _ in range(2))
    for person_id in (damaged, whole):
        assert isinstance(runs.start(person_id), Queued)
    stream = f"person:{damaged}"
    store._tables.heads[stream] = evolve(store._tables.heads[stream], state=b"{")
    skipped = runs.take()
    assert isinstance(skipped, EntrySkipped)
    assert skipped.person_id == damaged
    assert damaged in str(skipped)
    taken = runs.take()
    assert isinstance(taken, Claimed)
    assert taken.person_id == whole
    assert isinstance(runs.take(), QueueEmpty)
    clock.advance(timedelta(seconds=10))
    assert isinstance(runs.take(), EntrySkipped)


def test_an_erasure_belongs_to_the_run_that_it_closes() -> None:
    """The event, and what it means for the account, can be found with everything else of the run."""
    runs = Runs(MemoryStore())
    runs.grant("acme", 5)
    person_id = runs.add("acme", ADA).accepted().person_id
    run_id = runs.start(person_id).accepted().run_id
    runs.erase(person_id).accepted()
    (erased,) = (event for event in runs.history(person_id) if event.type == "PersonErased")
    assert codec.decode_meta(erased.meta).correlation_id == run_id


def test_what_is_no_profile_is_refused() -> None:
    """A dict is not taken for one."""
    with pytest.raises(InvalidInput, match="must be a Profile, not dict"):
        Runs(MemoryStore()).add("acme", {"linkedin_url": "linkedin.com/in/ada"})  # type: ignore[arg-type]  # The point.


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("1", "not '1'"), (10**5000, "not one of 16610 bits"), (-1, "not -1")],
    ids=["text", "endless", "negative"],
)
def test_an_amount_that_is_none_is_shown_as_it_was_given(amount: int, shown: str) -> None:
    """The error says what was wrong, also of a number that is too long to be written out."""
    with pytest.raises(InvalidInput, match=shown):
        Runs(MemoryStore()).grant("acme", amount)
