"""What an embedder calls: reading people, pages, reports, balances and histories, and the doors' own checks."""

from collections.abc import Callable

import pytest

from research_fsm import InvalidInput, PersonKind, Profile, Runs
from research_fsm.errors import LogUnreadable
from research_fsm.outcomes import (
    AlreadyAdded,
    Claimed,
    GrantIdReused,
    InsufficientCredits,
    MarkedStale,
    NotComplete,
    PersonNotFound,
    Queued,
    Renewed,
    Revoked,
    RunNotFound,
    StaleRun,
)
from research_fsm.reads import Balance, PersonDetails, ReportDetails
from research_fsm.testing.scenario import NOW
from tests.core.doors import ACCEPTED, ADA, House, inside, outside
from tests.core.examples import OTHER_OWNER, OWNER, RUN, X

NOBODY = RUN


@pytest.fixture
def house() -> House:
    """Return doors to the embedded queue, with some credits."""
    made = inside()
    made.granted(3)
    return made


def completed(house: House) -> str:
    """Return a person with a report."""
    person_id = house.added()
    run = house.runs.start(person_id).accepted()
    house.clock.pass_(seconds=1)
    house.runs.complete(run.run_id, 1, X, {"found": 1}, change_summary=["all"]).accepted()
    return person_id


# --- people ------------------------------------------------------------------------------------------------------


def test_a_person_is_shown_as_they_are(house: House) -> None:
    """Every field, for somebody idle."""
    person_id = house.added()
    assert house.runs.person(person_id.upper(), owner=OWNER) == PersonDetails(
        person_id=person_id,
        owner=OWNER,
        kind=PersonKind.USER,
        status="idle",  # type: ignore[arg-type]  # A StrEnum equals its text.
        phase="idle",  # type: ignore[arg-type]  # The same.
        since=NOW,
        run_id=None,
        run_no=0,
        deadline=None,
        reports=0,
        reported_at=None,
        failures_in_a_row=0,
        added_at=NOW,
        profile={"linkedin_url": "https://www.linkedin.com/in/ada"},
    )


def test_a_person_at_work_has_a_run_and_a_deadline(house: House) -> None:
    """Of the present phase."""
    person_id = house.added()
    house.runs.start(person_id)
    taken = house.runs.take().accepted()
    assert isinstance(taken, Claimed)
    found = house.runs.person(person_id)
    assert isinstance(found, PersonDetails)
    assert (found.status, found.phase, found.run_id, found.deadline) == (
        "running",
        "executing",
        taken.run_id,
        NOW + 600_000_000,
    )


def test_nobody_and_somebody_elses_person_are_not_found(house: House) -> None:
    """Nor is an erased one, by any of the doors."""
    person_id = completed(house)
    for found in (house.runs.person(NOBODY), house.runs.report(NOBODY)):
        assert found == PersonNotFound(NOBODY)
    for found in (
        house.runs.person(person_id, owner=OTHER_OWNER),
        house.runs.report(person_id, owner=OTHER_OWNER),
    ):
        assert found == PersonNotFound(person_id)
    house.runs.erase(person_id)
    assert house.runs.person(person_id) == PersonNotFound(person_id)
    assert house.runs.report(person_id) == PersonNotFound(person_id)
    assert house.runs.people(OWNER).people == ()
    assert house.runs.mark_stale(person_id) == PersonNotFound(person_id)


def test_people_are_paged_newest_first(house: House) -> None:
    """Who is added meanwhile changes no later page; an erased one shortens a page."""
    ids = [house.added() for _ in range(5)]
    first = house.runs.people(OWNER, limit=2)
    assert [one.person_id for one in first.people] == [ids[4], ids[3]]
    house.added()
    house.runs.erase(ids[1])
    second = house.runs.people(OWNER, limit=2, cursor=first.cursor)
    assert [one.person_id for one in second.people] == [ids[2]]
    last = house.runs.people(OWNER, limit=2, cursor=second.cursor)
    assert ([one.person_id for one in last.people], last.cursor) == ([ids[0]], None)


def test_a_page_that_is_exactly_full_is_the_last(house: House) -> None:
    """No empty page behind it; and another owner has none of these people."""
    ids = [house.added() for _ in range(2)]
    page = house.runs.people(OWNER, limit=2)
    assert ([one.person_id for one in page.people], page.cursor) == (ids[::-1], None)
    assert house.runs.people(OTHER_OWNER).people == ()


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_page_has_from_one_to_a_thousand(house: House, limit: int) -> None:
    """The error names the limit."""
    with pytest.raises(InvalidInput, match="limit: must be from 1 to 1000"):
        house.runs.people(OWNER, limit=limit)


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "\u0661", "9" * 20])
def test_a_cursor_is_one_that_came_with_a_page(house: House, cursor: str) -> None:
    """Whatever else somebody sends is refused."""
    with pytest.raises(InvalidInput, match="cursor: must be the one that came with the previous page"):
        house.runs.people(OWNER, cursor=cursor)


def test_a_partner_has_each_url_once(house: House) -> None:
    """However it was typed; a user, another partner and an unknown URL are not affected; an erasure frees it."""
    first = house.runs.add(OWNER, ADA, kind=PersonKind.PARTNER).accepted()
    again = Profile(linkedin_url="http://de.linkedin.com/in/ADA/")
    assert house.runs.add(OWNER, again, kind=PersonKind.PARTNER) == AlreadyAdded(first.person_id)
    house.runs.add(OWNER, ADA).accepted()
    house.runs.add(OWNER, ADA).accepted()
    house.runs.add(OTHER_OWNER, ADA, kind=PersonKind.PARTNER).accepted()
    unknown = Profile(first_name="Ada", last_name="Lovelace", company="Acme")
    for _ in range(2):
        house.runs.add(OWNER, unknown, kind=PersonKind.PARTNER).accepted()
    house.runs.erase(first.person_id)
    house.runs.add(OWNER, ADA, kind=PersonKind.PARTNER).accepted()


# --- reports -----------------------------------------------------------------------------------------------------


def test_a_report_is_readable_also_when_it_is_stale(house: House) -> None:
    """Content, summary, version and time; its id is its run's."""
    person_id = completed(house)
    found = house.runs.report(person_id)
    assert isinstance(found, ReportDetails)
    assert (found.version, found.content, found.change_summary) == (1, {"found": 1}, ["all"])
    assert (found.report_id, found.generated_at) == (house.runs.person(person_id).run_id, NOW + 1_000_000)  # type: ignore[union-attr]  # Found.
    assert isinstance(house.runs.mark_stale(person_id), MarkedStale)
    assert house.runs.report(person_id) == found
    assert house.runs.mark_stale(person_id) == NotComplete(person_id, "idle")


def test_there_is_no_report_before_the_first(house: House) -> None:
    """The person is there, a report is not."""
    assert house.runs.report(house.added(), owner=OWNER) is None


def test_a_report_whose_document_is_missing_is_an_error(house: House) -> None:
    """The log says that there is one: somebody deleted it behind our back."""
    person_id = completed(house)
    del house.store._tables.documents[f"person:{person_id}", "report:1"]
    with pytest.raises(LogUnreadable, match="report:1: the document is missing"):
        house.runs.report(person_id)


# --- credits and histories ---------------------------------------------------------------------------------------


def test_a_balance_has_every_sum(house: House) -> None:
    """Available = granted - revoked - charged + refunded - held."""
    house.runs.grant(OWNER, 2, grant_id="wrong")
    assert house.runs.revoke(OWNER, "wrong") == Revoked(OWNER, "wrong", 2)
    completed(house)
    assert house.runs.balance(OWNER) == Balance(OWNER, 2, granted=5, revoked=2, held=0, charged=1, refunded=0)
    assert house.runs.balance("nobody") == Balance("nobody", 0, 0, 0, 0, 0, 0)


def test_grants_are_told_apart_by_owner_and_id(house: House) -> None:
    """Whatever characters either of them has."""
    assert house.runs.grant("a:b", 1, grant_id="c").accepted().owner == "a:b"
    assert house.runs.grant("a", 2, grant_id="b:c").accepted().amount == 2
    assert house.runs.grant("a", 3, grant_id="b:c") == GrantIdReused("a", "b:c", 2)
    assert house.runs.balance("a:b").available == 1
    assert house.runs.revoke("a", "b:c") == house.runs.revoke("a", "b:c")
    assert house.runs.grant("a", 1).accepted().grant_id != house.runs.grant("a", 1).accepted().grant_id


def test_a_spent_grant_is_not_taken_back(house: House) -> None:
    """The answer says what is available and what would be required."""
    house.runs.grant(OWNER, 1, grant_id="g")
    for _ in range(4):
        completed(house)
    assert house.runs.revoke(OWNER, "g") == InsufficientCredits(OWNER, 0, 1)


def test_a_history_is_what_happened_to_person_and_account(house: House) -> None:
    """By position, without what happened to others; it stays after an erasure."""
    completed(house)
    person_id = completed(house)
    expected = [
        "PersonAdded",
        "RunStarted",
        "RunDispatched",
        "CreditsHeld",
        "CreditsCharged",
        "RunCompleted",
    ]
    assert house.types(person_id) == expected
    house.runs.erase(person_id)
    assert house.types(person_id) == [*expected, "PersonErased"]
    assert house.runs.history(NOBODY) == []


# --- the doors' own checks ---------------------------------------------------------------------------------------


BAD_CALLS: list[Callable[[Runs], object]] = [
    lambda runs: runs.person("x"),
    lambda runs: runs.report("x"),
    lambda runs: runs.history("x"),
    lambda runs: runs.start("x"),
    lambda runs: runs.mark_stale("x"),
    lambda runs: runs.erase("x"),
    lambda runs: runs.claim("x", 1, X),
    lambda runs: runs.complete("x", 1, X, {}),
    lambda runs: runs.fail("x", 1, X),
    lambda runs: runs.renew("x", 1, X),
    lambda runs: runs.balance(""),
    lambda runs: runs.people(""),
    lambda runs: runs.grant(OWNER, 0),
    lambda runs: runs.grant(OWNER, 1, grant_id=""),
    lambda runs: runs.fail(RUN, 1, X, "\ud800"),
    lambda runs: runs.complete(RUN, 1, X, {"x": float("nan")}),
    lambda runs: runs.dispatch(RUN),
]


@pytest.mark.parametrize("call", BAD_CALLS, ids=map(str, range(len(BAD_CALLS))))
def test_a_malformed_value_is_refused_by_every_door(house: House, call: Callable[[Runs], object]) -> None:
    """Before anything is read or written."""
    before = house.positions()
    with pytest.raises(InvalidInput):
        call(house.runs)
    assert house.positions() == before


def test_a_run_that_never_was_is_not_found(house: House) -> None:
    """By claim, report and failure."""
    assert house.runs.claim(RUN, 1, X) == RunNotFound(RUN)
    assert house.runs.complete(RUN, 1, X, {}) == RunNotFound(RUN)
    assert house.runs.fail(RUN, 1, X, "why") == RunNotFound(RUN)
    assert house.runs.renew(RUN, 1, X) == StaleRun(RUN, 1, X)


def test_ids_of_runs_are_read_in_either_case(house: House) -> None:
    """They are kept in lower case."""
    house.runs.start(house.added())
    taken = house.runs.take().accepted()
    assert isinstance(taken, Claimed)
    assert isinstance(house.runs.renew(taken.run_id.upper(), 1, taken.external_id), Renewed)
    assert isinstance(house.runs.claim(taken.run_id.upper(), 1, taken.external_id), Claimed)


def test_a_claim_brings_the_profile_and_a_stray_one_does_not() -> None:
    """The request names no person; after an erasure a stray engine run learns nothing."""
    house = outside(ACCEPTED)
    house.granted(1)
    person_id = house.added()
    started = house.runs.start(person_id)
    assert isinstance(started, Queued)
    assert "linkedin" not in str(house.engine.requests)
    claimed = house.runs.claim(started.run_id, 1, X)
    assert isinstance(claimed, Claimed)
    assert claimed.profile == {"linkedin_url": "https://www.linkedin.com/in/ada"}
    house.runs.erase(person_id)
    assert house.runs.claim(started.run_id, 1, X) == StaleRun(started.run_id, 1, X)


def test_dispatch_says_how_a_run_stands() -> None:
    """A start that was sent already is not sent again."""
    house = outside(ACCEPTED)
    house.granted(1)
    started = house.runs.start(house.added()).accepted()
    assert house.runs.dispatch(started.run_id) == started
    assert house.runs.dispatch(RUN) == RunNotFound(RUN)
    assert len(house.engine.requests) == 1
