"""The real thing for tests: uvicorn on a free port of the loopback, and a store in a file."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import uvicorn
from attrs import frozen

from research_fsm import Profile, Runs
from research_fsm.http import create_app
from research_fsm.http.patience import PatientProtocol
from research_fsm.requests import Dispatcher
from research_fsm.stores.sqlite import SQLiteStore
from tests.http.service import OWNER

CALLERS = 64


@frozen
class Served:
    """A service that listens, and somebody who may use it."""

    runs: Runs
    server: uvicorn.Server
    address: tuple[str, int]
    headers: dict[str, str]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.address[0]}:{self.address[1]}"

    def client(self) -> httpx2.Client:
        """Return a client with connections of its own."""
        limits = httpx2.Limits(max_connections=CALLERS, max_keepalive_connections=CALLERS)
        return httpx2.Client(base_url=self.url, headers=self.headers, limits=limits, timeout=60, trust_env=False)

    def add(self) -> str:
        """Add an idle person, and return the id."""
        return self.runs.add(OWNER, Profile(linkedin_url="linkedin.com/in/ada")).accepted().person_id


@contextmanager
def serving(
    path: Path,
    dispatcher: Dispatcher,
    *,
    http: type[PatientProtocol] = PatientProtocol,
    body_seconds: float = 30,
    shutdown_seconds: int | None = None,
) -> Iterator[Served]:
    """Serve a store in a file while the block runs.

    Args:
        path: The file.
        dispatcher: The engine.
        http: How long a connection waits for its client.
        body_seconds: How long a body may take.
        shutdown_seconds: How long the server waits for requests when it is to stop; None for as long as they take.
    """
    with SQLiteStore(path) as store, socket.create_server(("127.0.0.1", 0)) as listening:
        # asyncio does so for sockets that it opens itself; else each answer waits 40 ms for an acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        runs = Runs(store, dispatcher)
        headers = {"Authorization": f"Bearer {runs.tokens.create(OWNER).secret}"}
        config = uvicorn.Config(
            create_app(runs, body_seconds=body_seconds),
            http=http,
            log_config=None,
            ws="none",
            timeout_graceful_shutdown=shutdown_seconds,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield Served(runs, server, listening.getsockname()[:2], headers)
        finally:
            server.should_exit = True
            thread.join()
