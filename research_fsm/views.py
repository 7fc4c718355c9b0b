"""A copy of a store for plain SQL, in one SQLite file: views with readable columns, and what Datasette needs for them.

Floor 6, above `exported`. Imports the driver; any store is read through the contract of all of them, at one moment. The
copy is no store: the secret, the access tokens and the receipts are never written to it, documents and whatever else is
personal data only if they are asked for, and this library refuses to open it. The views read what the log says in its
own words; they hold no rule.
"""

# ruff: noqa: S608 - the statements are put together from the constants of this module.

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from types import MappingProxyType

from attrs import astuple

from research_fsm import exported
from research_fsm.errors import InvalidInput, StoreUnavailable
from research_fsm.storage import Reader
from research_fsm.stores import sqlite_schema

__all__ = ["VIEWS", "datasette", "write_copy"]

_TIME = "strftime('%Y-%m-%d %H:%M:%S', {0} / 1000000, 'unixepoch') || printf('.%06dZ', {0} % 1000000)"


def _time(column: str) -> str:
    """Return SQL that shows microseconds as a time, and NULL as NULL."""
    return _TIME.format(f"({column})")


_PEOPLE = f"""
CREATE VIEW people AS
SELECT substr(stream, 8) AS person, state ->> 'owner' AS owner, state ->> 'kind' AS kind,
    CASE WHEN tag IN ('dispatching', 'queued', 'executing') THEN 'running' ELSE tag END AS status, tag AS phase,
    {_time("state ->> 'since'")} AS since, state ->> '$.run.run_no' AS run_no, state ->> '$.run.run_id' AS run,
    state ->> '$.run.claimed_by' AS claimed_by, state ->> '$.run.hold' AS hold,
    {_time("state ->> '$.run.deadline'")} AS deadline, state ->> 'reports' AS reports,
    {_time("state ->> 'reported_at'")} AS reported_at, state ->> 'failures_in_a_row' AS failures_in_a_row,
    {_time("state ->> 'added_at'")} AS added_at, {_time("due")} AS recovery_looks_at, version AS events
FROM heads WHERE stream LIKE 'person:%'
"""

_RUNS = f"""
CREATE VIEW runs AS
SELECT substr(started.stream, 8) AS person, started.data ->> 'run_no' AS run_no, started.data ->> 'run_id' AS run,
    started.data ->> 'cost' AS cost, {_time("started.at")} AS started_at,
    (SELECT {_time("min(e.at)")} FROM events e WHERE e.stream = started.stream AND e.type = 'RunDispatched'
        AND e.data ->> 'run_no' = started.data ->> 'run_no') AS queued_at,
    (SELECT {_time("min(e.at)")} FROM events e WHERE e.stream = started.stream AND e.type = 'RunClaimed'
        AND e.data ->> 'run_no' = started.data ->> 'run_no') AS claimed_at,
    (SELECT count(*) FROM events e WHERE e.stream = started.stream AND e.type = 'AttemptArmed'
        AND e.data ->> 'run_no' = started.data ->> 'run_no') AS attempts,
    ended.type AS ended_by, {_time("ended.at")} AS ended_at, ended.data ->> 'reason' AS reason,
    ended.data ->> 'hold' AS hold, ended.data ->> 'report_version' AS report,
    (ended.at - started.at) / 1000000.0 AS seconds, started.meta ->> 'actor' AS actor
FROM events started LEFT JOIN events ended ON ended.stream = started.stream AND ended.version = (
    SELECT min(e.version) FROM events e WHERE e.stream = started.stream AND e.version > started.version
        AND e.type IN ('RunCompleted', 'RunFailed', 'RunRolledBack', 'PersonErased'))
WHERE started.type = 'RunStarted'
"""

_LEDGER = f"""
CREATE VIEW ledger AS
SELECT position, substr(stream, 9) AS owner, {_time("at")} AS at, type, data ->> 'grant_id' AS grant_id,
    data ->> 'person_id' AS person, data ->> 'run_no' AS run_no, data ->> 'amount' AS amount, change,
    sum(change) OVER (PARTITION BY stream ORDER BY version) AS available_after, meta ->> 'actor' AS actor
FROM (
    SELECT *, (data ->> 'amount') * CASE type WHEN 'CreditsGranted' THEN 1 WHEN 'CreditsRevoked' THEN -1
        WHEN 'CreditsHeld' THEN -1 WHEN 'CreditsReleased' THEN 1 WHEN 'CreditsRefunded' THEN 1 ELSE 0 END AS change
    FROM events WHERE stream LIKE 'account:%'
)
"""

_ACCOUNTS = """
CREATE VIEW accounts AS
SELECT substr(stream, 9) AS owner, state ->> 'granted' - state ->> 'revoked' - state ->> 'charged'
    + state ->> 'refunded' - state ->> 'held' AS available, state ->> 'granted' AS granted,
    state ->> 'revoked' AS revoked, state ->> 'held' AS held, state ->> 'charged' AS charged,
    state ->> 'refunded' AS refunded, version AS events
FROM heads WHERE stream LIKE 'account:%'
"""

_TIMELINE = f"""
CREATE VIEW timeline AS
SELECT position, CASE WHEN stream LIKE 'person:%' THEN substr(stream, 8) ELSE data ->> 'person_id' END AS person,
    stream, version, {_time("at")} AS at, type, data ->> 'run_no' AS run_no, meta ->> 'actor' AS actor,
    meta ->> 'causation_id' AS follows_from, data
FROM events
"""

_DOCUMENTS = """
CREATE VIEW profiles AS
SELECT substr(stream, 8) AS person, CAST(body AS TEXT) AS profile FROM documents WHERE name = 'profile'
"""

VIEWS = MappingProxyType(
    {
        "people": (_PEOPLE, "Everybody, as they are now."),
        "runs": (_RUNS, "Every run, with when and how it ended."),
        "ledger": (_LEDGER, "Every movement of credits, with what was available after it."),
        "accounts": (_ACCOUNTS, "Every owner's credits, as they are now."),
        "timeline": (_TIMELINE, "Every event, with the person it is about."),
        "profiles": (_DOCUMENTS, "What is known of people, if the copy was made with it. Personal data."),
    }
)
"""The views by name: what makes each, and what it shows."""


def write_copy(reader: Reader, path: str, *, with_documents: bool = False) -> None:
    """Copy a store, as it is at one moment, to a new file for plain SQL.

    Args:
        reader: The store; others go on using it.
        path: A file that does not exist yet.
        with_documents: Whether profiles and reports are in it. They are personal data: the copy must be deleted when a
            person is erased.

    Raises:
        InvalidInput: The file exists.
        LogUnreadable: Documents were asked for, and an event that may name some cannot be read.
        StoreError: The store could not be read, or the copy not made.
    """
    _reserve(path)
    try:
        with reader.snapshot() as log, closing(sqlite3.connect(path, isolation_level=None)) as copy:
            sqlite_schema.migrate(copy, path)
            copy.execute("BEGIN")
            _fill(copy, log, with_documents=with_documents)
            copy.execute("DELETE FROM settings")
            for statement, _ in VIEWS.values():
                copy.execute(statement)
            copy.execute("COMMIT")
            copy.execute("PRAGMA application_id = 0")
            copy.execute("PRAGMA user_version = 0")
    except BaseException as error:
        for end in ("", "-journal"):
            Path(path + end).unlink(missing_ok=True)
        if isinstance(error, sqlite3.Error):
            raise StoreUnavailable(path, f"the copy could not be finished: {error}") from None
        raise


def _reserve(path: str) -> None:
    """Make the new file, for whoever makes it alone."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise InvalidInput("target", f"there is a file {path} already; name a new one") from None


def _fill(copy: sqlite3.Connection, log: Reader, *, with_documents: bool) -> None:
    """Write the rows of a log, as they are; whatever is wrong with one is to be seen in the copy."""
    events = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    for recorded, documents in exported.rows(log, with_documents=with_documents):
        *columns, data, meta, hashed = astuple(recorded)
        copy.execute(events, (*columns, _text(data), _text(meta), hashed))
        for one in documents:
            copy.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", astuple(one))
    heads = "INSERT INTO heads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    for head in log.heads():
        stream, version, hashed, fold, state, *columns = astuple(head)
        copy.execute(heads, (stream, version, hashed, fold, _text(state), *columns))
    for key in log.keys():  # noqa: SIM118  # It is no mapping.
        if with_documents or not key.personal:
            copy.execute(
                "INSERT INTO unique_keys VALUES (?, ?, ?, ?)", (key.key, key.stream, _text(key.value), key.personal)
            )


def _text(stored: object) -> object:
    return stored.decode(errors="replace") if isinstance(stored, bytes) else stored


def datasette(path: str) -> str:
    """Return a ``datasette.yaml`` for a copy: which views there are, what they show and how they are sorted.

    It is JSON, which every reader of YAML reads.

    Args:
        path: The copy.
    """
    tables: dict[str, dict[str, object]] = {
        name: {"description": words, **({"sort_desc": "position"} if "SELECT position" in statement else {})}
        for name, (statement, words) in VIEWS.items()
    }
    hidden = ("documents", "heads", "queue", "receipts", "settings", "tokens", "unique_keys")
    tables |= {name: {"hidden": True} for name in hidden}
    about = {"title": "research_fsm", "databases": {Path(path).stem: {"tables": tables}}}
    return json.dumps(about, indent=2) + "\n"
