"""One server for all of these tests, and an empty database for each."""

import secrets
from collections.abc import Iterator

import pytest

from research_fsm.testing.postgres import PostgresServer


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A server that no test stops, so it need not flush; who wants to kill one starts one of its own, which does."""
    with PostgresServer(fsync="off") as running:
        yield running


@pytest.fixture
def address(server: PostgresServer) -> str:
    """An empty database of this test's own."""
    return server.new_database()


@pytest.fixture
def schema() -> str:
    """The name of a schema that there is not yet."""
    return f"test_{secrets.token_hex(8)}"
