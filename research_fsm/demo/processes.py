"""Child processes that never outlive the demonstration, whatever ends it.

Floor 6. Knows nothing of what the processes do. Every child writes to a log file, has a process group of its own (so
that a Ctrl-C of the terminal reaches the demonstration, and the demonstration alone decides about its children), and
is killed and reaped on the way out. A signal that arrives while a child is being made waits until the child is known.
"""

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Self, TypeVar

from attrs import field, frozen

from research_fsm.demo import signals

__all__ = ["Child", "DemoFailed", "Heard", "Processes", "until"]

T = TypeVar("T")

_POLL_SECONDS = 0.02
_LONGEST_OUTPUT = 2000


class DemoFailed(Exception):
    """The demonstration cannot go on: what it waited for did not come. Nothing is left running."""


@frozen(eq=False)
class Child:
    """A process that was started.

    Args:
        name: What it is called in messages.
        popen: The process.
        log: Where its standard error goes, and its standard output if that is not a pipe.
    """

    name: str
    popen: "subprocess.Popen[str]" = field(repr=False)
    log: Path

    @property
    def running(self) -> bool:
        """Whether it is still alive."""
        return self.popen.poll() is None

    def output(self) -> str:
        """Return what it has written to its log so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """``kill -9``, with whatever it started itself: it is not asked and cannot tidy up. Returns when it is gone."""
        if self.running:  # Not reaped yet, so that the number of its process group is still its own.
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()

    def stop(self, seconds: float) -> None:
        """Ask it to end, and kill it if it has not done so in time."""
        if self.running:
            self.popen.terminate()
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()

    def send(self, line: str) -> None:
        """Write a line to the standard input of a process that is heard.

        Raises:
            DemoFailed: It is gone.
        """
        try:
            print(line, file=self.popen.stdin, flush=True)
        except BrokenPipeError:
            raise DemoFailed(f"{self.name} is gone\n{self.output()}") from None


Heard = queue.SimpleQueue[tuple[Child, str | None]]
"""What processes say: lines of their standard output, and None when one has ended."""


class Processes:
    """The children of one demonstration; leaving it kills those that are left.

    Args:
        folder: Where the children's logs go.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: list[Child] = []
        self._listeners: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end(seconds=0.0)

    def end(self, *, seconds: float) -> None:
        """Ask those that are left to end, and kill those that do not.

        Args:
            seconds: How long each is given; 0 kills at once.
        """
        with signals.shield():
            for child in self._children:
                if seconds:
                    child.stop(seconds)
                child.kill()
                if child.popen.stdin is not None:
                    _close(child.popen.stdin)
            for listener in self._listeners:
                listener.join()

    def start(
        self, name: str, command: Sequence[str], *, env: Mapping[str, str] | None = None, heard: Heard | None = None
    ) -> Child:
        """Start a process.

        Args:
            name: What to call it; names its log.
            command: The program and its arguments. No shell is involved, and no secret belongs here.
            env: Added to our own environment.
            heard: Where its lines go; standard input and output are pipes then, and else closed and the log.
        """
        log = self._folder / f"{name}.log"
        pipe = None if heard is None else subprocess.PIPE
        with signals.shield(), log.open("ab") as sink:
            popen = subprocess.Popen(  # noqa: S603  # The program is this interpreter, the arguments are ours.
                command,
                stdin=pipe or subprocess.DEVNULL,
                stdout=pipe or sink,
                stderr=sink,
                env={**_environment(), **(env or {})},
                start_new_session=True,
                encoding="utf-8",
            )
            child = Child(name, popen, log)
            self._children.append(child)
            if heard is not None:
                listener = threading.Thread(target=_listen, args=(child, heard), name=name, daemon=True)
                listener.start()
                self._listeners.append(listener)
        return child

    @property
    def left(self) -> list[str]:
        """The names of those of which anything is still alive, be it only what they started themselves."""
        return [child.name for child in self._children if child.running or _group_lives(child.popen.pid)]


def until(what: str, look: Callable[[], T | None], *, seconds: float, child: Child | None = None) -> T:
    """Look again and again until there is something to see.

    Args:
        what: What is waited for, for the message.
        look: Returns what was seen; None or False for not yet.
        seconds: How long to go on at most.
        child: A process without which it will never come.

    Raises:
        DemoFailed: The time is over, or the process ended; the message ends with what the process wrote.
    """
    deadline = time.monotonic() + seconds
    while True:
        # Whether it is over is asked before the last look, so that what came at the last moment is still seen.
        ended = child is not None and not child.running
        over = ended or time.monotonic() >= deadline
        seen = look()
        if seen is not None and seen is not False:
            return seen
        if over:
            raise DemoFailed(f"{what}: {_why(seconds, child, ended=ended)}")
        time.sleep(_POLL_SECONDS)


def _why(seconds: float, child: Child | None, *, ended: bool) -> str:
    if child is None:
        return f"not within {seconds:g} s"
    why = f"{child.name} ended with {child.popen.returncode}" if ended else f"not within {seconds:g} s"
    return f"{why}\n{child.output().strip()[-_LONGEST_OUTPUT:]}".strip()


def _group_lives(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # The number is another user's by now.
        return False
    return True


def _environment() -> dict[str, str]:
    """Return our own environment without the settings in it: they would change what is shown, such as the price."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RESEARCH_FSM_")}
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}


def _listen(child: Child, heard: Heard) -> None:
    stdout = child.popen.stdout
    if stdout is not None:
        with stdout:
            for line in stdout:
                heard.put((child, line.strip()))
    child.popen.wait()  # Its standard output is closed a moment before its standard input is.
    heard.put((child, None))


def _close(pipe: IO[str]) -> None:
    """Close a pipe; what the other end did not want to read any more is nobody's loss."""
    try:
        pipe.close()
    except BrokenPipeError:
        return
