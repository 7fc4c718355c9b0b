"""What the rows of the PostgreSQL store become: the columns in their order, and what is made of them.

Floor 5. Imports the words of the store's contract. Values come as the server writes them, as text.
"""

from binascii import unhexlify
from typing import Any

from research_fsm.storage import Head, RecordedEvent

__all__ = ["EVENT", "HEAD", "event_of", "head_of", "int_of", "text_of"]

HEAD = "stream, version, encode(hash, 'hex'), fold, state, link, tag, due, first"
"""The columns of a head."""

EVENT = "position, stream, version, type, schema, at, data, meta, encode(hash, 'hex')"
"""The columns of an event."""

Cells = tuple[Any, ...]
"""Cells of columns that are never NULL, or else are looked at."""


def text_of(value: bytes | None) -> str:
    """Return a text."""
    return (value or b"").decode()


def int_of(value: bytes | None) -> int:
    """Return a number."""
    return int(value or b"0")


def head_of(row: Cells) -> Head:
    """Return a head."""
    stream, version, hashed, fold, state, link, tag, due, first = row
    return Head(
        stream.decode(),
        int(version),
        unhexlify(hashed),
        int(fold),
        state,
        None if link is None else link.decode(),
        tag.decode(),
        None if due is None else int(due),
        int(first),
    )


def event_of(row: Cells) -> RecordedEvent:
    """Return an event."""
    position, stream, version, name, schema, at, data, meta, hashed = row
    return RecordedEvent(
        int(position),
        stream.decode(),
        int(version),
        name.decode(),
        int(schema),
        int(at),
        data,
        meta,
        unhexlify(hashed),
    )
