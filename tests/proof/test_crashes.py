"""Every flow, crashed at every yield, under every answer of the engine and every way its workers behave: enumerated.

No luck and no sampling: three attempts' answers, the point of the crash and the worker's conduct are all tried with
each other, and the number of worlds is pinned. After each step the invariants are counted again from the bare events;
at the end everybody has to be at rest.
"""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import product

import pytest

from research_fsm import Policy, Profile, Runs, audit, driver, flows, transactions
from research_fsm.commands import AddPerson, ArmAttempt, ErasePerson, SightingState, StartRun
from research_fsm.events import PersonKind
from research_fsm.lifecycle import RUNNING
from research_fsm.outcomes import Claimed
from research_fsm.requests import Flow
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing import ManualClock, Reply, ScriptedDispatcher
from research_fsm.testing.recount import Recount

PERSON = "00000000-0000-4000-8000-0000000000ad"
RUN = "00000000-0000-4000-8000-000000000001"
POLICY = Policy()
MOST_YIELDS = 6
MOST_PASSES = 60


class World:
    """One store, one engine, one crash.

    Args:
        replies: What the engine answers, one attempt after the other; later ones are accepted.
        conduct: How the engine's workers behave.
    """

    def __init__(self, replies: tuple[Reply, ...], conduct: str) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.dispatcher = ScriptedDispatcher(*replies)
        self.runs = Runs(self.store, self.dispatcher, policy=POLICY)
        self.conduct = conduct
        self.executed: Counter[str] = Counter()
        self._recount = Recount()
        self.runs.grant("acme", 2)

    def crash(self, flow: Flow[object], after: int) -> bool:
        """Step a flow, and let its process die when so many of its requests were done.

        Returns:
            Whether it died; False if it was over before.
        """
        done = 0
        try:
            request = next(flow)
            while True:
                if done == after:
                    flow.close()
                    return True
                answer = driver.perform(request, self.store, self.dispatcher)
                done += 1
                self.check()
                request = flow.send(answer)
        except StopIteration:
            return False

    def work(self) -> None:
        """Let each engine run that is alive do what the workers here do."""
        for run in self.dispatcher.engine.runs:
            if run.state is not SightingState.ALIVE or self.conduct == "never starts":
                continue
            if self.conduct == "crashes before the claim":
                self.dispatcher.engine.end(run.external_id)
                continue
            request, name = run.request, run.external_id
            if isinstance(self.runs.claim(request.run_id, request.run_no, name), Claimed):
                self.executed[request.run_id] += 1
                self._report(request.run_id, request.run_no, name)
            else:
                self.dispatcher.engine.complete(name, with_output=False)
            self.check()

    def _report(self, run_id: str, run_no: int, name: str) -> None:
        match self.conduct:
            case "reports twice":
                for _ in range(2):
                    self.runs.complete(run_id, run_no, name, {"found": "much"})
                self.dispatcher.engine.complete(name, {"found": "much"})
            case "is replayed":
                replayed = self.dispatcher.engine.replay(name)
                if isinstance(self.runs.claim(run_id, run_no, replayed), Claimed):
                    self.executed[run_id] += 1
                self.runs.complete(run_id, run_no, replayed, {"found": "something else"})
                self.dispatcher.engine.complete(replayed, with_output=False)
                self.runs.complete(run_id, run_no, name, {"found": "much"})
                self.dispatcher.engine.complete(name, {"found": "much"})
            case "loses its callback":
                self.dispatcher.engine.complete(name, {"found": "much"})
            case "fails":
                self.runs.fail(run_id, run_no, name, "as asked")
                self.dispatcher.engine.end(name)
            case _:
                self.dispatcher.engine.end(name)  # It crashed after the claim.

    def check(self) -> None:
        """Count the invariants again, from the bare events."""
        assert self._recount.follow(self.store) == []

    def come_to_rest(self) -> None:
        """Let workers and recovery do what they do until nobody is running."""
        for _ in range(MOST_PASSES):
            self.work()
            assert self.runs.recover().errors == ()
            self.check()
            self.clock.advance(timedelta(seconds=31))
        assert [head.stream for head in self.store.heads() if head.tag in RUNNING] == []
        assert self.runs.balance("acme").held == 0
        assert list(audit.verify(self.store)) == []
        assert all(times == 1 for times in self.executed.values())


def start(world: World) -> Flow[object]:
    """Start somebody who is idle."""
    add(world)
    return flows.start(StartRun(person_id=PERSON, run_id=RUN, inside=False), POLICY)


def create(_: World) -> Flow[object]:
    """Add and start somebody in one."""
    return flows.create(adding(), StartRun(person_id=PERSON, run_id=RUN, inside=False), POLICY)


def joined(world: World) -> Flow[object]:
    """Send the first attempt of a start that was joined to a host's transaction."""
    add(world)
    command = StartRun(person_id=PERSON, run_id=RUN, inside=False, joined=True)
    world.store.transact(*transactions.start(command, POLICY))
    return flows.dispatch(ArmAttempt(run_id=RUN), POLICY)


def resend(world: World) -> Flow[object]:
    """Recover a start whose process died as soon as it was committed."""
    world.crash(start(world), 1)
    world.clock.advance(timedelta(seconds=31))
    return flows.recover(PERSON, POLICY, sends=True)


def erase(world: World) -> Flow[object]:
    """Erase somebody whose start is wherever its answer left it."""
    world.crash(start(world), MOST_YIELDS)
    return flows.erase(ErasePerson(person_id=PERSON), POLICY)


def adding() -> AddPerson:
    """Return the one person of these worlds."""
    profile = Profile(linkedin_url="linkedin.com/in/ada")
    text = str(dict(profile.known())).replace("'", '"').encode()
    return AddPerson(person_id=PERSON, owner="acme", kind=PersonKind.USER, profile=text, salt="salt")


def add(world: World) -> None:
    """Add the one person."""
    world.store.transact(*transactions.add(adding(), POLICY))


FLOWS: tuple[Callable[[World], Flow[object]], ...] = (start, create, joined, resend, erase)
WORLDS = {"start": 1_008, "create": 1_008, "joined": 1_008, "resend": 1_512, "erase": 546}
"""How many worlds there are of each: whoever makes the search smaller has to say so here."""

CONDUCTS = (
    "reports twice",
    "is replayed",
    "loses its callback",
    "fails",
    "crashes after the claim",
    "crashes before the claim",
    "never starts",
)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
def test_a_crash_anywhere_leaves_nobody_stuck_and_no_credit_astray(flow: Callable[[World], Flow[object]]) -> None:
    """Whatever the engine answered and whoever died where: the invariants hold at every step, and all come to rest."""
    tried = 0
    for replies, conduct in product(product(Reply, repeat=2), CONDUCTS):
        for after in range(MOST_YIELDS):
            world = World(replies, conduct)
            died = world.crash(flow(world), after)
            world.come_to_rest()
            tried += 1
            if not died:
                break
    assert tried == WORLDS[flow.__name__]
