"""A log as a file of lines: out of any store and into any other, hash for hash.

Floor 6, above `audit_beside`. Each line is a JSON object: first the format, then the events in the order of their
positions, each followed by its documents if they were asked for, and at the end how many there were and the root of
their Merkle tree, so that half a file is not taken for a log. Data and meta are texts within a line, as they were
hashed: what is written again is the same byte for byte. Going in, every hash is made anew by the store and compared.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from attrs import asdict, define, fields, frozen

from research_fsm import account as accounts
from research_fsm import audit_beside as beside
from research_fsm import codec, decide, merkle, transactions
from research_fsm import person as people
from research_fsm.errors import InvalidInput, LogUnreadable
from research_fsm.events import CreditsGranted, CreditsRevoked, RunStarted
from research_fsm.policy import Policy
from research_fsm.storage import (
    NewEvent,
    Query,
    QueueEntry,
    Reader,
    RecordedEvent,
    Store,
    StreamWrite,
    UniqueKey,
    View,
    Write,
)

__all__ = ["FORMAT", "Document", "Imported", "events", "export", "load", "read"]

FORMAT = "research_fsm log 1"
"""What the first line says."""

_MOST = 500
"""How many events are imported in one transaction at most."""


@frozen
class Document:
    """A document of the export: personal data.

    Args:
        stream: Whose it is.
        name: Which.
        body: Its bytes.
    """

    stream: str
    name: str
    body: bytes


@frozen
class Imported:
    """What an import came to.

    Args:
        events: How many events there are now.
        root: The root of their Merkle tree: a checkpoint of the old log is one of the new.
    """

    events: int
    root: bytes


# --- out ---------------------------------------------------------------------------------------------------------


def export(reader: Reader, *, with_documents: bool = False) -> Iterator[str]:
    """Yield the lines of a log, each with its end, as it is at one point in time.

    Args:
        reader: A store, or a snapshot of one.
        with_documents: Whether profiles, reports and salts come along. They are personal data: whoever has the file has
            to delete them when a person is erased.

    Raises:
        LogUnreadable: A row holds what no line can say; `audit.verify` says more about it.
    """
    tree = merkle.Tree()
    yield _line({"format": FORMAT})
    with reader.snapshot() as log:
        for recorded in log.events():
            yield _line(_event_out(recorded))
            tree.append(recorded.hash)
            if with_documents:
                yield from map(_line, _documents_out(log, recorded))
    yield _line({"events": tree.size, "root": tree.root().hex()})


def _line(facts: dict[str, Any]) -> str:
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":")) + "\n"


def _event_out(recorded: RecordedEvent) -> dict[str, Any]:
    spoilt = ", ".join(words for _, words in beside.mistyped(recorded))
    try:
        if not spoilt:
            texts = {"data": recorded.data.decode(), "meta": recorded.meta.decode(), "hash": recorded.hash.hex()}
            return {**asdict(recorded), **texts}
    except UnicodeDecodeError:
        spoilt = "its JSON is no UTF-8"
    raise LogUnreadable(f"the row {recorded.position}", spoilt)


def _documents_out(log: Reader, recorded: RecordedEvent) -> Iterator[dict[str, Any]]:
    """Yield the documents that an event names, and with the first one the salt."""
    if not recorded.stream.startswith("person:"):
        return
    names = [name for name, _ in beside.documents_of(codec.decode_person_event(recorded))]
    if not names:
        return
    if recorded.version == 1:
        names.append(transactions.SALT)
    found = log.read(Query(streams=(recorded.stream,), documents=tuple(names))).documents
    for name in names:
        body = found.get((recorded.stream, name))
        if body is not None:
            yield {"stream": recorded.stream, "document": name, "body": base64.b64encode(body).decode()}


# --- a file's lines ----------------------------------------------------------------------------------------------


def read(lines: Iterable[str]) -> Iterator[RecordedEvent | Document]:
    """Yield what the lines of an export say.

    Raises:
        LogUnreadable: A line is not in the form of one, or the end is missing or is about other events.
    """
    tree, ended = merkle.Tree(), False
    number = 0
    for number, line in enumerate(lines, 1):
        found = _object(number, line)
        if number == 1:
            if found != {"format": FORMAT}:
                raise LogUnreadable("line 1", f"should say that the format is {FORMAT}")
        elif ended:
            raise LogUnreadable(f"line {number}", "comes after the end")
        elif "root" in found:
            ended = True
            if found != {"events": tree.size, "root": tree.root().hex()}:
                words = (
                    f"the file was written with {found.get('events')} events, of which these {tree.size} are not all"
                )
                raise LogUnreadable(f"line {number}", words + ", or not the same")
        elif "document" in found:
            yield _document_in(number, found)
        else:
            recorded = _event_in(number, found)
            tree.append(recorded.hash)
            yield recorded
    if not ended:
        raise LogUnreadable(f"line {number}", "is the last one and does not say that it is: the file was cut off")


def events(lines: Iterable[str]) -> Iterator[RecordedEvent]:
    """Yield the events of an export; see `read`."""
    return (one for one in read(lines) if isinstance(one, RecordedEvent))


def _object(number: int, line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise LogUnreadable(f"line {number}", "is not a JSON object")
    return found


_COLUMNS = {field.name: str if field.type is bytes else field.type for field in fields(RecordedEvent)}


def _event_in(number: int, found: dict[str, Any]) -> RecordedEvent:
    if {name: type(value) for name, value in found.items()} != _COLUMNS:
        raise LogUnreadable(f"line {number}", f"should have {', '.join(_COLUMNS)}, each of its type")
    try:
        data, meta, own = found["data"].encode(), found["meta"].encode(), bytes.fromhex(found["hash"])
        found["stream"].encode()
    except ValueError as error:
        raise LogUnreadable(f"line {number}", str(error)) from None
    return RecordedEvent(**{**found, "data": data, "meta": meta, "hash": own})


def _document_in(number: int, found: dict[str, Any]) -> Document:
    match found:
        case {"stream": str(stream), "document": str(name), "body": str(body)}:
            try:
                return Document(stream, name, base64.b64decode(body, validate=True))
            except binascii.Error as error:
                raise LogUnreadable(f"line {number}", str(error)) from None
        case _:
            raise LogUnreadable(f"line {number}", "should have a stream, a document and its body")


# --- in ----------------------------------------------------------------------------------------------------------


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
