"""A mistake in the text of a function, and who has to find it."""

import inspect
import sys
import textwrap
from collections.abc import Callable
from types import ModuleType

import pytest
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

    def make(self, patch: pytest.MonkeyPatch) -> None:
        """Put it into the function's text, and the function wherever the right one is known by its name."""
        *owner, name = self.function.split(".")
        holder: object = getattr(self.where, owner[0]) if owner else self.where
        original = getattr(holder, name)
        text = textwrap.dedent(inspect.getsource(original))
        assert self.right in text, f"{self.function} does not say {self.right!r} any more"
        made: dict[str, Callable[..., object]] = {}
        names = inspect.unwrap(original).__globals__  # Those of its own module, also of one that a decorator made.
        exec(text.replace(self.right, self.wrong, 1), names, made)  # noqa: S102  # A mutant is text.
        patch.setattr(holder, name, made[name])
        for module in [module for known, module in sys.modules.items() if known.startswith("research_fsm.")]:
            if getattr(module, name, None) is original:
                patch.setattr(module, name, made[name])
