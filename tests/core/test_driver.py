"""What the driver makes of a dispatcher that raises: nothing is concluded, and it is logged."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from research_fsm import driver, requests
from research_fsm.commands import Sighting
from research_fsm.events import AttemptResult
from research_fsm.requests import AttemptOutcome, Cancel, Dispatch, DispatchRequest, Flow, Look, Read
from research_fsm.storage import Query, View, Write
from research_fsm.stores.memory import MemoryStore
from research_fsm.tokens import callback_token
from tests.core.doors import ACCEPTED, ScriptedEngine
from tests.core.examples import REQUEST, RUN, X, alive

BROKEN = RuntimeError("the engine's client is broken")


@pytest.fixture
def store() -> MemoryStore:
    """Return an empty store."""
    return MemoryStore()


def test_a_request_is_sent_with_the_callback_token_of_its_run(store: MemoryStore) -> None:
    """The token is derived from the store's secret, and the flow never sees it."""
    engine = ScriptedEngine([ACCEPTED])
    assert driver.perform(Dispatch(REQUEST), store, engine) == ACCEPTED
    assert [request.token for request in engine.requests] == [callback_token(store.secret, RUN, 1)]


def test_a_dispatcher_that_raises_is_ambiguous(store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it raised, the engine may have the run."""
    outcome = driver.perform(Dispatch(REQUEST), store, ScriptedEngine([BROKEN]))
    assert outcome == AttemptOutcome(result=AttemptResult.AMBIGUOUS, reason="dispatcher_raised")
    assert f"whether run {RUN} was queued is not known" in caplog.text
    assert "the engine's client is broken" in caplog.text


def test_a_dispatcher_that_is_interrupted_is_not_caught(store: MemoryStore) -> None:
    """Whoever presses the keys means the program; the attempt stays open for recovery."""

    class Interrupted(ScriptedEngine):
        def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
            raise KeyboardInterrupt(request.run_id)

    with pytest.raises(KeyboardInterrupt):
        driver.perform(Dispatch(REQUEST), store, Interrupted())


def test_without_a_dispatcher_nothing_is_sent(store: MemoryStore) -> None:
    """Provably: there is nobody who could have."""
    outcome = driver.perform(Dispatch(REQUEST), store, None)
    assert outcome == AttemptOutcome(result=AttemptResult.NOT_SENT, reason="no_dispatcher")


def test_a_look_is_handed_on(store: MemoryStore) -> None:
    """With the engine runs that are known of."""
    engine = ScriptedEngine(sightings=(alive(),))
    assert driver.perform(Look(REQUEST, (X,)), store, engine) == (alive(),)
    assert engine.looks == [(X,)]


def test_a_look_that_raises_is_no_news(store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    """That the engine could not be asked proves nothing."""
    assert driver.perform(Look(REQUEST, ()), store, ScriptedEngine(sightings=BROKEN)) == ()
    assert f"the engine could not be asked about run {RUN}" in caplog.text


def test_a_look_that_is_a_generator_is_exhausted_outside_of_any_transaction(store: MemoryStore) -> None:
    """What it raises while it is gone through is no news either."""

    class Lazy(ScriptedEngine):
        def look(self, request: DispatchRequest, external_ids: tuple[str, ...]) -> tuple[Sighting, ...]:
            del request, external_ids
            return self.found()  # type: ignore[return-value]  # An embedder without a type checker writes this.

        def found(self) -> Iterator[Sighting]:
            yield alive()
            raise BROKEN

    assert driver.perform(Look(REQUEST, ()), store, Lazy()) == ()


def test_without_a_dispatcher_nothing_is_seen_and_nothing_cancelled(store: MemoryStore) -> None:
    """There is nobody to ask."""
    assert driver.perform(Look(REQUEST, ()), store, None) == ()
    assert driver.perform(Cancel(X), store, None) is None


def test_a_cancellation_is_handed_on(store: MemoryStore) -> None:
    """Once."""
    engine = ScriptedEngine()
    assert driver.perform(Cancel(X), store, engine) is None
    assert engine.cancelled == [X]


def test_a_cancellation_that_raises_is_passed_over(store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    """The engine run's callbacks will be stale anyway."""
    engine = ScriptedEngine(cancelling=BROKEN)
    assert driver.perform(Cancel(X), store, engine) is None
    assert f"the engine run {X} could not be cancelled" in caplog.text


def test_the_log_names_no_person(store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    """A token is a secret and a profile is personal data: neither is ever logged."""
    caplog.set_level(logging.DEBUG)
    driver.perform(Dispatch(REQUEST), store, ScriptedEngine([BROKEN]))
    assert callback_token(store.secret, RUN, 1) not in caplog.text
    assert callback_token(store.secret, RUN, 1) not in repr(REQUEST)


def test_a_flow_is_driven_to_its_answer(store: MemoryStore) -> None:
    """Every request is answered in turn."""

    def flow() -> Flow[str]:
        view: View = yield from requests.read(lambda reader: reader.read(Query()))
        word = yield from requests.transact(Query(), lambda _view, _now: Write(answer="done"))
        sent = yield from requests.dispatch(REQUEST)
        seen = yield from requests.look(REQUEST, ())
        yield from requests.cancel(X)
        return f"{word} {len(view.heads)} {sent.result} {len(seen)}"

    engine = ScriptedEngine([ACCEPTED], sightings=(alive(),))
    assert driver.drive(flow(), store, engine) == "done 0 accepted 1"
    assert engine.cancelled == [X]


def test_a_flow_that_asks_for_nothing_is_answered_at_once(store: MemoryStore) -> None:
    """A generator may return before its first yield."""

    def flow() -> Flow[int]:
        if store.secret == b"":
            yield Read(lambda reader: reader.read(Query()))
        return 7

    assert driver.drive(flow(), store) == 7


def test_an_error_of_the_store_reaches_the_caller(store: MemoryStore) -> None:
    """It is not the dispatcher's, and nothing is concluded from it."""
    store.close()

    def flow() -> Flow[View]:
        return (yield from requests.read(lambda reader: reader.read(Query())))

    with pytest.raises(Exception, match="the store was closed"):
        driver.drive(flow(), store)


def test_a_store_that_runs_out_of_something_answers_nothing(store: MemoryStore) -> None:
    """A bare `next` in somebody's store raises what a flow ends with: it is no answer, and nobody waits for ever."""

    def out_of_rows(_: object) -> Flow[int]:
        raise StopIteration(7)

    with pytest.raises(StopIteration):
        driver.drive(requests.read(out_of_rows), store)
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        asyncio.run(asyncio.wait_for(driver.drive_async(requests.read(out_of_rows), store), 30))
