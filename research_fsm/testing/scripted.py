"""An outside engine in process, and a dispatcher that answers by a script: for tests, a host's own included.

Floor 6. Imports no test framework, opens no connection, reads no clock. The engine does what a real one does to us:
it takes a request and its answer may be lost, it knows a dispatch key for a while, forgets the key of a run that
failed, and can be asked what it has. Safe to share between threads.

Example:
    >>> from research_fsm import Profile, Runs
    >>> from research_fsm.stores.memory import MemoryStore
    >>> from research_fsm.testing import Reply, ScriptedDispatcher
    >>> dispatcher = ScriptedDispatcher(Reply.TAKEN_UNANSWERED)
    >>> runs = Runs(MemoryStore(), dispatcher)
    >>> granted = runs.grant("acme", 1)
    >>> person = runs.add("acme", Profile(linkedin_url="linkedin.com/in/ada")).accepted()
    >>> type(runs.start(person.person_id)).__name__
    'Unresolved'
    >>> [request.run_no for request in dispatcher.requests]
    [1]
    >>> type(runs.claim(dispatcher.requests[0].run_id, 1, dispatcher.engine.runs[0].external_id)).__name__
    'Claimed'
"""

import threading
from collections.abc import Iterable
from enum import StrEnum

from attrs import define, field

from research_fsm import codec
from research_fsm.commands import Sighting, SightingState
from research_fsm.events import AttemptResult
from research_fsm.outcomes import Json
from research_fsm.requests import AttemptOutcome, DispatchRequest

__all__ = ["Engine", "EngineRun", "Reply", "ScriptedDispatcher"]


class Reply(StrEnum):
    """How one dispatch request goes."""

    ACCEPTED = "accepted"
    """The engine has it and says so."""
    REFUSED = "refused"
    """The engine says no and has nothing of it."""
    NOT_SENT = "not_sent"
    """No byte left."""
    TAKEN_UNANSWERED = "taken_unanswered"
    """The engine has it; its answer was lost: ambiguous."""
    LOST = "lost"
    """The engine never got it, and nobody knows: ambiguous."""
    RAISES = "raises"
    """The dispatcher raises `ConnectionError`; the engine never got it."""


@define
class EngineRun:
    """One run of the engine.

    Args:
        external_id: The engine's own id.
        request: What was sent.
        state: What became of it.
        report: The stored form of its output, if it completed with one.
        cancelled: Whether it was asked to stop.
    """

    external_id: str
    request: DispatchRequest
    state: SightingState = SightingState.ALIVE
    report: bytes | None = field(default=None, repr=False)
    cancelled: bool = False


class Engine:
    """What an outside engine has: its runs, and the dispatch keys that it remembers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: dict[str, EngineRun] = {}
        self._keys: dict[str, str] = {}

    @property
    def runs(self) -> tuple[EngineRun, ...]:
        """Every run, oldest first."""
        with self._lock:
            return tuple(self._runs.values())

    def run(self, external_id: str) -> EngineRun:
        """Return one run.

        Raises:
            KeyError: The engine has no such run.
        """
        return self._runs[external_id]

    def take(self, request: DispatchRequest) -> str:
        """Queue a request, unless its key is remembered: then it is the run that the key made.

        Returns:
            The engine run's id.
        """
        with self._lock:
            known = self._keys.get(request.dispatch_key)
            if known is not None:
                return known
            external_id = f"run_{len(self._runs) + 1}"
            self._runs[external_id] = EngineRun(external_id, request)
            self._keys[request.dispatch_key] = external_id
            return external_id

    def replay(self, external_id: str) -> str:
        """Make another run of the same request, as a button on an engine's dashboard does.

        Returns:
            The new engine run's id.
        """
        request = self.run(external_id).request
        with self._lock:
            replayed = f"run_{len(self._runs) + 1}"
            self._runs[replayed] = EngineRun(replayed, request)
            return replayed

    def complete(self, external_id: str, content: Json = None, *, with_output: bool = True) -> None:
        """End a run as completed.

        Args:
            external_id: The run.
            content: The report's content.
            with_output: Whether it returned the report; a worker that was told to stop returns none.
        """
        run = self.run(external_id)
        run.state = SightingState.COMPLETED
        run.report = codec.encode_report(run.request.run_id, content, None) if with_output else None

    def end(self, external_id: str) -> None:
        """End a run without completing it: failed, crashed, expired. The engine forgets its key."""
        self.run(external_id).state = SightingState.ENDED
        with self._lock:
            self._keys = {key: known for key, known in self._keys.items() if known != external_id}

    def forget_keys(self) -> None:
        """Forget every dispatch key, as an engine does when their time is over."""
        with self._lock:
            self._keys.clear()

    def sightings(self, request: DispatchRequest, external_ids: Iterable[str] = ()) -> tuple[Sighting, ...]:
        """Return the runs that carry a request's tag, and those asked for by id that do."""
        named = set(external_ids)
        tagged = [run for run in self.runs if run.request.run_id == request.run_id]
        first = sorted(tagged, key=lambda run: run.external_id not in named)
        return tuple(Sighting(external_id=run.external_id, state=run.state, report=run.report) for run in first)

    def cancel(self, external_id: str) -> None:
        """Remember that a run was asked to stop; one that the engine does not know is passed over."""
        run = self._runs.get(external_id)
        if run is not None:
            run.cancelled = True


class ScriptedDispatcher:
    """A `research_fsm.requests.Dispatcher` that answers by a script.

    Args:
        script: How the first requests go, one each.
        then: How every later one goes.
        retry_at: What a refusal says about when to come back, in microseconds UTC.

    Attributes:
        engine: What the engine behind it has. A test lets engine runs complete or end there.
        requests: Every request that was sent, in order.
        cancelled: The external ids that it was asked to stop, in order.
        blind: Whether looking at the engine raises.
    """

    def __init__(self, *script: Reply, then: Reply = Reply.ACCEPTED, retry_at: int | None = None) -> None:
        self.engine = Engine()
        self.requests: list[DispatchRequest] = []
        self.cancelled: list[str] = []
        self.blind = False
        self._script = list(script)
        self._then = then
        self._retry_at = retry_at
        self._lock = threading.Lock()

    def script(self, *replies: Reply) -> None:
        """Say how the next requests go, one each, behind what was said before."""
        with self._lock:
            self._script += replies

    def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Answer as the script says.

        Raises:
            ConnectionError: The script says so.
        """
        with self._lock:
            self.requests.append(request)
            reply = self._script.pop(0) if self._script else self._then
        match reply:
            case Reply.ACCEPTED:
                return AttemptOutcome(result=AttemptResult.ACCEPTED, external_id=self.engine.take(request))
            case Reply.REFUSED:
                return AttemptOutcome(result=AttemptResult.REFUSED, reason="scripted", retry_at=self._retry_at)
            case Reply.NOT_SENT:
                return AttemptOutcome(result=AttemptResult.NOT_SENT, reason="scripted")
            case Reply.TAKEN_UNANSWERED:
                self.engine.take(request)
                return AttemptOutcome(result=AttemptResult.AMBIGUOUS, reason="scripted")
            case Reply.LOST:
                return AttemptOutcome(result=AttemptResult.AMBIGUOUS, reason="scripted")
            case Reply.RAISES:
                raise ConnectionError("the script says that the dispatcher raises")

    def look(self, request: DispatchRequest, external_ids: tuple[str, ...]) -> tuple[Sighting, ...]:
        """Return what the engine has of a run.

        Raises:
            ConnectionError: The dispatcher is `blind`.
        """
        if self.blind:
            raise ConnectionError("the test made the dispatcher blind")
        return self.engine.sightings(request, external_ids)

    def cancel(self, external_id: str) -> None:
        """Note it, and tell the engine."""
        self.cancelled.append(external_id)
        self.engine.cancel(external_id)
