"""An exported log into an empty store of any kind, through the one way that every store has.

Floor 6, above `exported`. The store lives through the log's past once more, under a clock that says what time it was:
every hash is made anew, and compared with the one that was exported. So nothing is imported that is not what its hash
says, and no store needs a second way in.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

from attrs import Factory, define, frozen

from research_fsm import account as accounts
from research_fsm import codec, decide, merkle, transactions
from research_fsm import person as people
from research_fsm.audit import beside
from research_fsm.audit.addresses import keys_of_address
from research_fsm.audit.receipts import receipts_after
from research_fsm.errors import InvalidInput, LogUnreadable
from research_fsm.events import CreditsGranted, CreditsRevoked, RunStarted
from research_fsm.exported import Document, read
from research_fsm.policy import Policy
from research_fsm.storage import (
    NewEvent,
    Query,
    QueueEntry,
    Reader,
    Receipt,
    RecordedEvent,
    Rule,
    StreamWrite,
    UniqueKey,
    View,
    Write,
    first_hash,
    next_hash,
)

__all__ = ["Imported", "Into", "Transacts", "load"]

A = TypeVar("A")
S = TypeVar("S", bound="Into")

_MOST = 500
"""How many events are imported in one transaction at most."""

_TOGETHER_BYTES = 2**20
"""How many bytes of events and documents are written together, if they can be."""


class Transacts(Protocol):
    """What lives through the past: a store, or a part of one."""

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Load, decide and write in one transaction, as a store does."""
        ...


class Into(Reader, Transacts, Protocol):
    """What a log is imported into: a store, for as much as is needed of it."""


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


def _each_alone(store: S, _: Query) -> AbstractContextManager[S]:
    return nullcontext(store)


def load(
    lines: Iterable[str],
    opened: Callable[[Callable[[], int]], S],
    policy: Policy | None = None,
    together: Callable[[S, Query], AbstractContextManager[Transacts]] = _each_alone,
) -> Imported:
    """Write the log of an export into an empty store: the same events at the same times in the same order.

    Heads, keys of runs and grants, receipts of runs, and the embedded queue are made from the events. What the log does
    not say does not come back: what was asked under a request key, so that asking again is refused; refusals, access
    tokens, and the secret; nor, without documents, which addresses a partner's people have. So the new store is for
    looking at, and not to carry a service on. If it fails on the way, a store that committed meanwhile
    holds a part, and is to be deleted.

    Args:
        lines: An export.
        opened: Opens the store with this clock; closing it is the caller's.
        policy: The settings that say when recovery looks at who is running.
        together: Opens the store for many transactions that are written at once, and name no streams but these.

    Raises:
        InvalidInput: The store is not empty.
        LogUnreadable: The export cannot be read, or an event is not what its hash says; `audit.verify` says more.
    """
    clock = _Moment()
    store = opened(clock)
    if next(store.events(), None) is not None:
        raise InvalidInput("store", "must be empty: an import never mixes two logs")
    moments = _moments(read(lines))
    while some := _some(moments):
        named = dict.fromkeys(stream for moment in some for stream in moment.streams)
        with together(store, Query(streams=tuple(named))) as into:
            for moment in some:
                clock.now = moment.at
                _import(into, moment, policy or Policy())
    tree = merkle.Tree()
    for recorded in store.events():
        tree.append(recorded.hash)
    return Imported(tree.size, tree.root())


@define
class _Together:
    """What one transaction imports: events of one time, each stream's in one piece, and their documents."""

    at: int
    streams: dict[str, list[RecordedEvent]] = Factory(dict)
    documents: dict[tuple[str, str], bytes] = Factory(dict)
    last: str = ""
    events: int = 0
    size: int = 0

    def takes(self, recorded: RecordedEvent) -> bool:
        """Tell whether an event can be in the same transaction as those before it."""
        if recorded.at != self.at or self.events >= _MOST:
            return False
        return recorded.stream == self.last or recorded.stream not in self.streams

    def add(self, recorded: RecordedEvent) -> None:
        """Take an event."""
        self.streams.setdefault(recorded.stream, []).append(recorded)
        self.last = recorded.stream
        self.events += 1
        self.size += len(recorded.data) + len(recorded.meta)

    def add_document(self, one: Document) -> None:
        """Take a document of an event."""
        self.documents[one.stream, one.name] = one.body
        self.size += len(one.body)


def _some(moments: Iterator[_Together]) -> list[_Together]:
    """Return the next transactions, as many as are written together."""
    some, size = list[_Together](), 0
    while size < _TOGETHER_BYTES and (moment := next(moments, None)) is not None:
        some.append(moment)
        size += moment.size
    return some


def _moments(found: Iterable[RecordedEvent | Document]) -> Iterator[_Together]:
    moment: _Together | None = None
    for one in found:
        if isinstance(one, Document):
            if moment is None:
                raise LogUnreadable(f"the document {one.name} of {one.stream}", "stands before the first event")
            moment.add_document(one)
            continue
        if moment is None or not moment.takes(one):
            if moment is not None:
                yield moment
            moment = _Together(one.at)
        moment.add(one)
    if moment is not None:
        yield moment


def _import(into: Transacts, moment: _Together, policy: Policy) -> None:
    """Write some events, unless one of them is not what its hash says."""

    def rule(view: View, _: int) -> Write[None]:
        writes = [_Stream.after(view, moment, stream, policy) for stream in moment.streams]
        return Write(
            answer=None,
            streams=tuple(one.write for one in writes),
            keys=tuple(key for one in writes for key in one.keys),
            receipts=tuple(receipt for one in writes for receipt in one.receipts),
            settled={key: answer for one in writes for key, answer in one.settled.items()},
            documents=moment.documents,
            enqueued=tuple(one.entry for one in writes if one.entry is not None),
            dequeued=tuple(one.left for one in writes if one.left is not None),
        )

    into.transact(Query(streams=tuple(moment.streams)), rule)


@frozen
class _Stream:
    """What some events of one stream mean for the store."""

    write: StreamWrite
    keys: tuple[UniqueKey, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    settled: Mapping[str, bytes] = Factory(dict)
    entry: QueueEntry | None = None
    left: str | None = None

    @classmethod
    def after(cls, view: View, moment: _Together, stream: str, policy: Policy) -> "_Stream":
        """Fold events on to where the stream is."""
        happened, now = moment.streams[stream], moment.at
        head = view.heads.get(stream)
        expected = 0 if head is None else head.version
        if [one.version for one in happened] != list(range(expected + 1, expected + len(happened) + 1)):
            raise LogUnreadable(f"{stream} version {happened[0].version}", f"follows version {expected}")
        previous = first_hash(stream) if head is None else head.hash
        for one in happened:
            if one.hash != next_hash(previous, stream, one.version, one, now):
                raise LogUnreadable(f"{stream} version {one.version}", "is not the event that its hash says")
            previous = one.hash
        kind, _, name = stream.partition(":")
        if kind == "person":
            profile = moment.documents.get((stream, transactions.PROFILE))
            return cls._life(view, name, expected, happened, profile, policy)
        if kind == "account":
            return cls._ledger(view, name, expected, happened)
        raise LogUnreadable(stream, "is neither a person's nor an account's stream")

    @classmethod
    def _life(
        cls,
        view: View,
        person_id: str,
        expected: int,
        happened: list[RecordedEvent],
        profile: bytes | None,
        policy: Policy,
    ) -> "_Stream":
        (stream, now), before = (happened[0].stream, happened[0].at), transactions.person_in(view, person_id)
        decoded = [codec.decode_person_event(one) for one in happened]
        person, begun, said = before, set[str](), dict[str, bytes]()
        for event in decoded:
            previous, person = person, people.evolve(person, event, now)
            answers = dict(receipts_after(previous, event, person))
            begun |= answers.keys() if isinstance(event, RunStarted) else set()
            said |= answers
        write = _written(
            happened,
            expected,
            codec.encode(person),
            link=transactions.account_stream(person.owner),
            tag=str(person.phase),
            due=decide.next_look(person, now, policy),
        )
        keys = tuple(beside.key_of_run(stream, event) for event in decoded if isinstance(event, RunStarted))
        if profile is not None:
            keys += keys_of_address(person, profile)
        waited, waits = transactions.waits(before), transactions.waits(person)
        entry = QueueEntry(person.run.run_id, stream) if waits and not waited and person.run is not None else None
        left = before.run.run_id if waited and not waits and before.run is not None else None
        receipts = tuple(Receipt(key, stream, "", said.pop(key)) for key in begun)
        return cls(write, keys, receipts, said, entry, left)

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
