"""A first look at a log that somebody else wrote: are the states right, whatever the payloads say.

Floor 6, a part of `audit`, for a log that is so long that `verify` takes minutes. It looks at the columns of the events
and at the heads, decodes nothing and computes no hash. So it finds what is missing, doubled, out of order or not
allowed in its phase; that nothing was edited, and that the money adds up, `verify` alone can tell.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from operator import attrgetter
from types import MappingProxyType
from typing import get_args

from research_fsm import lifecycle
from research_fsm.audit.memory import Lane, Remembered, Scratch, by_name
from research_fsm.columns import printable
from research_fsm.events import AccountEvent
from research_fsm.laws import Finding
from research_fsm.lifecycle import Phase, Trigger
from research_fsm.storage import Reader, RecordedEvent

__all__ = ["LAWS", "TRIGGERS", "verify_states"]

LAWS: Mapping[str, str] = MappingProxyType(
    {
        "readable": "Every event names a stream.",
        "gapless": "A stream's versions are 1, 2, 3 …, each once, in the order of their positions.",
        "legal": "Every event, by its name, is one that the lifecycle table allows in the phase it finds.",
        "heads_are_folds": "A head is at the last event of its stream, and in the phase that the events lead to.",
    }
)
"""The laws that are looked at, and what of each columns can show."""

_AT_HAND = 25_000
"""How many streams are remembered without looking into the file: little is known of each."""

_PAGE = 1000

TRIGGERS: Mapping[str, tuple[Trigger, ...]] = MappingProxyType(
    {
        "PersonAdded": (Trigger.ADD,),
        "RunStarted": (Trigger.START,),
        "AttemptArmed": (Trigger.ARM,),
        "AttemptAnswered": (Trigger.ANSWER,),
        "RunDispatched": (Trigger.CONFIRM,),
        "RunClaimed": (Trigger.CLAIM, Trigger.TAKE_OVER),
        "RunCompleted": (Trigger.COMPLETE,),
        "RunFailed": (Trigger.FAIL_CLAIMED, Trigger.FAIL_UNCLAIMED),
        "RunRolledBack": (Trigger.ROLL_BACK,),
        "ReportMarkedStale": (Trigger.MARK_STALE,),
        "CallbackRefused": (Trigger.REFUSE_CALLBACK,),
        "PersonErased": (Trigger.ERASE,),
    }
)
"""What an event may be the record of, by its name. Which one, its data would say; a phase allows one at most."""

_ACCOUNT = "account"
"""The only state of an account that can be told from the names of its events."""

_STEPS: Mapping[str, Mapping[str, str]] = {
    **{
        str(phase): {
            name: str(lifecycle.dest(phase, trigger))
            for name, triggers in TRIGGERS.items()
            for trigger in triggers
            if lifecycle.allows(phase, trigger)
        }
        for phase in Phase
    },
    _ACCOUNT: {cls.__name__: _ACCOUNT for cls in get_args(AccountEvent)},
}
"""By state and by the name of an event: the state that it leads to."""

_NONE: Mapping[str, str] = {}
"""What is allowed in a stream that is neither a person's nor an account's."""

_Seen = tuple[int, bytes, str]
"""A stream's latest version and hash, and its state: what its head says, too."""

_said = attrgetter("version", "hash", "tag")


def verify_states(reader: Reader, followed: Callable[[int], object] = lambda _: None) -> Iterator[Finding]:
    """Yield every place where an event is missing or not allowed where it stands, or a head is not at its stream's end.

    Args:
        reader: A store, or a snapshot of one. It is not written to, and may be written to by others meanwhile.
        followed: Called now and then with the number of events since the last time, to show how far it is.
    """
    with closing(Scratch()) as scratch, reader.snapshot() as log:
        seen = Remembered[_Seen](scratch, _AT_HAND, _unseen)
        count = 0
        for count, recorded in enumerate(log.events(), 1):
            name, version = recorded.stream, recorded.version
            if type(name) is not str:
                yield Finding("readable", printable(name), None, f"the row {recorded.position} names no stream")
                continue
            last, _, state = seen[name]
            after = _STEPS.get(state, _NONE).get(recorded.type)
            if after is None or version != last + 1:
                yield from _wrong(recorded, last, state)
                version = version if type(version) is int else last + 1
            seen[name] = (version, recorded.hash, after or state)
            if not count % _PAGE:
                seen.trim()
                followed(_PAGE)
        followed(count % _PAGE)
        ends, heads = Lane(seen.everything()), Lane((printable(head.stream), _said(head)) for head in log.heads())
        for name in by_name(ends, heads):
            end, said = ends.take(name), heads.take(name)
            if said != end:
                yield Finding("heads_are_folds", name, None, _difference(end[0] if end else None, said))


def _unseen(name: str) -> _Seen:
    kind = name.partition(":")[0]
    return (0, b"", str(Phase.NONE) if kind == "person" else kind)


def _wrong(recorded: RecordedEvent, version: int, state: str) -> Iterator[Finding]:
    place: object = recorded.version
    found = place if isinstance(place, int) else None
    if place != version + 1:
        yield Finding("gapless", recorded.stream, found, f"version {printable(place)} follows version {version}")
    if recorded.type not in _STEPS.get(state, _NONE):
        yield Finding("legal", recorded.stream, found, f"{printable(recorded.type)} is not allowed while {state}")


def _difference(end: _Seen | None, said: list[_Seen]) -> str:
    if end is None:
        return "there is a head, but no event"
    if not said:
        return "there are events, but no head"
    version, _, state = said[0]
    words = f"the head says version {printable(version)}, {printable(state)}; the log, version {end[0]}, {end[2]}"
    return words if (version, state) != (end[0], end[2]) else "the head's hash is not the last event's"
