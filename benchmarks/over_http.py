"""POST …/run through the ASGI application against a bare Starlette endpoint that does the same SQL by hand.

Both are called as an ASGI server calls them, without a socket and a client: those would be the same for both, and
larger than what is compared.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from benchmarks import by_hand
from benchmarks.by_hand import ByHand
from benchmarks.people import OWNER, Starts
from benchmarks.rounds import Measured, Settings, paired
from research_fsm.http import create_app
from research_fsm.stores.sqlite import SQLiteStore

__all__ = ["over_http"]

_CALLERS = 16
_CREDITS = 10**9
_TOKEN_OF = "SELECT owner, revoked_at FROM tokens WHERE digest = ?"  # noqa: S105  # A statement.


def over_http(settings: Settings) -> list[Measured]:
    """Compare sixteen callers who post starts, each with its token."""
    people, folder = (settings.rounds + 1) * settings.operations, Path(settings.folder)
    case = Starts(SQLiteStore(folder / "http.db"), people)
    baseline = ByHand(folder / "http-by-hand.db", people, _CREDITS)
    secret = case.runs.tokens.create(OWNER).secret
    app, bare = create_app(case.runs), _bare(folder / "http-by-hand.db")
    try:
        return [
            paired(
                f"POST …/run, {_CALLERS} callers",
                "a bare Starlette endpoint with the same SQL by hand",
                lambda operations: asyncio.run(_posted(app, operations, case.next_person, secret)),
                lambda operations: asyncio.run(_posted(bare, operations, baseline.next_person, secret)),
                settings,
                target=0.7,
            )
        ]
    finally:
        case.close()
        baseline.close()


def _bare(path: Path) -> Starlette:
    """Return what somebody would write by hand: look the token up, start, answer."""
    connection = by_hand.connected(path)

    async def run(request: Request) -> Response:
        secret = request.headers["authorization"].removeprefix("Bearer ")
        digest = hashlib.sha256(secret.encode()).hexdigest()
        connection.execute(_TOKEN_OF, (digest,)).fetchone()
        by_hand.start(connection, request.path_params["person_id"])
        return JSONResponse({"success": True})

    return Starlette(routes=[Route("/api/deep-research/people/{person_id}/run", run, methods=["POST"])])


async def _posted(app: Starlette, operations: int, next_person: Callable[[], str], secret: str) -> None:
    async def work(count: int) -> None:
        for _ in range(count):
            await _post(app, f"/api/deep-research/people/{next_person()}/run", secret)

    shares = [operations // _CALLERS + (number < operations % _CALLERS) for number in range(_CALLERS)]
    await asyncio.gather(*(work(share) for share in shares))


async def _post(app: Callable[..., Awaitable[None]], path: str, secret: str) -> None:
    status: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {secret}".encode()), (b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    if status != [200]:
        raise AssertionError(f"answered {status}")
