"""What became of a commit whose answer was lost: found out by looking, and never guessed.

Floor 5. Imports what a store may import.

The events of a transaction carry hashes that nothing else has, so where they stand it was committed, whichever server
answers by then. Where they do not, the server that was asked to commit knows the transaction by its number; another
server, after a failover, gives out the same numbers again, and is asked for the events alone.
"""

import time
from collections.abc import Callable

from attrs import frozen

from research_fsm.errors import ResearchError
from research_fsm.stores.postgres_errors import ServerSaid, WireLost
from research_fsm.stores.postgres_statements import Dialect, quoted
from research_fsm.stores.postgres_wire import Wire

__all__ = ["Commit", "Server", "became", "server"]

_PAUSE_SECONDS = 0.05

Server = tuple[bytes, bytes]
"""Which server it is, and which of its histories: a standby that is promoted begins a new one."""

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
        last_event: Stream, version and hash of the last event that it appends, if it does.
    """

    xid: str | None
    server: Server | None
    last_event: tuple[str, int, bytes] | None


def server(wire: Wire) -> Server | None:
    """Return which server answers; None where one does not say."""
    try:
        row = wire.run(_SERVER.encode())[0][0]
    except ServerSaid:
        return None
    return row[0] or b"", row[1] or b""


def became(
    commit: Commit, wire: Wire, dialect: Dialect, answering: Callable[[], Server | None], patience: float
) -> bool | None:
    """Return whether a transaction was committed, None if that cannot be found out.

    Args:
        commit: The transaction.
        wire: Connects anew.
        dialect: Where the tables are.
        answering: Tells which server the wire is connected to.
        patience: For how many seconds to try.
    """
    until = time.monotonic() + patience
    while True:
        try:
            found = _looked(commit, wire, dialect, answering)
        except (WireLost, ServerSaid):
            found = "in progress"
        except ResearchError:
            return None
        if found != "in progress":
            return None if found is None else found == "committed"
        if time.monotonic() > until:
            return None
        time.sleep(_PAUSE_SECONDS)


def _looked(commit: Commit, wire: Wire, dialect: Dialect, answering: Callable[[], Server | None]) -> str | None:
    """Return what one look shows: committed, aborted, in progress; None if nothing."""
    wire.get()
    same = commit.server is not None and answering() == commit.server
    # First the number, then the events: what is committed between the two looks is seen by the second.
    status = _status(commit, wire) if same else None
    if status == "in progress":
        return status
    if commit.last_event is not None:
        return "committed" if _stands(commit.last_event, wire, dialect) else ("aborted" if status or not same else None)
    return status


def _status(commit: Commit, wire: Wire) -> str | None:
    if commit.xid is None:
        return None
    value = wire.run(b"SELECT pg_xact_status(%b::xid8)" % quoted(commit.xid))[0][0][0]
    return None if value is None else value.decode()


def _stands(event: tuple[str, int, bytes], wire: Wire, dialect: Dialect) -> bool:
    stream, version, hashed = event
    sql = dialect.text("SELECT FROM {s}.events WHERE stream = %b AND version = %d AND hash = decode('%b', 'hex')")
    return bool(wire.run(sql.encode() % (quoted(stream), version, hashed.hex().encode()))[0])
