"""One connection that writes, and the callers who stand in line for it.

Floor 5. Imports what a store may import, and its siblings. It opens no connection by itself, and reads nothing for
anybody who does not write. A store has a few of these: while the server writes what one has decided, another one
decides. They meet only in the database, as two processes do.
"""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from research_fsm.errors import CommitUnknown, ResearchError, StoreUnavailable
from research_fsm.stores.batch import decide
from research_fsm.stores.group_commit import GroupCommit, Take, Ticket, refuse
from research_fsm.stores.postgres_batch import Batch, Unlocked
from research_fsm.stores.postgres_commit import Commit, became
from research_fsm.stores.postgres_errors import RERUN, ServerSaid, WireLost, failure
from research_fsm.stores.postgres_load import load
from research_fsm.stores.postgres_statements import Dialect
from research_fsm.stores.postgres_watch import notify
from research_fsm.stores.postgres_wire import Wire
from research_fsm.stores.postgres_writes import rejection

__all__ = ["Writer"]

_ATTEMPTS = 8
"""How often a batch is decided at most, when the database asks for it to be decided anew."""

_TAKEN_ATTEMPTS = 3
"""The same for a name that was taken: whoever took it can be seen at the next look."""

_FEW = 4
"""With more callers than this for each stream that theirs link to, rows are shared: two batches would wait in turn."""

_PAUSE_SECONDS = 0.02

_BEGIN = b"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"


class Writer:
    """Decides and commits for callers, on one connection. It is `shared` while they mostly change the same few rows.

    Args:
        wire: The connection.
        dialect: How statements are called.
        local: What is said at the beginning of each transaction.
        clock: Returns the time; None for the server's clock.
        wait: How long a caller waits for its turn, and a batch for a server that is restarted.
    """

    def __init__(
        self, wire: Wire, dialect: Dialect, local: bytes, clock: Callable[[], int] | None, wait: timedelta
    ) -> None:
        self.wire = wire
        self.callers = GroupCommit(self.commit, wire.where, wait)
        self.shared = False
        self._dialect = dialect
        self._begin = _BEGIN + local
        self._notify = notify(dialect)
        self._clock = clock
        self._wait = wait / timedelta(seconds=1)

    def commit(self, wait: float, take: Take) -> None:
        """Commit for everybody who waits; see `GroupCommit`."""
        with self.wire.lock:
            until = time.monotonic() + wait
            waiting = take()
            while waiting:
                waiting = self._decide(waiting, until)

    def _decide(self, tickets: Sequence[Ticket[Any]], until: float) -> Sequence[Ticket[Any]]:
        """Decide and commit for callers; return those who are still to be decided for.

        When the database refuses a batch, whose fault it is shows when each is decided for alone.
        """
        try:
            return self._tried(tickets, until)
        except ResearchError as error:
            if len(tickets) > 1 and not isinstance(error, StoreUnavailable):
                for ticket in tickets:
                    self._decide((ticket,), until)
            else:
                refuse(tickets, error)
            return ()

    def _tried(self, tickets: Sequence[Ticket[Any]], until: float) -> Sequence[Ticket[Any]]:
        """Decide again when that may help: others were in the way, or the connection was lost."""
        more: frozenset[str] = frozenset()
        attempt = 0
        while True:
            batch = Batch(self.wire, self._dialect)
            try:
                return self._transaction(batch, tickets, more)
            except Unlocked as error:
                more |= error.streams
            except ServerSaid as error:
                attempt += 1
                limit = _TAKEN_ATTEMPTS if error.state == "23505" else _ATTEMPTS
                if error.state not in RERUN or attempt >= limit:
                    if error.state == "23505":
                        raise rejection(error, batch.changes, self.wire.where) from error
                    raise failure(error, self.wire.where) from error
            except WireLost as error:
                if time.monotonic() + _PAUSE_SECONDS > until:
                    raise failure(error, self.wire.where) from error
                time.sleep(_PAUSE_SECONDS)
            finally:
                self._abort()

    def _transaction(self, batch: Batch, tickets: Sequence[Ticket[Any]], more: frozenset[str]) -> Sequence[Ticket[Any]]:
        """Load, decide, write and commit. Returns who is still to be decided for."""
        queries = [ticket.query for ticket in tickets]
        loaded = load(
            batch.run, self._dialect, queries, batch.history, begin=self._begin, clock=self._clock, more=sorted(more)
        )
        if loaded.unlocked:
            raise Unlocked(loaded.unlocked)
        if len(tickets) > _FEW:  # A smaller batch says nothing about those behind it.
            self.shared = 0 < loaded.links * _FEW < len(tickets)
        now = loaded.time if self._clock is None else self._clock()
        rest = decide(tickets, loaded.world, now, self.wire.where, batch.apply)
        batch.check()
        settled = tickets[: len(tickets) - len(rest)]
        if loaded.world.written:
            self._end(Commit(loaded.xid, self.wire.server, batch.proof, batch.certain), batch.take_pending(), settled)
        else:
            self._abort()  # Costs no flush.
            for ticket in settled:
                ticket.done = True
        return rest

    def _end(self, commit: Commit, pending: Sequence[bytes], tickets: Sequence[Ticket[Any]]) -> None:
        """Commit. When the answer is lost, or an interrupt comes before it, what became of it is looked up."""
        try:
            self.wire.run(b";\n".join([*pending, b"COMMIT", self._notify]))
            for ticket in tickets:
                ticket.done = True
        except ServerSaid as error:
            if error.done <= len(pending):
                raise
            for ticket in tickets:  # It was committed, and nobody could be notified: followers ask by themselves.
                ticket.done = True
        except BaseException as error:
            done = self._looked_up(commit, tickets, error)
            for ticket in tickets if done else ():
                ticket.done = True
            if not done or not isinstance(error, WireLost):
                raise

    def _looked_up(self, commit: Commit, tickets: Sequence[Ticket[Any]], error: BaseException) -> bool:
        """Return whether a commit was done."""
        try:
            done = became(commit, self.wire, self._wait)
        except BaseException:
            refuse(tickets, _unknown(self.wire.where, error))
            raise
        if done is None:
            unknown = _unknown(self.wire.where, error)
            refuse(tickets, unknown)
            raise unknown from error
        return done

    def _abort(self) -> None:
        """End the transaction with nothing written; a connection that cannot do that is given up."""
        if self.wire.in_transaction:
            try:
                self.wire.run(b"ROLLBACK")
            except (ServerSaid, WireLost):
                self.wire.drop()


def _unknown(where: str, error: BaseException) -> CommitUnknown:
    unknown = CommitUnknown(where, f"the connection broke during the commit, which may last or not: {error}")
    unknown.__cause__ = error
    return unknown
