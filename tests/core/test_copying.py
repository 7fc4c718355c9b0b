"""A copy of a frozen state differs in what was named, and in nothing else."""

import pytest
from attrs import asdict, fields

from research_fsm.account import Account
from research_fsm.copying import copier
from research_fsm.person import Person, Run

STATES = (
    Account(granted=1, revoked=2, held=3, charged=4, refunded=5),
    Person("ada", owner="acme", reports=3),
    Run("run", 1, 2, inside=False, request_digest=None, started_at=3),
)


@pytest.mark.parametrize("state", STATES, ids=lambda state: type(state).__name__)
def test_each_field_can_be_changed_and_the_others_stay(state: Account | Person | Run) -> None:
    """One field after the other is another, in the copy alone."""
    copied = copier(type(state))
    before = repr(state)
    assert copied(state) == state
    for field in fields(type(state)):
        changed = copied(state, **{field.name: "other"})
        assert asdict(changed) == {**asdict(state), field.name: "other"}
    assert repr(state) == before


def test_a_field_that_is_not_there_is_refused() -> None:
    """A misspelt name is an error, not a change that is lost."""
    with pytest.raises(TypeError, match="Account has no charge"):
        copier(Account)(Account(), charge=1)
