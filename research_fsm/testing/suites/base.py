"""What the suites share: how a store is opened, written to in small, and compared as a whole.

Floor 6. Knows the store's promise alone. The events that it writes mean nothing: a store knows no rule.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from research_fsm.storage import (
    NewEvent,
    Query,
    Reader,
    RecordedEvent,
    Store,
    StreamWrite,
    View,
    Write,
)
from research_fsm.testing.clock import ManualClock

__all__ = ["StoreSuite", "contents", "end_of", "loaded", "note", "put", "written"]

A = TypeVar("A")


class StoreSuite:
    """What a subclass says: how its store is made."""

    def make_store(self, clock: Callable[[], int]) -> Store:
        """Open the store under test, empty at the first call within a test.

        Args:
            clock: Tells the time in microseconds UTC; a store with a clock of its own tells this one's in tests.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how its store is made")

    @contextmanager
    def opened(self) -> Iterator[tuple[Store, ManualClock]]:
        """Open a store with a clock that stands still, and close it."""
        clock = ManualClock()
        store = self.make_store(clock)
        try:
            yield store, clock
        finally:
            store.close()


def note(number: int = 1) -> NewEvent:
    """Return an event that means nothing."""
    return NewEvent("Noted", 1, b'{"number":%d}' % number, b'{"actor":null}')


def end_of(
    stream: str,
    expected: int,
    *events: NewEvent,
    state: bytes = b"{}",
    fold: int = 1,
    link: str | None = None,
    tag: str = "plain",
    due: int | None = None,
) -> StreamWrite:
    """Return a stream's new end."""
    return StreamWrite(
        stream=stream, expected=expected, events=events, state=state, fold=fold, link=link, tag=tag, due=due
    )


def put(store: Store, *streams: StreamWrite) -> None:
    """Write streams."""
    written(store, Write(answer=None, streams=streams))


def written(store: Store, write: Write[A], query: Query | None = None) -> A:
    """Write what was decided beforehand."""
    return store.transact(Query() if query is None else query, lambda _view, _now: write)


def loaded(store: Store, query: Query) -> View:
    """Return what a rule is shown for a query."""
    return store.transact(query, lambda view, _now: Write(answer=view))


def contents(reader: Reader) -> tuple[object, ...]:
    """Return everything that a reader can enumerate, to compare a store before and after."""
    events: list[RecordedEvent] = list(reader.events())
    return events, list(reader.heads()), list(reader.keys()), list(reader.entries()), reader.tokens()
