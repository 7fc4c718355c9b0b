"""What a rule returns, and the few questions that several rules ask.

Floor 3, pure. It knows states and events; it decides nothing and imports no rule.
"""

from collections.abc import Mapping
from typing import Generic, TypeVar

from attrs import field, frozen

from research_fsm.events import AccountEvent, PersonEvent
from research_fsm.outcomes import StartAnswer
from research_fsm.person import Run
from research_fsm.requests import DispatchRequest

__all__ = ["AnswerRecorded", "Decision", "Send", "engine_runs", "failure_name", "passed", "report_name"]

A_co = TypeVar("A_co", covariant=True)


@frozen(kw_only=True)
class Decision(Generic[A_co]):
    """What a rule decided.

    Args:
        answer: What the caller is told once it is committed.
        events: What happened to the person.
        credits: What happened to the account, of grants alone; the rest follows from `events`.
        documents: Documents to keep, by name.
        lease_until: The new lease of the run's entry in the embedded queue.
        look_again: Whether the time of recovery's next look moves although nothing happened.
        forget: Whether the person's documents go.
    """

    answer: A_co
    events: tuple[PersonEvent, ...] = ()
    credits: tuple[AccountEvent, ...] = ()
    documents: Mapping[str, bytes] = field(factory=dict)
    lease_until: int | None = None
    look_again: bool = False
    forget: bool = False


@frozen
class Send:
    """An attempt is armed: the flow may send this request, once."""

    request: DispatchRequest
    attempt: int


@frozen
class AnswerRecorded:
    """What the caller of the start is told, and the engine run that nobody is waiting for."""

    answer: StartAnswer
    orphan: str | None = None


def report_name(version: int) -> str:
    """Return the name under which a report is kept."""
    return f"report:{version}"


def failure_name(run_no: int) -> str:
    """Return the name under which the free text of a failure is kept."""
    return f"failure:{run_no}"


def engine_runs(run: Run) -> tuple[str, ...]:
    """Return the engine runs that are known to have something to do with a run."""
    known = (run.claimed_by, run.dispatched_as)
    return tuple(dict.fromkeys(external_id for external_id in known if external_id is not None))


def passed(moment: int | None, now: int) -> bool:
    """Tell whether a lease or a deadline, if there is one, is over."""
    return moment is not None and moment <= now
