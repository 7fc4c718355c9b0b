"""Turns the signals that stop a program into one exception, which waits where it must not come.

Floor 6. The standard library alone. Signals belong to the process, so what handles them is one object of this module.
"""

import signal
import threading
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

__all__ = ["Stopped", "shield", "stoppable"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Somebody stopped the demonstration with a signal.

    Args:
        signum: The signal.
    """

    def __init__(self, signum: int) -> None:
        self.signum = signum
        super().__init__(signal.Signals(signum).name)


class _Signals:
    """Raises `Stopped` in the main thread; not while it is shielded, but right afterwards."""

    shielded = False
    pending: int | None = None

    def __call__(self, signum: int, _: FrameType | None) -> None:
        if self.shielded:
            self.pending = signum
        else:
            raise Stopped(signum)

    @contextmanager
    def shield(self) -> Generator[None]:
        outer, self.shielded = self.shielded, True
        try:
            yield
        finally:
            self.shielded = outer
        if not outer and self.pending is not None:
            signum, self.pending = self.pending, None
            raise Stopped(signum)


_signals = _Signals()


@contextmanager
def stoppable() -> Generator[None]:
    """Turn Ctrl-C, SIGTERM and SIGHUP into `Stopped` inside; signals have one owner, so it is not nested.

    Outside of the main thread, where Python lets nobody handle signals, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signum: signal.signal(signum, _signals) for signum in _SIGNALS}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def shield() -> AbstractContextManager[None]:
    """Hold `Stopped` back inside, and raise it on the way out."""
    return _signals.shield()
