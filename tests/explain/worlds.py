"""A small world whose clock the tests set: one owner, one person, an engine that answers what it is told to."""

from datetime import timedelta

from attrs import Factory, define

from research_fsm import Policy, Profile, Runs
from research_fsm.commands import Sighting
from research_fsm.events import AttemptResult
from research_fsm.outcomes import Claimed
from research_fsm.policy import micros
from research_fsm.requests import AttemptOutcome, DispatchRequest
from research_fsm.stores.memory import MemoryStore

START = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z, when every world begins."""


@define
class Engine:
    """An outside engine. `asked` counts everything that reaches it."""

    result: AttemptResult = AttemptResult.ACCEPTED
    asked: int = 0

    def dispatch(self, _: DispatchRequest) -> AttemptOutcome:
        """Answer what it was told to."""
        self.asked += 1
        accepted = self.result is AttemptResult.ACCEPTED
        return AttemptOutcome(result=self.result, external_id="engine-run" if accepted else None, reason="told")

    def look(self, _: DispatchRequest, __: tuple[str, ...]) -> tuple[Sighting, ...]:
        """Know of no run."""
        self.asked += 1
        return ()

    def cancel(self, _: str) -> None:
        """Take note."""
        self.asked += 1


@define
class World:
    """A store in memory, and a time that only the tests move."""

    policy: Policy = Policy()
    engine: Engine | None = None
    now: int = START
    store: MemoryStore = Factory(lambda self: MemoryStore(lambda: self.now), takes_self=True)

    @property
    def runs(self) -> Runs:
        """The doors."""
        return Runs(self.store, self.engine, policy=self.policy)

    def later(self, **duration: float) -> int:
        """Let time pass; return the time."""
        self.now += micros(timedelta(**duration))
        return self.now

    def person(self, *, having: int = 1) -> str:
        """Add a person of acme's, who has so many credits; return the id."""
        if having:
            self.runs.grant("acme", having, grant_id="welcome")
        return (
            self.runs.add("acme", Profile(linkedin_url="https://linkedin.com/in/ada"), actor="ui").accepted().person_id
        )

    def completed(self, person_id: str, content: object = "found") -> None:
        """Run a person to a report, by the embedded queue."""
        self.runs.start(person_id, actor="ui").accepted()
        taken = self.taken()
        self.runs.complete(taken.run_id, taken.run_no, taken.external_id, content).accepted()

    def taken(self) -> Claimed:
        """Take the next run of the embedded queue."""
        taken = self.runs.take(actor="worker")
        assert isinstance(taken, Claimed)
        return taken
