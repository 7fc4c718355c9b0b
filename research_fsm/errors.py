"""Everything this library raises, under one root. The domain's answers of "no" are values: see `outcomes`.

Floor 0. Facts are fields, messages name them, and each docstring says what the caller should do. What an error is made
with are its `args`, so that it can be pickled and raised again in another process.
"""

__all__ = [
    "CommitUnknown",
    "FeedStalled",
    "InvalidInput",
    "LifecycleError",
    "LogUnreadable",
    "RefusedError",
    "ResearchError",
    "StoreBusy",
    "StoreClosed",
    "StoreDamaged",
    "StoreError",
    "StoreForeign",
    "StoreFull",
    "StoreReadOnly",
    "StoreTooNew",
    "StoreUnavailable",
    "WriteRejected",
]


class ResearchError(Exception):
    """The root of every error of this library."""


class InvalidInput(ResearchError, ValueError):
    """A value that no request may carry. Nothing was written; correct the named field.

    Args:
        field: Which value.
        problem: What is wrong with it and what would be right.
    """

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(field, problem)

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


class RefusedError(ResearchError):
    """A refusal, for callers who prefer exceptions; raised by `outcome.accepted()` alone.

    Args:
        refusal: The refusal with its facts.
    """

    def __init__(self, refusal: object) -> None:
        self.refusal = refusal
        super().__init__(refusal)


class LifecycleError(ResearchError):
    """The lifecycle table contradicts itself: a mistake in this library's source, found at import."""


class LogUnreadable(ResearchError):
    """An event or a state that this version cannot read: upgrade the library, or run `verify` on the log.

    Args:
        what: The event's type and schema, or the head's stream.
        problem: Why it cannot be read.
    """

    def __init__(self, what: str, problem: str) -> None:
        self.what = what
        self.problem = problem
        super().__init__(what, problem)

    def __str__(self) -> str:
        return f"{self.what}: {self.problem}"


class StoreError(ResearchError):
    """The store could not do it. Unless a subclass says otherwise, nothing was written.

    Args:
        where: The file or address of the store.
        problem: What happened and what to do about it.
    """

    def __init__(self, where: str, problem: str) -> None:
        self.where = where
        self.problem = problem
        super().__init__(where, problem)

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


class StoreBusy(StoreError):
    """Others kept the store locked for longer than the wait allows. Try again later."""


class FeedStalled(StoreBusy):
    """A transaction that somebody keeps open may still add events where the feed is. End it, and follow on.

    Nothing was passed over: follow again from the position of the last event that was read.
    """


class StoreClosed(StoreError):
    """The store was closed. Open another one."""


class StoreDamaged(StoreError):
    """The file is not intact. Restore a backup; keep the damaged file for inspection."""


class StoreForeign(StoreError):
    """The file belongs to another program, or is no database. Name another file."""


class StoreFull(StoreError):
    """The disk, or the quota, is full. Free some space and try again."""


class StoreReadOnly(StoreError):
    """The file or its folder may not be written. Change the permissions or name another file."""


class StoreTooNew(StoreError):
    """A later version of this library wrote the file. Upgrade the library."""


class StoreUnavailable(StoreError):
    """The store cannot be opened: a missing folder, a directory, a refused permission."""


class CommitUnknown(StoreError):
    """The acknowledgement of a commit was lost. Repeat the request with its key: then it is never done twice.

    A start is not done twice without one either, because the person is running; a create without a key would be.
    """


class WriteRejected(StoreError):
    """A write broke a rule that every store keeps: a version, a unique key, an append-only table.

    Seen only when a rule or a store is wrong, or when somebody writes past `transact`.
    """
