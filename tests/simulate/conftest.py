"""What the tests of the simulator share."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.simulate.mistakes import ALL, Make


@pytest.fixture
def make() -> Iterator[Make]:
    """Return what makes a mutant until the test is over."""
    with ExitStack() as made:
        yield lambda what: made.enter_context(ALL[what].made())
