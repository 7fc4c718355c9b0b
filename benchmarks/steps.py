"""One step of the pure core, and what the same step costs with libraries for state machines."""

import time
from collections.abc import Callable
from uuid import uuid4

from attrs import evolve, frozen
from statemachine import State, StateMachine
from transitions import Machine

from benchmarks.rounds import Measured, Settings, paired
from research_fsm import Policy, decide
from research_fsm import person as people
from research_fsm.commands import ClaimRun
from research_fsm.events import PersonAdded, PersonKind, RunDispatched, RunStarted

__all__ = ["steps"]

_STATES = ["idle", "running", "complete", "failed"]
_TABLE = {("queued", "claim"): "executing"}
_REPEATED = 100
"""Steps in one operation: one alone is too short to be timed."""

_OPERATIONS = 100


@frozen
class _State:
    """What a look-up table would lead to."""

    person_id: str
    phase: str
    run_no: int
    claimed_by: str
    deadline: int


def steps(settings: Settings) -> list[Measured]:
    """Compare a claim, decided and evolved, with a look-up and an object, and show two libraries beside it."""
    rows = [
        ("one claim: decide and evolve", _claim(), 1, 3.0),
        ("one trigger of transitions", _with_transitions(), 2, None),
        ("one event of python-statemachine", _with_statemachine(), 2, None),
    ]
    # Nothing waits here, so what others do on this machine need not count.
    few = evolve(settings, operations=min(settings.operations, _OPERATIONS), clock=time.thread_time)
    baseline = _look_up()
    return [
        _of_one_step(
            paired(
                name,
                "a look-up in a dict and one frozen attrs object",
                _repeated(act, _REPEATED // moves),
                _repeated(baseline, _REPEATED),
                few,
                target=target,
                less_is_better=True,
            )
        )
        for name, act, moves, target in rows
    ]


def _of_one_step(measured: Measured) -> Measured:
    return evolve(measured, case_us=measured.case_us / _REPEATED, baseline_us=measured.baseline_us / _REPEATED)


def _repeated(act: Callable[[], object], times: int) -> Callable[[int], None]:
    def run(operations: int) -> None:
        for _ in range(operations * times):
            act()

    return run


def _claim() -> Callable[[], object]:
    policy, run_id, person_id = Policy(), str(uuid4()), str(uuid4())
    history = (
        PersonAdded("acme", PersonKind.USER, "digest"),
        RunStarted(run_id, 1, 1, False, 10**15, None),  # noqa: FBT003  # An event's fields in their order.
        RunDispatched(1, "engine-1", 10**15),
    )
    person = people.fold(people.nobody(person_id), ((event, 1) for event in history))
    command = ClaimRun(run_id=run_id, run_no=1, external_id="engine-1")

    def step() -> object:
        decision = decide.claim(command, person, 2, policy, {})
        return people.evolve(person, decision.events[0], 2)

    return step


def _look_up() -> Callable[[], object]:
    person_id = str(uuid4())

    def step() -> object:
        return _State(person_id, _TABLE["queued", "claim"], 1, "engine-1", 10**15)

    return step


def _with_transitions() -> Callable[[], object]:
    class Model:
        """Something with a state."""

        start: Callable[[], bool]
        stop: Callable[[], bool]

    model = Model()
    machine = Machine(model, states=_STATES, initial="idle", auto_transitions=False)
    machine.add_transition("start", "idle", "running")
    machine.add_transition("stop", "running", "idle")

    def there_and_back() -> object:
        model.start()
        return model.stop()

    return there_and_back


def _with_statemachine() -> Callable[[], object]:
    class Lifecycle(StateMachine):
        """The same two moves."""

        idle = State(initial=True)
        running = State()
        start = idle.to(running)
        stop = running.to(idle)

    machine = Lifecycle()

    def there_and_back() -> object:
        machine.start()
        return machine.stop()

    return there_and_back
