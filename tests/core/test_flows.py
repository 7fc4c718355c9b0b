"""Flows, step by step: what is committed before a byte leaves, and what a crash at any yield leaves behind."""

from collections.abc import Iterator
from typing import Any

import pytest

from research_fsm import Policy, codec, driver, flows
from research_fsm.commands import ArmAttempt, ErasePerson, StartRun
from research_fsm.events import AttemptResult
from research_fsm.lifecycle import Phase
from research_fsm.outcomes import (
    Action,
    Created,
    Erased,
    PersonNotFound,
    Queued,
    Recovered,
    RolledBack,
    RunNotFound,
    Unresolved,
)
from research_fsm.requests import AttemptOutcome, Cancel, Dispatch, Flow, Look, Read, Request, Transact
from tests.core.doors import ACCEPTED, ADA, AMBIGUOUS, NOT_SENT, REFUSED, House, inside, outside
from tests.core.examples import OWNER, RUN, X, alive, done, ended

POLICY = Policy()


class Stepped(Iterator[Request]):
    """A flow that stops at every yield, until it is stepped."""

    def __init__(self, house: House, flow: Flow[Any]) -> None:
        self._house = house
        self._flow = flow
        self._reply: Any = None
        self.asked: Request | None = None
        self.answer: Any = None

    def __next__(self) -> Request:
        """Do what was asked for last, and return what is asked for next."""
        if self.asked is not None:
            self._reply = driver.perform(self.asked, self._house.store, self._house.engine)
        try:
            self.asked = self._flow.send(self._reply)
        except StopIteration as stop:
            self.answer = stop.value
            raise
        return self.asked


def kinds(flow: Stepped) -> list[type[Request]]:
    """Go on to the end and return what was asked for on the way."""
    return [type(request) for request in flow]


def starting(house: House, person_id: str, *, joined: bool = False) -> Stepped:
    """Begin a start."""
    command = StartRun(person_id=person_id, run_id=RUN, owner=OWNER, inside=False, joined=joined)
    return Stepped(house, flows.start(command, POLICY))


@pytest.fixture
def house() -> House:
    """Return doors to an outside engine, with a credit and a person."""
    made = outside(ACCEPTED, ACCEPTED, ACCEPTED)
    made.granted(1)
    made.added()
    return made


@pytest.fixture
def person_id(house: House) -> str:
    """Return the person's id."""
    (person,) = house.runs.people(OWNER).people
    return person.person_id


def phase(house: House, person_id: str) -> Phase:
    """Return where the person is."""
    found = house.runs.person(person_id)
    assert not isinstance(found, PersonNotFound)
    return found.phase


# --- start -------------------------------------------------------------------------------------------------------


def test_dispatch_is_strictly_between_two_transactions(house: House, person_id: str) -> None:
    """What must survive a crash is committed before a byte leaves; the answer is recorded after it."""
    flow = starting(house, person_id)
    assert isinstance(next(flow), Transact)
    assert house.types(person_id) == ["PersonAdded"]
    assert isinstance(next(flow), Dispatch)
    assert house.types(person_id) == ["PersonAdded", "RunStarted", "AttemptArmed", "CreditsHeld"]
    assert house.engine.requests == []
    assert isinstance(next(flow), Transact)
    assert len(house.engine.requests) == 1
    assert phase(house, person_id) is Phase.DISPATCHING
    assert kinds(flow) == []
    assert flow.answer == Queued(person_id, RUN, 1)
    assert house.types(person_id)[-3:] == ["AttemptAnswered", "RunDispatched", "CreditsCharged"]


def test_a_crash_before_the_bytes_leave_is_recovered(house: House, person_id: str) -> None:
    """The attempt is armed and was never sent: after its lease, recovery sends the next one."""
    flow = starting(house, person_id)
    next(flow)
    next(flow)
    house.clock.pass_(seconds=30)
    again = Stepped(house, flows.recover(person_id, POLICY, sends=True))
    assert kinds(again) == [Read, Look, Transact, Dispatch, Transact]
    assert again.answer == Recovered(person_id, 1, Action.RESENT)
    assert phase(house, person_id) is Phase.QUEUED
    assert house.runs.balance(OWNER).charged == 1


def test_a_crash_before_the_answer_is_recorded_is_recovered(house: House, person_id: str) -> None:
    """The engine has the run and nobody knows: the look finds it, and nothing is sent again."""
    flow = starting(house, person_id)
    next(flow)
    next(flow)
    next(flow)
    house.engine.sightings = (alive("engine-1"),)
    house.clock.pass_(seconds=30)
    again = Stepped(house, flows.recover(person_id, POLICY, sends=True))
    assert kinds(again) == [Read, Look, Transact]
    assert again.answer == Recovered(person_id, 1, Action.ADOPTED)
    assert len(house.engine.requests) == 1


def test_every_attempt_sends_the_same_bytes(house: House, person_id: str) -> None:
    """Token included: the engine's idempotency key protects nothing if the request is another."""
    flow = starting(house, person_id)
    for _ in range(3):
        next(flow)
    house.clock.pass_(seconds=30)
    kinds(Stepped(house, flows.recover(person_id, POLICY, sends=True)))
    first, second = house.engine.requests
    assert first == second
    assert len(first.dispatch_key) == 64


@pytest.mark.parametrize(
    ("outcome", "answer", "cancelled"),
    [
        (ACCEPTED, Queued, []),
        (REFUSED, RolledBack, []),
        (NOT_SENT, RolledBack, []),
        (AMBIGUOUS, Unresolved, []),
        (RuntimeError("broken"), Unresolved, []),
    ],
    ids=["accepted", "refused", "not sent", "ambiguous", "raised"],
)
def test_a_start_is_answered_by_what_its_attempt_came_to(
    house: House, person_id: str, outcome: AttemptOutcome | Exception, answer: type, cancelled: list[str]
) -> None:
    """Accepted: queued. Refused or not sent: rolled back. Ambiguous, or whatever the dispatcher raises: unresolved."""
    house.engine.outcomes = [outcome]
    flow = starting(house, person_id)
    kinds(flow)
    assert type(flow.answer) is answer
    assert house.engine.cancelled == cancelled


def test_a_start_that_is_refused_sends_nothing(house: House, person_id: str) -> None:
    """One transaction, and that is all."""
    first = starting(house, person_id)
    next(first)
    next(first)
    assert kinds(starting(house, person_id)) == [Transact]


def test_a_joined_start_sends_nothing(house: House, person_id: str) -> None:
    """The host has not committed yet; what is sent afterwards is attempt 1."""
    flow = starting(house, person_id, joined=True)
    assert kinds(flow) == [Transact]
    assert flow.answer == Unresolved(person_id, RUN, 1)
    sending = Stepped(house, flows.dispatch(ArmAttempt(run_id=RUN), POLICY))
    assert kinds(sending) == [Transact, Dispatch, Transact]
    assert sending.answer == Queued(person_id, RUN, 1)


def test_a_joined_start_that_is_dispatched_twice_sends_once(house: House, person_id: str) -> None:
    """Whoever asks second is told how the run stands: before the answer, and after it."""
    kinds(starting(house, person_id, joined=True))
    one = Stepped(house, flows.dispatch(ArmAttempt(run_id=RUN), POLICY))
    next(one)
    next(one)
    other = Stepped(house, flows.dispatch(ArmAttempt(run_id=RUN), POLICY))
    assert kinds(other) == [Transact]
    assert other.answer == Unresolved(person_id, RUN, 1)
    kinds(one)
    late = Stepped(house, flows.dispatch(ArmAttempt(run_id=RUN), POLICY))
    assert kinds(late) == [Transact]
    assert late.answer == Queued(person_id, RUN, 1)


def test_a_joined_start_is_looked_for_only_once_something_was_sent(house: House, person_id: str) -> None:
    """Nothing can be seen of what never left."""
    kinds(starting(house, person_id, joined=True))
    again = Stepped(house, flows.recover(person_id, POLICY, sends=True))
    assert kinds(again) == [Read, Transact, Dispatch, Transact]
    assert again.answer == Recovered(person_id, 1, Action.RESENT)


def test_dispatch_of_a_run_that_never_was(house: House) -> None:
    """There is no such run."""
    flow = Stepped(house, flows.dispatch(ArmAttempt(run_id=RUN), POLICY))
    assert kinds(flow) == [Transact]
    assert flow.answer == RunNotFound(RUN)


# --- the answer is that of the state that the second transaction finds -------------------------------------------


def test_a_claim_during_the_dispatch_decides(house: House, person_id: str) -> None:
    """The first of {claim, roll back} to commit wins: the engine's refusal comes too late."""
    house.engine.outcomes = [REFUSED]
    house.engine.meanwhile = lambda request: house.runs.claim(request.run_id, request.run_no, X)
    flow = starting(house, person_id)
    kinds(flow)
    assert flow.answer == Queued(person_id, RUN, 1)
    assert phase(house, person_id) is Phase.EXECUTING


def test_an_erasure_during_the_dispatch_decides(house: House, person_id: str) -> None:
    """The person is gone: 404, nothing charged, and the engine run that was accepted is cancelled."""
    house.engine.meanwhile = lambda _request: house.runs.erase(person_id)
    flow = starting(house, person_id)
    assert kinds(flow) == [Transact, Dispatch, Transact, Cancel]
    assert flow.answer == PersonNotFound(person_id)
    assert house.engine.cancelled == ["engine-1"]
    assert house.runs.balance(OWNER).available == 1


def test_a_whole_run_during_the_dispatch_decides(house: House, person_id: str) -> None:
    """Claimed, complete and refreshed before the engine's own answer: it was queued, and its orphan is cancelled."""
    house.granted(1)

    def work(_request: object) -> None:
        house.engine.meanwhile = None
        house.runs.claim(RUN, 1, X)
        house.runs.complete(RUN, 1, X, {})
        house.runs.mark_stale(person_id)
        assert isinstance(house.runs.start(person_id), Queued)

    house.engine.meanwhile = work
    house.engine.outcomes = [
        AttemptOutcome(result=AttemptResult.ACCEPTED, external_id="engine-2"),
        AttemptOutcome(result=AttemptResult.ACCEPTED, external_id="engine-1"),
    ]
    flow = starting(house, person_id)
    kinds(flow)
    assert flow.answer == Queued(person_id, RUN, 1)
    assert house.engine.cancelled == ["engine-1"]
    assert phase(house, person_id) is Phase.QUEUED


def test_a_deadline_during_the_dispatch_decides(house: House, person_id: str) -> None:
    """Another pass rolled back; the acceptance that comes after it is an orphan."""

    def overdue(_request: object) -> None:
        house.clock.pass_(minutes=10)
        house.runs.recover()

    house.engine.meanwhile = overdue
    flow = starting(house, person_id)
    kinds(flow)
    assert flow.answer == RolledBack(person_id, RUN, 1, "dispatch_deadline")
    assert house.engine.cancelled == ["engine-1"]


# --- create ------------------------------------------------------------------------------------------------------


def test_create_adds_and_starts_in_one_transaction() -> None:
    """Nobody is ever seen idle in between."""
    house = outside(ACCEPTED)
    house.granted(1)
    made = house.runs.create(OWNER, ADA)
    assert isinstance(made, Created)
    assert isinstance(made.start, Queued)
    assert house.types(made.person_id)[:3] == ["PersonAdded", "RunStarted", "AttemptArmed"]


@pytest.mark.parametrize(("outcome", "start"), [(REFUSED, RolledBack), (AMBIGUOUS, Unresolved)], ids=["no", "maybe"])
def test_create_says_what_became_of_the_start(outcome: AttemptOutcome, start: type) -> None:
    """The person is added either way."""
    house = outside(outcome)
    house.granted(1)
    made = house.runs.create(OWNER, ADA)
    assert isinstance(made, Created)
    assert type(made.start) is start


def test_create_of_somebody_who_is_erased_during_the_dispatch() -> None:
    """Not found, like everything after an erasure."""
    house = outside(ACCEPTED)
    house.granted(1)
    house.engine.meanwhile = lambda request: house.runs.erase(request.person_id)
    assert isinstance(house.runs.create(OWNER, ADA), PersonNotFound)


# --- erase -------------------------------------------------------------------------------------------------------


def test_erasing_cancels_what_the_engine_may_still_do(house: House, person_id: str) -> None:
    """After the commit, one request per engine run."""
    kinds(starting(house, person_id))
    house.runs.claim(RUN, 1, X)
    flow = Stepped(house, flows.erase(ErasePerson(person_id=person_id), POLICY))
    assert kinds(flow) == [Transact, Cancel, Cancel]
    assert flow.answer == Erased(person_id, (X, "engine-1"))
    assert house.engine.cancelled == [X, "engine-1"]


def test_erasing_nobody_cancels_nothing(house: House) -> None:
    """There is nobody."""
    flow = Stepped(house, flows.erase(ErasePerson(person_id=RUN), POLICY))
    assert kinds(flow) == [Transact]
    assert flow.answer == PersonNotFound(RUN)


# --- recover -----------------------------------------------------------------------------------------------------


def test_recovery_of_nobody_and_of_somebody_idle(house: House, person_id: str) -> None:
    """What was due may be over by now: nothing is asked, nothing is written."""
    for somebody in (person_id, RUN):
        flow = Stepped(house, flows.recover(somebody, POLICY, sends=True))
        assert kinds(flow) == [Read]
        assert flow.answer == Recovered(somebody, 0, Action.NOTHING)


def test_recovery_asks_with_the_engine_runs_that_are_known(house: House, person_id: str) -> None:
    """Claimed and dispatched, each once."""
    kinds(starting(house, person_id))
    house.runs.claim(RUN, 1, X)
    kinds(Stepped(house, flows.recover(person_id, POLICY, sends=True)))
    assert house.engine.looks == [(X, "engine-1")]


def test_recovery_without_a_dispatcher_asks_nobody(house: House, person_id: str) -> None:
    """A process that only has the store keeps the deadlines."""
    kinds(starting(house, person_id))
    flow = Stepped(house, flows.recover(person_id, POLICY, sends=False))
    assert kinds(flow) == [Read, Transact]
    assert flow.answer == Recovered(person_id, 1, Action.WAITED)


def test_recovery_of_an_embedded_run_asks_no_engine() -> None:
    """There is none."""
    house = inside()
    house.granted(1)
    person_id = house.added()
    house.runs.start(person_id)
    flow = Stepped(house, flows.recover(person_id, POLICY, sends=True))
    assert kinds(flow) == [Read, Transact]


def test_recovery_believes_the_state_of_its_transaction(house: House, person_id: str) -> None:
    """The worker reported between the look and the transaction: what was seen is old news."""
    kinds(starting(house, person_id))
    house.engine.sightings = (ended("engine-1"),)
    flow = Stepped(house, flows.recover(person_id, POLICY, sends=True))
    next(flow)
    next(flow)
    next(flow)
    house.runs.complete(RUN, 1, "engine-1", {})
    assert kinds(flow) == []
    assert flow.answer == Recovered(person_id, 1, Action.NOTHING)
    assert phase(house, person_id) is Phase.COMPLETE


def test_recovery_keeps_a_report_that_the_engine_returned(house: House, person_id: str) -> None:
    """The worker's callback was lost; the output is the report, and its own callback is then a repetition."""
    kinds(starting(house, person_id))
    house.engine.sightings = (done("engine-1", codec.encode_report(RUN, {"found": 1}, None)),)
    flow = Stepped(house, flows.recover(person_id, POLICY, sends=True))
    kinds(flow)
    assert flow.answer == Recovered(person_id, 1, Action.COMPLETED)
    before = house.positions()
    answer = house.runs.complete(RUN, 1, "engine-1", {"found": 1})
    assert str(answer) == f"run 1 of person {person_id} is complete: report 1"
    assert house.positions() == before


def test_a_resend_that_rolls_back_is_still_a_resend(house: House, person_id: str) -> None:
    """What one pass did was to send; what the engine said to it stands in the log."""
    kinds(starting(house, person_id, joined=True))
    house.engine.outcomes = [REFUSED]
    flow = Stepped(house, flows.recover(person_id, POLICY, sends=True))
    kinds(flow)
    assert flow.answer == Recovered(person_id, 1, Action.RESENT)
    assert phase(house, person_id) is Phase.IDLE
