"""Mistakes of a dispatcher, each a `ScriptedDispatcher` that is wrong in one thing.

Floor 6. Put one where a service's own dispatcher goes, and see what the service's tests say. `DispatcherConformance`
finds each by the promise that stands beside it.
"""

from collections.abc import Mapping
from types import MappingProxyType

from attrs import evolve

from research_fsm.commands import Sighting, SightingState
from research_fsm.events import AttemptResult
from research_fsm.requests import AttemptOutcome, DispatchRequest
from research_fsm.testing.scripted import ScriptedDispatcher

__all__ = [
    "WRONG_DISPATCHERS",
    "BelievesAnyId",
    "ConcludesFromSilence",
    "FindsByIdAlone",
    "NotFoundIsOver",
    "Rekeys",
    "Retries",
    "SaysTheToken",
    "StopsEverything",
    "StopsNothing",
    "TakesAnyEndForWork",
    "TellsNoToken",
]


class ConcludesFromSilence(ScriptedDispatcher):
    """Takes no answer for a refusal."""

    def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Say that what is ambiguous was refused."""
        outcome = super().dispatch(request)
        if outcome.result is AttemptResult.AMBIGUOUS:
            return AttemptOutcome(result=AttemptResult.REFUSED, reason="timeout")
        return outcome


class Retries(ScriptedDispatcher):
    """Tries once more underneath."""

    def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Send it again while nobody answers."""
        outcome = super().dispatch(request)
        return super().dispatch(request) if outcome.result is AttemptResult.AMBIGUOUS else outcome


class Rekeys(ScriptedDispatcher):
    """Makes a key of its own for each attempt."""

    def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Send it under another key."""
        return super().dispatch(evolve(request, dispatch_key=f"{len(self.requests):064x}"))


class TellsNoToken(ScriptedDispatcher):
    """Leaves out what the worker has to present."""

    def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Send it without the token."""
        return super().dispatch(evolve(request, token=""))


class SaysTheToken(ScriptedDispatcher):
    """Puts into the reason what it sent."""

    def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Say too much."""
        return evolve(super().dispatch(request), reason=request.token.lower()[:64].replace("-", "_"))


class NotFoundIsOver(ScriptedDispatcher):
    """Takes a run that is not found for one that ended."""

    def look(self, request: DispatchRequest, external_ids: tuple[str, ...]) -> tuple[Sighting, ...]:
        """Make evidence out of nothing."""
        try:
            seen = super().look(request, external_ids)
        except ConnectionError:
            seen = ()
        found = {one.external_id for one in seen}
        return (*seen, *(_ended(external_id) for external_id in external_ids if external_id not in found))


class BelievesAnyId(ScriptedDispatcher):
    """Looks a run up by its id, and does not ask whose it is."""

    def look(self, request: DispatchRequest, external_ids: tuple[str, ...]) -> tuple[Sighting, ...]:
        """Show whatever there is under an id."""
        seen = super().look(request, external_ids)
        runs = {run.external_id: run for run in self.engine.runs}
        others = [runs[one] for one in external_ids if one in runs and runs[one].request.run_id != request.run_id]
        return (*seen, *(Sighting(external_id=run.external_id, state=run.state) for run in others))


class FindsByIdAlone(ScriptedDispatcher):
    """Never looks for runs that nobody told it of."""

    def look(self, request: DispatchRequest, external_ids: tuple[str, ...]) -> tuple[Sighting, ...]:
        """Show what is known."""
        return tuple(one for one in super().look(request, external_ids) if one.external_id in external_ids)


class TakesAnyEndForWork(ScriptedDispatcher):
    """Makes up a report where there is none."""

    def look(self, request: DispatchRequest, external_ids: tuple[str, ...]) -> tuple[Sighting, ...]:
        """Take COMPLETED for done."""
        seen = super().look(request, external_ids)
        done = SightingState.COMPLETED
        return tuple(evolve(one, report=one.report or b"null") if one.state is done else one for one in seen)


class StopsNothing(ScriptedDispatcher):
    """Keeps a cancellation to itself."""

    def cancel(self, external_id: str) -> None:
        """Tell nobody."""


class StopsEverything(ScriptedDispatcher):
    """Cancels by the task."""

    def cancel(self, external_id: str) -> None:
        """Stop every run that there is."""
        super().cancel(external_id)
        for run in self.engine.runs:
            super().cancel(run.external_id)


def _ended(external_id: str) -> Sighting:
    return Sighting(external_id=external_id, state=SightingState.ENDED)


WRONG_DISPATCHERS: Mapping[type[ScriptedDispatcher], str] = MappingProxyType(
    {
        ConcludesFromSilence: "an attempt whose answer is lost is ambiguous",
        Retries: "one attempt is one request",
        Rekeys: "a request that is sent again is the same run",
        TellsNoToken: "an accepted attempt names the engine's run",
        SaysTheToken: "the token is told to the engine alone",
        NotFoundIsOver: "a silent engine is no evidence",
        BelievesAnyId: "another run is no evidence",
        FindsByIdAlone: "a run is found that nobody told us of",
        TakesAnyEndForWork: "a run that ended well without a report brings none",
        StopsNothing: "a run is asked to stop",
        StopsEverything: "a run is asked to stop",
    }
)
"""Each with the promise of `DispatcherConformance` that it breaks."""
