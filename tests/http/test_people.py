"""Looking at people and their reports, marking them stale, deleting them."""

import pytest

from research_fsm import PersonDetails, PersonKind, Profile
from tests.http.service import ADA, NOBODY, NOW_TEXT, OTHER_OWNER, OWNER, PEOPLE, Service, problem

LATER = 90_000_001
LATER_TEXT = "2026-01-01T00:01:30.000001Z"


def test_person_with_failures_in_a_row(service: Service) -> None:
    """A person as the contract spells it, with how often they failed in a row and when their status began."""
    person_id = service.add()
    for _ in range(2):
        sent = service.start(person_id)
        service.runs.claim(sent.run_id, sent.run_no, "x")
        service.now += LATER
        service.runs.fail(sent.run_id, sent.run_no, "x")
    assert service.user.get(f"{PEOPLE}/{person_id}").json() == {
        "person": {
            "id": person_id,
            "user_id": OWNER,
            "first_name": None,
            "last_name": None,
            "linkedin_url": "https://www.linkedin.com/in/ada",
            "role": None,
            "company": None,
            "company_domain": None,
            "photo_url": None,
            "status": "failed",
            "last_enriched_at": None,
            "created_at": NOW_TEXT,
            "updated_at": "2026-01-01T00:03:00.000002Z",
            "failures_in_a_row": 2,
        }
    }


def test_complete_person_says_when_they_were_enriched(service: Service) -> None:
    """`last_enriched_at` is the latest report's time, and stays when the report is marked stale."""
    person_id = service.add()
    sent = service.start(person_id)
    service.now += LATER
    service.runs.complete(sent.run_id, sent.run_no, "x", {})
    service.now += LATER
    service.user.post(f"{PEOPLE}/{person_id}/mark-stale")
    person = service.user.get(f"{PEOPLE}/{person_id}").json()["person"]
    assert (person["status"], person["last_enriched_at"]) == ("idle", LATER_TEXT)


def test_report_is_null_until_there_is_one(service: Service) -> None:
    """No report: null."""
    assert service.user.get(f"{PEOPLE}/{service.add()}/report").json() == {"report": None}


def test_report_of_the_highest_version(service: Service) -> None:
    """The latest report with its version, which rises by one; looking has no side effect and costs nothing."""
    person_id = service.add()
    service.complete(person_id, {"n": 1})
    service.runs.mark_stale(person_id)
    sent = service.start(person_id)
    service.runs.complete(sent.run_id, sent.run_no, "x", ["é", 2.5, None], change_summary="moved")
    before = len(list(service.store.events()))
    expected = {
        "id": sent.run_id,
        "person_id": person_id,
        "version": 2,
        "content": ["é", 2.5, None],
        "change_summary": "moved",
        "generated_at": NOW_TEXT,
    }
    assert service.user.get(f"{PEOPLE}/{person_id}/report").json() == {"report": expected}
    assert (len(list(service.store.events())), service.available()) == (before, 8)


def test_old_report_is_readable_during_a_refresh(service: Service) -> None:
    """While the next run is at work the last report is still answered."""
    person_id = service.add()
    service.complete(person_id, {"n": 1})
    service.user.post(f"{PEOPLE}/{person_id}/mark-stale")
    assert service.user.post(f"{PEOPLE}/{person_id}/run").status_code == 200
    assert service.user.get(f"{PEOPLE}/{person_id}/report").json()["report"]["version"] == 1


def test_first_report_has_no_change_summary(service: Service) -> None:
    """`change_summary` is null on the first report, whatever the worker sent with it."""
    person_id = service.add()
    sent = service.start(person_id)
    service.runs.complete(sent.run_id, sent.run_no, "x", {}, change_summary="all of it").accepted()
    assert service.user.get(f"{PEOPLE}/{person_id}/report").json()["report"]["change_summary"] is None


def test_list_is_newest_first_and_the_callers_own(service: Service) -> None:
    """An owner's people, newest first, without the count of failures and without anybody else's."""
    service.add(OTHER_OWNER)
    ids = [service.add() for _ in range(3)]
    listed = service.user.get(PEOPLE).json()
    assert [person["id"] for person in listed["people"]] == ids[::-1]
    assert listed["cursor"] is None
    assert "failures_in_a_row" not in listed["people"][0]


def test_list_goes_page_by_page(service: Service) -> None:
    """`limit` and `cursor` walk through everybody once."""
    ids = [service.add() for _ in range(5)]
    seen, query = [], {"limit": "2"}
    while query:
        page = service.user.get(PEOPLE, params=query).json()
        seen.append([person["id"] for person in page["people"]])
        query = {"limit": "2", "cursor": page["cursor"]} if page["cursor"] else {}
    assert seen == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=", "limit"),
        ("limit=1e2", "limit"),
        ("limit=%D9%A1", "limit"),
        (f"limit={'9' * 5000}", "limit"),
        ("limit=1&limit=2", "limit"),
        ("cursor=", "cursor"),
        ("cursor=x", "cursor"),
        (f"cursor={'9' * 50}", "cursor"),
        ("cursor=1&cursor=1", "cursor"),
        ("cursor=%FF", "cursor"),
    ],
)
def test_malformed_query_is_invalid(service: Service, query: str, field: str) -> None:
    """A limit is a whole number from 1 to 1000, a cursor one of ours, each given once."""
    assert problem(service.user.get(f"{PEOPLE}?{query}"), 400, "invalid_request") == {"field": field}


def test_complete_person_is_marked_stale(service: Service) -> None:
    """A complete person becomes idle and may be run again."""
    person_id = service.add()
    service.complete(person_id)
    answer = service.user.post(f"{PEOPLE}/{person_id}/mark-stale")
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert service.user.get(f"{PEOPLE}/{person_id}").json()["person"]["status"] == "idle"


def test_only_a_complete_person_is_marked_stale(service: Service) -> None:
    """Anybody else answers 409 with their status."""
    person_id = service.add()
    facts = problem(service.user.post(f"{PEOPLE}/{person_id}/mark-stale"), 409, "not_complete")
    assert facts == {"person_id": person_id, "person_status": "idle"}


def test_deleted_person_is_gone(service: Service) -> None:
    """200 once, 404 from then on, whatever is asked; the spent credit stays spent."""
    person_id = service.add()
    service.complete(person_id)
    answer = service.user.delete(f"{PEOPLE}/{person_id}")
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    for method, path in (("DELETE", ""), ("GET", ""), ("GET", "/report"), ("POST", "/run"), ("POST", "/mark-stale")):
        problem(service.user.request(method, f"{PEOPLE}/{person_id}{path}"), 404, "not_found")
    assert service.available() == 9


def test_deletion_stops_a_run_in_flight(service: Service) -> None:
    """The engine is asked to stop, and what the worker says later is stale."""
    person_id = service.user.post(PEOPLE, json=ADA).json()["person"]["id"]
    sent = service.dispatcher.requests[0]
    assert service.user.delete(f"{PEOPLE}/{person_id}").status_code == 200
    assert service.dispatcher.cancelled == ["run_1"]
    claim = {"run_no": 1, "external_run_id": "run_1"}
    problem(service.worker(sent).post(f"/api/deep-research/runs/{sent.run_id}/claim", json=claim), 409, "stale_run")


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/report"), ("POST", "/mark-stale"), ("DELETE", "")])
def test_nobody_elses_person_is_found(service: Service, method: str, path: str) -> None:
    """An unknown person and another owner's are the same 404."""
    other = service.add(OTHER_OWNER)
    for person_id in (NOBODY, other):
        facts = problem(service.user.request(method, f"{PEOPLE}/{person_id}{path}"), 404, "not_found")
        assert facts == {"person_id": person_id}
    assert isinstance(service.runs.person(other, owner=OTHER_OWNER), PersonDetails)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("GET", "/report"), ("POST", "/mark-stale"), ("DELETE", ""), ("POST", "/run")]
)
@pytest.mark.parametrize(
    "person_id",
    [
        "1",
        "x" * 5000,
        "00000000-0000-0000-0000-000000000001",
        "00000000-0000-9000-8000-000000000001",
        "00000000-0000-4000-7000-000000000001",
        "00000000-0000-4000-8000-00000000000g",
        "00000000000040008000000000000001",
        "%7B00000000-0000-4000-8000-000000000001%7D",
        "00000000-0000-4000-8000-000000000001%0A",
        "%0000000000-0000-4000-8000-000000000001",
        "00000000-0000-4000-8000-00000000000%D9%A1",
        "urn:uuid:00000000-0000-4000-8000-000000000001",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "%FF%FE",
    ],
)
def test_malformed_id_is_invalid(service: Service, method: str, path: str, person_id: str) -> None:
    """An id that is no UUID of the contract's pattern is 400, before anybody is looked for."""
    answer = service.user.request(method, f"{PEOPLE}/{person_id}{path}")
    assert problem(answer, 400, "invalid_request") == {"field": "person_id"}


@pytest.mark.parametrize("digit", "12345678")
def test_every_version_of_a_uuid_is_one(service: Service, digit: str) -> None:
    """Versions 1 to 8 and the two special forms are UUIDs: 404, since nobody has them."""
    for person_id in (
        f"0000000a-0000-{digit}000-b000-00000000000F",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ):
        problem(service.user.get(f"{PEOPLE}/{person_id}"), 404, "not_found")


def test_partners_person_has_no_user(service: Service) -> None:
    """`user_id` is null for a person of the partner interface."""
    added = service.runs.add(OWNER, Profile(linkedin_url="linkedin.com/in/bob"), kind=PersonKind.PARTNER).accepted()
    assert service.user.get(f"{PEOPLE}/{added.person_id}").json()["person"]["user_id"] is None
