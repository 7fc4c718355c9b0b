"""Where two histories part, in words: for a test that expected another one, and for whoever compares two stores.

Floor 6. Pure. A history is any iterable of events, recorded or not: ``runs.history(person_id)``, ``store.events()``, or
a list that a test wrote by hand.

Example:
    >>> from research_fsm.events import PersonAdded, PersonKind, RunRolledBack, RunStarted, RollBackReason
    >>> from research_fsm.testing.diff import diff
    >>> added = PersonAdded("acme", PersonKind.USER, "digest")
    >>> started = RunStarted("00000000-0000-4000-8000-000000000001", 1, 1, False, 60, None)
    >>> parting = diff([added, started], [added, started, RunRolledBack(1, RollBackReason.REFUSED)])
    >>> print(parting)
    the histories are the same for 2 events; then one is over, and the other goes on
      1. PersonAdded: added by acme (user)
      2. RunStarted: run 1 started, for 1 credit
      one:
        (nothing)
      other:
        3. RunRolledBack: rolled back (refused); the person is idle
"""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import count

from attrs import frozen

from research_fsm import codec, timeline
from research_fsm.errors import LogUnreadable
from research_fsm.events import Event, Meta
from research_fsm.outcomes import Json
from research_fsm.storage import NewEvent, RecordedEvent

__all__ = ["Parting", "diff", "same"]

_MOST_SHOWN = 3
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{64}")


@frozen
class Parting:
    """Where two histories part.

    Args:
        after: How many events they have in common, from the first on.
        common: The last of those, in words.
        fields: In which fields the first events that differ do, each with its two values; empty if they are of
            different types, or if one of the histories is over.
        one: The events that follow in the one, in words.
        other: The same of the other.
    """

    after: int
    common: tuple[str, ...]
    fields: tuple[tuple[str, Json, Json], ...]
    one: tuple[str, ...]
    other: tuple[str, ...]

    def __str__(self) -> str:
        same = f"the histories are the same for {self.after} event{'' if self.after == 1 else 's'}"
        if not self.one or not self.other:
            over, on = ("one", "the other") if not self.one else ("the other", "the one")
            how = f"then {over} is over, and {on} goes on"
        elif self.fields:
            how = f"then they differ in {', '.join(name for name, _, __ in self.fields)}"
        else:
            how = "then something else happens"
        lines = [f"{same}; {how}", *(f"  {words}" for words in self.common)]
        lines += [f"    {name}: {_shown(first)}, not {_shown(second)}" for name, first, second in self.fields]
        for name, rest in (("one", self.one), ("other", self.other)):
            lines += [f"  {name}:", *(f"    {words}" for words in _cut(rest))]
        return "\n".join(lines)


def diff(
    one: Iterable[RecordedEvent | Event],
    other: Iterable[RecordedEvent | Event],
    *,
    ids: bool = True,
    times: bool = False,
) -> Parting | None:
    """Return where two histories part; None if they are the same.

    Args:
        one: A history.
        other: Another one.
        ids: Whether ids and digests have to be the same; if not, they have to be used alike: the same one where the
            other history has the same one.
        times: Whether what happened has to have happened at the same moments, leases and deadlines included.
    """
    mine, theirs = _comparable(one, ids=ids, times=times), _comparable(other, ids=ids, times=times)
    pairs = zip(mine, theirs, strict=False)
    after = next((place for place, (a, b) in enumerate(pairs) if a.facts != b.facts), min(len(mine), len(theirs)))
    if after == len(mine) == len(theirs):
        return None
    differing = tuple(_fields(mine[after], theirs[after])) if after < min(len(mine), len(theirs)) else ()
    return Parting(
        after,
        tuple(one.words for one in mine[max(0, after - _MOST_SHOWN) : after]),
        differing,
        tuple(one.words for one in mine[after:]),
        tuple(one.words for one in theirs[after:]),
    )


def same(
    one: Iterable[RecordedEvent | Event],
    other: Iterable[RecordedEvent | Event],
    *,
    ids: bool = True,
    times: bool = False,
) -> None:
    """Fail as a test does if two histories are not the same; see `diff`.

    Raises:
        AssertionError: They part, and the message says where.
    """
    parting = diff(one, other, ids=ids, times=times)
    if parting is not None:
        raise AssertionError(str(parting))


@frozen
class _Fact:
    """One event as it is compared, and as it is told."""

    type: str
    facts: tuple[tuple[str, Json], ...]
    words: str


_TIMES = frozenset({"at", "deadline", "lease_until"})


def _comparable(history: Iterable[RecordedEvent | Event], *, ids: bool, times: bool) -> Sequence[_Fact]:
    rename = (lambda text: text) if ids else _renaming()
    found = []
    for number, event in enumerate(history, 1):
        stored = event if isinstance(event, RecordedEvent) else _recorded(codec.encode_event(event, Meta()))
        facts: dict[str, Json] = {"type": stored.type, "schema": stored.schema, **_data(stored.data)}
        if isinstance(event, RecordedEvent):
            facts |= {"stream": stored.stream, "at": stored.at}
        kept = {name: rename(value) if isinstance(value, str) else value for name, value in facts.items()}
        if not times:
            kept = {name: value for name, value in kept.items() if name not in _TIMES}
        words = f"{number}. {stored.type}: {timeline.in_words(stored)}"
        found.append(_Fact(stored.type, tuple(sorted(kept.items())), words))
    return found


def _renaming() -> Callable[[str], str]:
    """Return what calls each id by the order in which it was met."""
    names: dict[str, str] = {}
    numbers = count(1)

    def named(found: re.Match[str]) -> str:
        if found[0] not in names:
            names[found[0]] = f"id {next(numbers)}"
        return names[found[0]]

    return lambda text: _ID.sub(named, text)


def _recorded(event: NewEvent) -> RecordedEvent:
    return RecordedEvent(0, "", 0, event.type, event.schema, 0, event.data, event.meta, b"")


def _data(data: bytes) -> dict[str, Json]:
    """Return an event's fields; of one that cannot be read, the text that stands there."""
    try:
        parsed = codec.parse(data)
    except LogUnreadable:
        parsed = None
    return parsed if isinstance(parsed, dict) else {"data": data.decode(errors="replace")}


def _fields(one: _Fact, other: _Fact) -> Iterable[tuple[str, Json, Json]]:
    if one.type != other.type:
        return ()
    mine, theirs = dict(one.facts), dict(other.facts)
    names = sorted(mine.keys() | theirs.keys())
    missing = "(absent)"
    found = ((name, mine.get(name, missing), theirs.get(name, missing)) for name in names)
    return [(name, first, second) for name, first, second in found if first != second]


def _shown(value: Json) -> str:
    return value if isinstance(value, str) and value else codec.encode(value).decode()


def _cut(words: Sequence[str]) -> Sequence[str]:
    """Return the first few of many lines."""
    if not words:
        return ("(nothing)",)
    more = len(words) - _MOST_SHOWN
    return (*words[:_MOST_SHOWN], f"… and {more} more") if more > 0 else words
