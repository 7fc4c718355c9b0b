"""Access tokens of the HTTP interface, and the per-run token that a worker presents with its callbacks.

Floor 5. An access token's secret is shown once and kept hashed. A callback token is not kept at all: it is derived
from the store's secret, and opens one run.
"""

import hashlib
import hmac
import secrets

from attrs import evolve, field, frozen

from research_fsm.commands import checked_id, checked_member
from research_fsm.errors import InvalidInput
from research_fsm.events import PersonKind
from research_fsm.requests import DispatchRequest
from research_fsm.storage import Query, Reader, Rule, Store, Token, View, Write

__all__ = [
    "AccessTokens",
    "NewToken",
    "callback_token",
    "is_callback_token",
    "making",
    "recognised",
    "revoking",
    "with_callback_token",
]

_PREFIX = "rfsm_"


@frozen
class NewToken:
    """An access token that was just made: the only time its secret is seen."""

    token_id: str
    owner: str
    kind: PersonKind
    secret: str = field(repr=False)


class AccessTokens:
    """Makes, lists, revokes and recognises access tokens.

    Args:
        store: Where their digests are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, owner: str, kind: PersonKind = PersonKind.USER) -> NewToken:
        """Make a token for an owner.

        Args:
            owner: Whose people it opens.
            kind: ``user`` or ``partner``: which part of the interface it opens.

        Raises:
            InvalidInput: The owner is no printable text of 1 to 255 characters, or the kind is none of the two.
        """
        made, rule = making(owner, kind)
        self._store.transact(Query(), rule)
        return made

    def list(self, owner: str | None = None) -> list[Token]:
        """Return an owner's tokens, or everybody's, oldest first, revoked ones too."""
        return self._store.tokens(owner)

    def revoke(self, token_id: str) -> Token:
        """Revoke a token; it opens nothing from now on. Revoking it again changes nothing.

        Raises:
            InvalidInput: There is no such token.
        """
        return self._store.transact(Query(), revoking(self._store, token_id))

    def authenticate(self, secret: str) -> Token | None:
        """Return the token with this secret, unless it is unknown or revoked.

        The secret is looked up by its digest and compared in constant time.
        """
        return recognised(self._store, secret)


def making(owner: str, kind: PersonKind) -> tuple[NewToken, Rule[None]]:
    """Return a new token, and what keeps it."""
    checked_member("kind", PersonKind, kind)
    made = NewToken(secrets.token_hex(8), checked_id("owner", owner), kind, _PREFIX + secrets.token_urlsafe(32))

    def rule(_: View, now: int) -> Write[None]:
        return Write(answer=None, tokens=(Token(made.token_id, owner, str(kind), _digest(made.secret), now),))

    return made, rule


def revoking(reader: Reader, token_id: str) -> Rule[Token]:
    """Return what revokes a token.

    Raises:
        InvalidInput: There is no such token.
    """
    found = next((token for token in reader.tokens() if token.token_id == token_id), None)
    if found is None:
        raise InvalidInput("token_id", f"there is no token {token_id[:100]!r}; `token list` shows them")

    def rule(_: View, now: int) -> Write[Token]:
        revoked = evolve(found, revoked_at=found.revoked_at or now)
        return Write(answer=revoked, tokens=(revoked,))

    return rule


def recognised(reader: Reader, secret: str) -> Token | None:
    """Return the token with this secret, unless it is unknown or revoked."""
    if not secret.startswith(_PREFIX) or not secret.isascii():
        return None
    digest = _digest(secret)
    token = reader.token(digest)
    if token is None or token.revoked_at is not None or not hmac.compare_digest(token.digest, digest):
        return None
    return token


def callback_token(secret: bytes, run_id: str, run_no: int) -> str:
    """Return what the worker of a run presents with its callbacks: HMAC-SHA256 in hexadecimal.

    Args:
        secret: The store's secret.
        run_id: The run.
        run_no: Its number.
    """
    return hmac.new(secret, f"callback:{run_id}:{run_no}".encode(), hashlib.sha256).hexdigest()


def is_callback_token(presented: str, secret: bytes, run_id: str, run_no: int) -> bool:
    """Tell in constant time whether this is the callback token of a run."""
    return hmac.compare_digest(presented.encode(errors="replace"), callback_token(secret, run_id, run_no).encode())


def with_callback_token(request: DispatchRequest, secret: bytes) -> DispatchRequest:
    """Return a dispatch request with its run's callback token."""
    return evolve(request, token=callback_token(secret, request.run_id, request.run_no))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
