"""A clock that a test moves by hand: what a store is injected with, so that nothing waits and nothing is luck.

Floor 6. Imports nothing but the conversion to microseconds.
"""

from datetime import timedelta

from research_fsm.policy import micros

__all__ = ["ManualClock"]


class ManualClock:
    """Tells the same time until it is moved.

    Args:
        now: The time it begins with, in microseconds since 1970-01-01 UTC.
    """

    def __init__(self, now: int = 1_800_000_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        """Return the time in microseconds UTC."""
        return self.now

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.now})"

    def advance(self, duration: timedelta) -> int:
        """Move the clock, and return the new time in microseconds UTC."""
        self.now += micros(duration)
        return self.now
