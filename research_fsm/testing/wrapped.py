"""A store inside another one, which only passes on what it is asked: what a store with something to say begins with.

Floor 6.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

from research_fsm.storage import (
    Head,
    Query,
    QueueEntry,
    Reader,
    Receipt,
    RecordedEvent,
    Rule,
    Store,
    Token,
    UniqueKey,
    View,
    Watch,
)

__all__ = ["Wrapped"]

A = TypeVar("A")


class Wrapped:
    """A store that does what another one does.

    Args:
        store: The other one.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    @property
    def secret(self) -> bytes:
        """The store's."""
        return self.store.secret

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Do it there."""
        return self.store.transact(query, rule)

    async def transact_async(self, query: Query, rule: Rule[A]) -> A:
        """Do the same for a caller who awaits."""
        return self.transact(query, rule)

    def watch(self) -> Watch:
        """The store's."""
        return self.store.watch()

    def close(self) -> None:
        """Close the store."""
        self.store.close()

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

    def documents(self) -> Iterator[tuple[str, str, bytes]]:
        """The store's."""
        return self.store.documents()

    def keys(self) -> Iterator[UniqueKey]:
        """The store's."""
        return self.store.keys()

    def receipts(self) -> Iterator[Receipt]:
        """The store's."""
        return self.store.receipts()

    def entries(self) -> Iterator[QueueEntry]:
        """The store's."""
        return self.store.entries()

    def tokens(self, owner: str | None = None) -> list[Token]:
        """The store's."""
        return self.store.tokens(owner)

    def token(self, digest: str) -> Token | None:
        """The store's."""
        return self.store.token(digest)
