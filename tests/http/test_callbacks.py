"""What a worker of an outside engine tells: claim, complete, fail."""

from typing import Any

import pytest

from research_fsm.requests import DispatchRequest
from research_fsm.tokens import callback_token
from tests.http.service import NOBODY, PEOPLE, RUNS, Service, log_of, problem

X: dict[str, Any] = {"run_no": 1, "external_run_id": "x"}
BODIES = {"claim": X, "complete": X | {"content": {}}, "fail": X | {"reason": "no luck"}}
RUN_DEADLINE = "2026-01-01T00:10:00.000000Z"


@pytest.fixture
def sent(service: Service) -> DispatchRequest:
    """Return what the engine was sent for a run that was just started."""
    return service.start(service.add())


def told(service: Service, sent: DispatchRequest, what: str, body: Any = None) -> Any:  # noqa: ANN401  # A response.
    """Return the answer to a callback of the run's own worker."""
    return service.worker(sent).post(f"{RUNS}/{sent.run_id}/{what}", json=BODIES[what] if body is None else body)


def test_claim_learns_whom_to_research(service: Service, sent: DispatchRequest) -> None:
    """The claim's answer has the profile, the run and its deadline."""
    answer = told(service, sent, "claim")
    assert answer.status_code == 200
    assert answer.json() == {
        "profile": {"linkedin_url": "https://www.linkedin.com/in/ada"},
        "person_id": sent.person_id,
        "run_id": sent.run_id,
        "run_no": 1,
        "external_run_id": "x",
        "deadline": RUN_DEADLINE,
    }


def test_claim_may_be_repeated(service: Service, sent: DispatchRequest) -> None:
    """The same claim gives the same answer, and nothing is recorded twice."""
    first, again = told(service, sent, "claim"), told(service, sent, "claim")
    assert (first.status_code, first.text) == (again.status_code, again.text)
    assert log_of(service).count("RunClaimed") == 1


def test_another_engine_run_is_stale(service: Service, sent: DispatchRequest) -> None:
    """Whoever comes second is told to stop, whatever it wants to tell."""
    told(service, sent, "claim")
    for what, body in BODIES.items():
        facts = problem(told(service, sent, what, body | {"external_run_id": "y"}), 409, "stale_run")
        assert facts == {"run_id": sent.run_id, "run_no": 1, "external_run_id": "y"}
    assert service.user.get(f"{PEOPLE}/{sent.person_id}").json()["person"]["status"] == "running"


def test_report_completes_the_person(service: Service, sent: DispatchRequest) -> None:
    """The report is stored: the person is complete, and the report can be read."""
    told(service, sent, "claim")
    answer = told(service, sent, "complete", X | {"content": {"k": ["é", None]}, "change_summary": "first"})
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    report = service.user.get(f"{PEOPLE}/{sent.person_id}/report").json()["report"]
    assert (report["content"], report["version"]) == ({"k": ["é", None]}, 1)


@pytest.mark.parametrize("content", [None, "text", 0, [], {}, 2**70, -0.5, {"": {"": []}}])
def test_content_is_free_json(service: Service, sent: DispatchRequest, content: object) -> None:
    """Whatever is JSON can be a report, and comes back as it was."""
    assert told(service, sent, "complete", X | {"content": content}).status_code == 200
    assert service.user.get(f"{PEOPLE}/{sent.person_id}/report").json()["report"]["content"] == content


def test_outcome_may_be_repeated(service: Service, sent: DispatchRequest) -> None:
    """The same report again is the same answer; another one is stale."""
    told(service, sent, "claim")
    assert [told(service, sent, "complete").status_code for _ in range(2)] == [200, 200]
    assert log_of(service).count("RunCompleted") == 1
    problem(told(service, sent, "complete", X | {"content": {"other": 1}}), 409, "stale_run")
    problem(told(service, sent, "fail"), 409, "stale_run")
    problem(told(service, sent, "claim"), 409, "stale_run")


def test_failure_is_recorded_with_its_charge(service: Service, sent: DispatchRequest) -> None:
    """A claimed run that fails keeps its charge; the person failed once in a row."""
    told(service, sent, "claim")
    answer = told(service, sent, "fail")
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    person = service.user.get(f"{PEOPLE}/{sent.person_id}").json()["person"]
    assert (person["status"], person["failures_in_a_row"], service.available()) == ("failed", 1, 9)


def test_failure_without_a_claim_is_refunded(service: Service, sent: DispatchRequest) -> None:
    """Work that never began is not paid for."""
    assert told(service, sent, "fail").status_code == 200
    assert service.available() == 10


@pytest.mark.parametrize("what", BODIES)
def test_earlier_run_is_stale(service: Service, sent: DispatchRequest, what: str) -> None:
    """The worker of an earlier run cannot touch the present one."""
    told(service, sent, "fail")
    service.start(sent.person_id)
    facts = problem(told(service, sent, what, BODIES[what] | {"external_run_id": "y"}), 409, "stale_run")
    assert facts["run_no"] == 1
    assert service.user.get(f"{PEOPLE}/{sent.person_id}").json()["person"]["status"] == "running"


@pytest.mark.parametrize("what", BODIES)
def test_token_opens_its_own_run_alone(service: Service, sent: DispatchRequest, what: str) -> None:
    """Another run's token, another run_no, a user's token, or none: 401, and nothing is recorded."""
    other = service.start(service.add())
    secret = service.store.secret
    before = log_of(service)
    url = f"{RUNS}/{sent.run_id}/{what}"
    for presented in (
        other.token,
        callback_token(secret, sent.run_id, 2),
        callback_token(b"another store", sent.run_id, 1),
        service.token(),
        sent.token.upper(),
        sent.token[:-1],
        sent.token + "0",
        None,
    ):
        answer = service.client(presented).post(url, json=BODIES[what])
        problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
    problem(told(service, sent, what, BODIES[what] | {"run_no": 2}), 401, "unauthorized")
    assert log_of(service) == before


@pytest.mark.parametrize("what", BODIES)
def test_run_that_never_was_is_unauthorized(service: Service, what: str) -> None:
    """A run that the store does not have is answered like a wrong token, also to the right one."""
    token = callback_token(service.store.secret, NOBODY, 1)
    problem(service.client(token).post(f"{RUNS}/{NOBODY}/{what}", json=BODIES[what]), 401, "unauthorized")


def test_callback_token_opens_nothing_else(service: Service, sent: DispatchRequest) -> None:
    """A worker's token is no access token."""
    worker = service.worker(sent)
    problem(worker.get(f"{PEOPLE}/{sent.person_id}"), 401, "unauthorized")
    problem(worker.post(f"{PEOPLE}/{sent.person_id}/run"), 401, "unauthorized")
    problem(worker.get(PEOPLE), 401, "unauthorized")


@pytest.mark.parametrize(
    ("what", "body", "field"),
    [
        ("claim", {}, "run_no"),
        ("claim", {"run_no": 1}, "external_run_id"),
        ("claim", X | {"content": {}}, "content"),
        ("claim", X | {"Run_no": 1}, "Run_no"),
        ("complete", X, "content"),
        ("complete", BODIES["complete"] | {"changeSummary": ""}, "changeSummary"),
        ("fail", X, "reason"),
        ("fail", X | {"reason": None}, "reason"),
        ("fail", X | {"reason": ["x"]}, "reason"),
        ("claim", X | {"run_no": True}, "run_no"),
        ("claim", X | {"run_no": "1"}, "run_no"),
        ("claim", X | {"run_no": 1.0}, "run_no"),
        ("claim", X | {"run_no": None}, "run_no"),
        ("claim", X | {"external_run_id": ""}, "external_run_id"),
        ("claim", X | {"external_run_id": "x" * 256}, "external_run_id"),
        ("complete", BODIES["complete"] | {"external_run_id": 7}, "external_run_id"),
        ("fail", BODIES["fail"] | {"external_run_id": "a\nb"}, "external_run_id"),
    ],
)
def test_malformed_callback_is_invalid(
    service: Service, sent: DispatchRequest, what: str, body: dict[str, Any], field: str
) -> None:
    """400 names the field, also one that nobody asked for: a worker that is wrong should know it."""
    before = log_of(service)
    assert problem(told(service, sent, what, body), 400, "invalid_request") == {"field": field}
    assert log_of(service) == before


@pytest.mark.parametrize("run_no", [0, -1, 2**31 + 1, 10**400])
def test_number_that_no_run_has_is_unauthorized_or_invalid(
    service: Service, sent: DispatchRequest, run_no: int
) -> None:
    """The token is of run 1, so no other number gets in; and one that no run can have is malformed anyway."""
    problem(told(service, sent, "claim", X | {"run_no": run_no}), 401, "unauthorized")
    token = callback_token(service.store.secret, sent.run_id, run_no)
    answer = service.client(token).post(f"{RUNS}/{sent.run_id}/claim", json=X | {"run_no": run_no})
    assert problem(answer, 400, "invalid_request") == {"field": "run_no"}


@pytest.mark.parametrize("raw", [rb'"\ud800"', rb'{"\udfff": 1}', b"[" * 101 + b"]" * 101])
def test_content_that_cannot_be_kept_is_invalid(service: Service, sent: DispatchRequest, raw: bytes) -> None:
    """Half a surrogate pair has no UTF-8, and a report is nested at most a hundred deep."""
    body = b'{"run_no": 1, "external_run_id": "x", "content": ' + raw + b"}"
    headers = {"Content-Type": "application/json"}
    answer = service.worker(sent).post(f"{RUNS}/{sent.run_id}/complete", content=body, headers=headers)
    assert problem(answer, 400, "invalid_request") == {"field": "content"}


def test_half_a_surrogate_pair_is_no_reason(service: Service, sent: DispatchRequest) -> None:
    """A reason that has no UTF-8 is refused, not lost."""
    body = rb'{"run_no": 1, "external_run_id": "x", "reason": "\ud800"}'
    headers = {"Content-Type": "application/json"}
    answer = service.worker(sent).post(f"{RUNS}/{sent.run_id}/fail", content=body, headers=headers)
    problem(answer, 400, "invalid_request")
    assert "RunFailed" not in log_of(service)


def test_large_report_is_taken_and_a_larger_one_is_not(service: Service, sent: DispatchRequest) -> None:
    """Two mebibytes are a report; above three it is refused, and a body above four is not even read."""
    problem(told(service, sent, "complete", X | {"content": "x" * (4 * 1024 * 1024)}), 413, "payload_too_large")
    problem(told(service, sent, "complete", X | {"content": "x" * (3 * 1024 * 1024)}), 400, "invalid_request")
    assert told(service, sent, "complete", X | {"content": "x" * (2 * 1024 * 1024)}).status_code == 200


@pytest.mark.parametrize("run_id", ["1", f"{NOBODY}0", f"{NOBODY}%0A", "00000000-0000-0000-0000-0000000000a1"])
def test_malformed_run_id_is_invalid(service: Service, sent: DispatchRequest, run_id: str) -> None:
    """An id that is no UUID is 400."""
    answer = service.worker(sent).post(f"{RUNS}/{run_id}/claim", json=X)
    assert problem(answer, 400, "invalid_request") == {"field": "run_id"}


def test_run_id_in_upper_case_is_the_same_run(service: Service, sent: DispatchRequest) -> None:
    """The token is that of the run, however its id is written."""
    answer = service.worker(sent).post(f"{RUNS}/{sent.run_id.upper()}/claim", json=X)
    assert answer.json()["run_id"] == sent.run_id
