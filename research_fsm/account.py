"""An account: the folded state of one owner's credits.

Floor 2, pure. Credits are not decided a second time: `credits_for` derives what happens to the account from what
happens to the run's hold, so that a store, a rule and an audit cannot disagree about money.
"""

from collections.abc import Iterable, Mapping

from attrs import frozen

from research_fsm.copying import copier
from research_fsm.events import (
    AccountEvent,
    CreditsCharged,
    CreditsGranted,
    CreditsHeld,
    CreditsRefunded,
    CreditsReleased,
    CreditsRevoked,
)
from research_fsm.person import Hold, Run

__all__ = ["EMPTY", "Account", "credits_for", "evolve", "fold"]


@frozen(slots=False)  # For `copier`.
class Account:
    """The sums over an account's events, in credits. `charged` is gross: a refund does not lower it.

    Args:
        granted: Everything that was ever added.
        revoked: Grants that were taken back.
        held: Reserved by runs that are not yet queued.
        charged: Spent on runs that the engine has queued.
        refunded: Given back after a charge.
    """

    granted: int = 0
    revoked: int = 0
    held: int = 0
    charged: int = 0
    refunded: int = 0

    @property
    def available(self) -> int:
        """What a start may spend: the balance that callers are shown."""
        return self.granted - self.revoked - self.charged + self.refunded - self.held


_account_with = copier(Account)

EMPTY = Account()
"""The account of an owner who was never granted anything."""


def evolve(account: Account, event: AccountEvent) -> Account:
    """Return the account after an event; total, and refuses nothing."""
    match event:
        case CreditsGranted(amount=amount):
            return _account_with(account, granted=account.granted + amount)
        case CreditsRevoked(amount=amount):
            return _account_with(account, revoked=account.revoked + amount)
        case CreditsHeld(amount=amount):
            return _account_with(account, held=account.held + amount)
        case CreditsCharged(amount=amount):
            return _account_with(account, held=account.held - amount, charged=account.charged + amount)
        case CreditsReleased(amount=amount):
            return _account_with(account, held=account.held - amount)
        case CreditsRefunded(amount=amount):  # The last case.
            return _account_with(account, refunded=account.refunded + amount)


def fold(account: Account, events: Iterable[AccountEvent]) -> Account:
    """Return the account after many events."""
    for event in events:
        account = evolve(account, event)
    return account


_CreditsOfRun = type[CreditsHeld | CreditsCharged | CreditsReleased | CreditsRefunded]

_EVENT_OF: Mapping[Hold, _CreditsOfRun] = {
    Hold.OPEN: CreditsHeld,
    Hold.CHARGED: CreditsCharged,
    Hold.RELEASED: CreditsReleased,
    Hold.REFUNDED: CreditsRefunded,
}


def credits_for(person_id: str, before: Run | None, after: Run | None) -> tuple[AccountEvent, ...]:
    """Return what one event of a person means for the account: the record of what became of the run's hold.

    Args:
        person_id: Whose run it is.
        before: The person's latest run before the event.
        after: The latest run after it.
    """
    if after is None or (before is not None and before.run_no == after.run_no and before.hold is after.hold):
        return ()
    return (_EVENT_OF[after.hold](person_id, after.run_id, after.run_no, after.cost),)
