"""Clients that take their time, over real sockets: none of them keeps a connection for longer than it may."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from research_fsm import InvalidInput, Runs
from research_fsm.http import create_app
from research_fsm.http.patience import PatientProtocol
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.scripted import ScriptedDispatcher
from tests.http.served import Served, serving
from tests.http.service import ADA, OWNER, PEOPLE, problem

PATIENCE_SECONDS = 60
"""How long a test waits for what must come: much longer than it takes."""

DRIP_SECONDS = 0.02


class Hasty(PatientProtocol):
    """Waits for a request for a moment only."""

    longest_seconds = 0.4


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Served]:
    """Serve with little patience for a connection, and enough for a body."""
    with serving(tmp_path / "research.db", ScriptedDispatcher(), http=Hasty) as service:
        yield service


@contextmanager
def connected(service: Served) -> Iterator[socket.socket]:
    """Open a connection of one's own."""
    with socket.create_connection(service.address, timeout=PATIENCE_SECONDS) as raw:
        yield raw


def head(service: Served, *more: str, method: str = "POST", path: str = PEOPLE) -> bytes:
    """Return the head of a request by somebody who may ask."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: {service.headers['Authorization']}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def dripped(raw: socket.socket, endless: bytes = b"x") -> bytes:
    """Send a byte again and again until the server has had enough, and return everything that it said."""
    said = b""
    deadline = time.monotonic() + PATIENCE_SECONDS
    raw.settimeout(DRIP_SECONDS)
    while time.monotonic() < deadline:
        try:
            raw.sendall(endless)
            piece = raw.recv(65_536)
        except TimeoutError:
            continue
        except OSError:  # It closed the connection, and said so rudely.
            return said
        if not piece:
            return said
        said += piece
    raise AssertionError("the connection was still open")


JSON = ("Content-Type: application/json", "Content-Length: 1000")


def test_a_body_that_drips_is_answered_and_the_connection_closed(tmp_path: Path) -> None:
    """408, nobody is added, and the rest of the body has nowhere to go."""
    with serving(tmp_path / "research.db", ScriptedDispatcher(), body_seconds=0.2) as service:
        with connected(service) as raw:
            raw.sendall(head(service, *JSON))
            said = dripped(raw)
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b'"code": "request_timeout"' in said
        assert b"\r\nconnection: close\r\n" in said.lower()
        with service.client() as client:
            assert client.get(PEOPLE).json()["people"] == []


def test_a_head_that_drips_is_left(hasty: Served) -> None:
    """There is no request to be answered yet."""
    with connected(hasty) as raw:
        raw.sendall(b"POST " + PEOPLE.encode() + b" HTTP/1.1\r\nX: ")
        assert dripped(raw) == b""


def test_whoever_says_nothing_at_all_is_left(hasty: Served) -> None:
    """A connection alone is no request."""
    with connected(hasty) as raw:
        assert raw.recv(1) == b""


def test_a_body_that_nobody_wants_is_not_listened_to_for_ever(hasty: Served) -> None:
    """Without a token it is 401 at once, and what drips in behind it does not keep the connection."""
    with connected(hasty) as raw:
        raw.sendall(f"POST {PEOPLE} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n".encode())
        assert dripped(raw).startswith(b"HTTP/1.1 401 ")


def test_the_second_request_of_a_connection_may_not_drip_either(hasty: Served) -> None:
    """The time runs from the first byte of each request."""
    with connected(hasty) as raw:
        raw.sendall(head(hasty, method="GET"))
        assert raw.recv(65_536).startswith(b"HTTP/1.1 200 ")
        raw.sendall(b"GET ")
        assert b"HTTP/1.1" not in dripped(raw)


def test_an_answer_that_nobody_fetches_is_given_up(tmp_path: Path) -> None:
    """A client that asks for a long report again and again and reads nothing loses its connection."""
    engine = ScriptedDispatcher()
    with serving(tmp_path / "research.db", engine, http=Hasty) as service:
        service.runs.grant(OWNER, 1)
        person_id = service.add()
        service.runs.start(person_id).accepted()
        sent = engine.requests[0]
        service.runs.complete(sent.run_id, sent.run_no, "x", "x" * (3 * 1024 * 1024 - 1000)).accepted()
        with socket.socket() as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.settimeout(PATIENCE_SECONDS)
            raw.connect(service.address)
            raw.sendall(head(service, method="GET", path=f"{PEOPLE}/{person_id}/report"))
            state, deadline = service.server.server_state, time.monotonic() + PATIENCE_SECONDS
            while state.connections or not state.total_requests:
                assert time.monotonic() < deadline
                time.sleep(DRIP_SECONDS)  # The loop of another thread is watched: there is nothing to wait on.


def test_somebody_who_is_quick_is_not_hurried(hasty: Served) -> None:
    """A connection that is used again and again lives longer than one request may take."""
    with hasty.client() as client:
        began = time.monotonic()
        asked = 0
        while time.monotonic() - began < 3 * Hasty.longest_seconds:
            problem(client.post(PEOPLE, json=ADA), 402, "insufficient_credits")
            asked += 1
        assert len(hasty.server.server_state.connections) == 1
    assert asked > 3


def test_there_is_time_for_a_body() -> None:
    """None at all is a mistake of the host's."""
    with pytest.raises(InvalidInput, match="body_seconds"):
        create_app(Runs(MemoryStore()), body_seconds=0)
