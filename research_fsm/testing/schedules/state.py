"""Where an explored world stands, a step from there, and what is wrong with one.

Floor 6, pure. A part of `schedules`.
"""

from typing import NamedTuple

from research_fsm.testing.simulate.words import Step

__all__ = ["Move", "State", "Wrong"]


class State(NamedTuple):
    """Where a world stands.

    Args:
        store: What was written.
        engine: What the engine has.
        now: The time, in microseconds UTC.
        places: Where each of the cast stands.
        told: What was answered under request keys.
    """

    store: int
    engine: int
    now: int
    places: tuple[int, ...]
    told: tuple[object, ...] = ()


class Move(NamedTuple):
    """One step: the lines of a schedule that say it, and where it leads."""

    lines: tuple[Step, ...]
    state: State


class Wrong(Exception):  # The condition, as the rest of the vocabulary.
    """A law does not hold after a step.

    Args:
        lines: The step.
        words: What is wrong.
    """

    def __init__(self, lines: tuple[Step, ...], words: list[str]) -> None:
        self.lines = lines
        self.words = words
        super().__init__("\n".join(words))
