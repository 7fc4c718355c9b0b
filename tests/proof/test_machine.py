"""A store beside the reference store, in lock step, through whatever Hypothesis thinks of."""

import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from research_fsm.stores.memory import MemoryStore
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.testing.machine import store_machine


def _budget(examples: int, steps: int) -> settings:
    return settings(
        deadline=None,
        max_examples=examples,
        stateful_step_count=steps,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def _in_files(folder: Path) -> Callable[[Callable[[], int]], SQLiteStore]:
    """Return a maker of SQLite stores, each in a file of its own."""
    numbers = count(1)
    return lambda clock: SQLiteStore(folder / f"{next(numbers)}.db", clock=clock)


def test_the_reference_store_agrees_with_itself_and_with_the_protocol() -> None:
    """The rules, as the reference store keeps them, do what the protocol's table says."""
    run_state_machine_as_test(store_machine(MemoryStore), settings=_budget(60, 40))


def test_sqlite_agrees_with_the_reference_store() -> None:
    """Every answer, event, hash, head, key, receipt and document is the same."""
    with tempfile.TemporaryDirectory() as folder:
        run_state_machine_as_test(store_machine(_in_files(Path(folder))), settings=_budget(12, 30))


@pytest.mark.long
def test_the_reference_store_agrees_for_a_long_time() -> None:
    """The same, searched for minutes."""
    run_state_machine_as_test(store_machine(MemoryStore), settings=_budget(1_000, 60))


@pytest.mark.long
def test_sqlite_agrees_for_a_long_time() -> None:
    """The same, searched for minutes."""
    with tempfile.TemporaryDirectory() as folder:
        run_state_machine_as_test(store_machine(_in_files(Path(folder))), settings=_budget(200, 60))
