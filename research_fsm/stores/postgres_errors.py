"""What a failure of PostgreSQL means to the caller: SQLSTATEs as our own errors.

Floor 5. Imports the errors alone. It never decides what to do about a failure, save that it says which may be tried
again.
"""

from research_fsm.errors import (
    InvalidInput,
    ResearchError,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    WriteRejected,
)

__all__ = ["RERUN", "ServerSaid", "WireLost", "failure"]

RERUN = frozenset({"40001", "40P01", "23505"})
"""A serialization failure, a deadlock, a name that somebody else took meanwhile: deciding anew is the answer."""

_BUSY = frozenset({"55P03", "57014", "53200", "53300", "25P04"})
_FULL = frozenset({"53100", "54000"})
_READ_ONLY = frozenset({"25006", "42501"})
_NOT_THERE = frozenset({"3D000", "3F000", "42P01", "42703", "42883"})
_NOT_OURS = frozenset({"26000", "42P05"})
_LOOK = "see that the server is up and can be reached, and that database, user and password are right"
_UNFIT = frozenset({"22021", "22P05", "22P02", "22003", "22001"})


class ServerSaid(Exception):  # Not an error of ours yet; nobody outside of a store meets it.
    """The server refused a statement; the connection goes on.

    Args:
        state: The SQLSTATE.
        text: What it said, without the values that it was about.
        constraint: The constraint that was violated, if it was one.
        done: How many statements of the same message were done before it.
    """

    def __init__(self, state: str, text: str, constraint: str = "", done: int = 0) -> None:
        self.state = state
        self.text = text
        self.constraint = constraint
        self.done = done
        super().__init__(state, text, constraint)


class WireLost(Exception):
    """The connection is gone, and with it whatever was not committed; nobody outside of a store meets it."""

    @classmethod
    def of(cls, error: Exception) -> "WireLost":
        """Say what the driver said, on one line."""
        return cls("; ".join(line.strip() for line in str(error).splitlines()))


def failure(error: ServerSaid | WireLost, where: str) -> ResearchError:
    """Return what a failure means.

    Args:
        error: What happened.
        where: The store's address, without a password.
    """
    if isinstance(error, WireLost):
        return StoreUnavailable(where, f"{error}; {_LOOK}")
    said, state = f"{error.text} ({error.state})", error.state
    if state in _BUSY or state in RERUN - {"23505"}:
        return StoreBusy(where, f"{said}; try again later, and look for a transaction that is kept open")
    if state in _FULL:
        return StoreFull(where, f"{said}; nothing was written; free some space and try again")
    if state in _READ_ONLY:
        return StoreReadOnly(where, f"{said}; connect to the primary, or let the role be granted what it needs")
    if state in _UNFIT:
        return InvalidInput("value", f"PostgreSQL cannot hold it ({said}); texts without NUL, integers of 64 bits")
    if state in _NOT_THERE:
        return StoreUnavailable(where, f"{said}; the store's tables are not there: open the store anew")
    if state in _NOT_OURS:
        problem = "others use this connection, as behind a pooler: open the store with prepared=False"
        return StoreUnavailable(where, f"{said}; {problem}")
    return _by_class(state)(where, said)


def _by_class(state: str) -> type[StoreError]:
    match state[:2]:
        case "23":
            return WriteRejected
        case "XX":
            return StoreDamaged
        case "08" | "28" | "57":
            return StoreUnavailable
        case "53":
            return StoreBusy
        case _:
            return StoreError
