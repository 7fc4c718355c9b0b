"""An engine for callers who await, and what their tests ask again and again."""

import asyncio

from research_fsm.async_runs import AsyncRuns
from research_fsm.commands import Sighting
from research_fsm.requests import AttemptOutcome, DispatchRequest
from research_fsm.stores.memory import MemoryStore
from tests.core.doors import ACCEPTED, ADA
from tests.core.examples import OWNER

__all__ = ["Engine", "added", "types"]


class Engine:
    """Answers when it is allowed to.

    Args:
        outcome: What it answers, or raises.
    """

    def __init__(self, outcome: AttemptOutcome | Exception = ACCEPTED) -> None:
        self.asked = asyncio.Event()
        self.allowed = asyncio.Event()
        self.requests: list[DispatchRequest] = []
        self.cancelled: list[str] = []
        self._outcome = outcome

    async def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Take a request, and answer later."""
        self.requests.append(request)
        self.asked.set()
        await self.allowed.wait()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    async def look(self, request: DispatchRequest, external_ids: tuple[str, ...]) -> tuple[Sighting, ...]:
        """See nothing, or fail."""
        del request, external_ids
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return ()

    async def cancel(self, external_id: str) -> None:
        """Stop an engine run, or fail."""
        self.cancelled.append(external_id)
        if isinstance(self._outcome, Exception):
            raise self._outcome


async def added(runs: AsyncRuns) -> str:
    """Return a person whose owner has three credits."""
    await runs.grant(OWNER, 3, grant_id="g")
    return (await runs.add(OWNER, ADA)).accepted().person_id


def types(store: MemoryStore, person_id: str) -> list[str]:
    """Return what happened to a person."""
    return [event.type for event in store.events(f"person:{person_id}")]
