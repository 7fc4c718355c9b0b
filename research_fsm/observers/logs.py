"""Structured logs: one record for each command and each attempt, through the standard library's `logging`.

Floor 4. The facts stand in the record as attributes, for whichever formatter writes them; the message has the same in
words. ::

    runs = Runs(store, observers=(Logs(),))
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import asdict, frozen

from research_fsm.observers import Attempt, Done

__all__ = ["Logs"]

_IDLE = frozenset({("take", "QueueEmpty"), ("renew", "Renewed"), ("recover", "nothing"), ("recover", "waited")})
"""What is asked for again and again and came to nothing."""


@frozen
class Logs:
    """Writes to a logger: errors as errors, what came to nothing for debugging, and everything else as information.

    Args:
        logger: Where to; ``research_fsm.observers`` by default.
    """

    logger: logging.Logger = logging.getLogger("research_fsm.observers")

    @contextmanager
    def command(self, command: str) -> Iterator[Callable[[Done], None]]:
        """Write what a command came to."""
        del command  # It is said with what it came to.
        yield self._write

    def attempt(self, attempt: Attempt) -> None:
        """Write what an attempt came to."""
        facts = {**asdict(attempt), "command": "attempt", "outcome": str(attempt.result)}
        del facts["result"]
        self.logger.info("attempt: %s, run %s", attempt.result, attempt.run_id, extra=facts)

    def _write(self, done: Done) -> None:
        level = logging.ERROR if done.raised else logging.INFO
        if (done.command, done.outcome) in _IDLE:
            level = logging.DEBUG
        whom = f", person {done.person_id}" if done.person_id else ""
        which = f", run {done.run_no}" if done.run_no else ""
        verb = "raised " if done.raised else ""
        self.logger.log(level, "%s: %s%s%s%s", done.command, verb, done.outcome, whom, which, extra=asdict(done))
