"""Stores with one small mistake each: the simulator needs no more than the store to find it."""

import pytest

from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.mutants.stores import WRONG_STORES
from research_fsm.testing.simulate import shrink, simulate

MOST_SEEDS = 60


@pytest.mark.parametrize("what", WRONG_STORES)
def test_a_wrong_store_is_found_and_made_small(what: str) -> None:
    """Within a few worlds; a dozen lines are left of the world that finds it."""
    outcomes = (simulate(seed, lambda clock: WRONG_STORES[what](MemoryStore(clock))) for seed in range(MOST_SEEDS))
    outcome = next(outcome for outcome in outcomes if outcome.wrong)
    small = shrink(outcome)
    assert small.law == outcome.law
    assert len(small.schedule) <= 14
