"""What partners ask: one address is one person, and submitting it again is how one comes back."""

from collections import Counter
from typing import Any

import anyio
import httpx2
import pytest
from starlette.testclient import TestClient

from research_fsm import PersonKind
from research_fsm.testing.scripted import Reply
from tests.http.service import NOBODY, OWNER, Service, log_of, problem

RESEARCH = "/api/v1/research"
ADA = {"first_name": "Ada", "last_name": "Lovelace", "linkedin_url": "https://www.linkedin.com/in/ada"}


@pytest.fixture
def service() -> Service:
    """Open a service whose engine takes everything."""
    return Service()


def partner(service: Service, owner: str = OWNER) -> TestClient:
    """Return a client with a partner's token."""
    return service.client(service.token(owner, PersonKind.PARTNER))


def finish(service: Service, content: Any = None) -> None:  # noqa: ANN401  # A report is free JSON.
    """End the run that was dispatched last with a report."""
    sent = service.dispatcher.requests[-1]
    service.runs.complete(sent.run_id, sent.run_no, "x", content, change_summary="all of it").accepted()


def fail(service: Service) -> None:
    """End the run that was dispatched last without one."""
    sent = service.dispatcher.requests[-1]
    service.runs.claim(sent.run_id, sent.run_no, "x").accepted()
    service.runs.fail(sent.run_id, sent.run_no, "x").accepted()


# --- submitting ----------------------------------------------------------------------------------------------------


def test_somebody_new_is_started(service: Service) -> None:
    """202 with the person, running; there is no report yet, and it says when to come back."""
    answer = partner(service).post(RESEARCH, json=ADA)
    assert answer.status_code == 202
    assert answer.headers["retry-after"] == "30"
    shown = answer.json()
    assert (shown["status"], shown["report"], shown["change_summary"]) == ("running", None, None)
    person = shown["person"]
    assert (person["user_id"], person["first_name"], person["status"]) == (None, "Ada", "running")
    assert person["linkedin_url"] == ADA["linkedin_url"]
    assert service.available() == 9


@pytest.mark.parametrize(
    "url", ["linkedin.com/in/Ada", "http://de.linkedin.com/in/ada/?trk=x", "www.linkedin.com/in/ada"]
)
def test_an_address_is_one_person_however_it_is_written(service: Service, url: str) -> None:
    """Running is 200 with no report; nobody is added, and nothing is spent."""
    client = partner(service)
    first = client.post(RESEARCH, json=ADA).json()["person"]["id"]
    answer = client.post(RESEARCH, json={**ADA, "linkedin_url": url})
    assert answer.status_code == 200
    assert answer.headers["retry-after"] == "30"
    assert (answer.json()["person"]["id"], answer.json()["report"]) == (first, None)
    assert service.available() == 9


def test_a_complete_person_is_shown_with_the_report(service: Service) -> None:
    """200, and no second run."""
    client = partner(service)
    client.post(RESEARCH, json=ADA)
    finish(service, {"found": True})
    answer = client.post(RESEARCH, json=ADA)
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["status"], shown["report"]["content"], shown["change_summary"]) == ("complete", {"found": True}, None)
    assert service.available() == 9


def test_a_refreshed_report_says_what_changed(service: Service) -> None:
    """Beside the report as well as in it; the first one has nothing to compare with."""
    client = partner(service)
    person_id = client.post(RESEARCH, json=ADA).json()["person"]["id"]
    finish(service)
    service.runs.mark_stale(person_id).accepted()
    client.post(RESEARCH, json=ADA)
    finish(service)
    shown = client.get(f"{RESEARCH}/{person_id}").json()
    assert (shown["report"]["version"], shown["report"]["change_summary"]) == (2, "all of it")
    assert shown["change_summary"] == "all of it"


def test_a_failed_person_is_started_again(service: Service) -> None:
    """202: the way out of a failure is to submit the address again."""
    client = partner(service)
    first = client.post(RESEARCH, json=ADA).json()["person"]["id"]
    fail(service)
    assert client.get(f"{RESEARCH}/{first}").json()["status"] == "failed"
    answer = client.post(RESEARCH, json=ADA)
    assert (answer.status_code, answer.json()["person"]["id"]) == (202, first)
    assert service.available() == 8


def test_an_idle_person_is_started() -> None:
    """The engine refused the first time and the run was rolled back; the same address is the way out."""
    service = Service(Reply.REFUSED)
    client = partner(service)
    facts = problem(client.post(RESEARCH, json=ADA), 502, "dispatch_failed")
    assert service.available() == 10
    answer = client.post(RESEARCH, json=ADA)
    assert (answer.status_code, answer.json()["person"]["id"]) == (202, facts["person_id"])
    assert service.available() == 9


def test_without_credits_nobody_is_added() -> None:
    """402 with the balance, and the log is empty."""
    service = Service(credits_=0)
    facts = problem(partner(service).post(RESEARCH, json=ADA), 402, "insufficient_credits")
    assert facts == {"balance": 0, "required": 1}
    assert log_of(service) == []


def test_a_failed_person_without_credits_stays_failed() -> None:
    """Refused, and the status is what it was."""
    service = Service(credits_=1)
    client = partner(service)
    person_id = client.post(RESEARCH, json=ADA).json()["person"]["id"]
    fail(service)
    problem(client.post(RESEARCH, json=ADA), 402, "insufficient_credits")
    assert client.get(f"{RESEARCH}/{person_id}").json()["status"] == "failed"


def test_a_key_gives_the_same_answer_again(service: Service) -> None:
    """One run, whatever became of it; another address under the key is another request."""
    client = partner(service)
    client.headers["Idempotency-Key"] = "k"
    first = client.post(RESEARCH, json=ADA).json()["person"]["id"]
    fail(service)
    again = client.post(RESEARCH, json=ADA)
    assert (again.status_code, again.json()["person"]["id"], again.json()["status"]) == (202, first, "failed")
    assert again.headers["retry-after"] == "30"
    assert len(service.dispatcher.requests) == 1
    for other in ({"linkedin_url": "https://www.linkedin.com/in/grace"}, {"first_name": "Augusta"}):
        problem(client.post(RESEARCH, json={**ADA, **other}), 422, "idempotency_key_reused")
    assert client.post(RESEARCH, json={**ADA, "linkedin_url": "linkedin.com/in/ada/"}).status_code == 202


def test_a_key_of_a_restart_gives_the_same_answer_again(service: Service) -> None:
    """A second run was asked for under a key of its own: asked for again, it is the same one."""
    client = partner(service)
    client.post(RESEARCH, json=ADA)
    fail(service)
    for _ in range(2):
        assert client.post(RESEARCH, json=ADA, headers={"Idempotency-Key": "again"}).status_code == 202
    assert len(service.dispatcher.requests) == 2


@pytest.mark.parametrize("missing", ["first_name", "last_name", "linkedin_url"])
def test_the_three_fields_are_required(service: Service, missing: str) -> None:
    """Each is named when it is not there; members that nobody asked for are passed over."""
    client = partner(service)
    body = {name: value for name, value in ADA.items() if name != missing}
    assert problem(client.post(RESEARCH, json=body), 400, "invalid_request") == {"field": missing}
    assert client.post(RESEARCH, json={**ADA, "more": 1}).status_code == 202


def test_another_address_is_refused(service: Service) -> None:
    """It is no profile of LinkedIn's."""
    body = {**ADA, "linkedin_url": "https://example.com/in/ada"}
    assert problem(partner(service).post(RESEARCH, json=body), 400, "invalid_request") == {"field": "linkedin_url"}


@pytest.mark.parametrize("callers", [100])
def test_many_submissions_of_one_address_make_one_person_and_one_run(callers: int) -> None:
    """A hundred at once: one 202, the others 200 with the same person."""
    service = Service()
    headers = {"Authorization": f"Bearer {service.token(OWNER, PersonKind.PARTNER)}"}

    async def main() -> tuple[Counter[int], set[str]]:
        counted: Counter[int] = Counter()
        seen: set[str] = set()
        transport = httpx2.ASGITransport(service.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:

            async def post() -> None:
                answer = await client.post(RESEARCH, json=ADA)
                counted[answer.status_code] += 1
                seen.add(answer.json()["person"]["id"])

            async with anyio.create_task_group() as group:
                for _ in range(callers):
                    group.start_soon(post)
        return counted, seen

    counted, seen = anyio.run(main)
    assert counted == {202: 1, 200: callers - 1}
    assert len(seen) == len(service.dispatcher.requests) == 1
    assert service.available() == 9


# --- who may --------------------------------------------------------------------------------------------------------


def test_a_users_token_does_not_open_it(service: Service) -> None:
    """403, on all four; nobody at all is 401."""
    asked = [("POST", RESEARCH), ("GET", RESEARCH), ("GET", f"{RESEARCH}/{NOBODY}"), ("DELETE", f"{RESEARCH}/{NOBODY}")]
    for method, path in asked:
        problem(service.user.request(method, path, json=ADA), 403, "forbidden")
        problem(service.nobody.request(method, path, json=ADA), 401, "unauthorized")


def test_another_owners_person_is_not_found(service: Service) -> None:
    """Nor is a person whom the same owner added as a user."""
    person_id = partner(service).post(RESEARCH, json=ADA).json()["person"]["id"]
    other = partner(service, "zeta")
    problem(other.get(f"{RESEARCH}/{person_id}"), 404, "not_found")
    problem(other.delete(f"{RESEARCH}/{person_id}"), 404, "not_found")
    assert other.get(RESEARCH).json() == {"people": [], "cursor": None}
    theirs = service.add()
    problem(partner(service).get(f"{RESEARCH}/{theirs}"), 404, "not_found")
    problem(partner(service).delete(f"{RESEARCH}/{theirs}"), 404, "not_found")


# --- looking and deleting -------------------------------------------------------------------------------------------


def test_people_are_listed_newest_first(service: Service) -> None:
    """A page at a time; those whom the owner added as a user are not among them."""
    client = partner(service)
    service.add()
    ids = []
    for name in ("ada", "grace", "hedy"):
        body = {**ADA, "linkedin_url": f"https://www.linkedin.com/in/{name}"}
        ids.append(client.post(RESEARCH, json=body).json()["person"]["id"])
    first = client.get(RESEARCH, params={"limit": 2}).json()
    assert [one["id"] for one in first["people"]] == [ids[2], ids[1]]
    rest = client.get(RESEARCH, params={"limit": 2, "cursor": first["cursor"]}).json()
    assert ([one["id"] for one in rest["people"]], rest["cursor"]) == ([ids[0]], None)
    assert problem(client.get(RESEARCH, params={"limit": "x"}), 400, "invalid_request") == {"field": "limit"}


def test_a_deleted_persons_address_may_be_submitted_anew(service: Service) -> None:
    """It is another person then; the old one is gone, a second time too."""
    client = partner(service)
    first = client.post(RESEARCH, json=ADA).json()["person"]["id"]
    assert client.delete(f"{RESEARCH}/{first}").json() == {"success": True}
    problem(client.delete(f"{RESEARCH}/{first}"), 404, "not_found")
    problem(client.get(f"{RESEARCH}/{first}"), 404, "not_found")
    answer = client.post(RESEARCH, json=ADA)
    assert answer.status_code == 202
    assert answer.json()["person"]["id"] != first
