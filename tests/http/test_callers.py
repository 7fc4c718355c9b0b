"""Who is let in: bearers of access tokens, and whoever a host recognises."""

import logging

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from research_fsm import PersonKind
from research_fsm.http import Caller, create_app
from tests.http.service import ADA, OTHER_OWNER, OWNER, PEOPLE, Service, problem

OPERATIONS = [("POST", "/run"), ("GET", ""), ("GET", "/report"), ("POST", "/mark-stale"), ("DELETE", "")]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_nobody_is_let_in_without_a_token(service: Service, method: str, path: str) -> None:
    """401 with the challenge, for every operation on a person."""
    answer = service.nobody.request(method, f"{PEOPLE}/{service.add()}{path}")
    problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_lists_or_creates_without_a_token(service: Service, method: str) -> None:
    """401 for the people as a whole."""
    problem(service.nobody.request(method, PEOPLE, json=ADA), 401, "unauthorized")


def test_token_is_asked_for_before_anything_is_checked(service: Service) -> None:
    """Who is not let in learns nothing about ids, bodies or keys."""
    problem(service.nobody.post(f"{PEOPLE}/1/run", headers={"Idempotency-Key": ""}), 401, "unauthorized")
    problem(service.nobody.post(PEOPLE, content=b"{"), 401, "unauthorized")


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Basic {}",
        b"{}",
        b"Token {}",
        b"Bearer {} x",
        b"Bearer {},Bearer {}",
        b'Bearer "{}"',
        b"Bearer x{}",
        b"Bearer {}x",
        b"Bearer rfsm_",
        b"Bearer " + b"rfsm_" + b"x" * 100_000,
        b"Bearer \xff\xfe",
        b"Bearer {}\xe9",
        b"Bearer {}\xd9\xa1",
        b"Bearer\t{}",
    ],
)
def test_malformed_token_is_unauthorized(service: Service, value: bytes) -> None:
    """A header that is not exactly the scheme and a known token lets nobody in."""
    secret = service.token().encode()
    answer = service.nobody.get(PEOPLE, headers={b"Authorization": value.replace(b"{}", secret)})
    problem(answer, 401, "unauthorized")


def test_two_tokens_are_none(service: Service) -> None:
    """Two Authorization headers, each of them right, are not one."""
    header = ("Authorization", f"Bearer {service.token()}")
    problem(service.nobody.get(PEOPLE, headers=[header, header]), 401, "unauthorized")


def test_token_is_taken_from_the_header_alone(service: Service) -> None:
    """A token in the query or in a cookie is not looked at."""
    secret = service.token()
    problem(service.nobody.get(PEOPLE, params={"access_token": secret, "token": secret}), 401, "unauthorized")
    problem(service.nobody.get(PEOPLE, headers={"Cookie": f"token={secret}"}), 401, "unauthorized")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
def test_scheme_in_any_case_is_bearer(service: Service, scheme: str) -> None:
    """The scheme's name has no case."""
    answer = service.nobody.get(PEOPLE, headers={"Authorization": f"{scheme} {service.token()}"})
    assert answer.status_code == 200


def test_revoked_token_is_unauthorized(service: Service) -> None:
    """A revoked token opens nothing from then on."""
    made = service.runs.tokens.create(OWNER)
    client = service.client(made.secret)
    assert client.get(PEOPLE).status_code == 200
    service.runs.tokens.revoke(made.token_id)
    problem(client.get(PEOPLE), 401, "unauthorized")


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_partners_token_is_forbidden(service: Service, method: str, path: str) -> None:
    """A partner's token is valid, but of the wrong kind: 403, whoever's the person is; nothing happens."""
    partner = service.client(service.token(kind=PersonKind.PARTNER))
    problem(partner.request(method, f"{PEOPLE}/{service.add()}{path}"), 403, "forbidden")
    assert service.dispatcher.requests == []


def test_partner_creates_nobody_here(service: Service) -> None:
    """Partners submit a URL elsewhere: 403."""
    partner = service.client(service.token(kind=PersonKind.PARTNER))
    problem(partner.post(PEOPLE, json=ADA), 403, "forbidden")
    problem(partner.get(PEOPLE), 403, "forbidden")


def test_host_may_recognise_callers_itself(service: Service) -> None:
    """A host's own callable says who asks, and access tokens mean nothing then."""

    def by_header(request: Request) -> Caller | None:
        name = request.headers.get("x-user")
        return None if name is None else Caller(name, actor=f"host:{name}")

    client = TestClient(create_app(service.runs, authenticate=by_header))
    person_id = service.add()
    assert client.post(f"{PEOPLE}/{person_id}/run", headers={"X-User": OWNER}).status_code == 200
    problem(client.get(f"{PEOPLE}/{person_id}", headers={"X-User": OTHER_OWNER}), 404, "not_found")
    problem(client.get(PEOPLE, headers={"Authorization": f"Bearer {service.token()}"}), 401, "unauthorized")
    started = next(event for event in service.runs.history(person_id) if event.type == "RunStarted")
    assert b'"actor":"host:acme"' in started.meta


def test_tokens_are_never_logged(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever happens, no token and no callback token stands in a log, not even when something breaks."""
    secret = service.token()
    client = service.client(secret)
    person_id = service.add()
    with caplog.at_level(logging.DEBUG):
        client.post(f"{PEOPLE}/{person_id}/run")
        sent = service.dispatcher.requests[0]
        service.store.close()
        client.post(f"{PEOPLE}/{person_id}/run")
        service.worker(sent).post(
            f"/api/deep-research/runs/{sent.run_id}/claim", json={"run_no": 1, "external_run_id": "x"}
        )
    logged = caplog.text
    assert "could not be answered" in logged
    assert secret not in logged
    assert sent.token not in logged
