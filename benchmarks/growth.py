"""A start behind a long log, or in an account with many charges: it reads two heads and replays nothing."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.people import EVENTS_OF_A_START, Starts
from benchmarks.rounds import Measured, Settings, paired
from research_fsm.stores.sqlite import SQLiteStore

__all__ = ["growth"]

_SHORTEST = 1000
_FEWEST = 10


def growth(settings: Settings) -> list[Measured]:
    """Compare a start behind 10^4, 10^5, … events with one behind 10^3, and one after many charges with one after few.

    What is measured makes the logs longer: the fewest charges are that few only at first.
    """
    people, folder = (settings.rounds + 1) * settings.operations, Path(settings.folder)
    rows = []
    for events in _tenfold(_SHORTEST, settings.events):
        long = Starts(SQLiteStore(folder / f"log-{events}.db"), people, events)
        short = Starts(SQLiteStore(folder / f"log-{events}-short.db"), people, _SHORTEST)
        rows.append(
            _compared(f"a start behind {events:,} events", f"itself behind {_SHORTEST:,}", long, short, settings)
        )
    charges = settings.charges
    many = Starts(SQLiteStore(folder / "charges.db"), people, charges=charges)
    few = Starts(SQLiteStore(folder / "charges-few.db"), people, charges=_FEWEST)
    name = f"a start in an account with {charges:,} charges, behind {EVENTS_OF_A_START * charges:,} events"
    return [*rows, _compared(name, f"itself with {_FEWEST} charges at first", many, few, settings)]


def _tenfold(shortest: int, longest: int) -> Iterator[int]:
    length = shortest * 10
    while length <= longest:
        yield length
        length *= 10


def _compared(name: str, baseline: str, long: Starts, short: Starts, settings: Settings) -> Measured:
    try:
        return paired(name, baseline, long.start, short.start, settings, target=1.3, less_is_better=True)
    finally:
        long.close()
        short.close()
