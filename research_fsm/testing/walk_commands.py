"""Everything that anybody can ask of a person in a state, right or wrong; a part of `walk`.

Floor 6, pure.
"""

from collections.abc import Iterator
from typing import Any

from research_fsm import commands as c
from research_fsm.events import AttemptResult, PersonKind, StaleReason
from research_fsm.lifecycle import Phase
from research_fsm.testing.steps import Command
from research_fsm.testing.walk_states import OWNER, State, run_id_of

__all__ = ["commands"]

_ENGINE_RUNS = ("x", "y")
_REPORT = b'{"report":1}'
_OTHER = b'{"report":2}'
_DETAIL = b'"why"'


def commands(state: State, most_credits: int) -> Iterator[Command]:
    """Return everything that anybody can ask in a state, right or wrong."""
    person = state.person
    person_id, run_no = person.person_id, person.run_no
    if state.available + state.held < most_credits:
        yield c.GrantCredits(owner=OWNER, grant_id="g", amount=1)
    if person.phase is Phase.NONE:
        yield c.AddPerson(person_id=person_id, owner=OWNER, kind=PersonKind.USER, profile=b"{}", salt="s")
    yield from _asked(person_id, run_no + 1)
    yield c.TakeEntry()
    for number in range(max(1, run_no - 1), run_no + 1):
        yield from _engine_asks(state, number)
        yield from _callbacks(state, number)
    if person.run is not None:
        run_id = person.run.run_id
        yield c.ArmAttempt(run_id=run_id)
        yield c.TakeEntry(run_id=run_id)
        yield c.ClaimRun(run_id=run_id, run_no=run_no + 1, external_id="x")
        for report in (_REPORT, _OTHER):
            yield c.CompleteRun(run_id=run_id, run_no=run_no, external_id="x", report=report)
        yield c.FailRun(run_id=run_id, run_no=run_no, external_id="x", detail=_DETAIL)


def _asked(person_id: str, run_no: int) -> Iterator[Command]:
    for inside, joined, owner in (
        (True, False, None),
        (False, False, OWNER),
        (False, True, None),
        (True, False, "other"),
    ):
        yield c.StartRun(person_id=person_id, run_id=run_id_of(run_no), owner=owner, inside=inside, joined=joined)
    for reason in StaleReason:
        yield c.MarkStale(person_id=person_id, reason=reason)
    yield c.ErasePerson(person_id=person_id, owner="other")
    yield c.ErasePerson(person_id=person_id)


def _external_ids(state: State, number: int) -> tuple[str, ...]:
    """Return who may call back: engine runs, and the deliveries of the embedded queue."""
    run = state.person.run
    if run is None or not run.inside:
        return _ENGINE_RUNS
    return "x", *(f"{run_id_of(number)}:{delivery}" for delivery in (1, 2))


def _callbacks(state: State, number: int) -> Iterator[Command]:
    run_id = run_id_of(number)
    for external_id in _external_ids(state, number):
        named: dict[str, Any] = {"run_id": run_id, "run_no": number, "external_id": external_id}
        yield c.ClaimRun(**named)
        yield c.CompleteRun(**named, report=_REPORT)
        yield c.FailRun(**named)
        yield c.RenewLease(**named)


def _engine_asks(state: State, number: int) -> Iterator[Command]:
    """Return what the engine, or its silence, makes us record of a run of it."""
    run = state.person.run
    person_id, run_id = state.person.person_id, run_id_of(number)
    named: dict[str, Any] = {"person_id": person_id, "run_id": run_id, "run_no": number}
    yield c.RecoverRun(**named, sends=False)
    if run is None or run.inside:
        return
    yield c.RecoverRun(**named)
    for attempt in range(1, run.last_attempt + 1) if number == run.run_no else (1,):
        for result in AttemptResult:
            ids = _ENGINE_RUNS if result is AttemptResult.ACCEPTED else (None,)
            for external_id in ids:
                yield c.RecordAnswer(**named, attempt=attempt, result=result, external_id=external_id, reason="")
    for sightings in _SIGHTINGS:
        yield c.RecoverRun(**named, sightings=sightings)


def _sighting(external_id: str, state: c.SightingState, report: bytes | None = None) -> c.Sighting:
    return c.Sighting(external_id=external_id, state=state, report=report)


_SIGHTINGS: tuple[tuple[c.Sighting, ...], ...] = (
    (_sighting("x", c.SightingState.ALIVE),),
    (_sighting("x", c.SightingState.COMPLETED, _REPORT),),
    (_sighting("x", c.SightingState.COMPLETED),),
    (_sighting("x", c.SightingState.ENDED),),
    (_sighting("y", c.SightingState.ENDED), _sighting("x", c.SightingState.ALIVE)),
)
