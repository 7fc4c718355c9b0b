"""Does a few tasks side by side until somebody asks the program to stop.

Floor 6. The first SIGTERM or SIGINT asks: every task finishes what it began. The second one insists: the process ends
at once, which costs nothing but time, because everything that counts is in the store. A task that fails stops the
others.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType

from attrs import frozen

from research_fsm.visible import visible

__all__ = ["Task", "logging_to_stderr", "side_by_side"]

Task = Callable[[threading.Event], None]
"""Works until the event is set, or until there is nothing more to do."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_KILLED = 128
_STEP_SECONDS = 0.5


@frozen
class _Told:
    signum: int


@frozen
class _Ended:
    error: BaseException | None


_News = SimpleQueue[_Told | _Ended]


def side_by_side(tasks: Mapping[str, Task]) -> None:
    """Do each task in a thread of its own; return when all have ended.

    Args:
        tasks: By name.

    Raises:
        BaseException: What the first task to fail raised.
    """
    # A signal handler may interrupt anything: of Python's queues this is the one that it may put to.
    news: _News = SimpleQueue()
    stop = threading.Event()
    failures: list[BaseException] = []
    with _signals_to(news):
        for name, task in tasks.items():
            threading.Thread(target=_do, args=(task, stop, news), name=name, daemon=True).start()
        left = len(tasks)
        while left:
            match _next(news):
                case _Told(signum) if stop.is_set():
                    _leave(signum)
                case _Told():
                    stop.set()
                case _Ended(error):
                    left -= 1
                    if error is not None:
                        failures.append(error)
                        stop.set()
    if failures:
        raise failures[0]


def _do(task: Task, stop: threading.Event, news: _News) -> None:
    try:
        task(stop)
    except BaseException as error:  # noqa: BLE001  # Raised again by whoever waits for the task.
        news.put(_Ended(error))
    else:
        news.put(_Ended(None))


def _leave(signum: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_KILLED + signum)


def _next(news: _News) -> _Told | _Ended:
    """Wait in short steps: a signal that reached another thread does not wake this one, which alone handles it."""
    while True:
        try:
            return news.get(timeout=_STEP_SECONDS)
        except Empty:
            continue


@contextmanager
def _signals_to(news: _News) -> Iterator[None]:
    ours = os.getpid()

    def handler(signum: int, _: FrameType | None) -> None:
        if os.getpid() == ours:
            news.put(_Told(signum))
        else:  # A process that a pipeline forked has nobody who reads the news.
            signal.signal(signum, signal.SIG_DFL)
            signal.raise_signal(signum)

    before = {signum: signal.signal(signum, handler) for signum in _SIGNALS}
    try:
        yield
    finally:
        for signum, old in before.items():
            signal.signal(signum, old)


class _Visible(logging.Formatter):
    """Writes no control of a message, nor of an error's words behind it, to a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name.
        """Return the line."""
        return visible(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and behind it the lines of a traceback."""
        return "\n".join(map(visible, super().format(record).split("\n")))


@contextmanager
def logging_to_stderr() -> Iterator[None]:
    """Write this library's log, and everybody's warnings, to standard error while the program works."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Visible("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root, ours = logging.getLogger(), logging.getLogger("research_fsm")
    level = ours.level
    root.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.setLevel(level)
        root.removeHandler(handler)
