"""A mutant: one small wrong thing, and the laws that catch it.

Floor 6. Needs no test framework. A mutant is a piece of a function's text that says something else, so that the tables
of them read like lists of mistakes. While it is in place, every caller in the process meets it.
"""

import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType

from attrs import frozen

from research_fsm.laws import Law

__all__ = ["Mutant"]


@frozen
class Mutant:
    """One small wrong thing in a rule, in the fold, in a flow or in the reference store.

    Args:
        what: The mistake, in a few words.
        laws: Every law that the walk and the simulator say it breaks, or what else stops it.
        where: The module.
        function: The function, or the method.
        right: A piece of its text.
        wrong: What stands there instead.
        found: Who finds it soonest: the walk, the race, the machine, the simulator, or a test of the store's suite.
    """

    what: str
    laws: tuple[Law, ...]
    where: ModuleType
    function: str
    right: str
    wrong: str
    found: str = "walk"

    def __str__(self) -> str:
        return self.what

    @contextmanager
    def made(self) -> Iterator[None]:
        """Make the mistake, wherever the right function is known by its name, until the block is left.

        Raises:
            ValueError: The function's text is another one by now.
        """
        *owner, name = self.function.split(".")
        holder: object = getattr(self.where, owner[0]) if owner else self.where
        original = getattr(holder, name)
        mistaken = self._mistaken(original, name)
        known = [module for path, module in sys.modules.items() if path.startswith("research_fsm.")]
        with ExitStack() as undo:
            for place in (holder, *known):
                if getattr(place, name, None) is original:
                    setattr(place, name, mistaken)
                    undo.callback(setattr, place, name, original)
            yield

    def _mistaken(self, original: Callable[..., object], name: str) -> Callable[..., object]:
        text = textwrap.dedent(inspect.getsource(original))
        if self.right not in text:
            raise ValueError(f"{self.function} does not say {self.right!r} any more")
        made: dict[str, Callable[..., object]] = {}
        names = inspect.unwrap(original).__globals__  # Those of its own module, also of one that a decorator made.
        exec(text.replace(self.right, self.wrong, 1), names, made)  # noqa: S102  # A mutant is text.
        return made[name]
