"""Makes a failing schedule small: leaves out whatever is not needed for the same law to be broken.

Floor 6. A part of `simulate`. Lines are names, not places, and a line without sense does nothing: so
leaving one out does not change what the others mean, and plain delta debugging finds a small story in a few hundred
replays.
"""

import re
from collections.abc import Callable, Iterator

from attrs import evolve

from research_fsm.testing.simulate.life import Outcome, replay
from research_fsm.testing.simulate.words import Step

__all__ = ["shrink"]

_SIMPLER = (
    "servers=1",
    "cost=1",
    "ages=0",
    "key_ttl=0",
    "queue_ttl=0",
    "typo=0",
    "clocks=0",
    "attempts=3",
    "kind=outside",
)
_SERVER = re.compile(r"^s\d+$")
_NAME = re.compile(r"(?<![A-Za-z0-9=])([crwp])(\d+)(?![A-Za-z0-9])")
_MOST_REPLAYS = 2_000


class _Budget(Exception):  # The condition, as the rest of the vocabulary.
    """Enough was tried; never leaves this module."""


def shrink(outcome: Outcome, *, told: Callable[[Outcome], None] | None = None) -> Outcome:
    """Return the smallest outcome that was found in which the same law does not hold.

    Args:
        outcome: One in which a law does not hold; any other is returned as it is.
        told: Is told each smaller one.
    """
    if not outcome.wrong:
        return outcome
    smaller = _Smaller(outcome, told)
    try:
        while smaller.lines() | smaller.servers() | smaller.words():
            pass
        smaller.names()
    except _Budget:
        return smaller.best
    return smaller.best


class _Smaller:
    """The smallest outcome so far."""

    def __init__(self, outcome: Outcome, told: Callable[[Outcome], None] | None) -> None:
        self.best = outcome
        self._told, self._left = told, _MOST_REPLAYS

    def lines(self) -> bool:
        """Leave lines out, many at a time and then one by one; tell whether any could be."""
        size, before = len(self.best.schedule) // 2, len(self.best.schedule)
        while size:
            place = len(self.best.schedule) - size
            while place > 0:
                self._try((*self.best.schedule[:place], *self.best.schedule[place + size :]))
                place = min(place, len(self.best.schedule)) - size
            size //= 2
        return len(self.best.schedule) < before

    def servers(self) -> bool:
        """Let one server do everything; tell whether it could."""
        first, *rest = (tuple(_SERVER.sub("s1", word) for word in step) for step in self.best.schedule)
        for kind in ("outside", "inside"):
            alone = tuple(f"kind={kind}" if word.startswith("kind=") else word for word in first)
            alone = tuple("servers=1" if word.startswith("servers=") else word for word in alone)
            schedule = (alone, *rest)
            if schedule != self.best.schedule and self._try(schedule):
                return True
        return False

    def names(self) -> None:
        """Number whoever is left from 1."""
        numbers: dict[str, int] = {}

        def renamed(found: re.Match[str]) -> str:
            kind = "p" if found[1] == "p" else "c"  # Whoever asks, looks or works is numbered in one row.
            taken = sum(name[0] == "p" for name in numbers)
            fresh = 1 + (taken if kind == "p" else len(numbers) - taken)
            return f"{found[1]}{numbers.setdefault(found[0], fresh)}"

        self._try(tuple(tuple(_NAME.sub(renamed, word) for word in step) for step in self.best.schedule))

    def words(self) -> bool:
        """Say less in the lines that are left; tell whether any could be simpler."""
        found = False
        for place in range(len(self.best.schedule)):
            for simpler in self._simpler(place):
                schedule = (*self.best.schedule[:place], simpler, *self.best.schedule[place + 1 :])
                if self._try(schedule):
                    found = True
                    break
        return found

    def _simpler(self, place: int) -> Iterator[Step]:
        if place >= len(self.best.schedule):
            return
        step = self.best.schedule[place]
        if place == 0:
            for word in _SIMPLER:
                name = word.partition("=")[0]
                simpler = tuple(word if one.partition("=")[0] == name else one for one in step)
                if simpler != step:
                    yield simpler
        elif step[0] == "go":
            yield from (step[:2],) if len(step) > 2 else ()  # noqa: PLR2004  # With how it goes.
        elif step[0] in ("start", "create", "erase"):
            yield from (step[:number] for number in range(5 if step[0] == "create" else 4, len(step)))
        elif step[0] == "take":
            yield from (step[:3] + plan for plan in ((step[3], "0"), ("complete", step[4])) if plan != step[3:])
        elif step[0] == "work" and step[2] != "complete":
            yield (*step[:2], "complete")

    def _try(self, schedule: tuple[Step, ...]) -> bool:
        """Replay a schedule, and keep it if the same law does not hold."""
        if self._left == 0:
            raise _Budget
        self._left -= 1
        tried = replay(schedule, self.best.make_store)
        if tried.law != self.best.law:
            return False
        self.best = evolve(tried, seed=self.best.seed)
        if self._told is not None:
            self._told(self.best)
        return True
