"""Act 2: an outside engine refuses a run, and nothing is left of it but its history.

Floor 6. Opens no network: the engine is a few lines of this module, handed to `Runs` as any dispatcher is.
"""

from attrs import define

from research_fsm.commands import Sighting
from research_fsm.demo import recount, timeline
from research_fsm.demo.stage import OWNER, Guest, Stage
from research_fsm.events import AttemptResult
from research_fsm.reads import Balance
from research_fsm.requests import AttemptOutcome, DispatchRequest
from research_fsm.runs import Runs

__all__ = ["refuse"]

_PERSON = ("PersonAdded", "RunStarted", "AttemptArmed", "AttemptAnswered", "RunRolledBack")
_CREDITS = ("CreditsHeld", "CreditsReleased")


@define
class _Refusing:
    """An engine that answers every request with HTTP 422, and takes a look at the credits while it is asked."""

    runs: Runs
    meanwhile: Balance | None = None

    def dispatch(self, request: DispatchRequest) -> AttemptOutcome:  # noqa: ARG002  # A refusal needs no reason.
        self.meanwhile = self.runs.balance(OWNER)
        return AttemptOutcome(result=AttemptResult.REFUSED, reason="http_422")

    def look(self, request: DispatchRequest, external_ids: tuple[str, ...]) -> tuple[Sighting, ...]:  # noqa: ARG002  # It has nothing of anybody.
        return ()

    def cancel(self, external_id: str) -> None:
        """Never asked: it has no runs."""


def refuse(stage: Stage, guest: Guest) -> None:
    """Start a run of one person at an engine that says no.

    Args:
        stage: What the acts share.
        guest: The person.
    """
    screen = stage.screen
    screen.act("2  An engine that says no")
    screen.say(f"An outside engine is asked to research {guest.name}, and answers HTTP 422.")
    before = stage.runs.balance(OWNER)
    engine = _Refusing(stage.runs)
    answer = Runs(stage.runs.store, engine).start(guest.person_id, owner=OWNER, actor="demo")
    after = stage.runs.balance(OWNER)
    screen.say(f"The caller is told: {answer}.\n")
    moments = (("before", before), ("while the engine was asked", engine.meanwhile), ("after it refused", after))
    screen.table(
        ("credits", "available", "held"),
        [(when, seen.available, seen.held) for when, seen in moments if seen is not None],
    )
    screen.say("")
    screen.timeline(timeline.lines(stage.runs.history(guest.person_id)))
    screen.say("")
    stage.check("refused_is_idle", "idle", str(stage.person(guest).status))
    held = None if engine.meanwhile is None else engine.meanwhile.held
    stage.check(
        "credit_came_back",
        {"available": before.available, "held meanwhile": 1, "held": before.held},
        {"available": after.available, "held meanwhile": held, "held": after.held},
    )
    names = [name for name, _ in recount.events_of(stage.plain, guest.person_id)]
    stage.check(
        "nothing_was_deleted",
        [*_PERSON, *_CREDITS],
        [*names, *recount.credits_of(stage.plain, guest.person_id)],
    )
