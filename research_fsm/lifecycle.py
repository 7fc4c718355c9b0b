"""The lifecycle table: which trigger leads from which phase to which. Everything else is derived from it.

Floor 1. The only module that uses `transitions`, and it uses it as a checked table: no model, no callbacks, no
automatic triggers. A trigger here stands for one event; a start with an inside dispatcher is `start` followed by
`confirm` in the same transaction. A `source` of ``none`` is a person nobody has added.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType

from transitions import Machine

from research_fsm.errors import LifecycleError
from research_fsm.events import (
    AttemptAnswered,
    AttemptArmed,
    CallbackRefused,
    HoldEnd,
    PersonAdded,
    PersonErased,
    PersonEvent,
    ReportMarkedStale,
    RunClaimed,
    RunCompleted,
    RunDispatched,
    RunFailed,
    RunRolledBack,
    RunStarted,
)

__all__ = [
    "RUNNING",
    "TABLE",
    "Phase",
    "Row",
    "Status",
    "Trigger",
    "allows",
    "derive",
    "dest",
    "diagram",
    "status",
    "trigger_of",
]


class Phase(StrEnum):
    """Where a person is; the status splits into three phases while it is running."""

    NONE = "none"
    IDLE = "idle"
    DISPATCHING = "dispatching"
    QUEUED = "queued"
    EXECUTING = "executing"
    COMPLETE = "complete"
    FAILED = "failed"
    ERASED = "erased"

    __hash__ = str.__hash__  # It equals a text, and an enum's own hash is slow; each event is looked up by it.


class Status(StrEnum):
    """What the outside sees of a phase."""

    NONE = "none"
    IDLE = "idle"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    ERASED = "erased"


class Trigger(StrEnum):
    """What can happen to a person."""

    ADD = "add"
    START = "start"
    ARM = "arm"
    ANSWER = "answer"
    CONFIRM = "confirm"
    ROLL_BACK = "roll_back"
    CLAIM = "claim"
    TAKE_OVER = "take_over"
    COMPLETE = "complete"
    FAIL_CLAIMED = "fail_claimed"
    FAIL_UNCLAIMED = "fail_unclaimed"
    MARK_STALE = "mark_stale"
    REFUSE_CALLBACK = "refuse_callback"
    ERASE = "erase"

    __hash__ = str.__hash__  # As in Phase.


RUNNING = (Phase.DISPATCHING, Phase.QUEUED, Phase.EXECUTING)
"""The phases of a running person."""

_KNOWN = (Phase.IDLE, *RUNNING, Phase.COMPLETE, Phase.FAILED)

Row = tuple[str, tuple[str, ...], str | None]
"""A trigger, its sources and its dest; a dest of None leaves the phase as it is."""

TABLE: tuple[Row, ...] = (
    (Trigger.ADD, (Phase.NONE,), Phase.IDLE),
    (Trigger.START, (Phase.IDLE, Phase.FAILED), Phase.DISPATCHING),
    (Trigger.ARM, (Phase.DISPATCHING,), None),
    (Trigger.ANSWER, _KNOWN, None),
    (Trigger.CONFIRM, (Phase.DISPATCHING,), Phase.QUEUED),
    (Trigger.ROLL_BACK, (Phase.DISPATCHING,), Phase.IDLE),
    (Trigger.CLAIM, (Phase.DISPATCHING, Phase.QUEUED), Phase.EXECUTING),
    (Trigger.TAKE_OVER, (Phase.EXECUTING,), None),
    (Trigger.COMPLETE, RUNNING, Phase.COMPLETE),
    (Trigger.FAIL_CLAIMED, (Phase.EXECUTING,), Phase.FAILED),
    (Trigger.FAIL_UNCLAIMED, (Phase.DISPATCHING, Phase.QUEUED), Phase.FAILED),
    (Trigger.MARK_STALE, (Phase.COMPLETE,), Phase.IDLE),
    (Trigger.REFUSE_CALLBACK, _KNOWN, None),
    (Trigger.ERASE, _KNOWN, Phase.ERASED),
)


def derive(table: Iterable[Row], phases: Iterable[str] = Phase) -> Mapping[tuple[str, str], str]:
    """Check a lifecycle table and turn it into the look-up ``(phase, trigger) -> phase``.

    Args:
        table: The rows.
        phases: Every phase that a row may name.

    Raises:
        LifecycleError: A row names an unknown phase, or two rows answer the same (phase, trigger). `transitions`
            accepts both in silence.
    """
    known = [str(phase) for phase in phases]
    machine = Machine(model=None, states=known, initial=known[0], auto_transitions=False)
    for trigger, sources, to in table:
        for source in sources:
            machine.add_transition(str(trigger), str(source), str(source if to is None else to))
    lookup: dict[tuple[str, str], str] = {}
    for trigger, event in machine.events.items():
        for source, found in event.transitions.items():
            dests = [str(transition.dest) for transition in found]
            if len(dests) > 1:
                raise LifecycleError(f"{trigger} from {source} leads to {' and to '.join(dests)}: keep one row")
            for name in (source, *dests):
                if name not in known:
                    raise LifecycleError(f"{trigger} from {source} names the unknown phase {name}")
            lookup[source, trigger] = dests[0]
    return MappingProxyType(lookup)


_DEST: Mapping[tuple[Phase, Trigger], Phase] = MappingProxyType(
    {(Phase(source), Trigger(trigger)): Phase(to) for (source, trigger), to in derive(TABLE).items()}
)

_STATUS: Mapping[Phase, Status] = MappingProxyType(
    {phase: Status.RUNNING if phase in RUNNING else Status(phase) for phase in Phase}
)


def allows(phase: Phase, trigger: Trigger) -> bool:
    """Tell whether the table has a row for this trigger in this phase."""
    return (phase, trigger) in _DEST


def dest(phase: Phase, trigger: Trigger) -> Phase:
    """Return the phase that a trigger leads to; one that the table does not allow leaves the phase as it is."""
    return _DEST.get((phase, trigger), phase)


def status(phase: Phase) -> Status:
    """Return the public status of a phase."""
    return _STATUS[phase]


def trigger_of(event: PersonEvent) -> Trigger:
    """Return the trigger that an event is the record of."""
    match event:
        case PersonAdded():
            return Trigger.ADD
        case RunStarted():
            return Trigger.START
        case AttemptArmed():
            return Trigger.ARM
        case AttemptAnswered():
            return Trigger.ANSWER
        case RunDispatched():
            return Trigger.CONFIRM
        case RunRolledBack():
            return Trigger.ROLL_BACK
        case RunClaimed(delivery=delivery):
            return Trigger.TAKE_OVER if delivery > 1 else Trigger.CLAIM
        case RunCompleted():
            return Trigger.COMPLETE
        case RunFailed(hold=hold):
            return Trigger.FAIL_CLAIMED if hold is HoldEnd.KEPT else Trigger.FAIL_UNCLAIMED
        case ReportMarkedStale():
            return Trigger.MARK_STALE
        case CallbackRefused():
            return Trigger.REFUSE_CALLBACK
        case PersonErased():  # The last case.
            return Trigger.ERASE


def diagram() -> str:
    """Draw the table as a Mermaid state diagram, the three phases of a running person inside one box."""
    from transitions.extensions.diagrams_mermaid import NestedGraph
    from transitions.extensions.factory import MachineFactory

    nested = {phase: f"{Status.RUNNING}_{phase}" if phase in RUNNING else str(phase) for phase in Phase}
    machine = MachineFactory.get_predefined(graph=True, nested=True)(
        model=None,
        states=[
            {"name": str(Status.RUNNING), "children": [str(phase) for phase in RUNNING]},
            *(str(phase) for phase in Phase if phase not in RUNNING),
        ],
        transitions=[[str(trigger), nested[source], nested[to]] for (source, trigger), to in _DEST.items()],
        initial=str(Phase.NONE),
        auto_transitions=False,
        graph_engine="mermaid",
    )
    return str(NestedGraph(machine).get_graph().source)
