"""The page for operators: an owner's people, runs and credits in a browser, read-only, behind their token.

Floor 8. Imports Starlette and anyio. It stands beside the interface and is no part of it: whoever mounts the interface
adds this route if they want it. A browser asks for the token itself, as the password of a Basic authentication; no
other operation takes one, so that nothing can be done with what a browser remembers.
"""

import base64
import binascii
import logging
from http import HTTPStatus

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from research_fsm.errors import InvalidInput, LogUnreadable, StoreError
from research_fsm.events import PersonKind
from research_fsm.http.callers import Authenticate, Caller, bearer_token
from research_fsm.http.verifying import Verification
from research_fsm.page import render
from research_fsm.storage import Reader
from research_fsm.tokens import AccessTokens

__all__ = ["PATH", "page_route"]

_log = logging.getLogger(__name__)

PATH = "/deep-research/page"
"""Behind the prefix."""

_PEOPLE = 1000
"""People on a page that is served: the others are a page further."""

_LONGEST_STREAM = 300
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page_route(
    store: Reader,
    tokens: AccessTokens,
    *,
    prefix: str = "/api",
    authenticate: Authenticate | None = None,
    verification: Verification | None = None,
) -> Route:
    """Return the route of the page, to be added to the application that `create_app` returned.

    Args:
        store: What is shown.
        tokens: Who may look: the owner of a token sees their own people and credits.
        prefix: As given to `create_app`.
        authenticate: Recognises who asks, in place of the tokens.
        verification: Verifies the log as somebody looks at the page; None if nobody does, which the page says.
    """
    recognised = authenticate or _by_token(tokens)

    async def page(request: Request) -> Response:
        try:
            return await anyio.to_thread.run_sync(_answered, store, recognised, verification, request)
        except StoreError:
            return _plain(HTTPStatus.SERVICE_UNAVAILABLE, "the store cannot be read now")
        except LogUnreadable as error:
            _log.warning("the page cannot be made: %s", error)
            return _plain(HTTPStatus.INTERNAL_SERVER_ERROR, "the log cannot be read; `research-fsm verify` says where")

    return Route(prefix + PATH, page, methods=["GET"])


def _answered(store: Reader, recognised: Authenticate, verification: Verification | None, request: Request) -> Response:
    caller = recognised(request)
    if caller is None:
        # What a browser answers with its own dialog, in which the token is the password.
        asking = {"WWW-Authenticate": 'Basic realm="research_fsm", charset="UTF-8"'}
        return _plain(HTTPStatus.UNAUTHORIZED, "an access token is needed, as the password", asking)
    after = request.query_params.get("after")
    names = request.query_params.get("names") == "1"
    if after is not None and len(after) > _LONGEST_STREAM:
        return _plain(HTTPStatus.BAD_REQUEST, "after: must be the stream that the page before names")
    try:
        next_page = "?names=1&after=" if names else "?after="
        text = render(
            store,
            owner=caller.owner,
            with_names=names,
            findings=None if verification is None else verification.standing(store, caller.owner),
            limit=_PEOPLE,
            after=after,
            next_page=next_page,
        )
    except InvalidInput as error:
        return _plain(HTTPStatus.BAD_REQUEST, str(error))
    return HTMLResponse(text, headers=_HEADERS)


def _plain(status: HTTPStatus, words: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(words, status, {**_HEADERS, **(headers or {})})


def _by_token(tokens: AccessTokens) -> Authenticate:
    def authenticate(request: Request) -> Caller | None:
        presented = bearer_token(request) or _password(request)
        token = None if presented is None else tokens.authenticate(presented)
        return None if token is None else Caller(token.owner, PersonKind(token.kind), f"token:{token.token_id}")

    return authenticate


def _password(request: Request) -> str | None:
    """Return the password of a Basic authentication, whoever the user is said to be."""
    values = request.headers.getlist("authorization")
    scheme, _, encoded = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != "basic":
        return None
    try:
        both = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return both.partition(":")[2] or None
