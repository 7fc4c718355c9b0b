"""POST /deep-research/people/{id}/run: the operation that the project exists for."""

import pytest

from research_fsm.testing.scripted import Reply
from tests.http.service import ADA, NOBODY, NOW, NOW_TEXT, OTHER_OWNER, PEOPLE, Service, log_of, problem


def test_idle_person_is_queued(service: Service) -> None:
    """An idle person is queued: 200, one dispatch, one credit."""
    person_id = service.add()
    answer = service.user.post(f"{PEOPLE}/{person_id}/run")
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert answer.headers["content-type"] == "application/json"
    assert "retry-after" not in answer.headers
    assert [sent.person_id for sent in service.dispatcher.requests] == [person_id]
    assert service.available() == 9


def test_failed_person_is_queued_again(service: Service) -> None:
    """A failed person may be run again, as the next run."""
    person_id = service.add()
    sent = service.start(person_id)
    service.runs.claim(sent.run_id, sent.run_no, "x")
    service.runs.fail(sent.run_id, sent.run_no, "x")
    assert service.user.post(f"{PEOPLE}/{person_id}/run").status_code == 200
    assert [sent.run_no for sent in service.dispatcher.requests] == [1, 2]


def test_embedded_queue_takes_the_run() -> None:
    """Without an outside engine the run waits in the store: 200 as well."""
    service = Service(inside=True)
    assert service.user.post(f"{PEOPLE}/{service.add()}/run").json() == {"success": True}
    assert [entry.lease_until for entry in service.store.entries()] == [None]


def test_running_person_is_already_running(service: Service) -> None:
    """A running person answers 409 with the run, since when, and when to ask again."""
    person_id = service.add()
    service.start(person_id)
    answer = service.user.post(f"{PEOPLE}/{person_id}/run")
    facts = problem(answer, 409, "already_running")
    assert facts == {"person_id": person_id, "person_status": "running", "run_no": 1, "since": NOW_TEXT}
    assert answer.headers["retry-after"] == "30"


def test_complete_person_has_nothing_to_run_again(service: Service) -> None:
    """A complete person answers 409, too, and waiting would not help."""
    person_id = service.add()
    service.complete(person_id)
    answer = service.user.post(f"{PEOPLE}/{person_id}/run")
    assert problem(answer, 409, "already_running")["person_status"] == "complete"
    assert "retry-after" not in answer.headers


def test_status_comes_before_credits() -> None:
    """A running person is already running, whatever the balance is."""
    service = Service(credits_=1)
    person_id = service.add()
    service.start(person_id)
    problem(service.user.post(f"{PEOPLE}/{person_id}/run"), 409, "already_running")


def test_lack_of_credits() -> None:
    """Without credits: 402 with the balance and what is required; nothing is recorded and nothing sent."""
    service = Service(credits_=0)
    person_id = service.add()
    facts = problem(service.user.post(f"{PEOPLE}/{person_id}/run"), 402, "insufficient_credits")
    assert facts == {"balance": 0, "required": 1}
    assert log_of(service) == ["PersonAdded"]
    assert service.dispatcher.requests == []


@pytest.mark.parametrize(("reply", "reason"), [(Reply.REFUSED, "refused"), (Reply.NOT_SENT, "not_sent")])
def test_failed_dispatch_is_rolled_back(reply: Reply, reason: str) -> None:
    """The engine did not take it: 502, the person is idle, no credit is gone, and nobody says when to come back."""
    service = Service(reply)
    person_id = service.add()
    answer = service.user.post(f"{PEOPLE}/{person_id}/run")
    run_id = service.dispatcher.requests[0].run_id
    facts = problem(answer, 502, "dispatch_failed")
    assert facts == {"person_id": person_id, "run_id": run_id, "run_no": 1, "reason": reason}
    assert "retry-after" not in answer.headers
    assert service.available() == 10
    assert service.user.get(f"{PEOPLE}/{person_id}").json()["person"]["status"] == "idle"


@pytest.mark.parametrize(
    ("micros", "seconds"), [(1, "1"), (1_000_000, "1"), (1_000_001, "2"), (60_000_000, "60"), (0, "1"), (-5, "1")]
)
def test_engine_says_when_to_come_back(micros: int, seconds: str) -> None:
    """Retry-After is the engine's reset time in whole seconds, rounded up, and at least one."""
    service = Service(Reply.REFUSED, retry_at=NOW + micros)
    answer = service.user.post(f"{PEOPLE}/{service.add()}/run")
    problem(answer, 502, "dispatch_failed")
    assert answer.headers["retry-after"] == seconds


@pytest.mark.parametrize("reply", [Reply.TAKEN_UNANSWERED, Reply.LOST, Reply.RAISES])
def test_ambiguous_dispatch_is_accepted(reply: Reply) -> None:
    """Nobody knows whether the engine has it: 202, come back later, the credit is only held."""
    service = Service(reply)
    person_id = service.add()
    answer = service.user.post(f"{PEOPLE}/{person_id}/run")
    assert (answer.status_code, answer.json()) == (202, {"success": True})
    assert answer.headers["retry-after"] == "30"
    balance = service.runs.balance("acme")
    assert (balance.held, balance.charged) == (1, 0)


def test_unknown_person_is_not_found(service: Service) -> None:
    """Nobody of this id: 404."""
    assert problem(service.user.post(f"{PEOPLE}/{NOBODY}/run"), 404, "not_found") == {"person_id": NOBODY}


def test_person_of_another_owner_is_not_found(service: Service) -> None:
    """Another owner's person is 404, never 403, and nothing happens to them."""
    service.runs.grant(OTHER_OWNER, 1)
    person_id = service.add(OTHER_OWNER)
    problem(service.user.post(f"{PEOPLE}/{person_id}/run"), 404, "not_found")
    assert service.dispatcher.requests == []


def test_upper_case_id_is_the_same_person(service: Service) -> None:
    """A UUID means the same in upper case."""
    person_id = service.add()
    assert service.user.post(f"{PEOPLE}/{person_id.upper()}/run").status_code == 200


def test_body_is_not_needed_and_not_read(service: Service) -> None:
    """Whatever a client sends along does not matter: the operation takes no body."""
    assert service.user.post(f"{PEOPLE}/{service.add()}/run", content=b"{]").status_code == 200


def test_same_key_gives_the_same_answer(service: Service) -> None:
    """A request that is repeated with its key is answered again and not done again."""
    url, headers = f"{PEOPLE}/{service.add()}/run", {"Idempotency-Key": "k 1"}
    answers = [service.user.post(url, headers=headers) for _ in range(3)]
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, '{"success":true}')}
    assert len(service.dispatcher.requests) == 1
    assert service.available() == 9
    problem(service.user.post(url, headers={"Idempotency-Key": "k 2"}), 409, "already_running")


def test_refusal_is_replayed_too() -> None:
    """A key that was refused for lack of credits stays refused, also after a top-up."""
    service = Service(credits_=0)
    url, headers = f"{PEOPLE}/{service.add()}/run", {"Idempotency-Key": "k"}
    first = service.user.post(url, headers=headers)
    service.runs.grant("acme", 5)
    again = service.user.post(url, headers=headers)
    assert problem(again, 402, "insufficient_credits") == {"balance": 0, "required": 1}
    assert again.text == first.text
    assert service.user.post(url, headers={"Idempotency-Key": "other"}).status_code == 200


def test_rolled_back_start_is_replayed_too() -> None:
    """The answer 502 is kept under its key; another key tries again."""
    service = Service(Reply.REFUSED)
    url = f"{PEOPLE}/{service.add()}/run"
    texts = {service.user.post(url, headers={"Idempotency-Key": "k"}).text for _ in range(2)}
    assert len(texts) == 1
    assert len(service.dispatcher.requests) == 1
    assert service.user.post(url, headers={"Idempotency-Key": "k2"}).status_code == 200


def test_ambiguous_start_is_replayed_as_it_was_settled() -> None:
    """A repeated 202 becomes 200 once the worker's claim has proved that the engine has the run."""
    service = Service(Reply.TAKEN_UNANSWERED)
    url, headers = f"{PEOPLE}/{service.add()}/run", {"Idempotency-Key": "k"}
    assert service.user.post(url, headers=headers).status_code == 202
    assert service.user.post(url, headers=headers).status_code == 202
    sent = service.dispatcher.requests[0]
    service.runs.claim(sent.run_id, sent.run_no, "x").accepted()
    assert service.user.post(url, headers=headers).status_code == 200
    assert len(service.dispatcher.requests) == 1


def test_key_of_another_request_is_refused(service: Service) -> None:
    """The same key for another person, or for another operation, is 422."""
    headers = {"Idempotency-Key": "k"}
    assert service.user.post(f"{PEOPLE}/{service.add()}/run", headers=headers).status_code == 200
    problem(service.user.post(f"{PEOPLE}/{service.add()}/run", headers=headers), 422, "idempotency_key_reused")
    problem(service.user.post(PEOPLE, json=ADA, headers=headers), 422, "idempotency_key_reused")


def test_keys_of_two_owners_never_meet(service: Service) -> None:
    """Two owners may use the same key."""
    service.runs.grant(OTHER_OWNER, 1)
    other = service.client(service.token(OTHER_OWNER))
    headers = {"Idempotency-Key": "k"}
    assert service.user.post(f"{PEOPLE}/{service.add()}/run", headers=headers).status_code == 200
    assert other.post(f"{PEOPLE}/{service.add(OTHER_OWNER)}/run", headers=headers).status_code == 200


@pytest.mark.parametrize("key", [b"", b"x" * 256, b"caf\xc3\xa9", b"a\tb", b"\x7f"])
def test_malformed_key_is_invalid(service: Service, key: bytes) -> None:
    """A key is 1 to 255 printable ASCII characters; another one starts nothing."""
    answer = service.user.post(f"{PEOPLE}/{service.add()}/run", headers={b"Idempotency-Key": key})
    assert problem(answer, 400, "invalid_request") == {"field": "Idempotency-Key"}
    assert service.dispatcher.requests == []


def test_two_keys_are_invalid(service: Service) -> None:
    """Two keys in one request are two minds."""
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "a"), *service.user.headers.items()]
    answer = service.nobody.post(f"{PEOPLE}/{service.add()}/run", headers=headers)
    assert problem(answer, 400, "invalid_request") == {"field": "Idempotency-Key"}


def test_longest_key_is_taken(service: Service) -> None:
    """255 characters are a key."""
    headers = {"Idempotency-Key": "~" * 255}
    assert service.user.post(f"{PEOPLE}/{service.add()}/run", headers=headers).status_code == 200


def test_token_is_the_actor(service: Service) -> None:
    """The log says which token started a run, by its public id."""
    person_id = service.add()
    service.user.post(f"{PEOPLE}/{person_id}/run")
    token_id = service.runs.tokens.list()[0].token_id
    started = next(event for event in service.runs.history(person_id) if event.type == "RunStarted")
    assert f'"actor":"token:{token_id}"'.encode() in started.meta


def test_balance_of_one_pays_for_one_of_several_people() -> None:
    """With one credit and five people, one is queued and four lack credits."""
    service = Service(credits_=1)
    statuses = [service.user.post(f"{PEOPLE}/{service.add()}/run").status_code for _ in range(5)]
    assert statuses == [200, 402, 402, 402, 402]
