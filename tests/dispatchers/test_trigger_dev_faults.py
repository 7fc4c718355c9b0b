"""Any sequence of faults, claims, crashes, replays and recovery passes leaves the money straight and nobody stuck."""

import os
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from research_fsm import Policy, codec
from research_fsm.events import RollBackReason, RunRolledBack
from research_fsm.lifecycle import Status
from research_fsm.outcomes import Claimed, Completed, Failed
from research_fsm.testing.engine import Fault
from research_fsm.testing.engine import Status as EngineStatus
from tests.dispatchers.service import Service

POLICY = Policy()
PEOPLE = ("ada", "grace")
CREDITS = 5
FAULTS = st.lists(st.sampled_from(Fault), max_size=4)
PAUSES = st.sampled_from([timedelta(seconds=seconds) for seconds in (0, 1, 30, 31, 119, 600)])
ENDS = st.sampled_from([status for status in EngineStatus if status.final and status is not EngineStatus.EXPIRED])


class FaultyEngine(RuleBasedStateMachine):
    """Two people, five credits, and an engine whose every answer may go wrong.

    What the workers did is counted apart from the log: which engine runs had their claim accepted, and of which run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.service = Service(credits_=CREDITS, policy=POLICY)
        self.people = (self.service.person_id, self.service.add("grace"))
        self.claimed: dict[str, set[str]] = {}
        self.reported: list[str] = []

    # --- what callers, the network and time do ---

    @rule(person=st.integers(0, len(PEOPLE) - 1), faults=FAULTS)
    def start(self, person: int, faults: list[Fault]) -> None:
        """Start somebody; the triggers from now on go as drawn."""
        self.service.engine.script(*faults)
        self.service.runs.start(self.people[person])

    @rule(person=st.integers(0, len(PEOPLE) - 1))
    def refresh(self, person: int) -> None:
        """Make a complete person idle again."""
        self.service.runs.mark_stale(self.people[person])

    @rule(pause=PAUSES, faults=FAULTS, reads=FAULTS)
    def recover(self, pause: timedelta, faults: list[Fault], reads: list[Fault]) -> None:
        """Let time pass, and look after what is overdue; triggers and reads go as drawn."""
        self.service.engine.script(*faults)
        self.service.engine.script_reads(*reads)
        self.service.recover(after=pause)

    @rule(lagging_reads=st.integers(0, 2), list_works=st.booleans(), tells_cached=st.booleans())
    def lag(self, *, lagging_reads: int, list_works: bool, tells_cached: bool) -> None:
        """Let the engine's copies lag."""
        engine = self.service.engine
        engine.lagging_reads, engine.list_works, engine.tells_cached = lagging_reads, list_works, tells_cached

    # --- what happens in the engine ---

    @precondition(lambda self: self.service.engine.waiting())
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """Let a queued engine run begin and claim; a stale one stops and returns nothing."""
        external_id = data.draw(st.sampled_from(self.service.engine.waiting()))
        sent = self.service.engine.begin(external_id)
        if isinstance(self.service.runs.claim(sent["run_id"], sent["run_no"], external_id), Claimed):
            self.claimed.setdefault(sent["run_id"], set()).add(external_id)
        else:
            self.service.engine.end(external_id)

    @precondition(lambda self: self.executing())
    @rule(data=st.data(), callback=st.booleans(), output=st.booleans(), twice=st.booleans())
    def report(self, data: st.DataObject, *, callback: bool, output: bool, twice: bool) -> None:
        """Let a working engine run report; the callback may get lost or come twice, the output be missing."""
        external_id = data.draw(st.sampled_from(self.executing()))
        sent = self.service.engine.run(external_id).payload
        for _ in range((1 + twice) if callback else 0):
            answer = self.service.runs.complete(sent["run_id"], sent["run_no"], external_id, {"by": external_id})
            if isinstance(answer, Completed):
                self.reported.append(sent["run_id"])
        returned = {"run_id": sent["run_id"], "run_no": sent["run_no"], "content": {"by": external_id}}
        self.service.engine.end(external_id, EngineStatus.COMPLETED, *((returned,) if output else ()))

    @precondition(lambda self: self.executing())
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """Let a working engine run report that it failed."""
        external_id = data.draw(st.sampled_from(self.executing()))
        sent = self.service.engine.run(external_id).payload
        if isinstance(self.service.runs.fail(sent["run_id"], sent["run_no"], external_id, "tired"), Failed):
            self.reported.append(sent["run_id"])
        self.service.engine.end(external_id, EngineStatus.FAILED)

    @precondition(lambda self: self.unfinished())
    @rule(data=st.data(), status=ENDS)
    def end(self, data: st.DataObject, status: EngineStatus) -> None:
        """Let an engine run end with nobody told."""
        self.service.engine.end(data.draw(st.sampled_from(self.unfinished())), status)

    @precondition(lambda self: 0 < len(self.service.engine.runs) < 12)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        """Press the dashboard's button."""
        ids = [run.external_id for run in self.service.engine.runs]
        self.service.engine.replay(data.draw(st.sampled_from(ids)))

    def executing(self) -> list[str]:
        """Return the engine runs that are at work."""
        return [run.external_id for run in self.service.engine.runs if run.status is EngineStatus.EXECUTING]

    def unfinished(self) -> list[str]:
        """Return the engine runs that have not ended."""
        return [run.external_id for run in self.service.engine.runs if not run.status.final]

    # --- what holds ---

    @invariant()
    def one_engine_run_works_on_a_run(self) -> None:
        """However many the engine made of it."""
        assert all(len(external_ids) == 1 for external_ids in self.claimed.values())

    @invariant()
    def no_credit_appears_or_is_overdrawn(self) -> None:
        """What was granted is available, held, or spent."""
        available, held, charged, refunded = self.service.money()
        assert available >= 0
        assert available + held + charged - refunded == CREDITS

    def teardown(self) -> None:
        """Let everything go well from now on: nobody stays running, and exactly the work that was begun is paid."""
        service = self.service
        service.engine.forget_script()
        for _ in range(3):
            service.recover(after=timedelta(minutes=11))
        assert all(service.person(one).status is not Status.RUNNING for one in self.people)
        available, held, charged, refunded = service.money()
        assert held == 0
        assert charged - refunded == len(self.claimed)
        assert set(self.reported) <= set(self.claimed)
        assert available == CREDITS - len(self.claimed)
        self.nothing_was_rolled_back_under_the_engine()
        service.check()

    def nothing_was_rolled_back_under_the_engine(self) -> None:
        """A refusal or an unsent request rolls back only what the engine never had; silence does so at its deadline."""
        had = {(run.payload["person_id"], run.payload["run_no"]) for run in self.service.engine.runs}
        for recorded in self.service.store.events():
            event = codec.decode_event(recorded)
            if isinstance(event, RunRolledBack) and event.reason is not RollBackReason.DISPATCH_DEADLINE:
                assert (recorded.stream.removeprefix("person:"), event.run_no) not in had


TestFaultyEngine = FaultyEngine.TestCase
TestFaultyEngine.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None, derandomize="CI" in os.environ
)
