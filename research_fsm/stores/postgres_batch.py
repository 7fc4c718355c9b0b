"""One transaction on one connection, as its messages: what was said in it, and what is still to be said.

Floor 5. Imports what a store may import. It ends no transaction.

What is written is kept back and goes out with the next message, which as a rule is the one that commits.
"""

from collections.abc import Iterator, Sequence

from research_fsm.storage import RecordedEvent
from research_fsm.stores.batch import Changes
from research_fsm.stores.postgres_errors import ServerSaid, WireLost
from research_fsm.stores.postgres_reads import history
from research_fsm.stores.postgres_statements import Dialect
from research_fsm.stores.postgres_wire import Carrier, Row
from research_fsm.stores.postgres_writes import proof, statements

__all__ = ["Batch", "Unlocked"]


class Unlocked(Exception):
    """Streams came to light that are still to be locked; nobody outside of a store meets it.

    Args:
        streams: To name at the next attempt.
    """

    def __init__(self, streams: frozenset[str]) -> None:
        self.streams = streams
        super().__init__(streams)


class Batch:
    """What one transaction has said and has still to say.

    Args:
        wire: The connection, with the transaction open on it, or about to be.
        dialect: How statements are called.
    """

    def __init__(self, wire: Carrier, dialect: Dialect) -> None:
        self._wire = wire
        self._dialect = dialect
        self._pending: list[bytes] = []
        self._trouble: ServerSaid | WireLost | None = None
        self.changes = Changes()
        self.proof = b""
        self.certain = False

    def run(self, message: bytes) -> list[list[Row]]:
        """Send a message, behind what is still to be written."""
        self.check()  # The connection may be another one by now, with no transaction on it.
        pending = self.take_pending()
        try:
            return self._wire.run(b";\n".join([*pending, message]))[len(pending) :]
        except (ServerSaid, WireLost) as error:
            self._trouble = self._trouble or error
            raise

    def history(self, stream: str, until: int) -> Iterator[RecordedEvent]:
        """Read a stream's events within the transaction."""
        return history(self._ask, self._dialect, stream, until)

    def apply(self, changes: Changes) -> None:
        """Write changes: at the next message, which is the last one but where something is to be read first."""
        self.changes = changes
        self._pending += statements(self._dialect, changes)
        if not self.certain:
            self.proof, self.certain = proof(self._dialect, changes)

    def take_pending(self) -> list[bytes]:
        """Return what is still to be said, once."""
        pending, self._pending = self._pending, []
        return pending

    def check(self) -> None:
        """Raise what went wrong while a rule was looking, which a caller must not be blamed for."""
        if self._trouble is not None:
            raise self._trouble

    def _ask(self, calls: Sequence[bytes]) -> list[list[Row]]:
        return self.run(b";\n".join(calls))
