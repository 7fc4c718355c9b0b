"""A verification, with payloads, hashes, documents and keys, and a first look: against bare scans, and another library.

A scan is the least that anybody reads: every row that is verified, whole, into Python, and nothing done with it. The
other library is `eventsourcing`, which replays aggregates that hold the same data; it checks no hash and no law.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from attrs import evolve
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from benchmarks.people import EVENTS_OF_A_START, OWNER, fill
from benchmarks.rounds import Measured, Settings, paired
from research_fsm import Runs
from research_fsm.audit import verify
from research_fsm.audit.states import verify_states
from research_fsm.laws import Finding
from research_fsm.stores.sqlite import SQLiteStore

__all__ = ["audit"]

_CREDITS = 10**9
_SCAN = "a bare scan of the same columns"
_REPLAY = "a replay with eventsourcing, on SQLite"


class _History(Aggregate):
    """A stream of another library's: what happened is kept, as our fold keeps it."""

    @event("Began")
    def __init__(self, identity: UUID, name: str) -> None:  # noqa: ARG002  # The library makes the id of it.
        self.name = name
        self.last: dict[str, Any] = {}

    @staticmethod
    def create_id(identity: UUID, name: str) -> UUID:  # noqa: ARG004  # The library's signature.
        """Be the id that is given."""
        return identity

    @event("Happened")
    def happen(self, kind: str, data: dict[str, Any]) -> None:
        """Take one more event."""
        self.last[kind] = data


def audit(settings: Settings) -> list[Measured]:
    """Show what verifying a log takes, for one event of it."""
    path = Path(settings.folder) / "audit.db"
    store = SQLiteStore(path)
    try:
        Runs(store).grant(OWNER, _CREDITS)
        fill(store, settings.events // EVENTS_OF_A_START // 2, OWNER)
        events = sum(1 for _ in store.events())
        return list(_measured(store, evolve(settings, operations=events)))
    finally:
        store.close()


def _measured(store: SQLiteStore, settings: Settings) -> Iterator[Measured]:
    replayed, streams = _copied(store, Path(settings.folder))

    def scanned(_: int) -> None:
        with store.snapshot() as log:
            _run_through(log.events(), log.heads(), log.documents(), log.keys(), log.receipts(), log.entries())

    def scanned_states(_: int) -> None:
        with store.snapshot() as log:
            _run_through(log.events(), log.heads())

    def replay(_: int) -> None:
        for stream in streams:
            replayed.repository.get(stream)

    log = f"{settings.operations:,} events, {EVENTS_OF_A_START} of each person"
    looked = _whole(lambda: verify_states(store))
    verified = _whole(lambda: verify(store))
    yield paired(f"verify --state-only, {log}", _SCAN, looked, scanned_states, settings, target=0.8)
    yield paired(f"verify, {log}", _SCAN, verified, scanned, settings, target=0.3)
    yield paired(f"verify, {log}", _REPLAY, verified, replay, settings, target=5)


def _whole(look: Callable[[], Iterable[Finding]]) -> Callable[[int], None]:
    """Return a case that looks at a log in which there must be nothing to find."""

    def looked(_: int) -> None:
        for finding in look():
            raise ValueError(f"the log is not whole: {finding}")

    return looked


def _run_through(*rows: Iterable[object]) -> None:
    for _row in chain.from_iterable(rows):
        pass


def _copied(store: SQLiteStore, folder: Path) -> tuple[Application[UUID], list[UUID]]:
    """Return the same history in the other library."""
    app = Application[UUID](
        env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(folder / "audit-eventsourcing.db")}
    )
    histories: dict[str, _History] = {}
    for recorded in store.events():
        history = histories.get(recorded.stream)
        if history is None:
            history = histories[recorded.stream] = _History(uuid4(), recorded.stream)
        history.happen(recorded.type, json.loads(recorded.data))
    app.save(*histories.values())
    return app, [history.id for history in histories.values()]
