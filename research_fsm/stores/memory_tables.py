"""What the store in memory keeps, and what a write does to it.

Floor 5. A part of `research_fsm.stores.memory`. A write is refused before any of it is done.
"""

from attrs import Factory, define, evolve

from research_fsm.errors import WriteRejected
from research_fsm.storage import (
    Head,
    QueueEntry,
    Receipt,
    RecordedEvent,
    StreamWrite,
    Token,
    UniqueKey,
    Write,
    first_hash,
    next_hash,
)

__all__ = ["WHERE", "Tables", "apply", "check"]

WHERE = "memory"


@define
class Tables:
    """Rows of each kind, by what they are looked up by."""

    events: list[RecordedEvent] = Factory(list)
    streams: dict[str, list[RecordedEvent]] = Factory(dict)
    heads: dict[str, Head] = Factory(dict)
    documents: dict[tuple[str, str], bytes] = Factory(dict)
    keys: dict[str, UniqueKey] = Factory(dict)
    receipts: dict[str, Receipt] = Factory(dict)
    queue: dict[str, QueueEntry] = Factory(dict)
    tokens: dict[str, Token] = Factory(dict)

    def copy(self) -> "Tables":
        """Return tables of their own for the same rows, which never change."""
        return Tables(
            list(self.events),
            {stream: list(events) for stream, events in self.streams.items()},
            dict(self.heads),
            dict(self.documents),
            dict(self.keys),
            dict(self.receipts),
            dict(self.queue),
            dict(self.tokens),
        )


def check(tables: Tables, write: Write[object]) -> None:
    """Refuse a write before any of it is done."""
    for stream in write.streams:
        head = tables.heads.get(stream.stream)
        version = 0 if head is None else head.version
        if version != stream.expected:
            raise WriteRejected(WHERE, f"{stream.stream} is at version {version}, not {stream.expected}")
    for key in write.keys:
        if key.key in tables.keys:
            raise WriteRejected(WHERE, f"the unique key {f'of {key.stream}' if key.personal else key.key} is taken")
    for receipt in write.receipts:
        if receipt.key in tables.receipts:
            raise WriteRejected(WHERE, f"there is a receipt {receipt.key} already")


def apply(tables: Tables, write: Write[object], now: int) -> None:
    """Do all of a write."""
    for stream in write.streams:
        _append(tables, stream, now)
    tables.keys.update({key.key: key for key in write.keys})
    tables.receipts.update({receipt.key: receipt for receipt in write.receipts})
    for name, answer in write.settled.items():
        if name in tables.receipts:
            tables.receipts[name] = evolve(tables.receipts[name], answer=answer)
    tables.documents.update(write.documents)
    tables.queue.update({entry.run_id: entry for entry in write.enqueued})
    for run_id in write.dequeued:
        tables.queue.pop(run_id, None)
    for forgotten in write.forgotten:
        _forget(tables, forgotten)
    tables.tokens.update({token.token_id: token for token in write.tokens})


def _append(tables: Tables, write: StreamWrite, now: int) -> None:
    head = tables.heads.get(write.stream)
    previous = first_hash(write.stream) if head is None else head.hash
    first = len(tables.events) + 1 if head is None else head.first
    stream = tables.streams.setdefault(write.stream, [])
    for version, event in enumerate(write.events, write.expected + 1):
        previous = next_hash(previous, write.stream, version, event, now)
        recorded = RecordedEvent(
            position=len(tables.events) + 1,
            stream=write.stream,
            version=version,
            type=event.type,
            schema=event.schema,
            at=now,
            data=event.data,
            meta=event.meta,
            hash=previous,
        )
        tables.events.append(recorded)
        stream.append(recorded)
    tables.heads[write.stream] = Head(
        stream=write.stream,
        version=len(stream),
        hash=previous,
        fold=write.fold,
        state=write.state,
        link=write.link if head is None else head.link,
        tag=write.tag,
        due=write.due,
        first=first,
    )


def _forget(tables: Tables, stream: str) -> None:
    tables.documents = {name: body for name, body in tables.documents.items() if name[0] != stream}
    tables.keys = {name: key for name, key in tables.keys.items() if not (key.personal and key.stream == stream)}
    tables.receipts = {
        name: evolve(receipt, fingerprint="") if receipt.stream == stream else receipt
        for name, receipt in tables.receipts.items()
    }
