"""Stores with one small mistake each: the simulator needs no more than the store to find it."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from attrs import evolve

from research_fsm.storage import Head, Query, Rule, View, Write
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.simulate import shrink, simulate

A = TypeVar("A")
Change = Callable[[View, Write[Any]], Write[Any]]

MOST_SEEDS = 60


class Wrong(MemoryStore):
    """A store that writes something else than it is told.

    Args:
        clock: Returns the time in microseconds UTC.
        change: Makes what is written of what should be.
    """

    def __init__(self, clock: Callable[[], int], change: Change) -> None:
        super().__init__(clock)
        self._change = change

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Write it wrong."""

        def wrong(view: View, now: int) -> Write[A]:
            return self._change(view, rule(view, now))

        return super().transact(query, wrong)


class Backwards(MemoryStore):
    """A store that lists the oldest first."""

    def linked(self, link: str, *, before: int | None = None, limit: int = 100) -> list[Head]:
        """Return them the other way round."""
        return super().linked(link, before=before, limit=limit)[::-1]


def with_old(field: str) -> Change:
    """Keep what a head had in a field before."""

    def change(view: View, write: Write[Any]) -> Write[Any]:
        ends = []
        for end in write.streams:
            head = view.heads.get(end.stream)
            ends.append(end if head is None else evolve(end, **{field: getattr(head, field)}))
        return evolve(write, streams=tuple(ends))

    return change


def without_leases(_: View, write: Write[Any]) -> Write[Any]:
    """Keep no lease."""
    return evolve(write, enqueued=tuple(evolve(entry, lease_until=None) for entry in write.enqueued))


def never_due(_: View, write: Write[Any]) -> Write[Any]:
    """Keep no time at which somebody has to look."""
    return evolve(write, streams=tuple(evolve(end, due=None) for end in write.streams))


MISTAKES: dict[str, Callable[[Callable[[], int]], MemoryStore]] = {
    "a state is not kept": lambda clock: Wrong(clock, with_old("state")),
    "a tag is not kept": lambda clock: Wrong(clock, with_old("tag")),
    "nobody is due": lambda clock: Wrong(clock, never_due),
    "an entry stays in the queue": lambda clock: Wrong(clock, lambda _, write: evolve(write, dequeued=())),
    "a lease is not kept": lambda clock: Wrong(clock, without_leases),
    "an answer never becomes final": lambda clock: Wrong(clock, lambda _, write: evolve(write, settled={})),
    "a receipt is lost": lambda clock: Wrong(clock, lambda _, write: evolve(write, receipts=())),
    "a document is lost": lambda clock: Wrong(clock, lambda _, write: evolve(write, documents={})),
    "nothing is forgotten": lambda clock: Wrong(clock, lambda _, write: evolve(write, forgotten=())),
    "a unique key is lost": lambda clock: Wrong(clock, lambda _, write: evolve(write, keys=())),
    "people are listed backwards": Backwards,
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_wrong_store_is_found_and_made_small(what: str) -> None:
    """Within a few worlds; a dozen lines are left of the world that finds it."""
    outcomes = (simulate(seed, MISTAKES[what]) for seed in range(MOST_SEEDS))
    outcome = next(outcome for outcome in outcomes if outcome.wrong)
    small = shrink(outcome)
    assert small.law == outcome.law
    assert len(small.schedule) <= 14
