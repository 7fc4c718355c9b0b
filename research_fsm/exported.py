"""A log as a file of lines: out of any store, to be read anywhere, and `imported` into any other.

Floor 6, above `audit`. Each line is a JSON object: first the format, then the events in the order of their
positions, each followed by its documents if they were asked for, and at the end how many there were and the root of
their Merkle tree, so that half a file is not taken for a log. Data and meta are texts within a line, as they were
hashed: what is written again is the same byte for byte.
"""

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from attrs import asdict, fields, frozen

from research_fsm import codec, columns, merkle, transactions
from research_fsm.audit import streams
from research_fsm.errors import LogUnreadable
from research_fsm.storage import Query, Reader, RecordedEvent
from research_fsm.visible import visible_json

__all__ = ["FORMAT", "Document", "events", "export", "read", "rows"]

FORMAT = "research_fsm log 1"
"""What the first line says."""

_PAGE = 100
"""How many events are read before the documents that they name are asked for, all of them together."""


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
        for recorded, documents in rows(log, with_documents=with_documents):
            yield _line(_event_out(recorded))
            tree.append(recorded.hash)
            yield from map(_document_out, documents)
    yield _line({"events": tree.size, "root": tree.root().hex()})


def _line(facts: dict[str, Any]) -> str:
    return visible_json(json.dumps(facts, ensure_ascii=False, separators=(",", ":"))) + "\n"


def _event_out(recorded: RecordedEvent) -> dict[str, Any]:
    spoilt = ", ".join(words for _, words in columns.mistyped(recorded))
    try:
        if not spoilt:
            texts = {"data": recorded.data.decode(), "meta": recorded.meta.decode(), "hash": recorded.hash.hex()}
            return {**asdict(recorded), **texts}
    except UnicodeDecodeError:
        spoilt = "its JSON is no UTF-8"
    raise LogUnreadable(f"the row {recorded.position}", spoilt)


def rows(log: Reader, *, with_documents: bool) -> Iterator[tuple[RecordedEvent, Sequence[Document]]]:
    """Yield a log's events, each with the documents that it names, and the first with the salt, if they are there.

    Args:
        log: Where they are.
        with_documents: Whether documents are wanted; those of many events are asked for together.

    Raises:
        LogUnreadable: Documents are wanted, and an event that may name some cannot be read.
    """
    events = log.events()
    if not with_documents:
        yield from ((recorded, ()) for recorded in events)
        return
    while page := list(islice(events, _PAGE)):
        named = [[(recorded.stream, name) for name in _named(recorded)] for recorded in page]
        keys = list(chain.from_iterable(named))
        query = Query(streams=tuple({stream for stream, _ in keys}), documents=tuple({name for _, name in keys}))
        found = log.read(query).documents if keys else {}
        for recorded, own in zip(page, named, strict=True):
            yield recorded, [Document(*key, found[key]) for key in own if key in found]


def _named(recorded: RecordedEvent) -> tuple[str, ...]:
    """Return the names of the documents that an event names; what is no event names none."""
    if any(columns.mistyped(recorded)) or not recorded.stream.startswith("person:"):
        return ()
    names = tuple(name for name, _ in streams.documents_of(codec.decode_person_event(recorded)))
    return (*names, transactions.SALT) if names and recorded.version == 1 else names


def _document_out(one: Document) -> str:
    return _line({"stream": one.stream, "document": one.name, "body": base64.b64encode(one.body).decode()})


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
    if not number:
        raise LogUnreadable("line 1", "is missing: the file is empty")
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
        data, meta = found["data"].encode(), found["meta"].encode()
        found["stream"].encode()
    except UnicodeEncodeError:
        raise LogUnreadable(f"line {number}", "holds half of a surrogate pair, which no UTF-8 can say") from None
    try:
        own = bytes.fromhex(found["hash"])
    except ValueError:
        raise LogUnreadable(f"line {number}", "has a hash that is not hexadecimal") from None
    return RecordedEvent(**{**found, "data": data, "meta": meta, "hash": own})


def _document_in(number: int, found: dict[str, Any]) -> Document:
    match found:
        case {"stream": str(stream), "document": str(name), "body": str(body)}:
            try:
                return Document(stream, name, base64.b64decode(body, validate=True))
            except ValueError:
                raise LogUnreadable(f"line {number}", "has a body that is not base64") from None
        case _:
            raise LogUnreadable(f"line {number}", "should have a stream, a document and its body")
