"""Proofs that can be checked without a log: that a checkpoint covers an event, that one log continues another.

Floor 6, above `statements`. Imports the tree. Whoever brings a proof may have written it: nothing in it is trusted.
"""

import json
from typing import Any

from attrs import asdict, fields, frozen

from research_fsm import merkle
from research_fsm.checkpoints.statements import Checkpoint, hash_of
from research_fsm.errors import InvalidInput, LogUnreadable
from research_fsm.storage import NewEvent, Reader, RecordedEvent, first_hash, next_hash

__all__ = [
    "Consistency",
    "Inclusion",
    "continues",
    "holds",
    "load_consistency",
    "load_inclusion",
    "prove_consistency",
    "prove_inclusion",
]


@frozen
class Inclusion:
    """One event, and the proof that a checkpoint covers it: hashes and texts, all as JSON shows them.

    Args:
        previous: The hash of the stream's event before, or what stands for it before the first.
        stream: Whose event it is.
        version: Its place in the stream.
        type: Its name.
        schema: The form of its data.
        at: When it was recorded, in microseconds UTC.
        data: Canonical JSON, as it was hashed.
        meta: Canonical JSON, as it was hashed.
        index: Its place in the log, from 0.
        path: The hashes of the subtrees beside it, the lowest first.
    """

    previous: str
    stream: str
    version: int
    type: str
    schema: int
    at: int
    data: str
    meta: str
    index: int
    path: tuple[str, ...]

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=2)


@frozen
class Consistency:
    """The proof that the log of one checkpoint continues that of another.

    Args:
        old: How many events the old one covers.
        new: How many the new one covers.
        path: The hashes of subtrees, the lowest first.
    """

    old: int
    new: int
    path: tuple[str, ...]

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), indent=2)


def prove_inclusion(reader: Reader, stream: str, version: int, events: int) -> Inclusion:
    """Return the proof that an event is among the first `events` of a log.

    Raises:
        InvalidInput: It is not.
        LogUnreadable: A row is no event.
    """
    with reader.snapshot() as log:
        previous, found = first_hash(stream), None
        for recorded in log.events(stream, after=max(version - 2, 0)):
            own = hash_of(recorded)
            if recorded.version == version:
                found = recorded
                break
            previous = own
        index = None if found is None else _index_of(log, found)
        if found is None or index is None or index >= events:
            raise InvalidInput("event", f"{stream} version {version} is not among the first {events} events")
        path = _hashes(log, merkle.inclusion_spans(index, events))
    try:
        data, meta = found.data.decode(), found.meta.decode()
    except UnicodeDecodeError:
        raise LogUnreadable(f"the row {found.position}", "its JSON is no UTF-8; `verify` lists what is wrong") from None
    return Inclusion(
        previous.hex(),
        stream,
        version,
        found.type,
        found.schema,
        found.at,
        data,
        meta,
        index,
        path,
    )


def prove_consistency(reader: Reader, old: int, new: int) -> Consistency:
    """Return the proof that the first `new` events of a log begin with the first `old`.

    Raises:
        InvalidInput: There are not as many.
        LogUnreadable: A row is no event.
    """
    if not 0 <= old <= new:
        raise InvalidInput("checkpoint", f"{old} events are no beginning of {new}")
    with reader.snapshot() as log:
        return Consistency(old, new, _hashes(log, merkle.consistency_spans(old, new)) if old else ())


def holds(proof: Inclusion, checkpoint: Checkpoint) -> bool:
    """Tell whether a proof shows that its event is one that a checkpoint covers."""
    try:
        data, meta, previous = proof.data.encode(), proof.meta.encode(), bytes.fromhex(proof.previous)
        path = [bytes.fromhex(one) for one in proof.path]
        event = NewEvent(proof.type, proof.schema, data, meta)
        own = next_hash(previous, proof.stream, proof.version, event, proof.at)
    except ValueError:  # No hexadecimal digits, or half of a surrogate pair.
        return False
    return merkle.is_included(own, proof.index, checkpoint.events, checkpoint.root, path)


def continues(proof: Consistency, old: Checkpoint, new: Checkpoint) -> bool:
    """Tell whether a proof shows that the log of the new checkpoint begins with that of the old one."""
    if (proof.old, proof.new) != (old.events, new.events):
        return False
    try:
        path = [bytes.fromhex(one) for one in proof.path]
    except ValueError:
        return False
    return merkle.is_consistent(old.events, old.root, new.events, new.root, path)


def load_inclusion(text: str) -> Inclusion:
    """Return a proof from its JSON.

    Raises:
        InvalidInput: It is none.
    """
    found = _loaded(text, Inclusion)
    return Inclusion(**{**found, "path": tuple(found["path"])})


def load_consistency(text: str) -> Consistency:
    """Return a proof from its JSON.

    Raises:
        InvalidInput: It is none.
    """
    found = _loaded(text, Consistency)
    return Consistency(**{**found, "path": tuple(found["path"])})


def _index_of(log: Reader, event: RecordedEvent) -> int | None:
    return next((index for index, one in enumerate(log.events()) if one.position == event.position), None)


def _hashes(log: Reader, spans: list[tuple[int, int]]) -> tuple[str, ...]:
    try:
        found = merkle.span_hashes(map(hash_of, log.events()), spans)
    except ValueError as error:
        raise InvalidInput("checkpoint", str(error)) from None
    return tuple(one.hex() for one in found)


def _loaded(text: str, form: type[Inclusion | Consistency]) -> dict[str, Any]:
    """Return the fields of a proof, which may come from anybody: each there, none besides, each of its type."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    expected = {field.name: field.type for field in fields(form)}
    if not isinstance(found, dict) or found.keys() != expected.keys():
        raise InvalidInput("proof", f"must be a JSON object with {', '.join(expected)}")
    for name, kind in expected.items():
        value = found[name]
        fits = _are_texts(value) if name == "path" else type(value) is kind
        if not fits:
            raise InvalidInput("proof", f"has another {name} than a proof has")
    return found


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
