"""Small wrong things to hold a suite against: rules, flows, ledgers, stores and dispatchers, each wrong in one point.

Floor 6. Needs no test framework. A suite is worth what it notices: each mutant here is caught by a law of
`research_fsm.laws`, and a suite of one's own may be tried on them as well ::

    for mutant in MUTANTS:
        with mutant.made():
            ...  # What must fail now.

* `MUTANTS` change the text of a function for as long as a block lasts.
* `WRONG_STORES` go round any store, `WRONG_DISPATCHERS` stand for any dispatcher.
* ``python -m research_fsm.testing.mutants`` says which law catches which of them.
"""

from research_fsm.testing.mutants.callbacks import CALLBACKS
from research_fsm.testing.mutants.dispatchers import WRONG_DISPATCHERS
from research_fsm.testing.mutants.ledgers import LEDGERS
from research_fsm.testing.mutants.mutant import Mutant
from research_fsm.testing.mutants.recovering import RECOVERING
from research_fsm.testing.mutants.reference import REFERENCE
from research_fsm.testing.mutants.starts import STARTS
from research_fsm.testing.mutants.stores import WRONG_STORES

__all__ = ["MUTANTS", "WRONG_DISPATCHERS", "WRONG_STORES", "Mutant"]

MUTANTS: tuple[Mutant, ...] = (*STARTS, *RECOVERING, *CALLBACKS, *LEDGERS, *REFERENCE)
"""Every mutant of the rules, the fold, the flows and the reference store."""
