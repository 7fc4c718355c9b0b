"""What the command line's exit codes mean, and which answer or error ends with which.

Floor 6. The only place that knows the numbers. Decides nothing: it names what was decided elsewhere. The names of
refusals are those of the HTTP interface's problems wherever both have them.
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from attrs import frozen

from research_fsm.errors import InvalidInput, ResearchError, StoreBusy
from research_fsm.outcomes import (
    AddAnswer,
    Added,
    AlreadyAdded,
    AlreadyRunning,
    EraseAnswer,
    Erased,
    GrantAnswer,
    Granted,
    GrantIdReused,
    GrantNotFound,
    InsufficientCredits,
    KeyReused,
    MarkedStale,
    MarkStaleAnswer,
    NotComplete,
    PersonNotFound,
    Queued,
    Refusal,
    RevokeAnswer,
    Revoked,
    RolledBack,
    StartAnswer,
    Unresolved,
)

__all__ = ["MEANINGS", "Answer", "Exit", "TokenNotFound", "Verdict", "epilog", "of_answer", "of_error"]


class Exit(IntEnum):
    """The exit codes."""

    DONE = 0
    FINDINGS = 1
    USAGE = 2
    ALREADY_RUNNING = 3
    INSUFFICIENT_CREDITS = 4
    NOT_FOUND = 5
    ROLLED_BACK = 6
    STORE_ERROR = 7
    BUSY = 75
    INTERRUPTED = 130


MEANINGS: Mapping[Exit, str] = MappingProxyType(
    {
        Exit.DONE: "done; also when it is not known yet whether the engine has the run",
        Exit.FINDINGS: "findings: of verify, doctor, compare, page or simulate; a promise of demo that did not hold",
        Exit.USAGE: "bad usage or bad input; nothing was done, except the good lines of a CSV file",
        Exit.ALREADY_RUNNING: "already running, or in another state than this needs",
        Exit.INSUFFICIENT_CREDITS: "insufficient credits",
        Exit.NOT_FOUND: "not found: no such person, grant or token",
        Exit.ROLLED_BACK: "rolled back: the engine did not take the run, no credit was charged",
        Exit.STORE_ERROR: "the store, or a file, could not be read or written",
        Exit.BUSY: "the store is busy: try again later",
        Exit.INTERRUPTED: "interrupted from the keyboard",
    }
)
"""What each exit code says, for people."""


@frozen
class TokenNotFound(Refusal):
    """There is no access token with this id."""

    token_id: str

    def __str__(self) -> str:
        return f"there is no token {self.token_id[:100]!r}; `token list` shows them"


Answer = StartAnswer | AddAnswer | MarkStaleAnswer | EraseAnswer | GrantAnswer | RevokeAnswer | TokenNotFound
"""Everything a command of this program can be answered with."""


@frozen
class Verdict:
    """How an answer ends the program, and its name in JSON."""

    exit: Exit
    name: str


def of_answer(answer: Answer) -> Verdict:  # noqa: PLR0912  # A case per answer, and the type checker sees that none is missing.
    """Return how an answer ends the program."""
    match answer:
        case Queued():
            return Verdict(Exit.DONE, "queued")
        case Unresolved():
            return Verdict(Exit.DONE, "unresolved")
        case Added():
            return Verdict(Exit.DONE, "added")
        case MarkedStale():
            return Verdict(Exit.DONE, "marked_stale")
        case Erased():
            return Verdict(Exit.DONE, "erased")
        case Granted():
            return Verdict(Exit.DONE, "granted")
        case Revoked():
            return Verdict(Exit.DONE, "revoked")
        case RolledBack():
            return Verdict(Exit.ROLLED_BACK, "dispatch_failed")
        case AlreadyRunning():
            return Verdict(Exit.ALREADY_RUNNING, "already_running")
        case AlreadyAdded():
            return Verdict(Exit.ALREADY_RUNNING, "already_added")
        case NotComplete():
            return Verdict(Exit.ALREADY_RUNNING, "not_complete")
        case InsufficientCredits():
            return Verdict(Exit.INSUFFICIENT_CREDITS, "insufficient_credits")
        case PersonNotFound() | GrantNotFound() | TokenNotFound():
            return Verdict(Exit.NOT_FOUND, "not_found")
        case KeyReused():
            return Verdict(Exit.USAGE, "idempotency_key_reused")
        case GrantIdReused():
            return Verdict(Exit.USAGE, "grant_id_reused")


def of_error(error: ResearchError) -> Verdict:
    """Return how an error of the library ends the program; what is no bad input is the store's."""
    match error:
        case InvalidInput():
            return Verdict(Exit.USAGE, "invalid_request")
        case StoreBusy():
            return Verdict(Exit.BUSY, "store_busy")
        case _:
            return Verdict(Exit.STORE_ERROR, "store_error")


def epilog() -> str:
    """Return the paragraph of ``--help`` that lists the exit codes."""
    lines = (f"  {code.value:>3}  {MEANINGS[code]}" for code in Exit)
    return "\n".join(("\b", "Exit codes:", *lines))
