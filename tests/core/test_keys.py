"""Request keys: asking again is answered and not done again."""

import pytest

from research_fsm import InvalidInput, PersonKind, Profile
from research_fsm.outcomes import (
    AlreadyAdded,
    AlreadyRunning,
    Created,
    InsufficientCredits,
    KeyReused,
    PersonNotFound,
    Queued,
    RolledBack,
    Unresolved,
)
from tests.core.doors import ACCEPTED, ADA, AMBIGUOUS, REFUSED, inside, outside
from tests.core.examples import OTHER_OWNER, OWNER, X

BOB = Profile(linkedin_url="linkedin.com/in/bob")


def test_a_replay_is_answered_alike_and_appends_nothing() -> None:
    """The first answer, in every later state of the person while they are there."""
    house = inside()
    house.granted(2)
    person_id = house.added()
    first = house.runs.start(person_id, owner=OWNER, key="k").accepted()
    before = house.positions()
    assert house.runs.start(person_id, owner=OWNER, key="k") == first
    assert house.positions() == before
    house.runs.complete(first.run_id, 1, X, {})
    assert house.runs.start(person_id, owner=OWNER, key="k") == first
    house.runs.mark_stale(person_id)
    assert isinstance(house.runs.start(person_id, owner=OWNER, key="l"), Queued)
    assert house.runs.start(person_id, owner=OWNER, key="k") == first


def test_a_refusal_is_replayed_too() -> None:
    """The first answer was no; that credits have come meanwhile changes the next request, not this one."""
    house = inside()
    person_id = house.added()
    refused = InsufficientCredits(OWNER, 0, 1)
    assert house.runs.start(person_id, key="k") == refused
    house.granted(1)
    assert house.runs.start(person_id, key="k") == refused
    started = house.runs.start(person_id)
    assert isinstance(started, Queued)
    running = house.runs.start(person_id, key="l")
    assert isinstance(running, AlreadyRunning)
    house.runs.fail(started.run_id, 1, X)
    house.granted(1)
    assert house.runs.start(person_id, key="l") == running


def test_a_replay_before_there_is_an_answer_is_unresolved() -> None:
    """While the request is under way, nobody knows."""
    house = outside(ACCEPTED)
    house.granted(1)
    person_id = house.added()
    seen: list[object] = []
    house.engine.meanwhile = lambda _request: seen.append(house.runs.start(person_id, key="k"))
    first = house.runs.start(person_id, key="k")
    assert isinstance(first, Queued)
    assert seen == [Unresolved(person_id, first.run_id, 1)]
    assert house.runs.start(person_id, key="k") == first
    assert len(house.engine.requests) == 1


def test_a_replay_is_answered_by_what_recovery_came_to() -> None:
    """Whichever transaction leaves dispatching writes the final answer."""
    house = outside(AMBIGUOUS)
    house.granted(1)
    person_id = house.added()
    assert isinstance(house.runs.start(person_id, key="k"), Unresolved)
    house.clock.pass_(minutes=10)
    house.runs.recover()
    answer = house.runs.start(person_id, key="k")
    assert isinstance(answer, RolledBack)
    assert answer.reason == "dispatch_deadline"


def test_a_replay_is_answered_by_a_claim_that_came_first() -> None:
    """The worker's claim is proof enough."""
    house = outside(AMBIGUOUS)
    house.granted(1)
    person_id = house.added()
    unresolved = house.runs.start(person_id, key="k").accepted()
    house.runs.claim(unresolved.run_id, 1, X)
    assert house.runs.start(person_id, key="k") == Queued(person_id, unresolved.run_id, 1)


def test_a_replay_of_a_roll_back_is_one_after_a_later_run() -> None:
    """The answer belongs to the run that the key started, not to the run of today."""
    house = outside(REFUSED, ACCEPTED)
    house.granted(1)
    person_id = house.added()
    first = house.runs.start(person_id, key="k")
    assert isinstance(first, RolledBack)
    assert isinstance(house.runs.start(person_id, key="l"), Queued)
    assert house.runs.start(person_id, key="k") == first


def test_a_key_for_another_request_is_refused() -> None:
    """Another person, or a creation instead of a start: nothing is done."""
    house = inside()
    house.granted(3)
    person_id, other_id = house.added(), house.added(profile=BOB)
    house.runs.start(person_id, owner=OWNER, key="k")
    before = house.positions()
    assert house.runs.start(other_id, owner=OWNER, key="k") == KeyReused("k")
    assert house.runs.create(OWNER, ADA, key="k") == KeyReused("k")
    assert house.positions() == before


def test_keys_of_two_callers_are_two_keys() -> None:
    """Whoever guesses another caller's key learns nothing."""
    house = inside()
    house.granted(1)
    house.granted(1, OTHER_OWNER)
    one, other = house.added(), house.added(OTHER_OWNER)
    assert isinstance(house.runs.start(one, owner=OWNER, key="k"), Queued)
    assert isinstance(house.runs.start(other, owner=OTHER_OWNER, key="k"), Queued)


def test_a_replay_after_an_erasure_is_not_found() -> None:
    """Never a second run, never a charge; also with another request, whose fingerprint is forgotten."""
    house = inside()
    house.granted(3)
    person_id = house.added()
    house.runs.start(person_id, owner=OWNER, key="k")
    created = house.runs.create(OWNER, BOB, key="c").accepted()
    house.runs.erase(person_id)
    house.runs.erase(created.person_id)
    before = house.positions()
    assert house.runs.start(person_id, owner=OWNER, key="k") == PersonNotFound(person_id)
    assert house.runs.create(OWNER, BOB, key="c") == PersonNotFound(created.person_id)
    assert house.runs.create(OWNER, ADA, key="c") == PersonNotFound(created.person_id)
    assert house.positions() == before


def test_a_start_of_somebody_elses_person_is_replayed() -> None:
    """The refusal is stored under the caller's key and tells nothing of the person."""
    house = inside()
    person_id = house.added()
    refused = house.runs.start(person_id, owner=OTHER_OWNER, key="k")
    assert refused == PersonNotFound(person_id)
    assert house.runs.start(person_id, owner=OTHER_OWNER, key="k") == refused


# --- create ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(PersonKind))
def test_a_creation_is_replayed(kind: PersonKind) -> None:
    """The same person, the same run, one charge; a partner, too, is not told that the URL is taken."""
    house = inside()
    house.granted(2)
    first = house.runs.create(OWNER, ADA, kind=kind, key="k")
    assert isinstance(first, Created)
    before = house.positions()
    assert house.runs.create(OWNER, ADA, kind=kind, key="k") == first
    assert house.positions() == before


def test_a_creation_that_is_unresolved_is_replayed_with_its_end() -> None:
    """First nobody knows, then the roll-back is what the creation came to."""
    house = outside(AMBIGUOUS)
    house.granted(1)
    first = house.runs.create(OWNER, ADA, key="k").accepted()
    assert house.runs.create(OWNER, ADA, key="k") == first
    house.clock.pass_(minutes=10)
    house.runs.recover()
    again = house.runs.create(OWNER, ADA, key="k").accepted()
    assert again.person_id == first.person_id
    assert isinstance(again.start, RolledBack)


def test_a_creation_without_credits_adds_nobody() -> None:
    """Neither person nor URL is taken; with the same key the answer stays."""
    house = inside()
    refused = InsufficientCredits(OWNER, 0, 1)
    assert house.runs.create(OWNER, ADA, kind=PersonKind.PARTNER, key="k") == refused
    assert house.positions() == 0
    house.granted(1)
    assert house.runs.create(OWNER, ADA, kind=PersonKind.PARTNER, key="k") == refused
    assert isinstance(house.runs.create(OWNER, ADA, kind=PersonKind.PARTNER, key="l"), Created)


def test_a_creation_without_a_key_is_done_each_time() -> None:
    """Two requests, two people; only a partner has each URL once."""
    house = inside()
    house.granted(4)
    ids = {house.runs.create(OWNER, ADA).accepted().person_id for _ in range(2)}
    assert len(ids) == 2
    partner = house.runs.create(OWNER, ADA, kind=PersonKind.PARTNER).accepted()
    before = house.positions()
    assert house.runs.create(OWNER, ADA, kind=PersonKind.PARTNER) == AlreadyAdded(partner.person_id)
    assert house.positions() == before


def test_a_creation_with_another_profile_is_another_request() -> None:
    """Also one that differs in a detail, or in the kind."""
    house = inside()
    house.granted(3)
    house.runs.create(OWNER, ADA, key="k")
    detailed = Profile(linkedin_url=ADA.linkedin_url, company="Acme")
    assert house.runs.create(OWNER, detailed, key="k") == KeyReused("k")
    assert house.runs.create(OWNER, ADA, kind=PersonKind.PARTNER, key="k") == KeyReused("k")


def test_a_malformed_key_is_refused_before_anything() -> None:
    """Nothing is written."""
    house = inside()
    house.granted(1)
    person_id = house.added()
    before = house.positions()
    for key in ("", "a" * 256, "a\n"):
        with pytest.raises(InvalidInput):
            house.runs.start(person_id, key=key)
        with pytest.raises(InvalidInput):
            house.runs.create(OWNER, ADA, key=key)
    assert house.positions() == before
