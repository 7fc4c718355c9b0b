"""What somebody would write by hand: a start on sqlite3, the same tables and rows, one commit per start, no hashes."""

import json
import sqlite3
import time
from itertools import count
from pathlib import Path
from uuid import uuid4

from research_fsm.stores.sqlite import SQLiteStore

__all__ = ["ByHand", "connected", "start"]

_EVENT = (
    "INSERT INTO events (stream, version, type, schema, at, data, meta, hash) VALUES (?, ?, ?, 1, ?, ?, '{}', x'00')"
)


class ByHand:
    """Starts runs with SQL of its own on a store's schema; only fit for measuring against.

    Args:
        path: A file that does not exist yet.
        people: How many people to prepare.
        credits: How many credits the one account has.
    """

    def __init__(self, path: Path, people: int, credits: int) -> None:  # noqa: A002  # The word for it.
        with SQLiteStore(path):
            pass  # Makes the tables.
        self._connection = connected(path)
        self.people = [f"person:{uuid4()}" for _ in range(people)]
        self._next = count()
        now = time.time_ns() // 1000
        state = json.dumps({"phase": "idle", "owner": "acme", "run_no": 0})
        self._connection.execute("BEGIN IMMEDIATE")
        for stream in self.people:
            self._event(stream, 1, "PersonAdded", now, {"owner": "acme"})
            self._head(stream, 1, state, "account:acme", "idle")
        self._event("account:acme", 1, "CreditsGranted", now, {"amount": credits})
        self._head("account:acme", 1, json.dumps({"available": credits, "charged": 0}), None, "account")
        self._connection.execute("COMMIT")

    def start(self, operations: int) -> None:
        """Start so many people, one commit each."""
        for _ in range(operations):
            start(self._connection, self.people[next(self._next)])

    def next_person(self) -> str:
        """Return the next person who was not started yet."""
        return self.people[next(self._next)]

    def start_next(self) -> None:
        """Start the next person."""
        start(self._connection, self.next_person())

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _event(self, stream: str, version: int, name: str, at: int, data: dict[str, object]) -> None:
        _event(self._connection, stream, version, name, at, data)

    def _head(self, stream: str, version: int, state: str, link: str | None, tag: str) -> None:
        self._connection.execute(
            "INSERT INTO heads (stream, version, hash, fold, state, link, tag, due, first)"
            " VALUES (?, ?, x'00', 1, ?, ?, ?, NULL, 1)",
            (stream, version, state, link, tag),
        )


def connected(path: Path, patience_seconds: float = 5.0) -> sqlite3.Connection:
    """Return a connection as somebody would make it for this: write-ahead log, each commit flushed."""
    connection = sqlite3.connect(
        path, timeout=patience_seconds, isolation_level=None, cached_statements=256, check_same_thread=False
    )
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def start(connection: sqlite3.Connection, stream: str) -> None:
    """Start one person, in one commit."""
    run_id, execute = str(uuid4()), connection.execute
    execute("BEGIN IMMEDIATE")
    now = time.time_ns() // 1000
    version, state, link = execute("SELECT version, state, link FROM heads WHERE stream = ?", (stream,)).fetchone()
    account_version, account_state = execute("SELECT version, state FROM heads WHERE stream = ?", (link,)).fetchone()
    person, account = json.loads(state), json.loads(account_state)
    if person["phase"] != "idle" or account["available"] < 1:
        execute("ROLLBACK")
        return
    run_no = person["run_no"] + 1
    run = {"run_id": run_id, "run_no": run_no}
    credit = {"amount": 1, "person_id": stream, **run}
    _event(connection, stream, version + 1, "RunStarted", now, {"cost": 1, **run})
    _event(connection, stream, version + 2, "RunDispatched", now, run)
    _event(connection, link, account_version + 1, "CreditsHeld", now, credit)
    _event(connection, link, account_version + 2, "CreditsCharged", now, credit)
    changed = json.dumps({**person, "phase": "queued", "run": run, "run_no": run_no})
    execute("UPDATE heads SET version = ?, state = ?, tag = 'queued' WHERE stream = ?", (version + 2, changed, stream))
    charged = json.dumps({"available": account["available"] - 1, "charged": account["charged"] + 1})
    execute("UPDATE heads SET version = ?, state = ? WHERE stream = ?", (account_version + 2, charged, link))
    execute("INSERT INTO unique_keys (key, stream, value, personal) VALUES (?, ?, '1', 0)", (f"run:{run_id}", stream))
    execute("INSERT INTO queue (run_id, stream) VALUES (?, ?)", (run_id, stream))
    execute("COMMIT")


def _event(
    connection: sqlite3.Connection, stream: str, version: int, name: str, at: int, data: dict[str, object]
) -> None:
    connection.execute(_EVENT, (stream, version, name, at, json.dumps(data)))
