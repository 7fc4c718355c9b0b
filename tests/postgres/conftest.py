"""One server for all of these tests, and an empty database for each."""

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from research_fsm.testing.postgres import PostgresServer

_MEMORY = Path("/dev/shm")  # noqa: S108  # A folder of its own is made in it.
_ROOM = 8 * 2**30


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A server that no test stops, so it need not flush; who wants to kill one starts one of its own, which does.

    Its many thousand files are made in memory where there is plenty.
    """
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM
    with PostgresServer(_MEMORY if roomy else None, fsync="off") as running:
        yield running


@pytest.fixture
def address(server: PostgresServer) -> str:
    """An empty database of this test's own."""
    return server.new_database()


@pytest.fixture
def schema() -> str:
    """The name of a schema that there is not yet."""
    return f"test_{secrets.token_hex(8)}"
