"""What the suites share: how a store is opened, written to in small, and compared as a whole.

Floor 6. Knows the store's promise alone, and no test framework. The events that it writes mean nothing: a store knows
no rule.
"""

import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
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
from research_fsm.testing.suites.awaited import Awaited
from research_fsm.testing.suites.expect import that

__all__ = ["StoreSuite", "at_once", "contents", "end_of", "loaded", "note", "put", "written"]

A = TypeVar("A")

_PATIENCE_SECONDS = 60


class StoreSuite:
    """What a subclass says: how its store is made.

    Attributes:
        awaiting: Whether every transaction is awaited instead of waited for. A subclass that says so and nothing else
            asks for the whole promise once more, as callers see it who await.
    """

    awaiting = False

    def make_store(self, clock: Callable[[], int]) -> Store:
        """Open the store under test, empty at the first call within a test.

        Args:
            clock: Tells the time in microseconds UTC; a store with a clock of its own tells this one's in tests.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how its store is made")

    @cached_property
    def folder(self) -> Path:
        """A folder of this test's own, empty at first and gone after it: a place for the store, if it needs one."""
        made = tempfile.mkdtemp(prefix="research_fsm-")
        weakref.finalize(self, shutil.rmtree, made, ignore_errors=True)
        return Path(made)

    def __getstate__(self) -> dict[str, object]:
        """Go to another process with the folder, and without what a test framework keeps on a test."""
        kept = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return kept | {"folder": self.folder}

    @contextmanager
    def opened(self, clock: ManualClock | None = None) -> Iterator[tuple[Store, ManualClock]]:
        """Open a store with a clock that stands still, and close it."""
        time = ManualClock() if clock is None else clock
        store = self.make_store(time)
        try:
            if self.awaiting:
                with Awaited(store) as awaited:
                    yield awaited, time
            else:
                yield store, time
        finally:
            store.close()


def at_once(callers: int, call: Callable[[int], A]) -> list[A]:
    """Let many threads call at the same moment, each with its number, and return what they got.

    Raises:
        AssertionError: Somebody waits for ever.
        Exception: What the first of them raised.
    """
    barrier, answers, errors = threading.Barrier(callers), dict[int, A](), dict[int, BaseException]()

    def one(number: int) -> None:
        try:
            barrier.wait()
            answers[number] = call(number)
        except BaseException as error:  # noqa: BLE001  # Raised again below, in the thread of the test.
            errors[number] = error

    threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_PATIENCE_SECONDS)
    for _, error in sorted(errors.items()):
        raise error
    waiting = sum(thread.is_alive() for thread in threads)
    that(not waiting, f"{waiting} of {callers} callers still wait after {_PATIENCE_SECONDS} seconds")
    return [answers[number] for number in range(callers)]


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
    named = (list(reader.keys()), list(reader.receipts()))
    return events, list(reader.heads()), list(reader.documents()), *named, list(reader.entries()), reader.tokens()
