"""A store as those see it who await: every transaction goes through ``transact_async``, on one loop for all callers.

Floor 6. A part of what the suites share.
"""

import asyncio
import threading
from types import TracebackType
from typing import Self, TypeVar

from research_fsm.storage import Query, Rule, Store
from research_fsm.testing.wrapped import Wrapped

__all__ = ["Awaited"]

A = TypeVar("A")


class Awaited(Wrapped):
    """A store whose transactions are awaited in a thread with a loop, as long as the block lasts.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Await it there."""
        return asyncio.run_coroutine_threadsafe(self.store.transact_async(query, rule), self._loop).result()

    async def transact_async(self, query: Query, rule: Rule[A]) -> A:
        """Await it here."""
        return await self.store.transact_async(query, rule)
