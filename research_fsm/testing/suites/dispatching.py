"""What the suites of a dispatcher share: the engine behind it, which does as it is told, and who asks.

Floor 6. Knows the promise of `research_fsm.requests.Dispatcher` alone, and no test framework.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from inspect import iscoroutinefunction
from typing import Any, Protocol, TypeVar, cast

from attrs import frozen

from research_fsm import driver, requests
from research_fsm.commands import Sighting
from research_fsm.events import PersonKind
from research_fsm.outcomes import Json
from research_fsm.requests import AsyncDispatcher, AttemptOutcome, Dispatcher, DispatchRequest
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.clock import ManualClock
from research_fsm.testing.scripted import Reply

__all__ = ["Bench", "DispatcherSuite", "ScriptableEngine", "Taken", "request_of"]

T = TypeVar("T")


@frozen
class Taken:
    """One run that the engine has, as its worker sees it.

    Args:
        external_id: The engine's own id.
        run_id: The run that the worker is told.
        run_no: Its number, as the worker is told.
        token: What the worker is told to present with its callbacks.
        cancelled: Whether the engine was asked to stop it.
    """

    external_id: str
    run_id: str
    run_no: int
    token: str
    cancelled: bool = False


class ScriptableEngine(Protocol):
    """The engine behind the dispatcher under test: a fake one of the author's, that does as it is told.

    It remembers dispatch keys: a request with the key of a run that is alive is that run.
    """

    def script(self, *replies: Reply) -> None:
        """Say how the next dispatch requests go, one each; those after them are accepted. `RAISES` is never asked."""
        ...

    def silence(self) -> None:
        """Answer nothing from now on, whatever is asked."""
        ...

    def sent(self) -> int:
        """Return how many dispatch requests have left so far, those included that came to nothing."""
        ...

    def taken(self) -> Sequence[Taken]:
        """Return the runs that there are, oldest first."""
        ...

    def complete(self, external_id: str, content: Json, *, with_output: bool) -> None:
        """Let a run end well; with its report as the output, or, as of a worker that was told to stop, with none."""
        ...

    def end(self, external_id: str) -> None:
        """Let a run crash."""
        ...

    def replay(self, external_id: str) -> str:
        """Repeat a run by hand, as on a dashboard: another one, told the same. Returns its id."""
        ...


@frozen
class Bench:
    """A dispatcher to be asked, with its engine.

    Args:
        dispatcher: It; one that is awaited is waited for here.
        engine: The engine behind it.
        clock: The time of the store and of the engine.
        store: Whose secret makes the callback tokens.
    """

    dispatcher: Dispatcher
    engine: ScriptableEngine
    clock: ManualClock
    store: MemoryStore

    def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Send one request as the library does: what is raised is ambiguous."""
        outcome: AttemptOutcome = driver.perform(requests.Dispatch(request), self.store, self.dispatcher)
        return outcome

    def look(self, request: DispatchRequest, *external_ids: str) -> tuple[Sighting, ...]:
        """Ask for a run as the library does: what is raised is no news."""
        seen: tuple[Sighting, ...] = driver.perform(requests.Look(request, external_ids), self.store, self.dispatcher)
        return seen

    def cancel(self, external_id: str) -> None:
        """Ask for an engine run to be stopped, as the library does."""
        driver.perform(requests.Cancel(external_id), self.store, self.dispatcher)


class DispatcherSuite:
    """What a subclass says: how its dispatcher is made."""

    def make_dispatcher(self, clock: Callable[[], int]) -> tuple[Dispatcher | AsyncDispatcher, ScriptableEngine]:
        """Make the dispatcher under test, with a fake engine behind it that has nothing yet.

        Args:
            clock: Tells the time in microseconds UTC, for an engine that forgets.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how its dispatcher is made")

    @contextmanager
    def bench(self) -> Iterator[Bench]:
        """Make a dispatcher that can be asked by who blocks, whether it blocks or is awaited."""
        clock = ManualClock()
        dispatcher, engine = self.make_dispatcher(clock)
        with _waited_for(dispatcher) as blocking:
            yield Bench(blocking, engine, clock, MemoryStore(clock))


def request_of(number: int = 1, *, kind: PersonKind = PersonKind.USER) -> DispatchRequest:
    """Return the request of a run that has a number, of a person of its own."""
    run_id, person_id = (f"0f0f0f0f-0000-4000-8000-{half}{number:011}" for half in (1, 2))
    return DispatchRequest(person_id, run_id, number, kind, f"{number:064x}")


@contextmanager
def _waited_for(dispatcher: Dispatcher | AsyncDispatcher) -> Iterator[Dispatcher]:
    """Let a dispatcher that is awaited be asked by who blocks, on one loop for all of them."""
    if not iscoroutinefunction(dispatcher.dispatch):
        yield cast("Dispatcher", dispatcher)
        return
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield _Waited(cast("AsyncDispatcher", dispatcher), loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@frozen
class _Waited:
    """A dispatcher that is awaited, for who blocks."""

    dispatcher: AsyncDispatcher
    loop: asyncio.AbstractEventLoop

    def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        return self._wait(self.dispatcher.dispatch(request))

    def look(self, request: DispatchRequest, external_ids: tuple[str, ...]) -> tuple[Sighting, ...]:
        return self._wait(self.dispatcher.look(request, external_ids))

    def cancel(self, external_id: str) -> None:
        self._wait(self.dispatcher.cancel(external_id))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()
