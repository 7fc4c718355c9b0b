"""The promises of this library as named laws: what `verify`, the test kit and the documentation all mean by a law.

Floor 3, pure. `catalog` names and states every one of them, the invariants first; `steps` checks those that one event
can break; the others are checked where more is known: in `audit` those of a whole log, in `testing` those that take a
command and its answer, an engine, or the passing of time. All of them begin a finding with the same name.
"""

from research_fsm.laws.catalog import INVARIANTS, LAWS, STATEMENTS
from research_fsm.laws.law import Erased, Finding, Law
from research_fsm.laws.steps import ACCOUNT_LAWS, PERSON_LAWS, AccountLaw, PersonLaw

__all__ = [
    "ACCOUNT_LAWS",
    "INVARIANTS",
    "LAWS",
    "PERSON_LAWS",
    "STATEMENTS",
    "AccountLaw",
    "Erased",
    "Finding",
    "Law",
    "PersonLaw",
]
