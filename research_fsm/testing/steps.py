"""One command and what it did: what the proofs are told about a step, and how any command becomes a transaction.

Floor 6, pure.
"""

from typing import Any

from attrs import frozen

from research_fsm import commands as c
from research_fsm import transactions
from research_fsm.account import Account
from research_fsm.events import PersonEvent
from research_fsm.person import Person
from research_fsm.policy import Policy
from research_fsm.storage import Query, QueueEntry, Rule

__all__ = ["Broken", "Command", "Moment", "Step", "transaction_of"]

Command = (
    c.AddPerson
    | c.ArmAttempt
    | c.ClaimRun
    | c.CompleteRun
    | c.ErasePerson
    | c.FailRun
    | c.GrantCredits
    | c.MarkStale
    | c.RecordAnswer
    | c.RecoverRun
    | c.RenewLease
    | c.RevokeCredits
    | c.StartRun
    | c.TakeEntry
)


@frozen
class Moment:
    """What stands in a store about one person: the state, the account, the queue's entry, the next look."""

    person: Person
    account: Account
    entry: QueueEntry | None = None
    due: int | None = None


@frozen
class Step:
    """One command, with what stood before, what was answered, and what stands after.

    Args:
        command: What was asked.
        now: The store's time, in microseconds UTC.
        policy: The settings.
        before: What stood in the store.
        after: What stands there now.
        answer: What was answered.
        events: What happened to the person.
        salt: What digests of the person's documents are salted with.
    """

    command: Command
    now: int
    policy: Policy
    before: Moment
    after: Moment
    answer: object
    events: tuple[PersonEvent, ...] = ()
    salt: bytes = b""


class Broken(AssertionError):
    """A step broke a law.

    Args:
        step: The step.
        words: What is wrong.
        path: The commands that lead there; None is a microsecond that passes.
    """

    def __init__(self, step: Step, words: list[str], path: list[Command | None]) -> None:
        self.step = step
        self.words = words
        self.path = path
        said = "\n  ".join(words)
        led = "\n  ".join("(a microsecond)" if command is None else str(command) for command in path)
        super().__init__(f"\n  {said}\nafter\n  {led}\nfrom\n  {step.before}\nto\n  {step.after}")


def transaction_of(  # noqa: PLR0912  # A case per command.
    command: Command, policy: Policy
) -> tuple[Query, Rule[Any]]:
    """Return the query and the rule of any command."""
    match command:
        case c.AddPerson():
            return transactions.add(command, policy)
        case c.ArmAttempt():
            return transactions.arm(command, policy)
        case c.ClaimRun():
            return transactions.claim(command, policy)
        case c.CompleteRun():
            return transactions.complete(command, policy)
        case c.ErasePerson():
            return transactions.erase(command, policy)
        case c.FailRun():
            return transactions.fail(command, policy)
        case c.GrantCredits():
            return transactions.grant(command)
        case c.MarkStale():
            return transactions.mark_stale(command, policy)
        case c.RecordAnswer():
            return transactions.record_answer(command, policy)
        case c.RecoverRun():
            return transactions.recover(command, policy)
        case c.RenewLease():
            return transactions.renew(command, policy)
        case c.RevokeCredits():
            return transactions.revoke(command)
        case c.StartRun():
            return transactions.start(command, policy)
        case c.TakeEntry():
            return transactions.take(command, policy)
