"""What stays the same for the whole life of a simulated world; the first line of its schedule.

Floor 6. A part of `simulate`.
"""

from datetime import timedelta
from typing import Any

from attrs import asdict, evolve, frozen

from research_fsm.errors import InvalidInput
from research_fsm.policy import Policy
from research_fsm.testing.simulate.words import Step

__all__ = ["Setting"]

_SHORT = Policy(
    dispatch_deadline=timedelta(seconds=40),
    queue_deadline=timedelta(seconds=30),
    run_deadline=timedelta(seconds=30),
    attempt_lease=timedelta(seconds=10),
    resend_window=timedelta(seconds=25),
    poll_interval=timedelta(seconds=10),
    max_deliveries=2,
)
_AGE = timedelta(seconds=60)
_KINDS = ("outside", "inside", "both")
_NUMBERS = {"servers", "cost", "key_ttl", "queue_ttl", "attempts"}
_FLAGS = {"ages", "clocks", "typo"}


@frozen(kw_only=True)
class Setting:
    """A world's settings.

    Args:
        kind: Where runs go: ``outside`` to an engine, ``inside`` to the embedded queue, ``both`` by server.
        servers: How many servers there are, called s1, s2, …; where runs go both ways, the even ones are inside.
        cost: Credits that a run costs.
        ages: Whether reports are marked stale by age, after a minute.
        key_ttl: Seconds for which the engine remembers a key; 0 for a month.
        queue_ttl: Seconds that a run waits in the engine's queue before it expires; 0 for ever.
        typo: Whether the task's id is mistyped: the engine takes every request, and begins none.
        attempts: Dispatch requests per run, at most.
        clocks: Whether clocks may jump and drift, so that leases of different servers say little.
    """

    kind: str = "outside"
    servers: int = 1
    cost: int = 1
    ages: bool = False
    key_ttl: int = 0
    queue_ttl: int = 0
    typo: bool = False
    attempts: int = 3
    clocks: bool = False

    @property
    def policy(self) -> Policy:
        """The policy of every server: short times, so that a world meets its deadlines."""
        return evolve(_SHORT, cost=self.cost, max_attempts=self.attempts, stale_after=_AGE if self.ages else None)

    def sends(self, server: str) -> bool:
        """Tell whether a server hands runs to the engine."""
        return self.kind == "outside" or (self.kind == "both" and int(server[1:]) % 2 == 1)

    def step(self) -> Step:
        """Return the line that stands for it."""
        return (
            "world",
            *(f"{name}={int(value) if isinstance(value, bool) else value}" for name, value in asdict(self).items()),
        )

    @classmethod
    def of(cls, step: Step) -> "Setting":
        """Read it from its line.

        Raises:
            InvalidInput: The line says something else.
        """
        given = dict(word.partition("=")[::2] for word in step[1:])
        kind, numbers = given.pop("kind", _KINDS[0]), set(given)
        proper = step[:1] == ("world",) and kind in _KINDS and numbers <= _NUMBERS | _FLAGS
        if not proper or not all(word.isdecimal() for word in given.values()) or given.get("servers") == "0":
            raise InvalidInput("schedule", f"the first line says how the world is, not {' '.join(step)[:100]!r}")
        named: dict[str, Any] = {name: int(word) for name, word in given.items()}
        return cls(kind=kind, **{name: bool(value) if name in _FLAGS else value for name, value in named.items()})
