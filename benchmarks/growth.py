"""A start behind a long log, in an account with many charges: it reads two heads and replays nothing."""

from pathlib import Path

from benchmarks.people import Starts
from benchmarks.rounds import Measured, Settings, paired

__all__ = ["growth"]

_SHORTEST = 1000


def growth(settings: Settings) -> list[Measured]:
    """Compare a start behind 10^4, 10^5, … events with one behind 10^3; a fifth of them are charges of the account."""
    lengths = []
    length = _SHORTEST * 10
    while length <= settings.events:
        lengths.append(length)
        length *= 10
    return [_behind(length, settings) for length in lengths]


def _behind(events: int, settings: Settings) -> Measured:
    people, folder = (settings.rounds + 1) * settings.operations, Path(settings.folder)
    long = Starts(folder / f"log-{events}.db", people, events)
    short = Starts(folder / f"log-{events}-short.db", people, _SHORTEST)
    try:
        return paired(
            f"a start behind {events:,} events, its account with {events // 5:,} charges",
            f"itself behind {_SHORTEST:,} events",
            long.start,
            short.start,
            settings,
            target=1.3,
            less_is_better=True,
        )
    finally:
        long.close()
        short.close()
