"""An exported log into an empty store of any kind, through the one way that every store has.

Floor 6, above `exported`. The store lives through the log's past once more, under a clock that says what time it was:
it makes every hash anew, and each is compared with the one that was exported. So nothing is imported that is not what
its hash says, and no store needs a second way in.
"""

from collections.abc import Callable, Iterable

from attrs import define, frozen

from research_fsm import account as accounts
from research_fsm import audit_beside as beside
from research_fsm import codec, decide, merkle, transactions
from research_fsm import person as people
from research_fsm.errors import InvalidInput, LogUnreadable
from research_fsm.events import CreditsGranted, CreditsRevoked, RunStarted
from research_fsm.exported import Document, read
from research_fsm.policy import Policy
from research_fsm.storage import NewEvent, Query, QueueEntry, RecordedEvent, Store, StreamWrite, UniqueKey, View, Write

__all__ = ["Imported", "load"]

_MOST = 500
"""How many events are imported in one transaction at most."""


@frozen
class Imported:
    """What an import came to.

    Args:
        events: How many events there are now.
        root: The root of their Merkle tree: a checkpoint of the old log is one of the new.
    """

    events: int
    root: bytes


@define
class _Moment:
    """The clock of a store that lives through a log's past."""

    now: int = 0

    def __call__(self) -> int:
        return self.now


def load(lines: Iterable[str], opened: Callable[[Callable[[], int]], Store], policy: Policy | None = None) -> Imported:
    """Write the log of an export into an empty store: the same events at the same times in the same order.

    Heads, keys of runs and grants, and the embedded queue are made from the events. What the log does not say does not
    come back: answers to request keys, access tokens, and which addresses a partner's people have. If it fails on the
    way, the store holds a part, and is to be deleted.

    Args:
        lines: An export.
        opened: Opens the store with this clock; closing it is the caller's.
        policy: The settings that say when recovery looks at who is running.

    Raises:
        InvalidInput: The store is not empty.
        LogUnreadable: The export cannot be read, or an event is not what its hash says; `audit.verify` says more.
    """
    clock = _Moment()
    store = opened(clock)
    if next(store.events(), None) is not None:
        raise InvalidInput("store", "must be empty: an import never mixes two logs")
    batch: list[RecordedEvent | Document] = []
    for one in read(lines):
        if batch and not _fits(batch, one):
            _import(store, clock, batch, policy or Policy())
            batch = []
        batch.append(one)
    _import(store, clock, batch, policy or Policy())
    tree = merkle.Tree()
    for recorded in store.events():
        tree.append(recorded.hash)
    return Imported(tree.size, tree.root())


def _fits(batch: list[RecordedEvent | Document], one: RecordedEvent | Document) -> bool:
    """Tell whether an event goes into the same transaction: one time, and each stream's events in one piece."""
    if isinstance(one, Document):
        return True
    before = [other for other in batch if isinstance(other, RecordedEvent)]
    if not before or len(before) >= _MOST or before[-1].at != one.at:
        return False
    return before[-1].stream == one.stream or all(other.stream != one.stream for other in before)


def _import(store: Store, clock: _Moment, batch: list[RecordedEvent | Document], policy: Policy) -> None:
    """Write some events, and see that the store gave them the hashes that they had."""
    by_stream: dict[str, list[RecordedEvent]] = {}
    for one in batch:
        if isinstance(one, RecordedEvent):
            by_stream.setdefault(one.stream, []).append(one)
    if not by_stream:
        return
    documents = {(one.stream, one.name): one.body for one in batch if isinstance(one, Document)}

    def rule(view: View, now: int) -> Write[None]:
        writes = [_Stream.after(view, stream, happened, now, policy) for stream, happened in by_stream.items()]
        return Write(
            answer=None,
            streams=tuple(one.write for one in writes),
            keys=tuple(key for one in writes for key in one.keys),
            documents=documents,
            enqueued=tuple(one.entry for one in writes if one.entry is not None),
            dequeued=tuple(one.left for one in writes if one.left is not None),
        )

    clock.now = next(iter(by_stream.values()))[0].at
    store.transact(Query(streams=tuple(by_stream)), rule)
    heads = store.read(Query(streams=tuple(by_stream))).heads
    for stream, happened in by_stream.items():
        if heads[stream].hash != happened[-1].hash:
            raise LogUnreadable(f"{stream} version {happened[-1].version}", "is not the event that its hash says")


@frozen
class _Stream:
    """What some events of one stream mean for the store."""

    write: StreamWrite
    keys: tuple[UniqueKey, ...] = ()
    entry: QueueEntry | None = None
    left: str | None = None

    @classmethod
    def after(cls, view: View, stream: str, happened: list[RecordedEvent], now: int, policy: Policy) -> "_Stream":
        """Fold events on to where the stream is."""
        head = view.heads.get(stream)
        expected = 0 if head is None else head.version
        if [one.version for one in happened] != list(range(expected + 1, expected + len(happened) + 1)):
            raise LogUnreadable(f"{stream} version {happened[0].version}", f"follows version {expected}")
        kind, _, name = stream.partition(":")
        if kind == "person":
            return cls._life(view, name, expected, happened, now, policy)
        if kind == "account":
            return cls._ledger(view, name, expected, happened)
        raise LogUnreadable(stream, "is neither a person's nor an account's stream")

    @classmethod
    def _life(
        cls, view: View, person_id: str, expected: int, happened: list[RecordedEvent], now: int, policy: Policy
    ) -> "_Stream":
        stream, before = happened[0].stream, transactions.person_in(view, person_id)
        decoded = [codec.decode_person_event(one) for one in happened]
        person = people.fold(before, ((event, now) for event in decoded))
        write = _written(
            happened,
            expected,
            codec.encode(person),
            link=transactions.account_stream(person.owner),
            tag=str(person.phase),
            due=decide.next_look(person, now, policy),
        )
        keys = tuple(beside.key_of_run(stream, event) for event in decoded if isinstance(event, RunStarted))
        waited, waits = transactions.waits(before), transactions.waits(person)
        entry = QueueEntry(person.run.run_id, stream) if waits and not waited and person.run is not None else None
        left = before.run.run_id if waited and not waits and before.run is not None else None
        return cls(write, keys, entry, left)

    @classmethod
    def _ledger(cls, view: View, owner: str, expected: int, happened: list[RecordedEvent]) -> "_Stream":
        decoded = [codec.decode_account_event(one) for one in happened]
        account = accounts.fold(transactions.account_in(view, owner), decoded)
        grants = (event for event in decoded if isinstance(event, CreditsGranted | CreditsRevoked))
        keys = tuple(beside.key_of_grant(owner, happened[0].stream, event) for event in grants)
        return cls(_written(happened, expected, codec.encode(account), link=None, tag="account", due=None), keys)


def _written(
    happened: list[RecordedEvent], expected: int, state: bytes, *, link: str | None, tag: str, due: int | None
) -> StreamWrite:
    return StreamWrite(
        stream=happened[0].stream,
        expected=expected,
        events=tuple(NewEvent(one.type, one.schema, one.data, one.meta) for one in happened),
        state=state,
        fold=codec.FOLD,
        link=link,
        tag=tag,
        due=due,
    )
