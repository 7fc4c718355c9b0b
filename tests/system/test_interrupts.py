"""Ctrl-C as a real signal: it meets the main thread wherever that is, while other threads stand in line with it."""

import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import cast

import pytest

from research_fsm.stores.sqlite import SQLiteStore
from tests.stores.sqlite_examples import Child, appending, broken_links

THREADS, ROUNDS = 4, 150
LONGEST_SECONDS = 0.004
"""A dozen commits of the line."""


def interrupted(path: Path, seed: int) -> Callable[[], object]:
    """Make a process whose main thread is interrupted again and again while four others write, too."""
    draw = random.Random(seed)  # noqa: S311  # To draw the same again.

    def work() -> object:
        came = 0

        def ctrl_c(number: int, frame: FrameType | None) -> None:
            nonlocal came
            came += 1
            signal.default_int_handler(number, frame)

        signal.signal(signal.SIGINT, ctrl_c)
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))  # A timer comes at any time.
        over = threading.Event()
        told: dict[str, list[int]] = {name: [] for name in ("main", *map(str, range(THREADS)))}
        interrupts = 0
        with SQLiteStore(path) as store:

            def follow(name: str) -> None:
                while not over.is_set():
                    told[name].append(store.transact(*appending(name, "x")))

            threads = [threading.Thread(target=follow, args=(str(name),), daemon=True) for name in range(THREADS)]
            for thread in threads:
                thread.start()
            for before in range(ROUNDS):
                try:
                    signal.setitimer(signal.ITIMER_REAL, draw.uniform(0.00001, LONGEST_SECONDS))
                    while came == before:  # The interpreter drops one that comes while it collects garbage.
                        told["main"].append(store.transact(*appending("main", "x")))
                except KeyboardInterrupt:
                    interrupts += 1
            over.set()
            deadline = time.monotonic() + 20
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
            if any(thread.is_alive() for thread in threads):
                return "a thread waits for ever"
            wrong = broken_links(store)
            events: dict[str, list[int]] = {name: [] for name in told}
            for event in store.events():
                events[event.stream].append(event.version)
            return interrupts, wrong, {name: (told[name], events[name]) for name in told}

    return work


@pytest.mark.parametrize("seed", range(2))
def test_an_interrupt_at_any_time_leaves_nobody_waiting_and_the_log_whole(tmp_path: Path, seed: int) -> None:
    """Whoever was not interrupted was told each of its versions; the one who was may not have heard of some."""
    said = Child(interrupted(tmp_path / "store.db", seed)).result()
    assert isinstance(said, tuple), said
    interrupts, wrong, streams = cast("tuple[int, list[int], dict[str, tuple[list[int], list[int]]]]", said)
    assert ROUNDS / 2 < interrupts <= ROUNDS
    assert wrong == []
    told, versions = streams.pop("main")
    assert set(told) <= set(versions)
    assert len(versions) - len(told) <= ROUNDS
    for told, versions in streams.values():
        assert told == versions
        assert told
