"""The simulated network does to a dispatch what the real adapter would make of it."""

import pytest

from research_fsm.dispatchers.trigger_dev import TriggerDev, TriggerDevSettings
from research_fsm.events import AttemptResult, PersonKind
from research_fsm.requests import DispatchRequest
from research_fsm.testing import ManualClock
from research_fsm.testing.engine import FakeEngine, Fault
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
