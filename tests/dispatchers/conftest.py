"""Reads are repeated without waiting, so that no test waits; a trigger is never repeated anyway."""

from collections.abc import Iterator

import pytest
import stamina


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=10, cap=True):
        yield
