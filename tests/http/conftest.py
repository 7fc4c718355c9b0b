"""A fresh service for each test that asks for one."""

import pytest

from tests.http.service import Service


@pytest.fixture
def service() -> Service:
    """Return a service with ten credits and an engine that accepts everything."""
    return Service()
