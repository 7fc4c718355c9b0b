"""Races of callers, workers and recovery passes, in an order that Hypothesis chooses."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from research_fsm.stores.memory import MemoryStore
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.testing.race import race

SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


@settings(deadline=None, max_examples=250, suppress_health_check=SLOW_IS_FINE)
@given(st.data())
def test_no_race_breaks_an_invariant(data: st.DataObject) -> None:
    """Whatever the order, whoever dies and whatever the engine loses: the invariants hold and all come to rest."""
    race(data, MemoryStore)


@pytest.mark.long
@settings(deadline=None, max_examples=20_000, suppress_health_check=SLOW_IS_FINE)
@given(st.data())
def test_no_long_race_breaks_an_invariant(data: st.DataObject) -> None:
    """The same, searched for minutes and with longer races."""
    race(data, MemoryStore, most=120)


@settings(deadline=None, max_examples=25, suppress_health_check=SLOW_IS_FINE)
@given(st.data())
def test_no_race_on_sqlite_breaks_an_invariant(data: st.DataObject) -> None:
    """The same on files."""
    with TemporaryDirectory() as folder:
        race(data, lambda clock: SQLiteStore(Path(folder) / "race.db", clock=clock))
