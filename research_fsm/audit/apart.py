"""Verify a log in a process apart, so that whoever serves meanwhile is not slowed down by it.

Floor 6, a part of `audit`, above `owners`. A verification is Python from its beginning to its end, and would hold up
every other thread of its process for minutes. The process apart never writes to the store, leaves the processor to
others, and ends with whoever asked, however they end: their end of its standard input is then closed. Nothing of the
store's address, which may hold a password, stands among its arguments, which everybody on the machine can read.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from types import FrameType
from typing import BinaryIO, NoReturn, cast

from research_fsm.audit.owners import Verified, verify_for_owners
from research_fsm.errors import ResearchError
from research_fsm.stores.evidence import evidence

__all__ = ["verify_apart"]

_STDIN, _STDOUT = 0, 1
_LAST = 19
"""How willingly it waits for others: as much as the system knows."""


def verify_apart(place: str, wait: timedelta = timedelta(seconds=30)) -> Verified:
    """Verify a log, and return what was found once that is known; it may take minutes.

    Args:
        place: The store: a file, or the address of a PostgreSQL database.
        wait: How long to wait for a lock, and for a server that is restarted.

    Raises:
        StoreError: There is no store, or it cannot be read.
        ChildProcessError: The process ended without a word: it was killed, or standard error has what went wrong in it.
    """
    # Without the folder of whoever calls among the places of modules, and out of reach of a Ctrl-C at their terminal.
    command = [sys.executable, "-P", "-m", __name__]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True) as process:  # noqa: S603  # Our own.
        said = _asked(process, place, wait)
    if isinstance(said, ResearchError):
        raise said
    return said


def _asked(process: "subprocess.Popen[bytes]", place: str, wait: timedelta) -> Verified | ResearchError:
    tell, hear = cast("BinaryIO", process.stdin), cast("BinaryIO", process.stdout)  # Both are pipes.
    try:
        # Past the buffer of `tell`, which stays open: its end is the end of the verification.
        os.write(tell.fileno(), pickle.dumps((place, wait)))
        said: Verified | ResearchError = pickle.load(hear)  # noqa: S301  # Our own process wrote it.
    except (BrokenPipeError, EOFError) as error:
        raise ChildProcessError("the process that verifies ended without a word") from error
    return said


# --- the process apart -------------------------------------------------------------------------------------------


def _main() -> None:
    """Be told which log, verify it, and say what was found."""
    os.nice(_LAST)
    place, wait = pickle.load(sys.stdin.buffer)  # noqa: S301  # Our own process wrote it.
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_watch, args=(threading.get_ident(),), daemon=True).start()
    with open(_STDOUT, "wb") as out:
        _tell(place, wait, out)


def _tell(place: str, wait: timedelta, out: BinaryIO) -> None:
    try:
        with evidence(place, wait) as log:
            said: Verified | ResearchError = verify_for_owners(log)
    except ResearchError as error:  # Whoever asked raises it; any other is told to the standard error.
        said = error
    pickle.dump(said, out)


def _watch(whom: int) -> None:
    """End the verification when whoever asked is gone; what it made of temporary files goes with it."""
    while os.read(_STDIN, 1):
        pass
    signal.pthread_kill(whom, signal.SIGTERM)


def _end(signum: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    _main()
