"""Watching the end of a log whose positions are given in the order of its commits.

Floor 5. Imports what a store may import. It asks every now and then: whoever writes may be another process, and a file
tells nobody that it grew.
"""

import time
from collections.abc import Callable

from attrs import frozen

from research_fsm.storage import Extent

__all__ = ["OrderedWatch"]

_PAUSE_SECONDS = 0.02


@frozen
class OrderedWatch:
    """A watch for a store in which an event that is committed later has a higher position.

    Args:
        where: The file or address of the store, for messages.
        newest: Returns the position of the last event, 0 without one; raises the store's own errors.
    """

    where: str
    newest: Callable[[], int]

    def extent(self) -> Extent:
        """Return how far the log goes: all of it is settled."""
        newest = self.newest()
        return Extent(settled=newest, newest=newest)

    def wait(self, seconds: float) -> None:
        """Return after a moment."""
        time.sleep(min(seconds, _PAUSE_SECONDS))

    async def wait_async(self, seconds: float) -> None:
        """Do the same for a follower who awaits."""
        import asyncio

        await asyncio.sleep(min(seconds, _PAUSE_SECONDS))

    def behind(self) -> str:
        """Say who is in the way: nobody ever is."""
        return "nobody"

    def close(self) -> None:
        """Do nothing: there is nothing to release."""
