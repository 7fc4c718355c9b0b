"""The engine of an explored world, as a value: what it has, and what is still under way to it.

Floor 6, pure. A part of `schedules`. Does what `simulate.network` does with a fake engine, but returns what comes
after instead of changing what was; a test holds the two against each other.
"""

from attrs import evolve, frozen

from research_fsm import codec
from research_fsm.commands import Sighting, SightingState
from research_fsm.events import AttemptResult
from research_fsm.outcomes import Json
from research_fsm.requests import AttemptOutcome, DispatchRequest
from research_fsm.testing.engine_words import CLEARING, Fault, Status
from research_fsm.testing.simulate.words import RESULTS, Fate

__all__ = ["ANSWERS", "SIGHTS", "Engine", "EngineRun", "Late"]

ANSWERS: tuple[str, ...] = (
    Fate.DONE,
    Fault.OUT_OF_CREDITS,
    Fault.UNREACHABLE,
    Fault.ANSWER_LOST,
    Fault.REQUEST_LOST,
    Fault.CREATED_THEN_500,
)
"""Every way in which an attempt can go, as far as anybody here can tell two of them apart: accepted; refused; not sent;
taken and not answered; lost, and perhaps late; made and never queued."""

SIGHTS: tuple[str, ...] = (Fate.DONE, Fate.BLIND, Fate.LAGGING)
"""Every way in which a look at the engine can go."""

_TAKEN = (Fate.DONE, Fault.ANSWER_LOST, Fault.CREATED_THEN_500)
_ENDED = frozenset(status for status in Status if status.final and status is not Status.COMPLETED)


@frozen
class EngineRun:
    """One run that the engine has.

    Args:
        external_id: Its id, named after whoever sent the request.
        request: What it was told.
        status: What it is at.
        queued: Whether it was ever put into the queue.
        output: What its task returned, as it is reported; None for nothing.
    """

    external_id: str
    request: DispatchRequest
    status: Status = Status.QUEUED
    queued: bool = True
    output: bytes | None = None


@frozen
class Late:
    """A request that was thought lost and may still arrive."""

    name: str
    sender: str
    request: DispatchRequest


@frozen
class Engine:
    """What the engine has, and what may still reach it."""

    runs: tuple[EngineRun, ...] = ()
    late: tuple[Late, ...] = ()

    def find(self, external_id: str) -> EngineRun | None:
        """Return a run, if there is one of this name."""
        return next((run for run in self.runs if run.external_id == external_id), None)

    def has(self, run_id: str) -> bool:
        """Tell whether there is something of a run, or may be yet."""
        requests = [*(run.request for run in self.runs), *(late.request for late in self.late)]
        return any(request.run_id == run_id for request in requests)

    def sent(self, sender: str, request: DispatchRequest, answer: str) -> tuple["Engine", AttemptOutcome]:
        """Let an attempt go as it does: return what the engine has after it, and what the sender is told."""
        result = AttemptResult.ACCEPTED if answer == Fate.DONE else RESULTS[Fault(answer)]
        reason = str(Fault.NONE) if answer == Fate.DONE else str(answer)
        if answer not in _TAKEN:
            late = self.late
            if answer == Fault.REQUEST_LOST:
                number = sum(one.sender == sender for one in late) + 1
                late = (*late, Late(f"late_{sender}_{number}", sender, request))
            return evolve(self, late=late), AttemptOutcome(result=result, reason=reason)
        after, external_id = self._taken(sender, request, queued=answer != Fault.CREATED_THEN_500)
        accepted = external_id if result is AttemptResult.ACCEPTED else None
        return after, AttemptOutcome(result=result, external_id=accepted, reason=reason)

    def arrived(self, late: Late) -> "Engine":
        """Let a request arrive that was thought lost."""
        left = evolve(self, late=tuple(one for one in self.late if one != late))
        return left._taken(late.sender, late.request, queued=True)[0]  # noqa: SLF001  # Of this class.

    def repeated(self, run: EngineRun) -> "Engine":
        """Let somebody repeat a run by hand."""
        return self._made(run.external_id.removeprefix("run_"), run.request, queued=True)

    def _taken(self, sender: str, request: DispatchRequest, *, queued: bool) -> tuple["Engine", str]:
        """Make a run, unless one of this key is alive or complete: then it is that one."""
        keyed = [one for one in self.runs if one.request == request and one.external_id.count("_") == _BY_KEY]
        if keyed and keyed[-1].status not in CLEARING:
            return self, keyed[-1].external_id
        after = self._made(sender, request, queued=queued)
        return after, after.runs[-1].external_id

    def _made(self, name: str, request: DispatchRequest, *, queued: bool) -> "Engine":
        number = sum(one.external_id.rpartition("_")[0] == f"run_{name}" for one in self.runs) + 1
        return evolve(self, runs=(*self.runs, EngineRun(f"run_{name}_{number}", request, queued=queued)))

    def becomes(self, external_id: str, status: Status, output: bytes | None = None) -> "Engine":
        """Let a run be at something else; one that is over stays as it is."""
        runs = (
            evolve(run, status=status, output=output)
            if run.external_id == external_id and not run.status.final
            else run
            for run in self.runs
        )
        return evolve(self, runs=tuple(runs))

    def seen(self, request: DispatchRequest, known: tuple[str, ...], sight: str) -> tuple[Sighting, ...]:
        """Return what a look shows."""
        if sight == Fate.BLIND:
            return ()
        runs = (run for run in self.runs if run.request.run_id == request.run_id)
        return tuple(_sighting(run) for run in runs if sight != Fate.LAGGING or run.external_id in known)


_BY_KEY = 2
"""Underscores in the name of a run that a key made: ``run_c3_1``; one that was repeated by hand has one more."""


def _sighting(run: EngineRun) -> Sighting:
    if run.status in _ENDED:
        return Sighting(external_id=run.external_id, state=SightingState.ENDED)
    if run.status is Status.COMPLETED:
        return Sighting(external_id=run.external_id, state=SightingState.COMPLETED, report=run.output)
    return Sighting(external_id=run.external_id, state=SightingState.ALIVE)


def report_of(run_id: str, content: Json) -> bytes:
    """Return a task's output as a dispatcher reports it."""
    return codec.encode_report(run_id, content, None)
