"""An independent reader of the file: SQL and JSON, nothing of ours. Recounts runs, holds and charges."""

import json
import sqlite3
from collections import Counter
from pathlib import Path

from attrs import frozen

__all__ = ["Recount", "recount"]


@frozen
class Recount:
    """What the events of a file add up to.

    Args:
        runs: Runs that were started.
        ends: How runs ended, by event.
        holds: Credits that are held now.
        charged: Credits that were charged, less those given back.
        granted: Credits that were granted.
        problems: What does not add up, in words.
    """

    runs: int
    ends: Counter[str]
    holds: int
    charged: int
    granted: int
    problems: tuple[str, ...]


_ENDS = ("RunCompleted", "RunFailed", "RunRolledBack")


def recount(path: Path) -> Recount:
    """Add up everything in a file."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    rows = [
        (stream, name, json.loads(data))
        for stream, name, data in connection.execute("SELECT stream, type, data FROM events ORDER BY position")
    ]
    connection.close()
    counted = Counter(name for _, name, _ in rows)
    amounts: Counter[str] = Counter()
    for _, name, data in rows:
        amounts[name] += data.get("amount", 0)
    return Recount(
        runs=counted["RunStarted"],
        ends=Counter({name: counted[name] for name in _ENDS if counted[name]}),
        holds=amounts["CreditsHeld"] - amounts["CreditsCharged"] - amounts["CreditsReleased"],
        charged=amounts["CreditsCharged"] - amounts["CreditsRefunded"],
        granted=amounts["CreditsGranted"] - amounts["CreditsRevoked"],
        problems=(*_open_twice(rows), *_paid_twice(rows), *_overdrawn(rows)),
    )


Rows = list[tuple[str, str, dict[str, int]]]


def _open_twice(rows: Rows) -> list[str]:
    """Find people with two runs open at once."""
    problems, is_open = [], dict[str, bool]()
    for stream, name, data in rows:
        if name == "RunStarted":
            if is_open.get(stream):
                problems.append(f"{stream}: run {data['run_no']} started while another was open")
            is_open[stream] = True
        elif name in (*_ENDS, "PersonErased"):
            is_open[stream] = False
    return problems


def _paid_twice(rows: Rows) -> list[str]:
    """Find runs with other than one hold, or more than one charge."""
    started = {data["run_id"] for _, name, data in rows if name == "RunStarted"}
    held = Counter(data["run_id"] for _, name, data in rows if name == "CreditsHeld")
    charged = Counter(data["run_id"] for _, name, data in rows if name == "CreditsCharged")
    wrong = [f"run {run_id} has {held[run_id]} holds" for run_id in started | set(held) if held[run_id] != 1]
    return wrong + [f"run {run_id} is charged {count} times" for run_id, count in charged.items() if count > 1]


def _overdrawn(rows: Rows) -> list[str]:
    """Find accounts that ever had less than nothing."""
    signs = {"CreditsGranted": 1, "CreditsRevoked": -1, "CreditsHeld": -1, "CreditsReleased": 1, "CreditsRefunded": 1}
    problems, available = [], Counter[str]()
    for stream, name, data in rows:
        if name in signs:
            available[stream] += signs[name] * data["amount"]
            if available[stream] < 0:
                problems.append(f"{stream} has {available[stream]} credits after {name}")
    return problems
