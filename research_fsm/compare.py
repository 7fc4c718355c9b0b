"""Compare: replay one log under two versions of the library, and show what differs, stream by stream.

Floor 7. It is how a change of an event's form, of an upcaster, of `evolve` or of a rule is reviewed against real
histories before it is merged. The other version runs in a process of its own, which is sent events and nothing else: it
opens no store, so that it can neither migrate nor write one, and never sees a document.
"""

import json
import subprocess
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

from attrs import frozen

from research_fsm import compare_replay
from research_fsm.compare_replay import Line
from research_fsm.errors import InvalidInput
from research_fsm.outcomes import Json
from research_fsm.storage import Reader
from research_fsm.visible import visible

__all__ = ["Change", "Difference", "Interpretation", "ThisVersion", "checkout", "compare"]


_SHORT = 500
"""From how many events on a stream is read anew for each version, and not held in memory."""


class Interpretation(Protocol):
    """What some version of the library makes of a stream."""

    def replay(self, stream: str, lines: Iterable[Line]) -> Json:
        """Return it as plain JSON; see `compare_replay.replay` for what this library's versions say."""
        ...


class ThisVersion:
    """The version that is running."""

    def replay(self, stream: str, lines: Iterable[Line]) -> Json:
        """Return what it makes of a stream."""
        return compare_replay.replay(stream, lines)


@frozen
class Change:
    """One place where two replays differ.

    Args:
        path: Where, such as ``state.run.hold``.
        ours: What the first interpretation says there; None for nothing.
        theirs: What the second one says.
    """

    path: str
    ours: Json
    theirs: Json

    def __str__(self) -> str:
        return f"{self.path}: {_shown(self.ours)} here, {_shown(self.theirs)} there"


@frozen
class Difference:
    """A stream of which two versions make different things.

    Args:
        stream: Whose.
        version: An event that parts them: before it they agree, after it they do not.
        type: Its name.
        changes: Everything that differs at the end of the stream.
    """

    stream: str
    version: int
    type: str
    changes: tuple[Change, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """Where they part, and a line for each change."""
        changes = (f"    {change}" for change in self.changes)
        return (f"{self.stream}: they part at version {self.version}, {self.type}", *changes)

    def __str__(self) -> str:
        return "\n".join(map(visible, self.lines))


def compare(reader: Reader, theirs: Interpretation, ours: Interpretation | None = None) -> Iterator[Difference]:
    """Yield every stream of a log of which two versions make different things; nothing if they agree.

    Args:
        reader: A store, or a snapshot of one; one point in time is read, and nothing is written.
        theirs: The version to compare with.
        ours: By default, this one.
    """
    ours = ours or ThisVersion()
    with reader.snapshot() as log:
        for head in log.heads():
            lines = _read(log, head.stream)
            changes = tuple(
                _changes("", ours.replay(head.stream, lines(None)), theirs.replay(head.stream, lines(None)))
            )
            if changes:
                parted = _parted(head.stream, lines, ours, theirs)
                yield Difference(head.stream, parted[1], parted[2], changes)


def _read(log: Reader, stream: str) -> Callable[[int | None], Iterator[Line]]:
    """Return what yields a stream's events, or so many of them; a short one is read from the store once."""
    short = list(_lines(log, stream, _SHORT))
    return partial(islice, short) if len(short) < _SHORT else partial(_lines, log, stream)


def _lines(log: Reader, stream: str, count: int | None) -> Iterator[Line]:
    """Yield a stream's events from the first on, or so many of them, as they are sent to another version."""
    for one in islice(log.events(stream), count):
        data, meta = (text.decode(errors="surrogateescape") for text in (one.data, one.meta))
        yield one.position, one.version, one.type, one.schema, one.at, data, meta, one.hash.hex()


def _parted(
    stream: str, lines: Callable[[int | None], Iterator[Line]], ours: Interpretation, theirs: Interpretation
) -> Line:
    """Return an event behind which the versions differ although they agree before it."""

    def differ(count: int) -> bool:
        return bool(ours.replay(stream, lines(count)) != theirs.replay(stream, lines(count)))

    total = sum(1 for _ in lines(None))
    agreed = bisect_left(range(1, total), x=True, key=differ)
    return next(islice(lines(None), agreed, None))


def _changes(path: str, ours: Json, theirs: Json) -> Iterator[Change]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in dict.fromkeys((*ours, *theirs)):
            where = f"{path}.{name}" if path else str(name)
            yield from _changes(where, ours.get(name), theirs.get(name))
    elif ours != theirs:
        yield Change(path, ours, theirs)


def _shown(value: Json) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


# --- another version ---------------------------------------------------------------------------------------------


class _Checkout:
    """Another version, in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def replay(self, stream: str, lines: Iterable[Line]) -> Json:
        """Ask it what it makes of a stream."""
        return self.asked(map(json.dumps, chain([stream], lines, [None])))

    def asked(self, lines: Iterable[str] = ()) -> Json:
        """Send lines, and wait for the answer."""
        to, back = self._process.stdin, self._process.stdout
        answer = ""
        try:
            if to is not None:
                to.writelines(f"{line}\n" for line in lines)
                to.flush()
            if back is not None:
                answer = back.readline()
        except BrokenPipeError:
            answer = ""  # It ended before it was asked.
        if not answer:
            raise InvalidInput("with", "the other version ended without an answer; what it said is on standard error")
        return json.loads(answer)


@contextmanager
def checkout(path: str) -> Iterator[Interpretation]:
    """Start the version that lies in a checkout of this library, such as a ``git worktree`` of an older commit.

    It runs with this interpreter and the packages that are installed here. A checkout is code, and it is executed: name
    only one that you would run.

    Args:
        path: The folder that has ``research_fsm`` in it.

    Raises:
        InvalidInput: There is no such folder, or it cannot be imported.
    """
    folder = Path(path).resolve()
    if not (folder / "research_fsm" / "__init__.py").is_file():
        raise InvalidInput("with", f"must be a checkout of this library; there is no research_fsm in {path}")
    spec = find_spec("research_fsm.compare_replay")
    program = "" if spec is None or spec.origin is None else spec.origin
    # -P keeps this version's own folder off the path; -E would lose the path that is set here.
    with subprocess.Popen(  # noqa: S603  # The interpreter that is running, and a file of this package.
        [sys.executable, "-P", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"},
        cwd=folder,
    ) as process:
        try:
            other = _Checkout(process)
            imported = Path(other.asked())
            if folder not in imported.parents:
                raise InvalidInput("with", f"imported {imported} in place of the checkout")
            yield other
        finally:
            process.kill()
            if process.stdin is not None:
                with suppress(BrokenPipeError):  # It ended before it was told.
                    process.stdin.close()
