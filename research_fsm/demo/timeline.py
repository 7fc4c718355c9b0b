"""One person's history with the seconds that it took: what happened, when, and what it meant for the credits.

Floor 6. Pure. The sentences are those of `research_fsm.timeline`.
"""

from collections.abc import Iterable

from attrs import frozen

from research_fsm.storage import RecordedEvent
from research_fsm.timeline import credits_in_words, in_words

__all__ = ["Line", "lines"]

_MICROSECONDS = 1_000_000


@frozen
class Line:
    """One line of a timeline.

    Args:
        seconds: Since the first event.
        name: The event's name.
        is_credit: Whether it is the account's.
        words: What happened.
    """

    seconds: float
    name: str
    is_credit: bool
    words: str


def lines(history: Iterable[RecordedEvent]) -> list[Line]:
    """Return a history as lines, in its order.

    Args:
        history: What `Runs.history` returns.
    """
    events = list(history)
    return [
        Line(
            seconds=(recorded.at - events[0].at) / _MICROSECONDS,
            name=recorded.type,
            is_credit=recorded.stream.startswith("account:"),
            words=" ".join(filter(None, (in_words(recorded), credits_in_words(recorded)))),
        )
        for recorded in events
    ]
