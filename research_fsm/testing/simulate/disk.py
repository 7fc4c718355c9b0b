"""A store whose transactions go as they are told to: they fail, are decided twice, or lose their acknowledgement.

Floor 6. A part of `simulate`. It wraps any `research_fsm.storage.Store` and keeps its promise: after
an error nothing is written, but for `CommitUnknown`, which says that nobody knows.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

from research_fsm.errors import CommitUnknown, StoreBusy
from research_fsm.storage import (
    Head,
    Query,
    QueueEntry,
    Reader,
    RecordedEvent,
    Rule,
    Store,
    Token,
    UniqueKey,
    View,
    Write,
)
from research_fsm.testing.simulate.words import Fate

__all__ = ["Disk"]

A = TypeVar("A")

_WHERE = "the simulated disk"


class Disk:
    """A store with a fate.

    Args:
        store: What really keeps everything.
        note: Called when a commit was acknowledged.

    Attributes:
        fate: How the next transaction goes; those after it go well.
        answer: What the last transaction was answered that was committed, acknowledged or not.
    """

    def __init__(self, store: Store, note: Callable[[], None] | None = None) -> None:
        self.store = store
        self.fate = Fate.DONE
        self.answer: object = None
        self._note = note

    @property
    def secret(self) -> bytes:
        """The store's."""
        return self.store.secret

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Do it, as its fate wills."""
        fate, self.fate = self.fate, Fate.DONE
        match fate:
            case Fate.BUSY:
                self._aborted(query, rule)
                raise StoreBusy(_WHERE, "the commit failed, and nothing was written")
            case Fate.DECIDED_TWICE:
                self._aborted(query, rule)
            case _:
                pass
        answer = self.answer = self.store.transact(query, rule)
        if fate is Fate.UNKNOWN:
            raise CommitUnknown(_WHERE, "the commit was done, and its acknowledgement was lost")
        if self._note is not None:
            self._note()
        return answer

    async def transact_async(self, query: Query, rule: Rule[A]) -> A:
        """Do the same for a caller who awaits."""
        return self.transact(query, rule)

    def _aborted(self, query: Query, rule: Rule[A]) -> None:
        """Decide, and write nothing of it."""

        def decided(view: View, now: int) -> Write[A]:
            rule(view, now)
            raise _Aborted

        try:
            self.store.transact(query, decided)
        except _Aborted:
            return

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    # --- looking goes well ---

    def now(self) -> int:
        """The store's."""
        return self.store.now()

    def snapshot(self) -> AbstractContextManager[Reader]:
        """The store's."""
        return self.store.snapshot()

    def read(self, query: Query) -> View:
        """The store's."""
        return self.store.read(query)

    def events(self, stream: str | None = None, *, after: int = 0) -> Iterator[RecordedEvent]:
        """The store's."""
        return self.store.events(stream, after=after)

    def heads(self) -> Iterator[Head]:
        """The store's."""
        return self.store.heads()

    def linked(self, link: str, *, before: int | None = None, limit: int = 100) -> list[Head]:
        """The store's."""
        return self.store.linked(link, before=before, limit=limit)

    def due(self, tags: tuple[str, ...], until: int, *, after: tuple[int, str] | None, limit: int) -> list[Head]:
        """The store's."""
        return self.store.due(tags, until, after=after, limit=limit)

    def keys(self) -> Iterator[UniqueKey]:
        """The store's."""
        return self.store.keys()

    def entries(self) -> Iterator[QueueEntry]:
        """The store's."""
        return self.store.entries()

    def tokens(self, owner: str | None = None) -> list[Token]:
        """The store's."""
        return self.store.tokens(owner)

    def token(self, digest: str) -> Token | None:
        """The store's."""
        return self.store.token(digest)


class _Aborted(Exception):  # The condition, as the rest of the vocabulary.
    """Leaves a transaction that must not be committed; never leaves this module."""
