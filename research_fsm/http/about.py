"""What the service tells everybody about itself: that it is well, what it promises, and the same for readers.

Floor 8. Imports Starlette and anyio. Nobody is recognised here, and nothing here is about a person.
"""

from collections.abc import Collection
from http import HTTPStatus

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from research_fsm.async_runs import AsyncRuns
from research_fsm.http import answers, openapi, reference
from research_fsm.outcomes import Json
from research_fsm.storage import Query

__all__ = ["document", "health", "page"]


async def health(runs: AsyncRuns) -> Response:
    """Say whether the store can be read."""
    await anyio.to_thread.run_sync(runs.store.read, Query())
    return answers.ok({"status": "ok"})


async def document(request: Request, operations: Collection[tuple[str, str]]) -> Response:
    """Return the OpenAPI document, with the paths as this request sees them."""
    return answers.ok(_document(request, operations, "/openapi.json"))


async def page(request: Request, operations: Collection[tuple[str, str]]) -> Response:
    """Return the same as a page."""
    text = reference.render(_document(request, operations, "/docs"))
    return HTMLResponse(text, HTTPStatus.OK, reference.HEADERS)


def _document(request: Request, operations: Collection[tuple[str, str]], path: str) -> dict[str, Json]:
    return openapi.document(operations, request.url.path.removesuffix(path))
