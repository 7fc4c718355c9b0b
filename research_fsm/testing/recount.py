"""The invariants, counted again from the bare events: no state of ours, no fold, no rule takes part.

Floor 6. Reads JSON and names alone, event by event, so that following a store after every step stays cheap. Where
`audit.verify` asks whether a log is one that the rules would have written, this counts runs and credits as an
accountant would who has only the log.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import Factory, define
from msgspec.json import Decoder

from research_fsm.laws.catalog import (
    CHARGED_IF_EXECUTED,
    CREDITS_FOLLOW_RUNS,
    NEVER_OVERDRAWN,
    ONE_AT_WORK,
    ONE_HOLD_PER_RUN,
    ONE_OPEN_RUN,
    ONLY_THE_CLAIMER_ENDS,
    REFUSAL_IS_PROOF,
    REPORTS_COUNT_UP,
    STALE_CHANGES_NOTHING,
    UNCLAIMED_IS_REFUNDED,
    WAY_OUT,
)
from research_fsm.storage import Reader, RecordedEvent

__all__ = ["CountedRun", "Life", "Recount"]

_OPEN, _OVER = "open", "over"

_read = Decoder[dict[str, Any]](dict[str, Any]).decode


@define
class CountedRun:
    """A run as counted so far, from its events and from its account's."""

    run_id: str
    cost: int
    state: str = _OPEN
    attempts: set[int] = Factory(set)
    armed: int = 0
    confirmed: bool = False
    dispatched_as: str | None = None
    claimed_by: str | None = None
    delivery: int = 0
    credits: list[str] = Factory(list)
    ended: str = ""
    ended_by: str = ""


@define
class Life:
    """A person as counted so far.

    Args:
        owner: Whose they are.
        runs: By run_no.
        erased: Whether they are.
        reports: Their reports.
    """

    owner: str
    runs: dict[int, CountedRun] = Factory(dict)
    erased: bool = False
    reports: int = 0

    @property
    def open_run(self) -> int | None:
        """The run that is open."""
        return next((number for number, run in self.runs.items() if run.state == _OPEN), None)


class Recount:
    """Follows a log and says what is wrong with it, each word beginning with the invariant's number."""

    def __init__(self) -> None:
        self.people: dict[str, Life] = {}
        self.available: dict[str, int] = {}
        self.held: dict[str, int] = {}
        self.granted = 0
        self.spent = 0
        self._position = 0
        self._run_ids: set[str] = set()

    def follow(self, reader: Reader) -> list[str]:
        """Count what was recorded since the last time, and return what is wrong with it."""
        wrong: list[str] = []
        touched: set[str] = set()
        for event in reader.events(after=self._position):
            self._position = event.position
            kind, _, name = event.stream.partition(":")
            data = _read(event.data)
            found = self._lived(name, event, data) if kind == "person" else self._booked(name, event, data)
            wrong.extend(f"{words} ({event.stream} version {event.version}, {event.type})" for words in found)
            touched.add(name if kind == "person" else data.get("person_id", ""))
        for person_id in touched & self.people.keys():
            wrong.extend(f"{words} (person {person_id})" for words in _settled(self.people[person_id]))
        if self.granted != self.spent + sum(self.available.values()) + sum(self.held.values()):
            wrong.append(f"{CHARGED_IF_EXECUTED}: {self.granted} credits were granted, {self.spent} are spent")
        return wrong

    # --- people ---

    def _lived(self, person_id: str, event: RecordedEvent, data: Mapping[str, Any]) -> Iterator[str]:
        if event.type == "PersonAdded":
            if person_id in self.people:
                yield f"{ONE_OPEN_RUN}: a person was added twice"
            self.people[person_id] = Life(data["owner"])
            return
        life = self.people[person_id]
        if life.erased:
            yield f"{STALE_CHANGES_NOTHING}: something happened to an erased person"
        match event.type:
            case "RunStarted":
                yield from self._started(life, data, event.at)
            case "ReportMarkedStale" | "CallbackRefused":
                return
            case "PersonErased":
                life.erased = True
                if life.open_run is not None:
                    _end(life.runs[life.open_run], event.type)
            case "AttemptAnswered":
                run = life.runs.get(data["run_no"])
                if run is not None and data["result"] != "ambiguous":
                    run.attempts.discard(data["attempt"])
            case _ if data["run_no"] != life.open_run:
                yield f"{ONE_OPEN_RUN}: run {data['run_no']} is not the open one, {life.open_run}"
            case _:
                yield from _ran(life, life.runs[data["run_no"]], event, data)

    def _started(self, life: Life, data: Mapping[str, Any], at: int) -> Iterator[str]:
        if life.open_run is not None:
            yield f"{ONE_OPEN_RUN}: run {data['run_no']} began while run {life.open_run} was open"
        if data["run_no"] != len(life.runs) + 1:
            yield f"{REFUSAL_IS_PROOF}: run {data['run_no']} follows {len(life.runs)} runs"
        if data["run_id"] in self._run_ids:
            yield f"{ONE_OPEN_RUN}: a run_id was used again"
        if not data["inside"] and (data["deadline"] is None or data["deadline"] <= at):
            yield f"{WAY_OUT}: a dispatch without a deadline"
        self._run_ids.add(data["run_id"])
        life.runs[data["run_no"]] = CountedRun(data["run_id"], data["cost"])

    # --- credits ---

    def _booked(self, owner: str, event: RecordedEvent, data: Mapping[str, Any]) -> Iterator[str]:
        amount = data["amount"]
        available, held = _MOVES[event.type]
        self.available[owner] = self.available.get(owner, 0) + available * amount
        self.held[owner] = self.held.get(owner, 0) + held * amount
        if self.available[owner] < 0 or self.held[owner] < 0:
            yield f"{NEVER_OVERDRAWN}: {self.available[owner]} credits are available, {self.held[owner]} are held"
        if event.type in ("CreditsGranted", "CreditsRevoked"):
            self.granted += available * amount
            return
        self.spent -= (available + held) * amount
        life = self.people.get(data["person_id"])
        run = None if life is None else life.runs.get(data["run_no"])
        if life is None or run is None or life.owner != owner:
            yield f"{CREDITS_FOLLOW_RUNS}: credits of a run that this account never started"
            return
        if run.cost != amount or run.run_id != data["run_id"]:
            yield f"{CREDITS_FOLLOW_RUNS}: {amount} credits of a run that costs {run.cost}"
        before = run.credits[-1] if run.credits else ""
        run.credits.append(event.type)
        if before not in _AFTER[event.type]:
            yield f"{ONE_HOLD_PER_RUN}: {event.type} after {before or 'nothing'}"


_MOVES: Mapping[str, tuple[int, int]] = {
    "CreditsGranted": (1, 0),
    "CreditsRevoked": (-1, 0),
    "CreditsHeld": (-1, 1),
    "CreditsCharged": (0, -1),
    "CreditsReleased": (1, -1),
    "CreditsRefunded": (1, 0),
}
"""What an event moves into what is available, and into what is held."""

_AFTER: Mapping[str, tuple[str, ...]] = {
    "CreditsHeld": ("",),
    "CreditsCharged": ("CreditsHeld",),
    "CreditsReleased": ("CreditsHeld",),
    "CreditsRefunded": ("CreditsCharged",),
}


def _end(run: CountedRun, how: str) -> None:
    run.state, run.ended = _OVER, how


def _ran(life: Life, run: CountedRun, event: RecordedEvent, data: Mapping[str, Any]) -> Iterator[str]:
    """Follow what happened to the open run."""
    match event.type:
        case "AttemptArmed":
            if run.confirmed or run.claimed_by is not None:
                yield f"{REFUSAL_IS_PROOF}: an attempt after the engine had the run"
            if data["attempt"] != run.armed + 1:
                yield f"{REFUSAL_IS_PROOF}: attempt {data['attempt']} follows attempt {run.armed}"
            run.armed = max(run.armed, data["attempt"])
            run.attempts.add(data["attempt"])
        case "RunDispatched":
            if run.confirmed or run.claimed_by is not None:
                yield f"{ONE_HOLD_PER_RUN}: confirmed twice"
            if data["external_id"] is not None and (data["deadline"] or 0) <= event.at:
                yield f"{WAY_OUT}: queued at the engine without a deadline"
            run.confirmed, run.dispatched_as = True, data["external_id"]
        case "RunClaimed":
            yield from _claimed(run, event, data)
        case "RunRolledBack":
            if run.claimed_by is not None or run.confirmed:
                yield f"{CHARGED_IF_EXECUTED}: a run that the engine had was rolled back"
            if run.attempts and data["reason"] != "dispatch_deadline":
                yield f"{REFUSAL_IS_PROOF}: rolled back while attempts {run.attempts} are open"
            _end(run, event.type)
            run.ended_by = data["reason"]
        case _:
            yield from _ended(life, run, event, data)


def _ended(life: Life, run: CountedRun, event: RecordedEvent, data: Mapping[str, Any]) -> Iterator[str]:
    if data["external_id"] is not None and run.claimed_by not in (None, data["external_id"]):
        yield f"{ONLY_THE_CLAIMER_ENDS}: ended by {data['external_id']}, claimed by {run.claimed_by}"
    if event.type == "RunCompleted":
        life.reports += 1
        run.claimed_by = run.claimed_by or data["external_id"]
        if data["report_version"] != life.reports:
            yield f"{REPORTS_COUNT_UP}: report {data['report_version']} is the {life.reports}. one"
    _end(run, event.type)


def _claimed(run: CountedRun, event: RecordedEvent, data: Mapping[str, Any]) -> Iterator[str]:
    next_delivery = run.delivery > 0 and data["delivery"] == run.delivery + 1
    if run.claimed_by is not None and not next_delivery:
        yield f"{ONE_AT_WORK}: claimed by {data['external_id']} and by {run.claimed_by}"
    if data["deadline"] <= event.at:
        yield f"{WAY_OUT}: executed without a deadline"
    run.claimed_by, run.delivery = data["external_id"], data["delivery"]


def _settled(life: Life) -> Iterator[str]:
    """Compare what a person's latest run came to with what its credits came to."""
    if not life.runs:
        return
    number, run = max(life.runs.items())
    last = run.credits[-1] if run.credits else "nothing"
    if run.state == _OPEN:
        expected = "CreditsCharged" if run.confirmed or run.claimed_by is not None else "CreditsHeld"
    elif run.ended == "RunCompleted" or (run.ended == "RunFailed" and run.claimed_by is not None):
        expected = "CreditsCharged"
    elif run.ended == "PersonErased":
        expected = "CreditsCharged" if "CreditsCharged" in run.credits else "CreditsReleased"
    else:
        expected = "CreditsRefunded" if "CreditsCharged" in run.credits else "CreditsReleased"
    if run.ended == "RunRolledBack":
        expected = "CreditsReleased"
    if last != expected:
        law = UNCLAIMED_IS_REFUNDED if expected == "CreditsRefunded" else CHARGED_IF_EXECUTED
        yield f"{law}: run {number} is {run.ended or _OPEN}, its credits ended with {last}, not {expected}"
