"""What the store in memory can that no other has to: be forked, and be pickled."""

import pickle
from datetime import timedelta

import pytest

from research_fsm.errors import StoreClosed
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing import ManualClock
from research_fsm.testing.suites.base import contents, end_of, note, put


def test_a_fork_goes_its_own_way() -> None:
    """It has the contents and the secret, its own clock, and neither sees what is written to the other."""
    store, later = MemoryStore(ManualClock(1)), ManualClock(2)
    put(store, end_of("a", 0, note(1)))
    fork = store.fork(later)
    assert (fork.secret, fork.now(), contents(fork)) == (store.secret, 2, contents(store))
    assert fork.contents() == store.contents()
    put(fork, end_of("a", 1, note(2)))
    put(store, end_of("b", 0, note(3)))
    later.advance(timedelta(microseconds=1))
    assert [event.stream for event in fork.events()] == ["a", "a"]
    assert [event.stream for event in store.events()] == ["a", "b"]
    assert fork.contents() != store.contents()


def test_stores_whose_streams_went_the_same_way_have_the_same_contents() -> None:
    """What nobody was shown, such as the number of times that something was read, does not count."""
    stores = [MemoryStore(ManualClock()) for _ in range(2)]
    for store in stores:
        put(store, end_of("a", 0, note(1)))
        put(store, end_of("b", 0, note(1)))
    assert stores[0].contents() == stores[1].contents()
    put(stores[1], end_of("a", 1, due=5))
    assert stores[0].contents() != stores[1].contents()


def test_a_store_is_pickled_with_everything() -> None:
    """What comes out is open, and has the same log and the same secret."""
    store = MemoryStore(ManualClock())
    put(store, end_of("a", 0, note(1)))
    again = pickle.loads(pickle.dumps(store))  # noqa: S301  # It was made a moment ago.
    assert (contents(again), again.secret) == (contents(store), store.secret)
    put(again, end_of("a", 1, note(2)))
    assert len(list(store.events())) == 1


def test_a_closed_store_is_neither_forked_nor_pickled() -> None:
    """It refuses everything."""
    store = MemoryStore()
    store.close()
    for use in (lambda: store.fork(ManualClock()), lambda: pickle.dumps(store), store.contents):
        with pytest.raises(StoreClosed):
            use()
