"""A disk that gets full while many threads stand in line: what was told is there, and nothing is there twice."""

import json
import resource
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from research_fsm.errors import StoreError
from research_fsm.stores.sqlite import SQLiteStore
from tests.stores.sqlite_examples import Child, appending, broken_links

THREADS, ROUNDS = 12, 6
ROOM = 60_000
"""How much more the write-ahead log may grow, in bytes: a part of what the threads want to write."""

NOT_WRITTEN = {"StoreFull", "StoreError"}
"""What is told before a commit was tried: there was no room for the transaction, or to open the file anew."""


def filling(path: Path, room_left: int) -> Callable[[], object]:
    """Make a process whose threads write until the disk is full, and then go on with room again."""

    def child() -> object:
        with SQLiteStore(path) as store:
            store.transact(*appending("before", "x"))
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            size = path.with_name(f"{path.name}-wal").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + room_left, hard))
            told = _written(store, "full")
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            return told, _written(store, "room"), broken_links(store)

    return child


def _written(store: SQLiteStore, word: str) -> dict[str, object]:
    """Let many threads append a note each, round after round; return what each was told, a version or an error."""
    told: dict[str, object] = {}
    begin = threading.Barrier(THREADS)

    def work(thread: int) -> None:
        begin.wait()
        for number in range(ROUNDS):
            name = f"{word}-{thread}-{number}"
            try:
                told[name] = store.transact(*appending(f"stream-{thread % 3}", name, "x" * 3000))
            except StoreError as error:
                told[name] = type(error).__name__

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a caller was forgotten in the line"
    return told


@pytest.mark.parametrize("room_left", [0, ROOM, 2 * ROOM])
def test_a_disk_that_gets_full_in_the_middle_of_batches_loses_and_doubles_nothing(
    tmp_path: Path, room_left: int
) -> None:
    """Who was told a version finds it, who was told of an error may not have written, and with room all go on."""
    path = tmp_path / "store.db"
    full, room, broken = cast(
        "tuple[dict[str, object], dict[str, object], list[int]]", Child(filling(path, room_left)).result()
    )
    assert len(full) == len(room) == THREADS * ROUNDS
    errors = Counter(told for told in full.values() if not isinstance(told, int))
    assert errors
    assert errors.keys() <= {"CommitUnknown", *NOT_WRITTEN}
    assert all(isinstance(told, int) for told in room.values())
    assert broken == []
    with SQLiteStore(path) as store:
        events = list(store.events())
        assert broken_links(store) == []
    notes = [json.loads(event.data)["note"] for event in events]
    named = Counter(note for note in notes if not note.startswith("x"))
    assert set(named.values()) == {1}
    at = {note: event.version for note, event in zip(notes, events, strict=True)}
    for name, answer in {**full, **room}.items():
        if isinstance(answer, int):
            assert at[name] == answer - 1  # The note is followed by its filling.
        elif answer in NOT_WRITTEN:
            assert name not in named
