"""What the doctor looks at: this machine, the store's file, and whether anybody is overdue.

Floor 6. Looks and changes nothing. Knows SQLite, because the file and its driver are what is examined; a database is
examined in `examination_server`. Whether anybody is overdue is asked of a store that can be read.
"""

import shutil
import sqlite3
import sys
from collections.abc import Collection, Iterator
from contextlib import closing
from datetime import timedelta
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from attrs import frozen

from research_fsm.cli import pipelines
from research_fsm.cli.evidence import looking
from research_fsm.cli.session import Session
from research_fsm.errors import ResearchError, StoreUnavailable
from research_fsm.lifecycle import RUNNING
from research_fsm.rfc3339 import format_time
from research_fsm.storage import Reader

if TYPE_CHECKING:
    from research_fsm.dispatchers.trigger_dev import TriggerDev

__all__ = ["STORE", "Check", "Seen", "ask", "examine", "of_schema", "of_triggers"]

STORE = "store"
"""The check that says whether the store can be opened."""

_SOUND_SQLITE = (3, 51, 3)
_NOT_BEFORE = 1_767_225_600_000_000  # 2026-01-01: no store is older, so a clock that says so is wrong.
_LEAST_FREE, _LITTLE_FREE = 100 * 2**20, 2**30
_PATIENCE = timedelta(minutes=1)
_RUNNING = tuple(map(str, RUNNING))
_MANY = 1000

_NEEDED = frozenset({STORE, "schema", "integrity", "rights"})
"""What must be without a problem for anything to be asked of the store."""

Verdict = Literal["ok", "warning", "problem"]


@frozen
class Check:
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    words: str


Seen = tuple[list[Check], int | None, int]
"""What was seen of a store as it is, when its newest event was, and what its clock says."""


def examine(session: Session, pipeline: str | None) -> list[Check]:
    """Look at everything.

    Args:
        session: Names the store.
        pipeline: A pipeline to import, as ``MODULE:FUNCTION``.
    """
    checks = [*_machine(), *(() if session.on_server else (_sqlite(), _disk(Path(session.store))))]
    try:
        seen, latest, now = _server(session) if session.on_server else _file(session)
        checks += [*seen, _clock(latest, now)]
        if any(check.verdict == "problem" and check.name in _NEEDED for check in seen):
            checks.append(Check("recovery", "warning", "not looked at: the store itself has a problem"))
        else:
            with looking(session) as log:
                checks += _life(log)
    except ResearchError as error:
        checks.append(Check(STORE, "problem", str(error)))
    if pipeline is not None:
        checks.append(_pipeline(pipeline))
    return checks


def ask(engine: "TriggerDev | None") -> list[Check]:
    """Ask an engine, if there is one, whether its address and its key are right."""
    return [] if engine is None else [Check(name, verdict, words) for name, verdict, words in engine.check()]


def _machine() -> Iterator[Check]:
    yield Check("research-fsm", "ok", metadata.version("research-fsm"))
    yield Check("Python", "ok", sys.version.split()[0])
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    words = f"`serve` needs {' and '.join(missing)}: pip install 'research-fsm[serve]'"
    yield Check("serve", "warning", words) if missing else Check("serve", "ok", "starlette and uvicorn are installed")


def _sqlite() -> Check:
    if sqlite3.sqlite_version_info >= _SOUND_SQLITE:
        return Check("SQLite", "ok", sqlite3.sqlite_version)
    sound = ".".join(map(str, _SOUND_SQLITE))
    words = f"{sqlite3.sqlite_version} may have the WAL-reset bug, a rare corruption; {sound} has not: upgrade"
    return Check("SQLite", "warning", words)


def _disk(store: Path) -> Check:
    folder = store.resolve().parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Check("disk", "problem", f"{folder}: {error.strerror}")
    verdict: Verdict = "problem" if free < _LEAST_FREE else "warning" if free < _LITTLE_FREE else "ok"
    return Check("disk", verdict, f"{free / 2**30:.1f} GiB are free in {folder}")


def _server(session: Session) -> Seen:
    from research_fsm.cli.examination_server import look

    return look(session)


def _file(session: Session) -> Seen:
    """Look at the file as it is, through a connection that cannot write."""
    from research_fsm.stores import sqlite_evidence, sqlite_file, sqlite_schema, sqlite_wiping
    from research_fsm.stores.memory import wall_clock

    session.check_there()
    with (
        sqlite_evidence.found(session.store) as (path, access),
        sqlite_file.translated(path, _PATIENCE),
        closing(sqlite_file.connect(path, access, _PATIENCE)) as connection,
    ):
        connection.execute("BEGIN")
        if sqlite_schema.is_empty(connection, path):
            raise StoreUnavailable(session.store, "the file has no store in it; name another file")
        schema, mode, damage = (
            connection.execute(f"PRAGMA {pragma}").fetchone()[0]
            for pragma in ("user_version", "journal_mode", "quick_check(1)")
        )
        triggers = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
        left = sqlite_wiping.is_marked(connection) and _size(Path(f"{path}-wal")) > 0
        # What is no time is found by `verify`.
        latest = connection.execute("SELECT max(at) FROM events WHERE typeof(at) = 'integer'").fetchone()[0]
    checks = [
        Check(STORE, "ok", f"{session.store} is a store"),
        of_schema(schema, sqlite_schema.SCHEMA_VERSION),
        _journal(mode, asked=access != sqlite_evidence.UNCHANGING),
        Check("integrity", "ok" if damage == "ok" else "problem", f"quick_check says {damage}"),
        of_triggers(triggers, sqlite_schema.APPEND_ONLY),
        Check("erasures", "warning", sqlite_wiping.left_in(session.store))
        if left
        else Check("erasures", "ok", "nothing that was erased is left in the bytes of the file"),
    ]
    return checks, latest, wall_clock()


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _journal(mode: str, *, asked: bool) -> Check:
    if not asked:
        return Check("journal mode", "ok", "none is needed, as nobody can write beside the file")
    switches = f"{mode}, not wal: somebody changed it; the next command that writes switches it back"
    return Check("journal mode", "ok", mode) if mode == "wal" else Check("journal mode", "problem", switches)


def of_schema(found: int, known: int) -> Check:
    """Say whether the tables are of this version."""
    migrates = f"{found}; this version knows {known}, and the next command that writes migrates it: make a copy first"
    return Check("schema", "ok", f"{found}") if found == known else Check("schema", "problem", migrates)


def of_triggers(there: Collection[str], wanted: Collection[str]) -> Check:
    """Say whether the triggers are there that keep everybody from changing the log."""
    missing = [name for name in wanted if name not in there]
    if not missing:
        return Check("log", "ok", "append-only, by triggers")
    are = "is" if len(missing) == 1 else "are"
    words = f"{' and '.join(missing)} {are} missing or disabled: somebody could have changed the log, so verify it"
    return Check("log", "problem", words)


def _clock(latest: int | None, now: int) -> Check:
    if now < _NOT_BEFORE:
        return Check("clock", "problem", f"it says {format_time(now)}: set it")
    if latest is not None and latest > now:
        words = f"the newest event is of {format_time(latest)}, but it says {format_time(now)}: it was set back"
        return Check("clock", "problem", words)
    return Check("clock", "ok", format_time(now))


def _life(log: Reader) -> Iterator[Check]:
    waiting = sum(1 for entry in log.entries() if entry.lease_until is None)
    yield Check("queue", "ok", "1 run waits for a worker" if waiting == 1 else f"{waiting} runs wait for a worker")
    since = log.now() - _PATIENCE // timedelta(microseconds=1)
    overdue = len(log.due(_RUNNING, since, after=None, limit=_MANY))
    if overdue:
        who = "1 person is" if overdue == 1 else f"{overdue} people are"
        words = f"{who} overdue for more than a minute: let `serve` or `recover --every 10s` run"
        yield Check("recovery", "warning", words)
    else:
        yield Check("recovery", "ok", "nobody is overdue")


def _pipeline(name: str) -> Check:
    try:
        pipelines.load(name)
    except ValueError as error:
        return Check("pipeline", "problem", str(error))
    return Check("pipeline", "ok", f"{name} can be imported")
