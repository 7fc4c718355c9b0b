"""When the log behind the page is verified: at most once at a time, never while somebody waits for it.

Floor 8. Imports what a verification finds and how the page shows it. It begins when somebody looks, and what it found
is kept, with the time and the position that it holds for, until the next one has come to its end.
"""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from research_fsm.audit.owners import Verified
from research_fsm.errors import StoreBusy, StoreDamaged, StoreError
from research_fsm.page.verdict import Failure, Standing
from research_fsm.policy import micros
from research_fsm.storage import Reader
from research_fsm.stores.memory import wall_clock

__all__ = ["Verification"]

_log = logging.getLogger(__name__)

_EVERY = timedelta(minutes=10)
_IN_ANY_CASE = micros(timedelta(hours=1))
"""After so long a log is verified again though nothing was appended: what is there may have been edited."""


def _in_a_thread(task: Callable[[], None]) -> None:
    # A daemon, so that a server which ends does not wait for it.
    threading.Thread(target=task, name="verification", daemon=True).start()


class Verification:
    """What is known of whether a log is whole, brought up to date as somebody looks.

    Args:
        verify: Verifies the log, however long that takes: `audit.apart.verify_apart` with where it is, or
            `audit.owners.verify_for_owners` with a store that no other process can open, or whose log is short.
        every: From the end of one verification to the beginning of the next, at least.
        clock: Returns the time in microseconds UTC.
        begin: Begins a task that is not waited for; tests do it by hand.
    """

    def __init__(
        self,
        verify: Callable[[], Verified],
        *,
        every: timedelta = _EVERY,
        clock: Callable[[], int] = wall_clock,
        begin: Callable[[Callable[[], None]], object] = _in_a_thread,
    ) -> None:
        self._verify = verify
        self._every = micros(every)
        self._clock = clock
        self._begin = begin
        self._lock = threading.Lock()
        self._found: Verified | None = None
        self._failure: Failure | None = None
        self._since: int | None = None
        self._ended: int | None = None

    def standing(self, log: Reader, owner: str) -> Standing:
        """Return how it stands for an owner, and begin anew if it is time to.

        Args:
            log: Where to see whether anything was appended since.
            owner: Who looks.
        """
        with self._lock:
            if self._since is None and self._is_due(log):
                self._begin(self._once)
                self._since = self._clock()
            seen = None if self._found is None else self._found.seen_by(owner)
            return Standing(seen, self._since, self._failure)

    def _is_due(self, log: Reader) -> bool:
        if self._ended is None:
            return True
        rested = abs(self._clock() - self._ended)  # A clock that was set back must not put it off.
        if rested < self._every:
            return False
        if self._found is None or self._failure is not None or rested >= _IN_ANY_CASE:
            return True
        return next(log.events(after=self._found.position), None) is not None

    def _once(self) -> None:
        found, failed = None, None
        try:
            found = self._verify()
        except StoreError as error:
            _log.warning("the log could not be verified: %s", error)
            failed = _in_words(error)
        except Exception:  # noqa: BLE001  # Whatever it is, the next one must be able to begin.
            _log.exception("the verification of the log broke off")
            failed = "it broke off; the server's log says why"
        with self._lock:
            self._ended, self._since = self._clock(), None
            self._found = found or self._found
            self._failure = None if failed is None else Failure(self._ended, failed)


def _in_words(error: StoreError) -> str:
    """Return what may be shown of an error; where the store is concerns its administrator alone."""
    match error:
        case StoreBusy():
            return "the store was busy"
        case StoreDamaged():
            return "the store is damaged; restore a backup"
        case _:
            return "the store could not be read; the server's log says why"
