"""Whose turn it is among processes: a lock file beside the database, taken once per batch.

Floor 5. Knows files and threads, no database. SQLite's own waiting sleeps while the holder takes the lock again, and
one process does nearly all the work; the kernel wakes those who wait for a file lock in the order in which they came.
The lock is about fairness alone: safety is SQLite's own.

A file lock is waited for without a limit, so a thread of its own does that, and only when the lock is not free. Who
gives up leaves its place in the line to whoever asks next.
"""

import fcntl
import os
import threading
import time
import weakref
from contextlib import suppress
from queue import Empty, SimpleQueue

__all__ = ["LockFile"]


class LockFile:
    """A lock that processes take turns on. Of one process, one thread at a time may ask.

    Args:
        path: The file, made if there is none, with the permissions of the database.
        like: The database.
    """

    def __init__(self, path: str, like: str) -> None:
        self._path = path
        self._like = like
        self._begin_anew()
        _ALL.add(self)

    def _begin_anew(self) -> None:
        self._file: int | None = None
        self._mutex = threading.Lock()
        self._in_line = False  # A thread of this process waits for the lock.
        self._wanted = False  # Somebody will use the lock when that thread has it.
        self._granted: SimpleQueue[None] = SimpleQueue()
        self._closed = False

    def acquire(self, wait: float) -> float:
        """Take the lock, and return how many seconds of the wait are left; a negative number if it was not to be had.

        Where there can be no lock file, everybody has the lock: then SQLite's own waiting decides.
        """
        with self._mutex:
            if not self._in_line and self._try():
                return wait
            self._wanted = True
            if not self._in_line and not self._sent_somebody():
                return wait
        began = time.monotonic()
        try:
            self._granted.get(timeout=wait)
        except Empty:
            return -1.0
        return max(0.0, wait - (time.monotonic() - began))

    def release(self) -> None:
        """Let the next one have it; harmless for somebody who does not have it."""
        with self._mutex:
            self._wanted = False
            if not self._in_line:  # Else the thread lets go of it by itself.
                self._let_go()

    def close(self) -> None:
        """Close the file; safe to be used again all the same."""
        with self._mutex:
            self._closed = True
            if not self._in_line:
                self._let_go()

    def after_fork_in_child(self) -> None:
        """Let go of what belongs to the parent, without unlocking it."""
        if self._file is not None:
            os.close(self._file)
        self._begin_anew()

    def _try(self) -> bool:
        """Take the lock if it is free, or if there can be none."""
        try:
            if self._file is None:
                mode = os.stat(self._like).st_mode & 0o777  # noqa: PTH116  # As the rest of the store asks.
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)
                self._closed = False
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def _let_go(self) -> None:
        while not self._granted.empty():  # It was given to somebody who had just stopped waiting.
            self._granted.get()
        if self._file is None:
            return
        if self._closed:
            os.close(self._file)
            self._file = None
        else:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _sent_somebody(self) -> bool:
        """Start the thread that waits; False if this machine has no thread left."""
        self._in_line = True
        try:
            threading.Thread(target=self._stand_in_line, name=f"waits for {self._path}", daemon=True).start()
        except RuntimeError:
            self._in_line = False
        return self._in_line

    def _stand_in_line(self) -> None:
        """Wait for the lock, for as long as it takes, and give it to whoever wants it by then."""
        if self._file is not None:
            with suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_EX)
        with self._mutex:
            self._in_line = False
            if self._wanted:
                self._granted.put(None)
            else:
                self._let_go()


_ALL: "weakref.WeakSet[LockFile]" = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for lock in list(_ALL):
        lock.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
