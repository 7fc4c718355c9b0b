"""POST /deep-research/people: a person is created and started in one."""

from typing import Any

import pytest

from research_fsm.async_runs import AsyncRuns
from research_fsm.testing.scripted import Reply
from tests.http.service import ADA, NOW_TEXT, OWNER, PEOPLE, Service, log_of, problem

NAMED = {"firstName": "Ada", "lastName": "Lovelace", "company": "Analytical Engines"}


def test_person_is_created_and_started(service: Service) -> None:
    """201 with the person exactly as the contract spells it, running; one dispatch, one credit."""
    optional = {"role": "Analyst", "companyDomain": "engines.example", "photoUrl": "https://engines.example/ada.png"}
    answer = service.user.post(PEOPLE, json=NAMED | ADA | optional)
    assert answer.status_code == 201
    assert answer.json() == {
        "person": {
            "id": service.dispatcher.requests[0].person_id,
            "user_id": OWNER,
            "first_name": "Ada",
            "last_name": "Lovelace",
            "linkedin_url": "https://www.linkedin.com/in/ada",
            "role": "Analyst",
            "company": "Analytical Engines",
            "company_domain": "engines.example",
            "photo_url": "https://engines.example/ada.png",
            "status": "running",
            "last_enriched_at": None,
            "created_at": NOW_TEXT,
            "updated_at": NOW_TEXT,
        }
    }
    assert service.available() == 9


@pytest.mark.parametrize("body", [ADA, NAMED, {"linkedinUrl": "DE.linkedin.com/IN/Ada?x=1"}, ADA | {"firstName": None}])
def test_url_or_all_of_the_names_suffice(service: Service, body: dict[str, Any]) -> None:
    """A LinkedIn URL, in whatever form, or first name, last name and company."""
    person = service.user.post(PEOPLE, json=body).json()["person"]
    assert person["status"] == "running"
    assert person["linkedin_url"] == ("https://www.linkedin.com/in/ada" if "linkedinUrl" in body else None)


def test_names_beyond_ascii_come_back_as_they_were(service: Service) -> None:
    """A name in any script is kept as it is."""
    person = service.user.post(PEOPLE, json=NAMED | {"firstName": "Åsa 漢字 🦀"}).json()["person"]
    assert person["first_name"] == "Åsa 漢字 🦀"


def test_unknown_members_are_passed_over(service: Service) -> None:
    """A client may send more than is known here."""
    answer = service.user.post(PEOPLE, json=ADA | {"source": {"crm": [1, None]}, "kind": "partner", "owner": "zeta"})
    assert answer.json()["person"]["user_id"] == OWNER


def test_user_may_have_a_person_twice(service: Service) -> None:
    """The URL is a key for partners alone."""
    ids = {service.user.post(PEOPLE, json=ADA).json()["person"]["id"] for _ in range(2)}
    assert len(ids) == 2


def test_without_credits_nobody_is_created() -> None:
    """402, and no person is there."""
    service = Service(credits_=0)
    facts = problem(service.user.post(PEOPLE, json=ADA), 402, "insufficient_credits")
    assert facts == {"balance": 0, "required": 1}
    assert log_of(service) == []
    assert service.user.get(PEOPLE).json()["people"] == []


def test_failed_dispatch_leaves_the_person_idle() -> None:
    """502 with the id of the person, who stays and can be run later."""
    service = Service(Reply.REFUSED)
    facts = problem(service.user.post(PEOPLE, json=ADA), 502, "dispatch_failed")
    person_id = facts["person_id"]
    assert service.user.get(f"{PEOPLE}/{person_id}").json()["person"]["status"] == "idle"
    assert service.available() == 10
    assert service.user.post(f"{PEOPLE}/{person_id}/run").status_code == 200


def test_ambiguous_dispatch_is_accepted_with_the_person() -> None:
    """202 with the person, who is running, and when to ask again."""
    service = Service(Reply.LOST)
    answer = service.user.post(PEOPLE, json=ADA)
    assert (answer.status_code, answer.headers["retry-after"]) == (202, "30")
    assert answer.json()["person"]["status"] == "running"


def test_same_key_creates_one_person(service: Service) -> None:
    """A repeated request is answered with the same person, and neither creates nor charges again."""
    headers = {"Idempotency-Key": "k"}
    answers = [service.user.post(PEOPLE, json=ADA, headers=headers) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert (len(service.dispatcher.requests), service.available()) == (1, 9)


def test_same_person_in_other_words_is_the_same_request(service: Service) -> None:
    """The key stands for what is asked, not for the bytes of the body."""
    headers = {"Idempotency-Key": "k"}
    first = service.user.post(PEOPLE, json=ADA, headers=headers)
    again = service.user.post(PEOPLE, json={"linkedinUrl": "linkedin.com/in/ADA/", "x": 1}, headers=headers)
    assert again.json()["person"]["id"] == first.json()["person"]["id"]


def test_key_of_another_body_is_refused(service: Service) -> None:
    """The same key with another person is 422, and nobody is created."""
    headers = {"Idempotency-Key": "k"}
    service.user.post(PEOPLE, json=ADA, headers=headers)
    problem(service.user.post(PEOPLE, json=NAMED, headers=headers), 422, "idempotency_key_reused")
    assert len(service.user.get(PEOPLE).json()["people"]) == 1


def test_refusals_are_replayed_too() -> None:
    """402 and 502 are kept under their keys."""
    service = Service(Reply.REFUSED, credits_=0)
    headers = {"Idempotency-Key": "k"}
    problem(service.user.post(PEOPLE, json=ADA, headers=headers), 402, "insufficient_credits")
    service.runs.grant(OWNER, 5)
    problem(service.user.post(PEOPLE, json=ADA, headers=headers), 402, "insufficient_credits")
    texts = {service.user.post(PEOPLE, json=ADA, headers={"Idempotency-Key": "k2"}).text for _ in range(2)}
    assert len(texts) == 1
    assert len(service.dispatcher.requests) == 1


def test_replay_after_a_deletion_is_not_found(service: Service) -> None:
    """A key of a person who was deleted answers 404, and creates nobody."""
    headers = {"Idempotency-Key": "k"}
    person_id = service.user.post(PEOPLE, json=ADA, headers=headers).json()["person"]["id"]
    service.user.delete(f"{PEOPLE}/{person_id}")
    problem(service.user.post(PEOPLE, json=ADA, headers=headers), 404, "not_found")
    assert service.user.get(PEOPLE).json()["people"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"firstName": "Ada", "lastName": "Lovelace"}, "body"),
        ({"linkedin_url": "https://www.linkedin.com/in/ada"}, "body"),
        ({"linkedinUrl": None}, "body"),
        ({"linkedinUrl": "https://example.com/in/ada"}, "linkedinUrl"),
        ({"linkedinUrl": ""}, "linkedinUrl"),
        ({"linkedinUrl": 7}, "linkedinUrl"),
        ({"linkedinUrl": ["https://www.linkedin.com/in/ada"]}, "linkedinUrl"),
        (NAMED | {"firstName": ""}, "firstName"),
        (NAMED | {"lastName": "x" * 501}, "lastName"),
        (NAMED | {"company": True}, "company"),
        (ADA | {"role": {"title": "x"}}, "role"),
        (ADA | {"companyDomain": "a\nb"}, "companyDomain"),
        (ADA | {"photoUrl": "\x00"}, "photoUrl"),
    ],
)
def test_malformed_person_is_invalid(service: Service, body: dict[str, Any], field: str) -> None:
    """400 names the field as the client called it, and nobody is created."""
    assert problem(service.user.post(PEOPLE, json=body), 400, "invalid_request") == {"field": field}
    assert log_of(service) == ["CreditsGranted"]


def test_half_a_surrogate_pair_is_invalid(service: Service) -> None:
    """A name that has no UTF-8 is refused, and the refusal can be sent."""
    for member in (rb'"linkedinUrl": "linkedin.com/in/\ud800"', rb'"linkedinUrl": "\udfff"', rb'"role": "\ud800"'):
        body = rb'{"firstName": "A", "lastName": "B", "company": "C", ' + member + b"}"
        answer = service.user.post(PEOPLE, content=body, headers={"Content-Type": "application/json"})
        problem(answer, 400, "invalid_request")


def test_person_deleted_at_once_is_not_found(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else deletes the person before the answer is written: there is nobody to show."""
    create = AsyncRuns.create

    async def create_and_lose(*args: Any, **kwargs: Any) -> object:  # noqa: ANN401  # Whatever create takes.
        created = await create(*args, **kwargs)
        service.runs.erase(service.dispatcher.requests[-1].person_id)
        return created

    monkeypatch.setattr(AsyncRuns, "create", create_and_lose)
    problem(service.user.post(PEOPLE, json=ADA), 404, "not_found")
