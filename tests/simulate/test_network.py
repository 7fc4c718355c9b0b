"""The simulated network does to a dispatch what the real adapter would make of it."""

import pytest
from attrs import evolve

from research_fsm.dispatchers.trigger_dev import TriggerDev, TriggerDevSettings
from research_fsm.events import AttemptResult, PersonKind
from research_fsm.requests import DispatchRequest
from research_fsm.testing import ManualClock
from research_fsm.testing.engine import FakeEngine, Fault, Status
from research_fsm.testing.engine_http import transport
from research_fsm.testing.simulate.network import Network
from research_fsm.testing.simulate.words import DISPATCH_FATES, RESULTS, Fate

REQUEST = DispatchRequest("person", "00000000-0000-4000-8000-000000000001", 1, PersonKind.USER, "k" * 64)


@pytest.mark.parametrize("fault", Fault)
def test_a_fault_comes_to_what_the_adapter_says(fault: Fault) -> None:
    """Every fault of the fake engine: the same result, and as many runs at the engine."""
    clock = ManualClock()
    engine, network = FakeEngine(clock), Network(clock)
    engine.script(fault)
    settings = TriggerDevSettings(secret_key=engine.secret_key, public_url="https://me.example/api")
    real = TriggerDev(settings, transport=transport(engine)).dispatch(REQUEST)
    simulated = network.send("c1", REQUEST, str(fault))
    assert simulated.result is real.result is RESULTS[fault]
    assert len(network.engine.runs) == len(engine.runs)
    assert [run.queued for run in network.engine.runs] == [run.queued for run in engine.runs]
    assert (simulated.retry_at is None) == (real.retry_at is None)


def test_every_fault_can_happen() -> None:
    """None of the fake engine's is left out."""
    assert set(DISPATCH_FATES) == {*(str(fault) for fault in Fault if fault is not Fault.NONE), str(Fate.RAISES)}


def test_a_dispatcher_that_raises_is_ambiguous_and_nothing_is_taken() -> None:
    """As the driver has it."""
    network = Network(ManualClock())
    assert network.send("c1", REQUEST, Fate.RAISES).result is AttemptResult.AMBIGUOUS
    assert list(network.engine.runs) == []
    assert network.has(REQUEST.run_id)
    network.answered(REQUEST.run_id)
    assert not network.has(REQUEST.run_id)


def test_a_lost_request_may_arrive_late() -> None:
    """It makes the run that its key makes, under a name that its sender gives it."""
    network = Network(ManualClock())
    network.send("c1", REQUEST, Fault.REQUEST_LOST)
    network.answered(REQUEST.run_id)
    assert network.has(REQUEST.run_id)
    network.late["late_c1_1"].arrive()
    assert [run.external_id for run in network.engine.runs] == ["run_c1_1"]
    assert not network.late


@pytest.mark.parametrize("status", [Status.QUEUED, *(status for status in Status if status.final)])
def test_the_engine_shows_what_the_adapter_sees(status: Status) -> None:
    """Of a run that waits, and of every end, with an output of this very run and with none."""
    clock = ManualClock()
    engine, network = FakeEngine(clock), Network(clock)
    settings = TriggerDevSettings(secret_key=engine.secret_key, public_url="https://me.example/api")
    adapter = TriggerDev(settings, transport=transport(engine))
    for output in (False, True) if status is Status.COMPLETED else (False,):
        theirs, ours = adapter.dispatch(REQUEST).external_id, network.send("c1", REQUEST, Fate.DONE).external_id
        assert theirs is not None
        assert ours is not None
        if output:
            theirs, ours = engine.replay(theirs), network.replay(ours)
            told = {"run_id": REQUEST.run_id, "run_no": REQUEST.run_no, "content": "found"}
            engine.end(theirs, status, told)
            network.engine.end(ours, status, "found")
        elif status.final:
            engine.end(theirs, status)
            network.engine.end(ours, status)
        seen = [one for one in adapter.look(REQUEST, (theirs,)) if one.external_id == theirs]
        shown = [one for one in network.look(REQUEST, (ours,), Fate.DONE) if one.external_id == ours]
        assert [(one.state, one.report) for one in seen] == [(one.state, one.report) for one in shown]
        assert len(seen) == 1


def test_a_look_may_see_less_and_never_more() -> None:
    """Nothing, or only what is known by its id; a request that is another run's is not shown."""
    network = Network(ManualClock())
    external_id = network.send("c1", REQUEST, Fate.DONE).external_id
    assert external_id is not None
    assert network.look(REQUEST, (), Fate.BLIND) == network.look(REQUEST, (), Fate.RAISES) == ()
    assert network.look(REQUEST, (), Fate.LAGGING) == ()
    assert len(network.look(REQUEST, (external_id,), Fate.LAGGING)) == 1
    assert network.look(evolve(REQUEST, run_id="another"), (external_id,), Fate.DONE) == ()
