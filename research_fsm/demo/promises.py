"""What the demonstration promises, by name, and what became of each promise.

Floor 6. Pure. A promise that was never looked at counts as broken, so that a demonstration which ends early cannot
pass for one that held.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from attrs import frozen

__all__ = ["STATEMENTS", "Check", "Checks"]

STATEMENTS: Mapping[str, str] = MappingProxyType(
    {
        "one_winner": "Of 64 callers at the same instant, exactly one is answered 200.",
        "told_why": "The other 63 are answered 409 already_running.",
        "one_credit": "One credit is gone, and no more.",
        "one_run_in_the_log": "The log has exactly one RunStarted of the person.",
        "refused_is_idle": "A person whose dispatch was refused is idle again.",
        "credit_came_back": "The credit that was held for it is back.",
        "nothing_was_deleted": "The log compensates with events of its own; what was written before is still there.",
        "killed_at_work": "kill -9 hit the server, and both workers in the middle of a run.",
        "nothing_was_lost": "Every start that was answered before the kill is in the store after it.",
        "same_key_same_answer": "Asked again with the same Idempotency-Key, every caller is told 200.",
        "all_settled": "Every run settles: nobody is left running.",
        "taken_over": "Every run that was at work when its worker was killed was delivered once more.",
        "charged_once": "Each of these people had one run, and each run one hold and one charge.",
        "log_is_whole": "The log breaks no law.",
        "recount_agrees": "Plain SQL over the bare events counts what the library says.",
        "nothing_left_running": "No process of this demonstration is left running.",
    }
)
"""Every promise by name, in the order in which it is shown."""


@frozen
class Check:
    """One promise, what was expected and what was seen; both are None if nobody got as far as looking."""

    name: str
    held: bool
    reached: bool = True
    expected: Any = None
    seen: Any = None

    @property
    def statement(self) -> str:
        """The promise in words."""
        return STATEMENTS[self.name]


class Checks:
    """The promises that were looked at so far."""

    def __init__(self) -> None:
        self._made: dict[str, Check] = {}

    def equal(self, name: str, expected: object, seen: object) -> Check:
        """Look at a promise: it holds if what was seen is what was expected.

        Args:
            name: One of `STATEMENTS`; each is looked at once.
            expected: What the promise says.
            seen: What happened. Both are values that JSON has.

        Raises:
            ValueError: There is no such promise, or it was looked at before.
        """
        if name not in STATEMENTS or name in self._made:
            raise ValueError(f"{name!r} is no promise that is still to be looked at")
        self._made[name] = Check(name, held=expected == seen, expected=expected, seen=seen)
        return self._made[name]

    def __iter__(self) -> Iterator[Check]:
        """Yield every promise in order; one that was not looked at is broken."""
        for name in STATEMENTS:
            yield self._made.get(name) or Check(name, held=False, reached=False)

    @property
    def all_held(self) -> bool:
        """Whether every promise was looked at and held."""
        return all(check.held for check in self)
