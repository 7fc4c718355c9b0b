"""Callers who are committed together, and the same callers one after the other: the same answers and the same rows."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from research_fsm.errors import WriteRejected
from research_fsm.storage import NewEvent, Query, StreamWrite, View, Write
from research_fsm.stores.group_commit import Ticket
from research_fsm.stores.memory import MemoryStore
from research_fsm.stores.sqlite import SQLiteStore
from tests.stores.sqlite_examples import version_of
from tests.stores.test_sqlite_agrees import everything, queries, writes

NOW = 5

Step = tuple[Query, Write[int]]


def named(query: Query, view: View) -> dict[str, Any]:
    """Return what a view shows of what its query names; in a batch it may show more."""
    keys = {name: view.keys[name] for name in query.keys if name in view.keys}
    receipts = {name: view.receipts[name] for name in query.receipts if name in view.receipts}
    streams = {*query.streams, *(row.stream for row in keys.values()), *(row.stream for row in receipts.values())}
    if view.entry is not None:
        streams.add(view.entry.stream)
    streams |= {head.link for stream, head in view.heads.items() if stream in streams and head.link is not None}
    heads = {stream: evolve(view.heads[stream], first=0) for stream in streams if stream in view.heads}
    return {
        "heads": heads,
        "keys": keys,
        "receipts": receipts,
        "documents": {
            (stream, name): view.documents[stream, name]
            for stream in heads
            for name in query.documents
            if (stream, name) in view.documents
        },
        "entry": view.entry,
        "history": {stream: [evolve(event, position=0) for event in view.history(stream)] for stream in heads},
    }


class Caller:
    """Writes what it is told, with the versions that its view shows, and keeps what it saw.

    Args:
        step: What it names and what it writes.
    """

    def __init__(self, step: Step) -> None:
        query, self._write = step
        self.query = evolve(query, streams=tuple({*query.streams, *(end.stream for end in self._write.streams)}))
        self.saw: list[dict[str, Any]] = []

    def rule(self, view: View, _: int) -> Write[int]:
        """Decide."""
        self.saw.append(named(self.query, view))
        return evolve(self._write, streams=tuple(_placed(view, end) for end in self._write.streams))


def _placed(view: View, end: StreamWrite) -> StreamWrite:
    head = view.heads.get(end.stream)
    events = end.events or (() if head is not None else (NewEvent("Noted", 1, b"{}", b"{}"),))
    return evolve(end, expected=max(0, version_of(head) + end.expected), events=events)


def together(store: SQLiteStore, callers: list[Caller]) -> list[object]:
    """Commit for callers in one batch, and return what each is told."""
    tickets = [Ticket(caller.query, caller.rule, 0.0) for caller in callers]
    store._commit(1.0, lambda: tickets)
    assert all(ticket.done for ticket in tickets)
    return ["rejected" if isinstance(ticket.error, WriteRejected) else ticket.result() for ticket in tickets]


def one_by_one(store: MemoryStore, callers: list[Caller]) -> list[object]:
    """Commit for one caller after the other, and return what each is told."""
    told: list[object] = []
    for caller in callers:
        try:
            told.append(store.transact(caller.query, caller.rule))
        except WriteRejected:
            told.append("rejected")
    return told


@settings(max_examples=200, deadline=None)
@given(batches=st.lists(st.lists(st.tuples(queries, writes), min_size=1, max_size=6), min_size=1, max_size=3))
def test_a_batch_is_its_callers_one_by_one(batches: list[list[Step]]) -> None:
    """Every answer, every rejection, what each rule saw at last, and all that can be read afterwards."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        reference = stack.enter_context(MemoryStore(lambda: NOW))
        store = stack.enter_context(SQLiteStore(Path(folder) / "store.db", clock=lambda: NOW))
        for steps in batches:
            some, others = [Caller(step) for step in steps], [Caller(step) for step in steps]
            assert together(store, some) == one_by_one(reference, others)
            assert [caller.saw[-1] for caller in some] == [caller.saw[-1] for caller in others]
        assert everything(store) == everything(reference)
