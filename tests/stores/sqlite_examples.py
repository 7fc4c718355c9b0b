"""What the tests of the SQLite store share: small writes, plain clients, and children that are forked."""

import hashlib
import json
import os
import pickle
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from research_fsm.storage import Head, NewEvent, Query, Rule, Store, StreamWrite, View, Write

T = TypeVar("T")

NOW = 1_800_000_000_000_000


def clock() -> int:
    """Tell the same time always."""
    return NOW


def event(note: object = None) -> NewEvent:
    """Make an event whose data carries a note."""
    data = json.dumps({"note": note}, separators=(",", ":"), ensure_ascii=False)
    return NewEvent("Noted", 1, data.encode(), b'{"actor":"somebody"}')


def end(stream: str, expected: int, *notes: object, link: str | None = None, due: int | None = None) -> StreamWrite:
    """Make a stream's new end, with an event for each note."""
    return StreamWrite(
        stream=stream,
        expected=expected,
        events=tuple(event(note) for note in notes),
        state=b'{"state":true}',
        fold=1,
        link=link,
        tag="tagged",
        due=due,
    )


def appending(stream: str, *notes: object) -> tuple[Query, Rule[int]]:
    """Make a transaction that appends to a stream wherever it ends; it answers the new version."""

    def rule(view: View, _: int) -> Write[int]:
        version = version_of(view.heads.get(stream))
        return Write(answer=version + len(notes), streams=(end(stream, version, *notes),))

    return Query(streams=(stream,)), rule


def writing(write: Write[T]) -> tuple[Query, Rule[T]]:
    """Make a transaction that writes what it is told."""
    return Query(), lambda _view, _now: write


def version_of(head: Head | None) -> int:
    """Return a head's version, 0 if there is none."""
    return 0 if head is None else head.version


@contextmanager
def plain(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a file as any other program would, and close it."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder. No store of this process may be open in it: reading a file drops its locks."""
    return {entry.name: entry.read_bytes() for entry in sorted(folder.iterdir()) if entry.is_file()}


def broken_links(store: Store) -> list[int]:
    """Return the positions whose hash is not what the page in the docs says, with nothing of ours but the log."""
    ends: dict[str, bytes] = {}
    wrong = []
    for row in store.events():
        previous = ends.get(row.stream, hashlib.sha256(b"research_fsm:1:" + row.stream.encode()).digest())
        body = [row.stream, row.version, row.type, row.schema, row.at, json.loads(row.data), json.loads(row.meta)]
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        if hashlib.sha256(previous + text.encode()).digest() != row.hash:
            wrong.append(row.position)
        ends[row.stream] = row.hash
    wrong += [-1 for head in store.heads() if head.version and ends.get(head.stream) != head.hash]
    return wrong


class Child:
    """A forked process that runs a function and hands back what it returned or raised.

    Args:
        work: What it does.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        reading, writing_end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reading)
            _hand_over(work, writing_end)
        os.close(writing_end)
        self._results = os.fdopen(reading, "rb")

    def result(self) -> object:
        """Wait for its end; return what it returned, or the exception that it raised."""
        with self._results:
            answer = self._results.read()
        os.waitpid(self.pid, 0)
        return pickle.loads(answer) if answer else None  # noqa: S301 - it comes from this very process.


def _hand_over(work: Callable[[], object], writing_end: int) -> None:
    try:
        try:
            answer = work()
        except BaseException as error:  # noqa: BLE001 - the parent looks at it.
            answer = f"{type(error).__name__}: {error}"
        os.write(writing_end, pickle.dumps(answer))
    finally:
        os._exit(0)


def become_nobody() -> None:
    """Give up root's right to open everything; an ordinary user has none to give up."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)


class Faulty:
    """A connection on which one statement fails, once.

    Args:
        connection: The real one.
        statement: How the statement begins.
        error: What it raises.
        done: Whether the statement is done before it raises.
    """

    def __init__(self, connection: sqlite3.Connection, statement: str, error: BaseException, *, done: bool) -> None:
        self._connection = connection
        self._statement = statement
        self._error: BaseException | None = error
        self._done = done

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)

    def execute(self, sql: str, parameters: tuple[str | int, ...] = ()) -> sqlite3.Cursor:
        """Execute a statement, or fail."""
        if self._error is not None and sql.startswith(self._statement):
            error, self._error = self._error, None
            if self._done:
                self._connection.execute(sql)
            raise error
        return self._connection.execute(sql, parameters)


def driver_error(code: int, name: str) -> sqlite3.OperationalError:
    """Make an error as the driver makes it."""
    error = sqlite3.OperationalError("what the driver said")
    error.sqlite_errorcode, error.sqlite_errorname = code, name
    return error
