"""A partner's submission: one address is one person, and submitting it again is the way out of every status."""

import pytest

from research_fsm import PersonKind, Profile
from research_fsm.audit import verify
from research_fsm.errors import InvalidInput
from research_fsm.outcomes import (
    AlreadyAdded,
    AlreadyRunning,
    InsufficientCredits,
    KeyReused,
    PersonNotFound,
    Queued,
    RolledBack,
    Submitted,
    Unresolved,
)
from research_fsm.transactions import submitted
from tests.core.doors import ACCEPTED, ADA, AMBIGUOUS, REFUSED, House, inside, outside
from tests.core.examples import OWNER

GRACE = Profile(linkedin_url="https://www.linkedin.com/in/grace")


def submit(house: House, profile: Profile = ADA, key: str | None = None) -> Submitted:
    """Submit somebody, who is started."""
    return house.runs.submit(OWNER, profile, key=key).accepted()


def test_somebody_new_is_added_and_started_in_one_transaction() -> None:
    """A partner's person, running; one credit is charged."""
    house = inside()
    house.granted(2)
    answer = submit(house)
    assert isinstance(answer.start, Queued)
    found = house.runs.person(answer.person_id)
    assert not isinstance(found, PersonNotFound)
    assert (found.kind, found.status, house.runs.balance(OWNER).available) == (PersonKind.PARTNER, "running", 1)


def test_whoever_is_running_or_complete_is_not_started() -> None:
    """The answer says which of the two; nothing is written."""
    house = inside()
    house.granted(2)
    person_id = submit(house).person_id
    before = house.positions()
    assert isinstance(house.runs.submit(OWNER, ADA), AlreadyRunning)
    claimed = house.runs.take()
    assert not isinstance(claimed, AlreadyRunning)
    run = house.runs.person(person_id)
    assert not isinstance(run, PersonNotFound)
    assert run.run_id is not None
    house.runs.complete(run.run_id, 1, f"{run.run_id}:1", {}).accepted()
    again = house.runs.submit(OWNER, ADA)
    assert isinstance(again, AlreadyRunning)
    assert (again.person_id, again.status) == (person_id, "complete")
    assert house.positions() > before


@pytest.mark.parametrize("outcome", [ACCEPTED, AMBIGUOUS, REFUSED])
def test_whoever_was_rolled_back_is_started_again(outcome: object) -> None:
    """By the same address, as the same person; what the engine says then is the answer."""
    house = outside(REFUSED, outcome)  # type: ignore[arg-type]  # One of three.
    house.granted(2)
    first = submit(house)
    assert isinstance(first.start, RolledBack)
    second = submit(house)
    assert second.person_id == first.person_id
    assert isinstance(second.start, {id(ACCEPTED): Queued, id(AMBIGUOUS): Unresolved}.get(id(outcome), RolledBack))
    assert list(verify(house.store)) == []


def test_without_credits_nobody_is_added_or_started() -> None:
    """Whether they are new or there already."""
    house = outside(REFUSED)
    assert isinstance(house.runs.submit(OWNER, ADA), InsufficientCredits)
    assert house.positions() == 0
    house.granted(1)
    submit(house)
    house.runs.revoke(OWNER, next(iter(house.store.keys())).key.split('"')[3]).accepted()
    before = house.positions()
    assert isinstance(house.runs.submit(OWNER, ADA), InsufficientCredits)
    assert house.positions() == before


def test_a_key_gives_the_first_answer_again() -> None:
    """For somebody new and for somebody who was there; another address under it is another request."""
    house = outside(REFUSED, ACCEPTED, ACCEPTED)
    house.granted(3)
    first = submit(house, key="one")
    assert submit(house, key="one") == first
    second = submit(house, key="two")
    assert isinstance(second.start, Queued)
    assert submit(house, key="two") == second
    assert len(house.engine.requests) == 2
    assert isinstance(house.runs.submit(OWNER, GRACE, key="two"), KeyReused)


def test_an_erased_persons_key_is_not_found() -> None:
    """And the address makes a new person."""
    house = inside()
    house.granted(3)
    first = submit(house, key="one")
    house.runs.erase(first.person_id).accepted()
    assert isinstance(house.runs.submit(OWNER, ADA, key="one"), PersonNotFound)
    assert submit(house).person_id != first.person_id


def test_an_address_is_needed() -> None:
    """It is what a partner's people are known by."""
    with pytest.raises(InvalidInput, match="linkedin_url"):
        inside().runs.submit(OWNER, Profile(first_name="Ada", last_name="Lovelace", company="Example"))


def test_what_only_a_create_is_answered_is_not_found() -> None:
    """A submission never meets it; if it did, it would start nobody."""
    assert submitted(AlreadyAdded("p")) == PersonNotFound("p")


@pytest.mark.parametrize("door", ["add", "create", "submit"])
def test_an_id_that_somebody_has_is_refused(door: str) -> None:
    """A host that makes one twice writes over nobody."""
    house = inside()
    house.granted(2)
    person_id = house.added()
    house.runs._doors.new_id = lambda: person_id
    before = house.positions()
    with pytest.raises(InvalidInput, match="somebody's already"):
        getattr(house.runs, door)(OWNER, GRACE)
    assert house.positions() == before
