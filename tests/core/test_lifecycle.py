"""The lifecycle table: every phase with every trigger, written out; mutation testers leave module tables alone."""

import re

import pytest

from research_fsm import lifecycle
from research_fsm.errors import LifecycleError
from research_fsm.events import (
    AttemptAnswered,
    AttemptArmed,
    AttemptResult,
    CallbackKind,
    CallbackRefused,
    FailReason,
    HoldEnd,
    PersonAdded,
    PersonErased,
    PersonEvent,
    PersonKind,
    ReportMarkedStale,
    RollBackReason,
    RunClaimed,
    RunCompleted,
    RunDispatched,
    RunFailed,
    RunRolledBack,
    RunStarted,
    StaleReason,
)
from research_fsm.lifecycle import Phase, Row, Status, Trigger

# One line per phase, one column per trigger, in the order of COLUMNS. A dot: the table has no such row.
COLUMNS = [
    "add",
    "start",
    "arm",
    "answer",
    "confirm",
    "roll_back",
    "claim",
    "take_over",
    "complete",
    "fail_claimed",
    "fail_unclaimed",
    "mark_stale",
    "refuse_callback",
    "erase",
]
GOLDEN = {
    "none": "idle . . . . . . . . . . . . .",
    "idle": ". dispatching . idle . . . . . . . . idle erased",
    "dispatching": (". . dispatching dispatching queued idle executing . complete . failed . dispatching erased"),
    "queued": ". . . queued . . executing . complete . failed . queued erased",
    "executing": ". . . executing . . . executing complete failed . . executing erased",
    "complete": ". . . complete . . . . . . . idle complete erased",
    "failed": ". dispatching . failed . . . . . . . . failed erased",
    "erased": ". . . . . . . . . . . . . .",
}
CELLS = [
    (phase, trigger, cell)
    for phase, line in GOLDEN.items()
    for trigger, cell in zip(COLUMNS, line.split(), strict=True)
]


def test_the_golden_table_names_every_phase_and_every_trigger() -> None:
    """A new phase or trigger has to be written down here as well."""
    assert list(GOLDEN) == [str(phase) for phase in Phase]
    assert [str(trigger) for trigger in Trigger] == COLUMNS


@pytest.mark.parametrize(("phase", "trigger", "cell"), CELLS)
def test_every_phase_with_every_trigger(phase: str, trigger: str, cell: str) -> None:
    """The look-up that the code uses agrees with the golden table; what it does not allow leaves the phase."""
    allowed = cell != "."
    assert lifecycle.allows(Phase(phase), Trigger(trigger)) is allowed
    assert lifecycle.dest(Phase(phase), Trigger(trigger)) == (cell if allowed else phase)


@pytest.mark.parametrize(
    ("phase", "status"),
    [
        ("none", "none"),
        ("idle", "idle"),
        ("dispatching", "running"),
        ("queued", "running"),
        ("executing", "running"),
        ("complete", "complete"),
        ("failed", "failed"),
        ("erased", "erased"),
    ],
)
def test_the_three_phases_of_a_run_are_one_status(phase: str, status: str) -> None:
    """Outside, a person is running; which of the three it is, is the phase."""
    assert lifecycle.status(Phase(phase)) is Status(status)


RUN = "00000000-0000-4000-8000-0000000000a1"
TRIGGERS: list[tuple[PersonEvent, str]] = [
    (PersonAdded("acme", PersonKind.USER, "digest"), "add"),
    (RunStarted(RUN, 1, 1, inside=False, deadline=1, request_digest=None), "start"),
    (AttemptArmed(1, 1, 1), "arm"),
    (AttemptAnswered(1, 1, AttemptResult.REFUSED, None, orphan=False, reason=""), "answer"),
    (RunDispatched(1, "x", 1), "confirm"),
    (RunRolledBack(1, RollBackReason.REFUSED), "roll_back"),
    (RunClaimed(1, "x", 0, 1), "claim"),
    (RunClaimed(1, "x", 1, 1), "claim"),
    (RunClaimed(1, "x", 2, 1), "take_over"),
    (RunCompleted(1, "x", 1, "digest"), "complete"),
    (RunFailed(1, "x", FailReason.NO_OUTPUT, None, HoldEnd.KEPT), "fail_claimed"),
    (RunFailed(1, "x", FailReason.NO_OUTPUT, None, HoldEnd.RELEASED), "fail_unclaimed"),
    (RunFailed(1, "x", FailReason.NO_OUTPUT, None, HoldEnd.REFUNDED), "fail_unclaimed"),
    (ReportMarkedStale(StaleReason.AGE), "mark_stale"),
    (CallbackRefused(1, CallbackKind.CLAIM, "x"), "refuse_callback"),
    (PersonErased(None), "erase"),
]


@pytest.mark.parametrize(("event", "trigger"), TRIGGERS)
def test_every_event_is_the_record_of_one_trigger(event: PersonEvent, trigger: str) -> None:
    """A second delivery is a take-over, and how the hold ends tells the two failures apart."""
    assert lifecycle.trigger_of(event) is Trigger(trigger)


def test_every_trigger_has_an_event() -> None:
    """A trigger that nothing records could not be replayed."""
    assert {trigger for _, trigger in TRIGGERS} == set(COLUMNS)


# --- the check of a table ----------------------------------------------------------------------------------------


def test_a_table_becomes_a_look_up() -> None:
    """A dest of None leaves the phase as it is."""
    rows: tuple[Row, ...] = (("go", ("off",), "on"), ("stay", ("off", "on"), None))
    assert lifecycle.derive(rows, ("off", "on")) == {
        ("off", "go"): "on",
        ("off", "stay"): "off",
        ("on", "stay"): "on",
    }


def test_two_rows_for_one_phase_and_trigger_are_refused() -> None:
    """`transitions` takes the first in silence."""
    rows: tuple[Row, ...] = (("go", ("off",), "on"), ("go", ("off",), "off"))
    with pytest.raises(LifecycleError, match="go from off leads to on and to off"):
        lifecycle.derive(rows, ("off", "on"))


def test_the_same_row_twice_is_refused() -> None:
    """Also when both say the same: one of them is a mistake."""
    rows: tuple[Row, ...] = (("go", ("off", "off"), "on"),)
    with pytest.raises(LifecycleError, match="keep one row"):
        lifecycle.derive(rows, ("off", "on"))


@pytest.mark.parametrize("row", [("go", ("off",), "om"), ("go", ("om",), "off"), ("go", ("om",), None)])
def test_an_unknown_phase_is_refused(row: Row) -> None:
    """`transitions` accepts a mistyped phase in silence."""
    with pytest.raises(LifecycleError, match="names the unknown phase om"):
        lifecycle.derive((row,), ("off", "on"))


def test_the_look_up_cannot_be_changed() -> None:
    """It is read by every thread."""
    derived = lifecycle.derive((("go", ("off",), "on"),), ("off", "on"))
    with pytest.raises(TypeError):
        derived["on", "go"] = "off"  # type: ignore[index]  # That is the point.


# --- the diagram -------------------------------------------------------------------------------------------------


def test_the_diagram_shows_every_row() -> None:
    """What is drawn is what the code uses: every cell of the golden table is an arrow, and there is no other."""
    drawn = set()
    for source, to, triggers in re.findall(r"^\s*(\w+) --> (\w+): (.+)$", lifecycle.diagram(), re.MULTILINE):
        drawn |= {(source, trigger.strip(), to) for trigger in triggers.split("|")}
    boxed = {phase: f"running_{phase}" for phase in ("dispatching", "queued", "executing")}
    expected = {
        (boxed.get(phase, phase), trigger, boxed.get(cell, cell)) for phase, trigger, cell in CELLS if cell != "."
    }
    assert drawn == expected


def test_the_diagram_nests_the_phases_of_a_running_person() -> None:
    """One box, "running", with the three phases inside."""
    box = re.search(r"state running \{(.*?)\n  \}", lifecycle.diagram(), re.DOTALL)
    assert box is not None
    assert re.findall(r'state "(\w+)"', box.group(1)) == ["dispatching", "queued", "executing"]


def test_the_diagram_begins_with_nobody() -> None:
    """The arrow from the start leads to the phase before a person's first event."""
    assert "[*] --> none" in lifecycle.diagram()
