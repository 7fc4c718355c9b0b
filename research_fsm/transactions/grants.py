"""The transactions of grants.

Floor 3, pure. See `research_fsm.transactions` for what a transaction is.
"""

from research_fsm import codec, decide
from research_fsm.commands import GrantCredits, RevokeCredits
from research_fsm.outcomes import GrantAnswer, RevokeAnswer
from research_fsm.rows import Transaction, account_in, account_stream, grant_key, granted_writes
from research_fsm.storage import Query, UniqueKey, View, Write

__all__ = ["grant", "revoke"]


def grant(command: GrantCredits) -> Transaction[GrantAnswer]:
    """Add credits, once per grant_id."""
    key = grant_key("grant", command.owner, command.grant_id)

    def rule(view: View, _: int) -> Write[GrantAnswer]:
        decision = decide.grant(command, _amount(view, key))
        keys = () if not decision.credits else (UniqueKey(key, stream, codec.encode(command.amount)),)
        return Write(
            answer=decision.answer, streams=granted_writes(view, command.owner, decision, command.actor), keys=keys
        )

    stream = account_stream(command.owner)
    return Query(streams=(stream,), keys=(key,)), rule


def revoke(command: RevokeCredits) -> Transaction[RevokeAnswer]:
    """Take a grant back, whole and once."""
    granted, revoked = (grant_key(kind, command.owner, command.grant_id) for kind in ("grant", "revoked"))

    def rule(view: View, _: int) -> Write[RevokeAnswer]:
        account = account_in(view, command.owner)
        decision = decide.revoke(command, account, _amount(view, granted), already=revoked in view.keys)
        keys = () if not decision.credits else (UniqueKey(revoked, stream),)
        return Write(
            answer=decision.answer, streams=granted_writes(view, command.owner, decision, command.actor), keys=keys
        )

    stream = account_stream(command.owner)
    return Query(streams=(stream,), keys=(granted, revoked)), rule


def _amount(view: View, key: str) -> int | None:
    found = view.keys.get(key)
    return None if found is None else codec.parse(found.value)
