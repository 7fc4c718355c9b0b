"""Look at all of a log: is it whole, is it legal, does the money add up.

Floor 6, a part of `audit`. Reads one point in time by position and trusts nothing but the events: heads, documents and
keys are held against what the events say. Nor does it trust the types of what it reads: a file may have been edited by
hand. It folds with the same `evolve` as everything else, and never writes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from itertools import islice
from types import MappingProxyType

from research_fsm.audit import beside
from research_fsm.audit.follow import Follower
from research_fsm.audit.memory import Listed, Scratch
from research_fsm.errors import LogUnreadable
from research_fsm.laws import STATEMENTS, Erased, Finding
from research_fsm.storage import Reader, RecordedEvent

__all__ = ["OF_EVENTS", "asked", "verify", "verify_events"]

OF_EVENTS: Mapping[str, str] = MappingProxyType(
    {law: words for law, words in STATEMENTS.items() if law not in {"way_out", "heads_are_folds", "documents_match"}}
    | {"keys_are_kept": "A request key has started at most one run."}
)
"""The laws that `verify_events` looks at: what of each can be seen without what stands beside a log."""

_PAGE = 200
"""How many events are followed before it is said what was found, and what need not be at hand is written down."""

_AT_HAND = 2000
"""How many streams are remembered without looking into the file."""


def asked(reader: Reader, *, imported: bool = False) -> Mapping[str, str]:
    """Return the laws that `verify` asks about, by name, with what they promise.

    Args:
        reader: A store, or a snapshot of one.
        imported: Whether the store was made of an exported log. If not one document came along, none is asked for; if
            some did, each is.
    """
    if imported and next(reader.documents(), None) is None:
        return {law: words for law, words in STATEMENTS.items() if law != "documents_match"}
    return STATEMENTS


def verify(
    reader: Reader,
    followed: Callable[[int], object] = lambda _: None,
    erased: Callable[[Erased], object] = lambda _: None,
    reached: Callable[[int], object] = lambda _: None,
    *,
    imported: bool = False,
) -> Iterator[Finding]:
    """Yield every place where the log breaks a law; nothing if it is whole.

    A tail that was cut off together with its heads leaves a shorter log that is whole, and is not found here.

    Args:
        reader: A store, or a snapshot of one. It is not written to, and may be written to by others meanwhile.
        followed: Called now and then with the number of events since the last time, to show how far it is.
        erased: Called for each person who was erased.
        reached: Called with the position of the last event, once all of them were followed.
        imported: Whether the store was made of an exported log: what its lines do not bring is not asked for; see
            `asked`.
    """
    position = 0
    with closing(Scratch()) as scratch, reader.snapshot() as log:
        audit = Follower(scratch, erased, at_hand=_AT_HAND)
        events = log.events()
        while page := list(islice(events, _PAGE)):
            for recorded in page:
                audit.follow(recorded)
            yield from audit.findings()
            followed(len(page))
            position = page[-1].position
        reached(position)
        yield from audit.keys_used_twice()
        addresses = Listed[object](scratch)
        yield from beside.keys_differ(log, audit.keys, addresses)
        # Where documents are not asked for, none is there: it is as if no event had named any.
        named = audit.documents if "documents_match" in asked(log, imported=imported) else Listed(scratch)
        yield from beside.rows_differ(log, audit.streams, named, audit.receipts, addresses, scratch)


def verify_events(
    events: Iterable[RecordedEvent], erased: Callable[[Erased], object] = lambda _: None
) -> Iterator[Finding]:
    """Yield every place where events alone, such as those of an exported file, break a law.

    What stands beside a log is not asked for: heads, documents, unique keys and the embedded queue.

    Args:
        events: A whole log's events in the order of their positions. That they cannot be read on is a finding, too.
        erased: Called for each person who was erased.
    """
    with closing(Scratch()) as scratch:
        audit = Follower(scratch, erased, at_hand=_AT_HAND)
        try:
            for recorded in events:
                audit.follow(recorded)
                yield from audit.findings()
        except LogUnreadable as error:
            yield Finding("readable", "the file", None, f"{error}; nothing behind it was looked at")
            return
        yield from audit.keys_used_twice()
        for name, stream in audit.streams.everything():
            yield from beside.unsettled(name, stream)
