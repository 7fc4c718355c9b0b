"""What became of a commit whose answer was lost: found out by looking, and never guessed.

Floor 5. Imports what a store may import.

The events of a transaction carry hashes that nothing else has: where they stand it was committed, whichever server
answers by then, and where they do not it was not, once the transaction is over. A transaction that appends none is
known by its number. A server that crashed gives out numbers again that it had not yet flushed, so that one which is
committed may be another's: then what was written has to stand too. A server that took over after a failover knows
nothing of the old one's numbers.
"""

import time

from attrs import frozen

from research_fsm.errors import ResearchError
from research_fsm.stores.postgres_errors import ServerSaid, WireLost
from research_fsm.stores.postgres_statements import quoted
from research_fsm.stores.postgres_wire import Server, Wire

__all__ = ["Commit", "became", "server"]

_PAUSE_SECONDS = 0.05
_IN_PROGRESS = "in progress"
_IN_THE_FUTURE = "22023"

_SERVER = """
SELECT (SELECT system_identifier FROM pg_control_system()),
    CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END
"""


@frozen
class Commit:
    """What is known of a transaction before it is committed.

    Args:
        xid: Its number on the server.
        server: Which server that is; None if that cannot be told.
        proof: A query that finds a row where what it wrote stands.
        certain: Whether nothing else can have written the same.
    """

    xid: str | None
    server: Server | None
    proof: bytes
    certain: bool


def server(wire: Wire) -> Server | None:
    """Return which server answers; None where one does not say."""
    try:
        row = wire.run(_SERVER.encode())[0][0]
    except ServerSaid:
        return None
    return row[0] or b"", row[1] or b""


def became(commit: Commit, wire: Wire, patience: float) -> bool | None:
    """Return whether a transaction was committed, None if that cannot be found out.

    Args:
        commit: The transaction.
        wire: Connects anew.
        patience: For how many seconds to try.
    """
    until = time.monotonic() + patience
    while True:
        try:
            status = _status(commit, wire)
            if status != _IN_PROGRESS:
                return _verdict(commit, status, stands=bool(wire.run(commit.proof)[0]))
        except (WireLost, ServerSaid):
            wire.drop()  # It is being restarted, as a rule.
        except ResearchError:
            return None  # Another store answers, or the store was closed.
        if time.monotonic() > until:
            return None
        time.sleep(_PAUSE_SECONDS)


def _status(commit: Commit, wire: Wire) -> str | None:
    """Return what the server knows of the transaction by its number; None if nothing that can be trusted."""
    wire.get()
    if commit.xid is None or commit.server is None or wire.server != commit.server:
        return None
    try:
        value = wire.run(b"SELECT pg_xact_status(%b::xid8)" % quoted(commit.xid))[0][0][0]
    except ServerSaid as error:
        if error.state == _IN_THE_FUTURE:  # It crashed, and has not got there again.
            return "aborted"
        raise
    return None if value is None else value.decode()


def _verdict(commit: Commit, status: str | None, *, stands: bool) -> bool | None:
    if commit.certain:
        return stands
    if status == "aborted":
        return False
    return True if status == "committed" and stands else None
