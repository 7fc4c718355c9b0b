"""Access tokens for those who await: the same as `tokens.AccessTokens`, over the same store object.

Floor 6. One line per method; what each does, takes and raises is said at `tokens.AccessTokens`.
"""

from functools import partial

from research_fsm import tokens
from research_fsm.driver import in_thread
from research_fsm.events import PersonKind
from research_fsm.storage import Query, Store, Token
from research_fsm.tokens import NewToken

__all__ = ["AsyncAccessTokens"]


class AsyncAccessTokens:
    """Makes, lists, revokes and recognises access tokens, to be awaited.

    Args:
        store: Where their digests are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def create(self, owner: str, kind: PersonKind = PersonKind.USER) -> NewToken:
        """Make a token for an owner. Whoever is cancelled never sees its secret: list the tokens, and revoke it."""
        made, rule = tokens.making(owner, kind)
        await self._store.transact_async(Query(), rule)
        return made

    async def list(self, owner: str | None = None) -> list[Token]:
        """Return an owner's tokens, or everybody's, oldest first, revoked ones too."""
        return await in_thread(partial(self._store.tokens, owner))

    async def revoke(self, token_id: str) -> Token:
        """Revoke a token; it opens nothing from now on. Revoking it again changes nothing."""
        rule = await in_thread(partial(tokens.revoking, self._store, token_id))
        return await self._store.transact_async(Query(), rule)

    async def authenticate(self, secret: str) -> Token | None:
        """Return the token with this secret, unless it is unknown or revoked."""
        return await in_thread(partial(tokens.recognised, self._store, secret))
