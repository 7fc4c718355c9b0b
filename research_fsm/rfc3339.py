"""Times as text: integer microseconds UTC to RFC 3339 with ``Z``, and back.

Floor 0. Imports `errors` alone. Integers all the way: no float loses a microsecond.
"""

import re
from datetime import UTC, datetime, timedelta

from research_fsm.errors import InvalidInput

__all__ = ["TIMES", "format_time", "parse_time", "shown_time"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

TIMES = range(
    (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND,
    (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND + 1,
)
"""Every time that a calendar has, in microseconds since 1970-01-01 UTC: the years 1 to 9999."""

# RFC 3339 is narrower than ISO 8601, of which `datetime.fromisoformat` also takes weeks, bare dates and local times.
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def format_time(micros: int) -> str:
    """Return a time as RFC 3339 text in UTC, always with six digits of microseconds, so that texts sort as times do.

    Args:
        micros: Microseconds since 1970-01-01 UTC. One that is none of `TIMES`, which only a forged event can have, is
            shown as ``microsecond N``.
    """
    if micros not in TIMES:
        return f"microsecond {micros}"
    return (_EPOCH + micros * _MICROSECOND).isoformat(timespec="microseconds").replace("+00:00", "Z")


def shown_time(micros: int, *, digits: int = 0) -> str:
    """Return a time as people read it, in UTC, with so many digits of a second; nothing is rounded up."""
    day, _, time = format_time(micros).partition("T")
    if not time:
        return day
    whole, _, fraction = time.partition(".")
    return f"{day} {whole}{'.' if digits else ''}{fraction[:digits]}Z"


def parse_time(text: str, field: str = "time") -> int:
    """Return the microseconds since 1970-01-01 UTC that a text in RFC 3339 names.

    Args:
        text: A date and a time with its offset, such as ``2026-11-03T10:00:00Z``; at most six digits of a second.
        field: What to call it in an error.

    Raises:
        InvalidInput: It is no such text, or no such day.
    """
    wrong = InvalidInput(field, f"must be a time like 2026-11-03T10:00:00Z, not {text[:100]!r}")
    if not _TIME.fullmatch(text):
        raise wrong
    try:
        return (datetime.fromisoformat(text.upper()) - _EPOCH) // _MICROSECOND
    except ValueError:
        raise wrong from None
