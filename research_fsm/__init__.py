"""Deep research on people: never queued twice, never charged twice, never stuck, always explainable.

Importing this package loads nothing: each name is imported when it is first asked for, with what it needs and no more.
No database driver, no asyncio and no command line is among that. A store is a module to import explicitly:
``research_fsm.stores.memory``, ``research_fsm.stores.sqlite``.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from research_fsm.async_runs import AsyncRuns
    from research_fsm.errors import InvalidInput, RefusedError, ResearchError, StoreBusy, StoreError
    from research_fsm.events import FailReason, PersonKind
    from research_fsm.outcomes import (
        Added,
        AlreadyAdded,
        AlreadyRunning,
        Claimed,
        Completed,
        Created,
        Erased,
        Failed,
        Granted,
        GrantIdReused,
        GrantNotFound,
        InsufficientCredits,
        KeyReused,
        MarkedStale,
        NotComplete,
        PersonNotFound,
        Queued,
        Revoked,
        RolledBack,
        RunNotFound,
        StaleRun,
        Submitted,
        Unresolved,
    )
    from research_fsm.policy import Policy
    from research_fsm.profile import Profile
    from research_fsm.reads import Balance, PeoplePage, PersonDetails, ReportDetails
    from research_fsm.runs import RecoveryPass, Runs

__all__ = [
    "Added",
    "AlreadyAdded",
    "AlreadyRunning",
    "AsyncRuns",
    "Balance",
    "Claimed",
    "Completed",
    "Created",
    "Erased",
    "FailReason",
    "Failed",
    "GrantIdReused",
    "GrantNotFound",
    "Granted",
    "InsufficientCredits",
    "InvalidInput",
    "KeyReused",
    "MarkedStale",
    "NotComplete",
    "PeoplePage",
    "PersonDetails",
    "PersonKind",
    "PersonNotFound",
    "Policy",
    "Profile",
    "Queued",
    "RecoveryPass",
    "RefusedError",
    "ReportDetails",
    "ResearchError",
    "Revoked",
    "RolledBack",
    "RunNotFound",
    "Runs",
    "StaleRun",
    "StoreBusy",
    "StoreError",
    "Submitted",
    "Unresolved",
]

_ELSEWHERE = {
    "AsyncRuns": "async_runs",
    "Balance": "reads",
    "FailReason": "events",
    "InvalidInput": "errors",
    "PeoplePage": "reads",
    "PersonDetails": "reads",
    "PersonKind": "events",
    "Policy": "policy",
    "Profile": "profile",
    "RecoveryPass": "runs",
    "RefusedError": "errors",
    "ReportDetails": "reads",
    "ResearchError": "errors",
    "Runs": "runs",
    "StoreBusy": "errors",
    "StoreError": "errors",
}
"""Where a name is from that is no answer: answers are from `outcomes`."""


def __getattr__(name: str) -> object:
    """Import a name when it is first asked for; see PEP 562."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'outcomes')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List what there is, asked for or not."""
    return sorted({*globals(), *__all__})
