"""The SQLite store and the reference store, driven by the same random writes: same answers, same views."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from research_fsm.errors import WriteRejected
from research_fsm.storage import (
    NewEvent,
    Query,
    QueueEntry,
    Reader,
    Receipt,
    Store,
    StreamWrite,
    Token,
    UniqueKey,
    View,
    Write,
)
from research_fsm.stores.memory import MemoryStore
from research_fsm.stores.sqlite import SQLiteStore
from tests.stores.sqlite_examples import version_of

STREAMS = ("account:a", "account:ä", "person:1", "person:2", "person:\U0001f600")
NAMES = ("one", "two", "three")
TIMES = st.integers(0, 9)

streams = st.sampled_from(STREAMS)
names = st.sampled_from(NAMES)
texts = st.sampled_from([b"{}", b'{"text":"\xc3\xa9"}', b"[1,2]"])
some_streams = st.lists(streams, unique=True, max_size=5).map(tuple)
some_names = st.lists(names, unique=True, max_size=3).map(tuple)

queries = st.builds(
    Query,
    streams=some_streams,
    keys=some_names,
    receipts=some_names,
    documents=some_names,
    entry=st.none() | names,
    next_entry=st.booleans(),
)

ends = st.builds(
    StreamWrite,
    stream=streams,
    expected=st.integers(-1, 1),  # Added to the present version, so that most are right.
    events=st.lists(st.builds(NewEvent, st.just("Noted"), st.integers(1, 2), texts, texts), max_size=3).map(tuple),
    state=texts,
    fold=st.integers(1, 2),
    link=st.none() | streams,
    tag=names,
    due=st.none() | TIMES,
)

writes = st.builds(
    Write,
    answer=st.integers(),
    streams=st.lists(ends, unique_by=lambda end: end.stream, max_size=2).map(tuple),
    keys=st.lists(
        st.builds(UniqueKey, names, streams, texts, st.booleans()), unique_by=lambda key: key.key, max_size=2
    ).map(tuple),
    receipts=st.lists(st.builds(Receipt, names, streams, names, texts), unique_by=lambda row: row.key, max_size=2).map(
        tuple
    ),
    settled=st.dictionaries(names, texts, max_size=2),
    documents=st.dictionaries(st.tuples(streams, names), texts | st.just(b"\xff"), max_size=2),
    enqueued=st.lists(st.builds(QueueEntry, names, streams, st.none() | TIMES), max_size=2).map(tuple),
    dequeued=st.lists(names, max_size=1).map(tuple),
    forgotten=st.lists(streams, max_size=1).map(tuple),
    tokens=st.lists(st.builds(Token, names, names, st.just("user"), names, TIMES, st.none() | TIMES), max_size=2).map(
        tuple
    ),
)


def seen(view: View) -> dict[str, Any]:
    """Return everything that a view shows."""
    return {
        "heads": dict(view.heads),
        "keys": dict(view.keys),
        "receipts": dict(view.receipts),
        "documents": dict(view.documents),
        "entry": view.entry,
        "history": {stream: list(view.history(stream)) for stream in STREAMS},
    }


def everything(reader: Reader) -> dict[str, Any]:
    """Return everything that a reader shows, in its order, in whole and by pages."""
    return {
        "events": list(reader.events()),
        "behind": list(reader.events(after=3)),
        "streams": {stream: list(reader.events(stream, after=1)) for stream in STREAMS},
        "heads": list(reader.heads()),
        "linked": {stream: reader.linked(stream) for stream in STREAMS},
        "next": {stream: reader.linked(stream, before=4, limit=1) for stream in STREAMS},
        "due": reader.due(("one", "three", "one"), 6, after=None, limit=3),
        "due next": reader.due(NAMES, 9, after=(2, "person:1"), limit=2),
        "keys": list(reader.keys()),
        "entries": list(reader.entries()),
        "tokens": [reader.tokens(), *(reader.tokens(name) for name in NAMES)],
        "token": [reader.token(name) for name in NAMES],
    }


def outcome(store: Store, query: Query, write: Write[int]) -> object:
    """Return what a transaction saw and answered, or how it was rejected."""
    views = []

    def rule(view: View, now: int) -> Write[int]:
        views.append((seen(view), now))
        return evolve(write, streams=tuple(_placed(store, end) for end in write.streams))

    try:
        return views, store.transact(query, rule)
    except WriteRejected:
        return views, "rejected"


def _placed(store: Store, end: StreamWrite) -> StreamWrite:
    """Count the expected version from the present one; a new stream has an event."""
    head = store.read(Query(streams=(end.stream,))).heads.get(end.stream)
    events = end.events or (() if head is not None else (NewEvent("Noted", 1, b"{}", b"{}"),))
    return evolve(end, expected=max(0, version_of(head) + end.expected), events=events)


class TestAgreement:
    """Random transactions on both stores."""

    @settings(max_examples=120, deadline=None)
    @given(steps=st.lists(st.tuples(TIMES, queries, writes), min_size=1, max_size=8))
    def test_both_stores_answer_alike(self, steps: list[tuple[int, Query, Write[int]]]) -> None:
        """Every answer, every view, every rejection, and all that can be read afterwards, live or from a snapshot."""
        now = [0]
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            clock: Callable[[], int] = lambda: now[0]  # noqa: E731 - a function of one word.
            reference = stack.enter_context(MemoryStore(clock))
            store = stack.enter_context(SQLiteStore(Path(folder) / "store.db", clock=clock))
            for time, query, write in steps:
                now[0] = time
                assert outcome(store, query, write) == outcome(reference, query, write)
                assert seen(store.read(query)) == seen(reference.read(query))
            assert everything(store) == everything(reference)
            with store.snapshot() as frozen:
                assert everything(frozen) == everything(reference)
