"""A crash in the middle of a simulated world, on a store that outlives it: at which commit, and what must be left.

Floor 6. A part of `simulate`. A seed leads to the same log on every store. So a world in memory says, to the last hash,
what another store has to hold that lost its process, or its power, at the same commit.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

from attrs import frozen

from research_fsm import Runs, audit
from research_fsm.laws.catalog import WAY_OUT
from research_fsm.lifecycle import RUNNING
from research_fsm.outcomes import Claimed, GivenUp
from research_fsm.storage import Query, Rule, Store, View, Write
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.clock import ManualClock
from research_fsm.testing.scripted import Reply, ScriptedDispatcher
from research_fsm.testing.simulate.dice import Dice
from research_fsm.testing.simulate.life import fingerprint, simulate
from research_fsm.testing.wrapped import Wrapped

__all__ = ["Expected", "Marked", "Point", "expected", "left_over", "writing"]

A = TypeVar("A")

_MOST_PASSES = 60
_PAUSE = timedelta(seconds=7)
_RUNNING = frozenset(map(str, RUNNING))


class Point(StrEnum):
    """Where in a transaction somebody is."""

    DECIDED = "decided"
    """The rule has decided, and nothing is written."""
    WRITTEN = "written"
    """Everything is written, and not committed. Only a store that shows its statements can be stopped here."""
    COMMITTED = "committed"
    """It is committed, and nobody is told."""


class Marked(Wrapped):
    """A store that counts its transactions, and says where it is in each.

    Args:
        store: The store.
        at: Is told the point and the number of the transaction, from 1.

    Attributes:
        writes: The numbers of those that were committed and wrote something.
    """

    def __init__(self, store: Store, at: Callable[[Point, int], None]) -> None:
        super().__init__(store)
        self.writes: list[int] = []
        self._at = at
        self._number = 0

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Do it, and say so."""
        self._number += 1
        number, wrote = self._number, [False]

        def decided(view: View, now: int) -> Write[A]:
            write = rule(view, now)
            wrote[0] = not write.empty
            self._at(Point.DECIDED, number)
            return write

        answer = self.store.transact(query, decided)
        self.writes += [number] if wrote[0] else []
        self._at(Point.COMMITTED, number)
        return answer


@frozen
class Expected:
    """What a store must hold that was stopped at a transaction.

    Args:
        before: The fingerprint of the log without that transaction.
        after: The same with it.
    """

    before: str
    after: str


def writing(seed: int) -> tuple[int, ...]:
    """Return the numbers of a world's transactions that are committed and write something."""
    stores: list[Marked] = []

    def make_store(clock: Callable[[], int]) -> Marked:
        stores.append(Marked(MemoryStore(clock), lambda _, __: None))
        return stores[0]

    simulate(seed, make_store)
    return tuple(stores[0].writes)


def expected(seed: int, number: int) -> Expected:
    """Simulate a world in memory, and look at the log before and after one of its transactions."""
    seen: dict[Point, str] = {}
    stores: list[MemoryStore] = []

    def at(point: Point, reached: int) -> None:
        if reached == number:
            seen[point] = fingerprint(stores[0])

    def make_store(clock: Callable[[], int]) -> Marked:
        stores.append(MemoryStore(clock))
        return Marked(stores[0], at)

    simulate(seed, make_store)
    return Expected(seen.get(Point.DECIDED, ""), seen.get(Point.COMMITTED, ""))


def left_over(store: Store, clock: ManualClock, seed: int) -> Iterator[str]:
    """Let recovery and the embedded queue's workers finish a world whose engine and callers are gone.

    Yields:
        What is wrong: with the log as it was found, or with how it came to rest.
    """
    yield from (f"as it was found: {finding}" for finding in audit.verify(store))
    policy = Dice(seed).setting.policy
    outside = Runs(store, ScriptedDispatcher(then=Reply.LOST), policy=policy)
    inside = Runs(store, policy=policy)
    for _ in range(_MOST_PASSES):
        yield from (f"{WAY_OUT}: nobody could look at {who}: {error}" for who, error in outside.recover().errors)
        while isinstance(taken := inside.take(), Claimed | GivenUp):
            if isinstance(taken, Claimed):
                inside.complete(taken.run_id, taken.run_no, taken.external_id, None)
        if not any(head.tag in _RUNNING for head in store.heads()):
            break
        clock.advance(_PAUSE)
    yield from (f"{WAY_OUT}: {head.stream} never came to rest" for head in store.heads() if head.tag in _RUNNING)
    yield from (f"at rest: {finding}" for finding in audit.verify(store))
