"""Sockets of this machine that behave as told: one that never answers, one that says one thing to each caller."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PATIENCE_SECONDS = 5.0
"""How long a caller that never comes is waited for: only a failing test waits at all."""


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


@contextmanager
def silent() -> Iterator[int]:
    """Listen and never accept: the kernel makes the connection, takes what is sent, and nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def saying(answer: bytes, *, callers: int = 1) -> Iterator[tuple[int, list[bytes]]]:
    """Read each caller's request to its end, say one thing, and hang up.

    Args:
        answer: What is said.
        callers: How many callers come.

    Yields:
        The port, and the requests, byte for byte.
    """
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(_PATIENCE_SECONDS)

        def serve() -> None:
            for _ in range(callers):
                connection, _ = server.accept()
                with connection:
                    connection.settimeout(_PATIENCE_SECONDS)
                    requests.append(_request(connection))
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], requests
        finally:
            thread.join()


def _request(connection: socket.socket) -> bytes:
    read = b""
    while b"\r\n\r\n" not in read:
        read += connection.recv(65536)
        if not read.startswith((b"POST", b"GET")):  # Not HTTP: the first bytes of a TLS handshake.
            return read
    head, _, body = read.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(lengths[0].partition(b":")[2]) if lengths else 0
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body
