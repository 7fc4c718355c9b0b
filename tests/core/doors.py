"""A clock that is moved by hand, an engine that answers by a script, and the doors on a store in memory."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count

from attrs import define, field

from research_fsm import Policy, Profile, Runs
from research_fsm.commands import Sighting
from research_fsm.events import AttemptResult
from research_fsm.outcomes import Added, Granted
from research_fsm.policy import micros
from research_fsm.requests import AttemptOutcome, DispatchRequest
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.scenario import NOW
from tests.core.examples import OWNER

ADA = Profile(linkedin_url="https://www.linkedin.com/in/ada")
ACCEPTED = AttemptOutcome(result=AttemptResult.ACCEPTED, external_id="engine-1")
REFUSED = AttemptOutcome(result=AttemptResult.REFUSED, reason="http_422")
NOT_SENT = AttemptOutcome(result=AttemptResult.NOT_SENT, reason="refused_connection")
AMBIGUOUS = AttemptOutcome(result=AttemptResult.AMBIGUOUS, reason="timeout")


@define
class Clock:
    """Time in microseconds UTC that passes when it is told to."""

    now: int = NOW

    def __call__(self) -> int:
        """Return the time."""
        return self.now

    def pass_(self, **duration: float) -> None:
        """Let time pass, in the words of `datetime.timedelta`."""
        self.now += micros(timedelta(**duration))


@define
class ScriptedEngine:
    """Answers each dispatch with the next outcome, or raises it; and does `meanwhile` before it answers."""

    outcomes: list[AttemptOutcome | Exception] = field(factory=list)
    sightings: tuple[Sighting, ...] | Exception = ()
    requests: list[DispatchRequest] = field(factory=list)
    looks: list[tuple[str, ...]] = field(factory=list)
    cancelled: list[str] = field(factory=list)
    cancelling: Exception | None = None
    meanwhile: Callable[[DispatchRequest], object] | None = None

    def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Take a request."""
        self.requests.append(request)
        if self.meanwhile is not None:
            self.meanwhile(request)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def look(self, request: DispatchRequest, external_ids: tuple[str, ...]) -> tuple[Sighting, ...]:
        """Say what there is of a request."""
        del request
        self.looks.append(external_ids)
        if isinstance(self.sightings, Exception):
            raise self.sightings
        return self.sightings

    def cancel(self, external_id: str) -> None:
        """Stop an engine run."""
        self.cancelled.append(external_id)
        if self.cancelling is not None:
            raise self.cancelling


@define
class House:
    """The doors, what is behind them, and a person to do something with."""

    clock: Clock
    store: MemoryStore
    runs: Runs
    engine: ScriptedEngine

    def added(self, owner: str = OWNER, profile: Profile = ADA) -> str:
        """Add a person and return their id."""
        answer = self.runs.add(owner, profile)
        assert isinstance(answer, Added)
        return answer.person_id

    def granted(self, amount: int, owner: str = OWNER) -> None:
        """Grant credits."""
        assert isinstance(self.runs.grant(owner, amount), Granted)

    def types(self, person_id: str) -> list[str]:
        """Return the names of everything that happened to a person and, for them, to the account."""
        return [event.type for event in self.runs.history(person_id)]

    def positions(self) -> int:
        """Return how many events there are."""
        return len(list(self.store.events()))


def counted_ids() -> Callable[[], str]:
    """Return a maker of UUIDs that counts."""
    numbers = count(1)
    return lambda: f"00000000-0000-4000-8000-{next(numbers):012x}"


def outside(*outcomes: AttemptOutcome | Exception, policy: Policy | None = None) -> House:
    """Return doors to an outside engine that answers by a script."""
    clock, engine = Clock(), ScriptedEngine(list(outcomes))
    store = MemoryStore(clock)
    return House(clock, store, Runs(store, engine, policy=policy, new_id=counted_ids()), engine)


def inside(policy: Policy | None = None) -> House:
    """Return doors to the embedded queue."""
    clock = Clock()
    store = MemoryStore(clock)
    return House(clock, store, Runs(store, policy=policy, new_id=counted_ids()), ScriptedEngine())
