"""Puts a `FakeEngine` where a client can reach it: behind an httpx2 transport, or behind a socket of this machine.

Floor 6. httpx2 is imported by `transport` alone. `serve` needs nothing but the standard library, and is for clients
that are no Python, or another process.

Example:
    >>> from urllib.request import Request, urlopen
    >>> from research_fsm.testing import ManualClock
    >>> from research_fsm.testing.engine import FakeEngine
    >>> from research_fsm.testing.engine_http import serve
    >>> engine = FakeEngine(ManualClock())
    >>> with serve(engine) as url:
    ...     asked = Request(f"{url}/api/v1/runs", headers={"Authorization": f"Bearer {engine.secret_key}"})
    ...     with urlopen(asked) as answer:
    ...         answer.read()
    b'{"data": [], "pagination": {}}'
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from research_fsm.testing.engine import Broken, FakeEngine, FakeRequest, Fault

if TYPE_CHECKING:
    import httpx2

__all__ = ["serve", "transport"]


def transport(engine: FakeEngine) -> "httpx2.MockTransport":
    """Return a transport to the engine, for blocking and for awaiting clients: no socket, no waiting."""
    import httpx2

    def handle(request: httpx2.Request) -> httpx2.Response:
        url, headers = request.url, dict(request.headers)
        query, path = url.query.decode(), url.raw_path.decode().partition("?")[0]
        try:
            answer = engine.handle(FakeRequest(request.method, path, query, headers, request.content))
        except Broken as broken:
            if broken.fault is Fault.UNREACHABLE:
                raise httpx2.ConnectError("the script says that the engine cannot be reached") from None
            if broken.fault is Fault.SLOW:
                engine.wait(request.extensions["timeout"]["read"])
                raise httpx2.ReadTimeout("the script says that the answer comes too late") from None
            raise httpx2.RemoteProtocolError("the script says that the connection breaks") from None
        return httpx2.Response(answer.status, headers=dict(answer.headers), content=answer.body)

    return httpx2.MockTransport(handle)


@contextmanager
def serve(engine: FakeEngine) -> Iterator[str]:
    """Serve the engine on a free port of this machine, and give its address; closed at the end of the block.

    An answer that is too slow by the script comes never: its connection stays open until the client leaves, or the
    block ends.
    """
    closing = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(engine, closing))
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="fake-engine")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(engine: FakeEngine, closing: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10  # Of a client that stops in the middle of its request.

        def do_GET(self) -> None:  # The standard library's name.
            self._handle()

        def do_POST(self) -> None:  # The standard library's name.
            self._handle()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

        def _handle(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            path, _, query = self.path.partition("?")
            self.close_connection = True
            try:
                answer = engine.handle(FakeRequest(self.command, path, query, headers, body))
            except Broken as broken:
                if broken.fault is Fault.SLOW:
                    closing.wait()
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(answer.body)

    return Handler
