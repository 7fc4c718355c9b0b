"""The engine of a simulated world, and the network before it: what is taken, what is answered, what is still under way.

Floor 6. A part of `simulate`. What the engine has is `research_fsm.testing.engine.FakeEngine`; what a
fault does to a dispatch is said here without HTTP, and a test holds it against the real adapter.
"""

from collections.abc import Callable, Iterator

from attrs import Factory, define, frozen

from research_fsm import codec
from research_fsm.commands import Sighting, SightingState
from research_fsm.events import AttemptResult
from research_fsm.requests import AttemptOutcome, DispatchRequest
from research_fsm.testing.engine import FakeEngine
from research_fsm.testing.engine_words import FakeRun, Fault, Status
from research_fsm.testing.simulate.words import RESULTS, Fate

__all__ = ["Late", "Network"]

_NEVER = frozenset(
    {
        Fault.UNREACHABLE,
        Fault.REQUEST_LOST,
        Fault.UNAUTHORIZED,
        Fault.OUT_OF_CREDITS,
        Fault.RATE_LIMITED,
        Fault.MOVED,
        Fault.UNAVAILABLE,
        Fault.CONFLICT,
    }
)
"""Faults after which the engine has nothing of the request."""

_ENDED = frozenset(status for status in Status if status.final and status is not Status.COMPLETED)


@frozen
class Late:
    """A message that was thought lost and may still arrive.

    Args:
        name: Its name in the schedule.
        run_id: The run it is of.
        arrive: Lets it arrive.
    """

    name: str
    run_id: str
    arrive: Callable[[], None]


@define
class Network:
    """What is between us and the engine.

    Args:
        clock: The true time, in microseconds UTC.
        key_ttl: How long the engine remembers a key, as it is told; None for as long as it likes.
        queue_ttl: Seconds that a run waits in the engine's queue before it expires; None for ever.
        task: The task that it is told to run.
    """

    clock: Callable[[], int]
    key_ttl: str | None = None
    queue_ttl: int | None = None
    task: str = "deep-research-enrich"
    late: dict[str, Late] = Factory(dict)
    under_way: dict[str, int] = Factory(dict)
    engine: FakeEngine = Factory(lambda self: FakeEngine(self.clock, new_id=self._next_id), takes_self=True)
    _naming: str = ""
    _made: dict[str, int] = Factory(dict)

    def _next_id(self) -> str:
        """Name an engine run after what made it, so that a schedule that lost a line still means the same runs."""
        return f"run_{self._naming}_{self._count(self._naming)}"

    def _count(self, name: str) -> int:
        number = self._made[name] = self._made.get(name, 0) + 1
        return number

    # --- a dispatch ---

    def send(self, sender: str, request: DispatchRequest, fate: str) -> AttemptOutcome:
        """Let a request leave; its answer is known from now on, and told when it arrives."""
        self.under_way[request.run_id] = self.under_way.get(request.run_id, 0) + 1
        if fate == Fate.RAISES:
            return AttemptOutcome(result=AttemptResult.AMBIGUOUS, reason="dispatcher_raised")
        fault = Fault.NONE if fate == Fate.DONE else Fault(fate)
        if fault is Fault.REQUEST_LOST:
            name = f"late_{sender}_{self._count(f'late_{sender}')}"
            self.late[name] = Late(name, request.run_id, lambda: self._late(name, sender, request))
        if fault in _NEVER:
            retry_at = self.clock() + 60_000_000 if fault is Fault.RATE_LIMITED else None
            return AttemptOutcome(result=RESULTS[fault], reason=str(fault), retry_at=retry_at)
        external_id = self._take(sender, request, fault)
        if fault is Fault.TWICE:
            self._take(sender, request, fault)
        accepted = external_id if RESULTS[fault] is AttemptResult.ACCEPTED else None
        return AttemptOutcome(result=RESULTS[fault], external_id=accepted, reason=str(fault))

    def answered(self, run_id: str) -> None:
        """Note that nobody waits for an answer any more."""
        left = self.under_way[run_id] - 1
        if left:
            self.under_way[run_id] = left
        else:
            del self.under_way[run_id]

    def _late(self, name: str, sender: str, request: DispatchRequest) -> None:
        del self.late[name]
        self._take(sender, request, Fault.NONE)

    def _take(self, sender: str, request: DispatchRequest, fault: Fault) -> str:
        self._naming = sender
        options = {"idempotencyKey": request.dispatch_key, "tags": [request.run_id]}
        if self.key_ttl is not None:
            options["idempotencyKeyTTL"] = self.key_ttl
        run, cached = self.engine.trigger(
            self.task, request, options | ({"ttl": self.queue_ttl} if self.queue_ttl else {})
        )
        if fault is Fault.CREATED_THEN_500 and not cached:
            run.queued = False
        return run.external_id

    # --- what the engine has ---

    def request_of(self, external_id: str) -> DispatchRequest | None:
        """Return what made an engine run, None if there is no such run."""
        run = self.find(external_id)
        return None if run is None else run.payload

    def find(self, external_id: str) -> FakeRun | None:
        """Return an engine run, if there is one of this name."""
        try:
            return self.engine.run(external_id)
        except KeyError:
            return None

    def has(self, run_id: str) -> bool:
        """Tell whether the engine has something of a run, or may yet."""
        if run_id in self.under_way or any(message.run_id == run_id for message in self.late.values()):
            return True
        return any(run.payload.run_id == run_id for run in self.engine.runs)

    def replay(self, external_id: str) -> str:
        """Repeat an engine run as somebody does in the dashboard."""
        self._naming = external_id.removeprefix("run_")
        return self.engine.replay(external_id)

    def look(self, request: DispatchRequest, external_ids: tuple[str, ...], fate: str) -> tuple[Sighting, ...]:
        """Return what the engine shows of a run."""
        if fate in (Fate.BLIND, Fate.RAISES):
            return ()
        return tuple(self._seen(request, external_ids, lagging=fate == Fate.LAGGING))

    def _seen(self, request: DispatchRequest, external_ids: tuple[str, ...], *, lagging: bool) -> Iterator[Sighting]:
        for run in self.engine.runs:
            if run.payload.run_id != request.run_id or (lagging and run.external_id not in external_ids):
                continue
            if run.status in _ENDED:
                yield Sighting(external_id=run.external_id, state=SightingState.ENDED)
            elif run.status is not Status.COMPLETED:
                yield Sighting(external_id=run.external_id, state=SightingState.ALIVE)
            else:
                report = codec.encode_report(request.run_id, run.output, None) if run.has_output else None
                yield Sighting(external_id=run.external_id, state=SightingState.COMPLETED, report=report)

    def cancel(self, external_id: str) -> None:
        """Ask the engine to stop a run."""
        self.engine.cancel(external_id)
