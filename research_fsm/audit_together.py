"""Verify a file with several processes: each reads all of it, and follows its share of the streams.

Floor 6, above `audit`. Imports the SQLite store's way to open evidence. All of them must see one point in time: each
opens the file by itself, and if somebody wrote in between, all of them open it once more; if that does not end, one
process verifies alone.
"""

import multiprocessing
import os
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from multiprocessing.connection import Connection, wait

from research_fsm import audit
from research_fsm.audit_streams import EVERYTHING, Share
from research_fsm.laws import Erased, Finding
from research_fsm.stores.sqlite_evidence import evidence

__all__ = ["verify_file"]

_ATTEMPTS = 20

_Result = tuple[list[Finding], list[Erased]]


def verify_file(
    path: str | os.PathLike[str],
    patience: timedelta,
    processes: int,
    followed: Callable[[int], object] = lambda _: None,
    erased: Callable[[Erased], object] = lambda _: None,
) -> list[Finding]:
    """Return what `audit.verify` finds in a file, share after share.

    Args:
        path: A store's file. It is not written to, and may be written to by others meanwhile.
        patience: How long to wait for a lock.
        processes: How many verify it; each takes memory of its own.
        followed: Called now and then with the number of events since the last time, to show how far it is.
        erased: Called for each person who was erased.

    Raises:
        StoreError: It is no store, or cannot be read.
    """
    # A new interpreter each: a fork would take the connections and the threads of whoever calls along.
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        ends = list[Connection]()
        for _ in range(processes):
            ours, theirs = context.Pipe()
            process = context.Process(target=_verify_share, args=(theirs, str(path), patience), daemon=True)
            process.start()
            stack.callback(process.join)
            stack.callback(process.terminate)
            stack.callback(ours.close)
            theirs.close()
            ends.append(ours)
        working = _agreed(ends)
        results = _results(working, followed)
    for _, gone in results:
        for one in gone:
            erased(one)
    return [finding for found, _ in results for finding in found]


def _agreed(ends: list[Connection]) -> list[Connection]:
    """Give each process its share of one point in time; return those that have one."""
    for _ in range(_ATTEMPTS):
        seen = {_heard(end) for end in ends}
        if len(seen) == 1:
            for number, end in enumerate(ends):
                end.send(Share(number, len(ends)))
            return ends
        for end in ends:
            end.send(None)
    _heard(ends[0])
    ends[0].send(EVERYTHING)
    return ends[:1]


def _results(ends: list[Connection], followed: Callable[[int], object]) -> list[_Result]:
    """Hear all of them out; the first one says how far it is."""
    results: dict[int, _Result] = {}
    while len(results) < len(ends):
        for ready in wait([end for number, end in enumerate(ends) if number not in results]):
            number = next(number for number, end in enumerate(ends) if end is ready)
            said = _heard(ends[number])
            if isinstance(said, int):
                followed(said)
            else:
                results[number] = said
    return [results[number] for number in range(len(ends))]


def _heard(end: Connection) -> "int | _Result":
    """Return what a process says next, or raise what went wrong there."""
    said: int | _Result | Exception = end.recv()
    if isinstance(said, Exception):
        raise said
    return said


def _verify_share(end: Connection, path: str, patience: timedelta) -> None:
    """Be one of the processes: say what is seen, until it is what all see, and then what is found."""
    try:
        share = None
        while share is None:
            with evidence(path, patience) as log:
                end.send(log.newest())
                share = end.recv()
                if share is not None:
                    gone = list[Erased]()
                    step = end.send if share.number == 0 else lambda _: None
                    found = list(audit.verify(log, step, gone.append, share))
                    end.send((found, gone))
    except Exception as error:  # noqa: BLE001  # Whoever asked raises it.
        end.send(error)
