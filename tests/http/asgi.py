"""An ASGI server in a few lines, for requests that no well-behaved client sends."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import anyio
from attrs import define, field
from starlette.types import ASGIApp, Message


@define
class Exchange:
    """One request and its answer.

    Args:
        path: What is asked for.
        chunks: The body, piece by piece; the client goes away behind the last one unless it is the end.
        headers: As they would be on the wire.
        method: The HTTP method.
        ends: Whether the body comes to an end.
    """

    path: str
    chunks: Iterable[bytes] = ()
    headers: tuple[tuple[bytes, bytes], ...] = ()
    method: str = "POST"
    ends: bool = True
    taken: int = 0
    status: int = 0
    answer: bytearray = field(factory=bytearray)
    _left: Iterator[bytes] = iter(())

    def with_app(self, app: ASGIApp) -> dict[str, Any]:
        """Send the request, and return the members of the answer."""
        self._left = iter(self.chunks)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": list(self.headers),
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        anyio.run(app, scope, self._receive, self._send)
        members: dict[str, Any] = json.loads(self.answer)
        return members

    async def _receive(self) -> Message:
        chunk = next(self._left, None)
        if chunk is not None:
            self.taken += len(chunk)
            return {"type": "http.request", "body": chunk, "more_body": True}
        if self.ends:
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.answer += message["body"]
