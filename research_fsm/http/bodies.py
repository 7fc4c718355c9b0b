"""What a request carries besides its path: a bounded JSON body, the query, the Idempotency-Key.

Floor 8. Imports Starlette's requests and anyio. Reads no byte more than it was allowed to, waits for none longer, and
takes nothing that another reader might understand otherwise: duplicate keys, NaN, infinities.
"""

import json
import math
import re
from collections.abc import Callable, Collection, Sequence
from itertools import accumulate
from typing import Concatenate, ParamSpec, TypeVar

import anyio
import anyio.to_thread
from starlette.requests import Request

from research_fsm.http.problems import Code, Problem, ProblemError, invalid
from research_fsm.outcomes import Json

__all__ = [
    "DEEPEST",
    "LONGEST",
    "LONGEST_REPORT",
    "UUID_PATTERN",
    "closed_object",
    "idempotency_key",
    "json_object",
    "parsed",
    "path_id",
    "query",
    "read",
]

P = ParamSpec("P")
T = TypeVar("T")

LONGEST = 1024 * 1024
"""Bytes of an ordinary body."""

LONGEST_REPORT = 4 * 1024 * 1024
"""Bytes of a body with a report; the report itself has at most 3 MiB in its canonical form."""

DEEPEST = 128
"""Lists and objects within each other in a body; a report's content has at most 100."""

# The contract's pattern: the versions 1 to 8, and the two special forms.
UUID_PATTERN = (
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
    r"|00000000-0000-0000-0000-000000000000"
    r"|ffffffff-ffff-ffff-ffff-ffffffffffff"
)
"""What an id in a path looks like."""

_UUID = re.compile(UUID_PATTERN)
_SHORT = 1 << 16
"""Bytes that are parsed in well under a millisecond."""

# Never goes back, and takes a text that does not end to the end: no body takes longer than its length.
_TEXTS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}

_KEY = re.compile(r"[\x20-\x7e]{1,255}")


async def read(request: Request, longest: int, seconds: float) -> bytes:
    """Return the whole body.

    Args:
        request: The request.
        longest: Bytes at most; a declared length above is refused unread, an undeclared one as soon as it is seen.
        seconds: How long a client may take to send all of it.

    Raises:
        ProblemError: It is no JSON by its headers, or longer, or still not there.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if media_type != "application/json" or encoding != "identity":
        detail = "send Content-Type: application/json, without a Content-Encoding"
        raise ProblemError(Problem(Code.UNSUPPORTED_MEDIA_TYPE, detail))
    too_large = ProblemError(Problem(Code.PAYLOAD_TOO_LARGE, f"at most {longest} bytes", {"limit": longest}))
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > longest:
        raise too_large
    body = bytearray()
    with anyio.move_on_after(seconds):
        async for chunk in request.stream():
            if len(body) + len(chunk) > longest:
                raise too_large
            body += chunk
        return bytes(body)
    # The rest of the body may still come, drop by drop: whoever serves HTTP/1 must not wait for it.
    closing = {"Connection": "close"} if request.scope["http_version"].startswith("1") else {}
    raise ProblemError(Problem(Code.REQUEST_TIMEOUT, f"it was not there after {seconds:g} seconds", headers=closing))


async def parsed(parse: Callable[Concatenate[bytes, P], T], body: bytes, *more: P.args, **others: P.kwargs) -> T:
    """Parse a body: at once if it is short, and in a thread if it would keep the event loop from others."""
    if len(body) <= _SHORT:
        return parse(body, *more, **others)
    return await anyio.to_thread.run_sync(lambda: parse(body, *more, **others))


def json_object(body: bytes) -> dict[str, Json]:
    """Return the JSON object that a body is.

    Raises:
        ProblemError: It is none, or can be read in two ways.
    """
    if not _is_shallow(body):
        raise invalid("body", f"is nested too deeply: at most {DEEPEST} lists and objects within each other")
    try:
        parsed = json.loads(
            body.decode(), object_pairs_hook=_unambiguous, parse_float=_finite, parse_constant=_no_constant
        )
    except ValueError as error:  # Also what is no UTF-8, and a whole number of more than 4,300 digits.
        raise invalid("body", f"must be JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise invalid("body", "must be a JSON object")
    return parsed


def closed_object(body: bytes, required: Sequence[str], optional: Collection[str] = ()) -> dict[str, Json]:
    """Return a JSON object that has these members and no others.

    Args:
        body: The body.
        required: Members that must be there.
        optional: Members that may be.

    Raises:
        ProblemError: It is another.
    """
    parsed = json_object(body)
    for name in required:
        if name not in parsed:
            raise invalid(name, "is required")
    for name in parsed:
        if name not in required and name not in optional:
            raise invalid(name[:100], f"is unknown here; known are {', '.join((*required, *optional))}")
    return parsed


def path_id(request: Request, name: str) -> str:
    """Return a UUID of the path, in lower case.

    Raises:
        ProblemError: It is none by the contract's pattern.
    """
    value: str = request.path_params[name]
    if not _UUID.fullmatch(value):
        raise invalid(name, "must be a UUID")
    return value.lower()


def query(request: Request, name: str) -> str | None:
    """Return a parameter of the query, if it is there.

    Raises:
        ProblemError: It is there more than once.
    """
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise invalid(name, "must be given once")
    return values[0] if values else None


def idempotency_key(request: Request) -> str | None:
    """Return the caller's key for this request, if there is one.

    Raises:
        ProblemError: It is there twice, or is no printable ASCII of 1 to 255 characters.
    """
    values = request.headers.getlist("idempotency-key")
    if not values:
        return None
    if len(values) > 1 or not _KEY.fullmatch(values[0]):
        raise invalid("Idempotency-Key", "must be one header of 1 to 255 printable ASCII characters")
    return values[0]


def _is_shallow(body: bytes) -> bool:
    """Tell whether a parser may recurse into a body, however deep the host lets Python recurse."""
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return True
    brackets = _TEXTS.sub(b"", body).translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) <= DEEPEST


def _unambiguous(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members: dict[str, Json] = {}
    for name, value in pairs:
        if name in members:
            raise invalid(name[:100], "is there twice in one object")
        members[name] = value
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")
