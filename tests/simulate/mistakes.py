"""The mutants by what they are, for tests of the simulator."""

from collections.abc import Callable

from research_fsm.testing.mutants import MUTANTS, Mutant

__all__ = ["ALL", "Make"]

ALL: dict[str, Mutant] = {mutant.what: mutant for mutant in MUTANTS}
"""Every mutant."""

Make = Callable[[str], None]
"""Makes one of them until the test is over."""
