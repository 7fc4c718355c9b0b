"""The words of a simulated world: what its schedule is written in, and everything that can go wrong.

Floor 6. A part of `simulate`. A schedule is lines of words, so that a failure is a text: it can be
read, made smaller line by line, and pasted into a test. A line that has no sense in the world it meets does nothing,
which is what lets lines be left out.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType

from research_fsm.events import AttemptResult
from research_fsm.testing.engine_words import Fault

__all__ = ["CALLBACK_FATES", "DISPATCH_FATES", "LOOK_FATES", "RESULTS", "STORE_FATES", "Fate", "Step", "lines", "steps"]

Step = tuple[str, ...]
"""One line of a schedule: a verb and what it is about."""


class Fate(StrEnum):
    """How one step goes, where it is not a dispatch: those have the engine's faults."""

    DONE = "done"
    """As it should."""
    BUSY = "busy"
    """The commit fails, after the rule was decided; nothing is written."""
    UNKNOWN = "unknown"
    """The commit is done, and its acknowledgement is lost."""
    DECIDED_TWICE = "decided-twice"
    """The rule is decided, its transaction aborted, and decided again."""
    LOST = "lost"
    """A message never arrives."""
    UNANSWERED = "unanswered"
    """A message arrives, and its answer does not."""
    DOUBLED = "doubled"
    """A message arrives, and a copy of it will arrive once more."""
    BLIND = "blind"
    """The engine cannot be asked, or shows nothing."""
    LAGGING = "lagging"
    """The engine's list lags: it shows only runs that are known by their id."""
    RAISES = "raises"
    """The dispatcher raises; the engine took nothing."""


STORE_FATES = (Fate.BUSY, Fate.UNKNOWN, Fate.DECIDED_TWICE)
"""What can go wrong with a transaction."""

CALLBACK_FATES = (*STORE_FATES, Fate.LOST, Fate.UNANSWERED, Fate.DOUBLED)
"""What can go wrong with a callback: with its transaction, and on the way."""

LOOK_FATES = (Fate.BLIND, Fate.LAGGING, Fate.RAISES)
"""What can go wrong when the engine is asked."""

RESULTS: Mapping[Fault, AttemptResult] = MappingProxyType(
    {
        Fault.NONE: AttemptResult.ACCEPTED,
        Fault.TWICE: AttemptResult.ACCEPTED,
        Fault.UNREACHABLE: AttemptResult.NOT_SENT,
        Fault.UNAUTHORIZED: AttemptResult.REFUSED,
        Fault.OUT_OF_CREDITS: AttemptResult.REFUSED,
        Fault.RATE_LIMITED: AttemptResult.REFUSED,
        Fault.MOVED: AttemptResult.REFUSED,
        Fault.REQUEST_LOST: AttemptResult.AMBIGUOUS,
        Fault.ANSWER_LOST: AttemptResult.AMBIGUOUS,
        Fault.SLOW: AttemptResult.AMBIGUOUS,
        Fault.GARBAGE: AttemptResult.AMBIGUOUS,
        Fault.NO_ID: AttemptResult.AMBIGUOUS,
        Fault.CREATED_THEN_500: AttemptResult.AMBIGUOUS,
        Fault.GATEWAY_TIMEOUT: AttemptResult.AMBIGUOUS,
        Fault.UNAVAILABLE: AttemptResult.AMBIGUOUS,
        Fault.CONFLICT: AttemptResult.AMBIGUOUS,
    }
)
"""What a trigger comes to under each fault; a test holds it against the real adapter."""

DISPATCH_FATES: tuple[str, ...] = (*(str(fault) for fault in Fault if fault is not Fault.NONE), str(Fate.RAISES))
"""What can go wrong with a dispatch."""


def lines(schedule: Iterable[Step]) -> str:
    """Return a schedule as text, a step per line."""
    return "\n".join(" ".join(step) for step in schedule)


def steps(text: str) -> tuple[Step, ...]:
    """Return the schedule that a text is; blank lines and what stands behind a ``#`` are passed over."""
    found = (tuple(line.partition("#")[0].split()) for line in text.splitlines())
    return tuple(step for step in found if step)
