"""Who asks: the bearer of an access token, somebody whom the host knows, or the worker of one run.

Floor 8. Imports Starlette's requests. A token is taken from the Authorization header alone and is never logged.
"""

import re
from collections.abc import Callable

from attrs import frozen
from starlette.requests import Request

from research_fsm.events import PersonKind
from research_fsm.http.problems import UNAUTHORIZED, Code, Problem, ProblemError
from research_fsm.tokens import AccessTokens

__all__ = ["Authenticate", "Caller", "Limit", "access_tokens", "allowed", "bearer_token", "recognised"]

# The grammar of RFC 6750: ASCII, so that no encoding can surprise whoever compares it.
_BEARER = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE | re.ASCII)


@frozen
class Caller:
    """Somebody who was recognised.

    Args:
        owner: Whose people are opened, and whose credits are spent. An opaque id.
        kind: Which part of the interface is opened.
        actor: Who it is, in the log. An opaque id, no personal data.
    """

    owner: str
    kind: PersonKind = PersonKind.USER
    actor: str | None = None


Authenticate = Callable[[Request], Caller | None]
"""Recognises who sent a request; None for nobody. Called in a thread, so it may block; it must not read the body."""


Limit = Callable[[Request, Caller | None], float | None]
"""A host's rate limit: the seconds after which to come back, or None to let a request in. Called in a thread, before
the body is read, with who was recognised; None for workers, for nobody, and where anybody may ask."""


def access_tokens(tokens: AccessTokens) -> Authenticate:
    """Return the built-in way to recognise somebody: by an access token of the store's."""

    def authenticate(request: Request) -> Caller | None:
        presented = bearer_token(request)
        token = None if presented is None else tokens.authenticate(presented)
        return None if token is None else Caller(token.owner, PersonKind(token.kind), f"token:{token.token_id}")

    return authenticate


def bearer_token(request: Request) -> str | None:
    """Return the token of the one Authorization header, if it is well-formed."""
    values = request.headers.getlist("authorization")
    found = _BEARER.fullmatch(values[0]) if len(values) == 1 else None
    return None if found is None else found[1]


def allowed(caller: Caller | None, kind: PersonKind) -> Caller:
    """Return the caller, if this part of the interface is theirs.

    Raises:
        ProblemError: Nobody was recognised, or somebody of the other kind.
    """
    known = recognised(caller)
    if known.kind is not kind:
        raise ProblemError(Problem(Code.FORBIDDEN, f"a {known.kind} token does not open this; a {kind} token does"))
    return known


def recognised(caller: Caller | None) -> Caller:
    """Return the caller, of whichever kind.

    Raises:
        ProblemError: Nobody was recognised.
    """
    if caller is None:
        raise ProblemError(UNAUTHORIZED)
    return caller
