"""A whole world to race in: callers, an engine that loses answers, workers, recovery, and time; and what must hold.

Floor 6. Needs Hypothesis, from the extra ``research-fsm[testing]``. What the engine really has, and which requests are
really under way, is known here and nowhere else: so the laws about the engine can be checked, not only those of the
log. Everything is drawn, so that a failure is replayed and made small by Hypothesis.

A test of a store or of a rule of one's own::

    @given(st.data())
    def test_races(data):
        race(data, MemoryStore)
"""

from collections.abc import Callable, Generator, Iterator
from datetime import timedelta
from itertools import count
from typing import Any

from hypothesis import strategies as st

from research_fsm import audit, flows, requests, transactions
from research_fsm.commands import (
    AddPerson,
    ArmAttempt,
    ClaimRun,
    CompleteRun,
    ErasePerson,
    FailRun,
    GrantCredits,
    MarkStale,
    RequestKey,
    StartRun,
    TakeEntry,
)
from research_fsm.events import AttemptResult, PersonKind
from research_fsm.laws.catalog import CONFIRMED_BY_ITS_OWN, ONE_AT_WORK, REFUSAL_IS_PROOF, WAY_OUT
from research_fsm.lifecycle import Phase
from research_fsm.outcomes import Claimed
from research_fsm.policy import Policy
from research_fsm.requests import AttemptOutcome, Cancel, Dispatch, DispatchRequest, Flow, Look, Read, Request, Transact
from research_fsm.storage import Head, Store
from research_fsm.testing.clock import ManualClock
from research_fsm.testing.interleave import Choices, interleave
from research_fsm.testing.recount import CountedRun, Recount
from research_fsm.testing.scripted import Engine, EngineRun, Reply

__all__ = ["race"]

_OWNER = "acme"
_RUNNING = tuple(str(phase) for phase in (Phase.DISPATCHING, Phase.QUEUED, Phase.EXECUTING))
_SHORT = Policy(
    dispatch_deadline=timedelta(seconds=40),
    queue_deadline=timedelta(seconds=30),
    run_deadline=timedelta(seconds=30),
    attempt_lease=timedelta(seconds=10),
    resend_window=timedelta(seconds=25),
    poll_interval=timedelta(seconds=10),
    max_attempts=3,
    max_deliveries=2,
)
_MOST_PASSES = 200


def race(
    data: st.DataObject,
    make_store: Callable[[Callable[[], int]], Store],
    *,
    policy: Policy = _SHORT,
    inside: bool | None = None,
    most: int = 90,
) -> None:
    """Race callers, workers and recovery passes on a store, then let recovery bring everybody to rest.

    Args:
        data: What Hypothesis draws from, of ``st.data()``.
        make_store: Makes an empty store that tells the time by a clock.
        policy: The settings.
        inside: Whether runs go to the embedded queue; None to draw it.
        most: Steps of the race.

    Raises:
        AssertionError: An invariant does not hold.
    """
    clock, choices = ManualClock(), Choices(data)
    store = make_store(clock)
    try:
        within = choices.among("inside", (False, True)) if inside is None else inside
        world = _World(choices, store, clock, policy, inside=within)
        interleave(choices, world.flows, world.perform, moves=world.moves(), after=world.check, most=most)
        world.come_to_rest()
    except BaseException:
        choices.tell()
        raise
    finally:
        store.close()


class _World:
    """The store, the engine, the network, and who is at work."""

    def __init__(self, choices: Choices, store: Store, clock: ManualClock, policy: Policy, *, inside: bool) -> None:
        self.flows: dict[str, Flow[Any]] = {}
        self._choices, self._store, self._clock, self._policy, self._inside = choices, store, clock, policy, inside
        self._engine = Engine()
        self._late: list[DispatchRequest] = []
        self._under_way: list[str] = []
        self._working: dict[str, str] = {}
        self._hired: set[str] = set()
        self._recount = Recount()
        self._ids = count(1)
        self._people = [self._added() for _ in range(choices.among("people", (1, 2)))]
        self._grant()
        self._grant()
        for _ in range(choices.among("callers", (2, 1, 3))):
            self._call()

    # --- who may do something ---

    def moves(self) -> dict[str, Callable[[], None]]:
        """Return what may happen beside the flows that are going on."""
        common = {
            "time passes": self._time_passes,
            "somebody calls": self._call,
            "recovery looks": self._look,
            "something rare": self._rare,
        }
        if self._inside:
            return common | {"a worker comes": self._take}
        return common | {
            "an engine run begins": self._hire,
            "an engine run ends": self._end,
            "the engine has one more": self._doubled,
            "keys are forgotten": self._engine.forget_keys,
        }

    def _rare(self) -> None:
        rare = {"a grant": self._grant, "a report ages": self._age, "an erasure": self._erase}
        rare[self._choices.among("rare", (*rare, "a grant", "a report ages"))]()

    def _id(self) -> str:
        return f"00000000-0000-4000-8000-{next(self._ids):012}"

    def _added(self) -> str:
        person_id = self._id()
        command = AddPerson(person_id=person_id, owner=_OWNER, kind=PersonKind.USER, profile=b"{}", salt="s")
        self._store.transact(*transactions.add(command, self._policy))
        return person_id

    def _grant(self) -> None:
        self._store.transact(*transactions.grant(GrantCredits(owner=_OWNER, grant_id=self._id(), amount=1)))

    def _person(self) -> str:
        return self._choices.among("person", self._people)

    def _call(self) -> None:
        person_id, run_id = self._person(), self._id()
        how = self._choices.among("call", ("plain", "key", "joined"))
        key = RequestKey.of(_OWNER, "key", person_id) if how == "key" else None
        joined = how == "joined" and not self._inside
        command = StartRun(person_id=person_id, run_id=run_id, key=key, inside=self._inside, joined=joined)
        self.flows[f"caller {run_id[-3:]}"] = self._calling(command)

    def _calling(self, command: StartRun) -> Flow[Any]:
        answer = yield from flows.start(command, self._policy)
        if command.joined:
            return (yield from flows.dispatch(ArmAttempt(run_id=command.run_id), self._policy))
        return answer

    def _look(self) -> None:
        for head in self._due():
            self.flows[f"recovery {self._id()[-3:]}"] = self._recovering(head)

    def _recovering(self, head: Head) -> Flow[Any]:
        return flows.recover(transactions.person_id_of(head.stream), self._policy, sends=not self._inside)

    def _due(self) -> list[Head]:
        return self._store.due(_RUNNING, self._store.now(), after=None, limit=9)

    def _erase(self) -> None:
        command = ErasePerson(person_id=self._person())
        self.flows[f"erasure {self._id()[-3:]}"] = flows.erase(command, self._policy)

    def _age(self) -> None:
        self._store.transact(*transactions.mark_stale(MarkStale(person_id=self._person()), self._policy))

    def _time_passes(self) -> None:
        self._clock.advance(timedelta(seconds=self._choices.among("seconds", (3, 10, 25, 40))))

    # --- the engine ---

    def _drawn_run(self, wanted: Callable[[EngineRun], bool]) -> EngineRun | None:
        found = [run for run in self._engine.runs if wanted(run)]
        return self._choices.among("engine run", found) if found else None

    def _hire(self) -> None:
        run = self._drawn_run(lambda run: run.external_id not in self._hired)
        if run is not None:
            self._hired.add(run.external_id)
            self.flows[f"worker {run.external_id}"] = self._working_on(run)

    def _working_on(self, run: EngineRun) -> Flow[None]:
        named: dict[str, Any] = {
            "run_id": run.request.run_id,
            "run_no": run.request.run_no,
            "external_id": run.external_id,
        }
        answer = yield from requests.transact(*transactions.claim(ClaimRun(**named), self._policy))
        if not isinstance(answer, Claimed):
            return
        at_work = self._working.setdefault(run.request.run_id, run.external_id)
        assert at_work == run.external_id, f"{ONE_AT_WORK}: {at_work} and {run.external_id} are both at work"  # noqa: S101
        yield from self._reporting(named)

    def _reporting(self, named: dict[str, Any]) -> Flow[None]:
        """Report twice, as a worker does whose first report was not acknowledged."""
        for _ in range(2):
            if self._choices.among("complete", (False, True)):
                completing = CompleteRun(**named, report=b"{}")
                yield from requests.transact(*transactions.complete(completing, self._policy))
            else:
                yield from requests.transact(*transactions.fail(FailRun(**named), self._policy))

    def _take(self) -> None:
        self.flows[f"worker {self._id()[-3:]}"] = self._taking()

    def _taking(self) -> Flow[None]:
        answer = yield from requests.transact(*transactions.take(TakeEntry(), self._policy))
        if isinstance(answer, Claimed):
            yield from self._reporting(
                {"run_id": answer.run_id, "run_no": answer.run_no, "external_id": answer.external_id}
            )

    def _end(self) -> None:
        """End an engine run in silence: with its output if it was at work, else without."""
        run = self._drawn_run(lambda run: run.report is None)
        if run is None:
            return
        if self._working.get(run.request.run_id) == run.external_id and self._choices.among("output", (False, True)):
            self._engine.complete(run.external_id)
        elif self._choices.among("stopped", (False, True)):
            self._engine.complete(run.external_id, with_output=False)
        else:
            self._engine.end(run.external_id)

    def _doubled(self) -> None:
        """Let a request arrive that was thought lost, or somebody run one again by hand."""
        again = self._drawn_run(lambda _: not self._late)
        if self._late:
            self._engine.take(self._late.pop())
        elif again is not None:
            self._engine.replay(again.external_id)

    # --- what a flow asks for ---

    def perform(self, request: Request) -> Generator[None, None, Any]:
        """Do it, in as many steps as it really takes."""
        match request:
            case Transact(query=query, rule=rule):
                yield
                return self._store.transact(query, rule)
            case Read(look=look):
                return look(self._store)
            case Look(request=wanted, external_ids=external_ids):
                yield
                blind = self._choices.among("the engine's list lags", (False, True))
                return () if blind else self._engine.sightings(wanted, external_ids)
            case Cancel(external_id=external_id):
                return self._engine.cancel(external_id)
            case Dispatch(request=wanted):
                yield
                return (yield from self._dispatched(wanted))

    def _dispatched(self, request: DispatchRequest) -> Generator[None, None, AttemptOutcome]:
        """Let the request leave, and its answer come, or not, at another moment."""
        reply = self._choices.among("the engine", list(Reply))
        self._under_way.append(request.run_id)
        external_id = None
        try:
            if reply in (Reply.ACCEPTED, Reply.TAKEN_UNANSWERED):
                external_id = self._engine.take(request)
            yield
        finally:
            self._under_way.remove(request.run_id)
            if reply is Reply.LOST:
                self._late.append(request)
        match reply:
            case Reply.ACCEPTED:
                return AttemptOutcome(result=AttemptResult.ACCEPTED, external_id=external_id)
            case Reply.REFUSED:
                return AttemptOutcome(result=AttemptResult.REFUSED)
            case Reply.NOT_SENT:
                return AttemptOutcome(result=AttemptResult.NOT_SENT)
            case Reply.TAKEN_UNANSWERED | Reply.LOST | Reply.RAISES:
                return AttemptOutcome(result=AttemptResult.AMBIGUOUS)

    # --- what has to hold ---

    def check(self) -> None:
        """Count what happened since the last step, and hold it against what the engine really has."""
        wrong = self._recount.follow(self._store)
        for person_id in self._people:
            for run in self._recount.people[person_id].runs.values():
                wrong.extend(self._compared_with_the_engine(run))
        assert not wrong, "\n".join(wrong)  # noqa: S101  # The proof kit says what is wrong as tests do.

    def _compared_with_the_engine(self, run: CountedRun) -> Iterator[str]:
        """A refusal is proof that the engine has nothing, and what confirms a run is an engine run of it."""
        if run.ended_by in ("refused", "not_sent"):
            taken = any(one.request.run_id == run.run_id for one in self._engine.runs)
            late = any(one.run_id == run.run_id for one in self._late)
            if taken or late or run.run_id in self._under_way:
                yield (
                    f"{REFUSAL_IS_PROOF}: run {run.run_id} was rolled back by a refusal, and the engine "
                    "has it, or may yet"
                )
        if run.dispatched_as is not None and self._engine.run(run.dispatched_as).request.run_id != run.run_id:
            yield (
                f"{CONFIRMED_BY_ITS_OWN}: run {run.run_id} was confirmed by {run.dispatched_as}, which is another run's"
            )

    def come_to_rest(self) -> None:
        """Let the engine be silent, and recovery and the embedded queue's workers look until nobody has to."""
        for _ in range(_MOST_PASSES):
            for head in self._due():
                self._drive(self._recovering(head))
            if self._inside:
                self._drive(self._taking())
            self.check()
            left = [head for head in self._store.heads() if head.tag in _RUNNING]
            if not left:
                break
            self._clock.advance(timedelta(seconds=5))
        assert not left, f"{WAY_OUT}: {left} never came to rest"  # noqa: S101  # As above.
        findings = [str(finding) for finding in audit.verify(self._store)]
        assert not findings, "\n".join(findings)  # noqa: S101  # As above.

    def _drive(self, flow: Flow[Any]) -> None:
        """Run a flow to its end, with an engine that does not answer."""
        answer: Any = None
        try:
            while True:
                answer = self._silent(flow.send(answer))
        except StopIteration:
            return

    def _silent(self, request: Request) -> Any:  # noqa: ANN401  # By request.
        match request:
            case Transact(query=query, rule=rule):
                return self._store.transact(query, rule)
            case Read(look=look):
                return look(self._store)
            case Look():
                return ()
            case Cancel():
                return None
            case Dispatch():
                return AttemptOutcome(result=AttemptResult.AMBIGUOUS)
