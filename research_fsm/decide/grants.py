"""The rules of grants. All other credits follow from runs: see `account.credits_for`.

Floor 3, pure. See `research_fsm.decide` for what a rule is.
"""

from research_fsm.account import Account
from research_fsm.commands import GrantCredits, RevokeCredits
from research_fsm.decide.decision import Decision
from research_fsm.events import CreditsGranted, CreditsRevoked
from research_fsm.outcomes import Granted, GrantIdReused, GrantNotFound, InsufficientCredits, Revoked

__all__ = ["grant", "revoke"]


def grant(command: GrantCredits, granted: int | None) -> Decision[Granted | GrantIdReused]:
    """Add credits once per grant_id.

    Args:
        command: The grant.
        granted: The amount that was granted under this grant_id before, if any.
    """
    if granted is not None and granted != command.amount:
        return Decision(answer=GrantIdReused(command.owner, command.grant_id, granted))
    answer = Granted(command.owner, command.grant_id, command.amount)
    fresh = () if granted is not None else (CreditsGranted(command.grant_id, command.amount),)
    return Decision(answer=answer, credits=fresh)


def revoke(
    command: RevokeCredits, account: Account, granted: int | None, *, already: bool
) -> Decision[Revoked | GrantNotFound | InsufficientCredits]:
    """Take a grant back, whole and once, and never below what is available.

    Args:
        command: The revocation.
        account: The account.
        granted: The amount that was granted under this grant_id, if any.
        already: Whether it was taken back before.
    """
    if granted is None:
        return Decision(answer=GrantNotFound(command.owner, command.grant_id))
    answer = Revoked(command.owner, command.grant_id, granted)
    if already:
        return Decision(answer=answer)
    if account.available < granted:
        return Decision(answer=InsufficientCredits(command.owner, account.available, granted))
    return Decision(answer=answer, credits=(CreditsRevoked(command.grant_id, granted),))
