"""Deep research on people: never queued twice, never charged twice, never stuck, always explainable.

Importing this package loads no database driver, no asyncio and no command line. A store is a module to import
explicitly: ``research_fsm.stores.memory``, ``research_fsm.stores.sqlite``.
"""

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
    "Unresolved",
]
