"""What a law is, and what is found where one is broken.

Floor 3, pure. It imports words alone.
"""

from attrs import field, frozen

from research_fsm.rfc3339 import format_time
from research_fsm.visible import visible

__all__ = ["Erased", "Finding", "Law"]


@frozen
class Law:
    """A promise by its name.

    Args:
        name: What a finding begins with, of whoever finds it: `verify`, a search, the simulator.
        statement: What is promised.
        number: Its number in the protocol's list of invariants, if it is one of them.
    """

    name: str
    statement: str = field(eq=False)
    number: str | None = None

    def __str__(self) -> str:
        return self.name


@frozen
class Finding:
    """One place where a law is broken.

    Args:
        law: The law's name.
        stream: Where.
        version: At which event of the stream; None for the stream as a whole.
        words: What is wrong.
    """

    law: str
    stream: str
    version: int | None
    words: str

    def __str__(self) -> str:
        place = self.stream if self.version is None else f"{self.stream} version {self.version}"
        return visible(f"{self.law}: {place}: {self.words}")


@frozen
class Erased:
    """A person whose documents are gone, as the log says it.

    Args:
        person_id: Who it was.
        at: When they were erased, in microseconds UTC.
        actor: Who asked for it, if they were named.
    """

    person_id: str
    at: int
    actor: str | None

    @property
    def when(self) -> str:
        """The time as text."""
        return format_time(self.at)

    def __str__(self) -> str:
        return visible(f"{self.person_id} was erased on {self.when} by {self.actor or 'somebody who was not named'}")
