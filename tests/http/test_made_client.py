"""A client made from the document works: it lives through a person's whole life, knowing nothing but the document."""

import pytest
from starlette.testclient import TestClient

from research_fsm import PersonKind
from research_fsm.testing.scripted import Reply
from tests.http.made_client import MadeClient
from tests.http.service import ADA, NOBODY, OWNER, Service

RESEARCH = {"first_name": "Ada", "last_name": "Lovelace", "linkedin_url": "https://www.linkedin.com/in/ada"}


def made(service: Service, kind: PersonKind = PersonKind.USER) -> MadeClient:
    """Return a client of a service; the token of a run is the last one that the engine was sent."""
    document = service.nobody.get("/api/openapi.json").json()
    tokens = {"token": service.token(OWNER, kind), "run": "0" * 64}
    if service.dispatcher.requests:
        tokens["run"] = service.dispatcher.requests[-1].token
    return MadeClient(document, TestClient(service.app), tokens)


def test_a_users_whole_life(service: Service) -> None:
    """Created, watched, researched, refreshed and deleted, by following what each answer leads to."""
    client = made(service)
    created = client.createPerson(ADA, Idempotency_Key="once")
    assert (created.status, created.value["person"]["status"]) == (201, "running")
    again = client.createPerson(ADA, Idempotency_Key="once")
    assert again.value["person"]["id"] == created.value["person"]["id"]
    assert client.follow(created, "runPerson").value["code"] == "already_running"
    worker, sent = made(service), service.dispatcher.requests[0]
    told = {"run_no": sent.run_no, "external_run_id": "run_1"}
    assert worker.claimRun(told, run_id=sent.run_id).value["profile"]["linkedin_url"] == ADA["linkedinUrl"]
    assert worker.completeRun({**told, "content": {"found": 1}}, run_id=sent.run_id).value == {"success": True}
    assert worker.failRun({**told, "reason": "too late"}, run_id=sent.run_id).value["code"] == "stale_run"
    assert client.follow(created, "getReport").value["report"]["content"] == {"found": 1}
    assert client.follow(created, "markStale").status == 200
    assert client.follow(created, "runPerson").status == 200
    listed = client.listPeople(limit=10)
    assert client.follow(listed, "getPerson").value["person"]["failures_in_a_row"] == 0
    assert client.follow(listed, "deletePerson").value == {"success": True}
    assert client.follow(created, "getPerson").value["code"] == "not_found"


def test_a_partners_life(service: Service) -> None:
    """Submitted, submitted again, looked at, listed page by page, deleted."""
    client = made(service, PersonKind.PARTNER)
    first = client.createResearch(RESEARCH)
    assert (first.status, client.createResearch(RESEARCH).status) == (202, 200)
    client.createResearch({**RESEARCH, "linkedin_url": "https://www.linkedin.com/in/grace"})
    page = client.listResearch(limit=1)
    rest = client.follow(page, "listResearch")
    assert rest.value["people"][0]["id"] == first.value["person"]["id"]
    assert client.follow(first, "getResearch").value["status"] == "running"
    assert client.follow(first, "deleteResearch").status == 200
    assert client.getPrices().value["actions"][0]["costPerUnit"] == 1
    preview = {"action": "deep_research", "count": 8}
    assert client.previewCredits(preview).value["sufficient"] is True


@pytest.mark.parametrize(
    ("reply", "status"), [(Reply.REFUSED, 502), (Reply.TAKEN_UNANSWERED, 202), (Reply.ACCEPTED, 200)]
)
def test_every_answer_of_a_start_is_described(reply: Reply, status: int) -> None:
    """Queued, rolled back, and nobody knows yet."""
    service = Service(reply)
    assert made(service).runPerson(person_id=service.add()).status == status


def test_what_anybody_may_ask(service: Service) -> None:
    """The document describes itself, its page and the health of the service."""
    client = made(service)
    assert client.getHealth().value == {"status": "ok"}
    assert client.getDocument().value["openapi"] == "3.1.0"
    assert client.getPage().value.startswith("<!doctype html>")


def test_a_client_is_kept_from_asking_nonsense(service: Service) -> None:
    """What the document does not allow is seen before it is sent; what it does not have is not there."""
    client = made(service)
    with pytest.raises(ValueError, match="is less than the minimum"):
        client.previewCredits({"action": "deep_research", "count": 0})
    with pytest.raises(ValueError, match="does not match"):
        client.getPerson(person_id=NOBODY[:-1])
    with pytest.raises(AttributeError):
        client.startPerson()
