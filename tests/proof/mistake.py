"""A mistake in the text of a function, and who has to find it."""

from types import ModuleType

from attrs import frozen

__all__ = ["Mistake"]


@frozen
class Mistake:
    """One small wrong thing.

    Args:
        what: The mistake.
        laws: A pattern of what a line of the finding begins with: the laws that it breaks, of which a search names
            one. A test of the conformance suite fails in its own words instead.
        where: The module.
        function: The function, or the method.
        right: A piece of its text.
        wrong: What stands there instead.
        found: Who finds it: the walk, the race, the machine, or a test of the suite.
    """

    what: str
    laws: str
    where: ModuleType
    function: str
    right: str
    wrong: str
    found: str = "walk"
