"""A host's own rate limit: one callable, asked before anything is read or done."""

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from research_fsm.http import Caller, create_app
from tests.http.asgi import Exchange
from tests.http.service import ADA, OWNER, PEOPLE, RUNS, Service, log_of, problem


class Limited:
    """Remembers who asked, and lets nobody in for so many seconds.

    Args:
        seconds: When to come back; None lets everybody in.
    """

    def __init__(self, seconds: float | None) -> None:
        self.asked: list[tuple[str, Caller | None]] = []
        self._seconds = seconds

    def __call__(self, request: Request, caller: Caller | None) -> float | None:
        """Say when to come back."""
        self.asked.append((request.url.path, caller))
        return self._seconds


@pytest.mark.parametrize(("seconds", "told"), [(0.1, "1"), (1, "1"), (1.2, "2"), (60, "60"), (0, "1"), (-5, "1")])
def test_whoever_asks_too_often_is_told_when_to_come_back(service: Service, seconds: float, told: str) -> None:
    """429 with whole seconds, rounded up, at least one; nothing is done."""
    client = TestClient(create_app(service.runs, limit=Limited(seconds)), headers=dict(service.user.headers))
    answer = client.post(PEOPLE, json=ADA)
    assert problem(answer, 429, "rate_limited") == {}
    assert answer.headers["retry-after"] == told
    assert log_of(service) == ["CreditsGranted"]


def test_the_limit_sees_who_asks(service: Service) -> None:
    """A caller who was recognised; nobody for a wrong token, for a worker, and where anybody may ask."""
    limit = Limited(None)
    client = TestClient(create_app(service.runs, limit=limit))
    token = {"Authorization": service.user.headers["authorization"]}
    assert client.post(PEOPLE, json=ADA, headers=token).status_code == 201
    problem(client.get(PEOPLE), 401, "unauthorized")
    sent = service.dispatcher.requests[0]
    claim = {"run_no": 1, "external_run_id": "x"}
    worker = {"Authorization": f"Bearer {sent.token}"}
    assert client.post(f"{RUNS}/{sent.run_id}/claim", json=claim, headers=worker).status_code == 200
    assert client.get("/api/healthz").status_code == 200
    owners = [(path, caller and caller.owner) for path, caller in limit.asked]
    assert owners == [(PEOPLE, OWNER), (PEOPLE, None), (f"{RUNS}/{sent.run_id}/claim", None), ("/api/healthz", None)]


def test_the_body_of_somebody_who_is_limited_is_not_read(service: Service) -> None:
    """Nor is it waited for."""
    headers = ((b"authorization", service.user.headers["authorization"].encode()),)
    exchange = Exchange(PEOPLE, [b"x" * 1000], headers)
    assert exchange.with_app(create_app(service.runs, limit=Limited(5)))["code"] == "rate_limited"
    assert exchange.taken == 0


def test_a_limit_that_breaks_lets_nobody_in(service: Service) -> None:
    """It is a mistake of the host's, and logged as one."""

    def broken(*_: object) -> float:
        raise ZeroDivisionError

    client = TestClient(create_app(service.runs, limit=broken), headers=dict(service.user.headers))
    problem(client.post(PEOPLE, json=ADA), 500, "internal_error")
    assert log_of(service) == ["CreditsGranted"]
