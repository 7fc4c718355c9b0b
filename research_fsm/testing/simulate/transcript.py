"""Follows what a flow does from outside: which command its next transaction is, what its events cover, what they say.

Floor 6. A part of `simulate`. A flow yields a query and a rule; which command the rule closes over is
put together again here from what the flow was answered before, so that the oracle can be asked about it.
"""

from collections.abc import Callable, Iterable, MutableMapping

from research_fsm import lifecycle, timeline
from research_fsm.commands import MarkStale, RecordAnswer, RecoverRun
from research_fsm.decide import Send
from research_fsm.events import RunStarted, StaleReason
from research_fsm.lifecycle import RUNNING, Phase
from research_fsm.requests import AttemptOutcome
from research_fsm.storage import RecordedEvent
from research_fsm.testing.simulate.actors import Actor
from research_fsm.testing.simulate.coverage import Coverage
from research_fsm.testing.simulate.watch import Happened
from research_fsm.testing.steps import Command

__all__ = ["answer", "cover", "next_command", "sent", "tell"]


def sent(answered: object) -> Send | None:
    """Return the attempt that a transaction allows to be sent, if it does."""
    return answered if isinstance(answered, Send) else None


def answer(actor: Actor, outcome: AttemptOutcome) -> Command | None:
    """Return the command that records what an attempt came to."""
    if actor.sent is None:
        return None
    request = actor.sent.request
    return RecordAnswer(
        person_id=request.person_id,
        run_id=request.run_id,
        run_no=request.run_no,
        attempt=actor.sent.attempt,
        result=outcome.result,
        external_id=outcome.external_id,
        reason=outcome.reason,
        retry_at=outcome.retry_at,
    )


def next_command(actor: Actor) -> Command | None:
    """Return what the next transaction asks; None if it cannot be told."""
    person = actor.looked_at
    if actor.command is not None or person is None:
        return actor.command
    if person.phase is Phase.COMPLETE:
        return MarkStale(person_id=person.person_id, reason=StaleReason.AGE)
    if person.run is None:
        return None
    run_id, run_no = person.run.run_id, person.run.run_no
    return RecoverRun(person_id=person.person_id, run_id=run_id, run_no=run_no, sightings=actor.seen, sends=actor.sends)


def cover(coverage: Coverage, happened: Happened, hit: MutableMapping[str, str]) -> None:
    """Note what an event reached, and under which fault; whoever is at rest has none any more."""
    phase, trigger = happened.person.phase, lifecycle.trigger_of(happened.event)
    person_id = happened.person.person_id
    coverage.points[phase, trigger, hit.get(person_id, "")] += 1
    if isinstance(happened.event, RunStarted):
        coverage.runs += 1
    if phase in RUNNING and lifecycle.dest(phase, trigger) not in RUNNING:
        hit.pop(person_id, None)


def tell(say: Callable[[str], None], recorded: Iterable[RecordedEvent]) -> None:
    """Say what was recorded."""
    for event in recorded:
        say(f"{event.stream} version {event.version}: {timeline.in_words(event)}")
