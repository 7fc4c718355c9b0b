"""What never gets out: not in an answer what only the operator may know, and not in a log what only the caller may."""

import io
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from research_fsm import PersonKind, errors
from research_fsm.http import Caller, create_app
from research_fsm.http.app import OPERATIONS, Operation
from research_fsm.testing.scripted import Reply, ScriptedDispatcher
from research_fsm.tokens import callback_token
from tests.http.served import serving
from tests.http.service import ADA, NOBODY, OWNER, PEOPLE, RUNS, Service

WHERE = "/srv/secret/place.db"
STATEMENT = "SELECT secret FROM heads"
NAMES = ("Traceback", 'File "', WHERE, "secret", STATEMENT, "sqlite3", "psycopg", ".py", "research_fsm/")
"""What an answer must not have in it."""

BODIES: dict[str, Any] = {
    "/deep-research/people": ADA,
    "/v1/research": {"first_name": "Ada", "last_name": "Lovelace", "linkedin_url": "https://www.linkedin.com/in/ada"},
    "/credits/preview": {"action": "deep_research", "count": 1},
    "claim": {"run_no": 1, "external_run_id": "x"},
    "complete": {"run_no": 1, "external_run_id": "x", "content": {}},
    "fail": {"run_no": 1, "external_run_id": "x", "reason": "none"},
}

ERRORS: list[Exception] = [
    *(
        made(WHERE, STATEMENT)
        for made in vars(errors).values()
        if isinstance(made, type) and issubclass(made, errors.StoreError)
    ),
    errors.LogUnreadable(WHERE, STATEMENT),
    errors.RefusedError(WHERE),
    errors.ResearchError(WHERE),
    sqlite3.OperationalError(STATEMENT),
    FileNotFoundError(2, "No such file", WHERE),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, WHERE),
    KeyError(WHERE),
    ValueError(STATEMENT),
    RecursionError(WHERE),
    MemoryError(WHERE),
    TimeoutError(WHERE),
    ExceptionGroup(WHERE, [ValueError(STATEMENT)]),
    StopIteration(WHERE),
]
"""Whatever a store may raise, of ours and of anybody's."""


def recognise(request: Request) -> Caller:
    """Recognise everybody, as of the kind that opens what they ask for, without a look at the store."""
    return Caller(OWNER, PersonKind.PARTNER if "/v1/" in request.url.path else PersonKind.USER)


def asked(client: TestClient, operation: Operation, service: Service) -> Any:  # noqa: ANN401  # Either client's response.
    """Ask for an operation as well as one can."""
    path = "/api" + operation.path.replace("{person_id}", NOBODY).replace("{run_id}", NOBODY)
    token = callback_token(service.store.secret, NOBODY, 1)
    body = BODIES.get(operation.path, BODIES.get(path.rpartition("/")[2]))
    return client.request(operation.method, path, json=body, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_whatever_a_store_raises_no_answer_tells(
    service: Service, monkeypatch: pytest.MonkeyPatch, operation: Operation, error: Exception
) -> None:
    """No stack trace, no path, no SQL, in no header and no body, from any operation."""

    def broken(*_: object, **__: object) -> object:
        raise error

    async def broken_too(*_: object, **__: object) -> object:
        raise error

    for name in ("read", "linked", "snapshot", "transact"):
        monkeypatch.setattr(service.store, name, broken)
    monkeypatch.setattr(service.store, "transact_async", broken_too)
    client = TestClient(create_app(service.runs, authenticate=recognise), raise_server_exceptions=False)
    answer = asked(client, operation, service)
    described = operation.path in {"/openapi.json", "/docs", "/credits/config"}
    assert answer.status_code == 200 if described else answer.status_code >= 500, answer.text
    if not described:
        assert answer.headers["content-type"] == "application/problem+json"
        everything = answer.text + repr(answer.headers)
        assert [name for name in NAMES if name in everything] == []


# --- logs ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that anybody logs, at every level, as an operator would read it."""
    text = io.StringIO()
    handler, root = logging.StreamHandler(text), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.NOTSET)
    yield text
    root.setLevel(level)
    root.removeHandler(handler)


def test_no_token_and_no_person_is_ever_logged(tmp_path: Path, logged: io.StringIO) -> None:
    """A whole life over real sockets, with mistakes and a store that is gone in the end: not a word of it in a log."""
    marks = ("Adamark", "Lovelacemark", "companymark", "reportmark", "reasonmark", "keymark", "adaurlmark")
    engine = ScriptedDispatcher(Reply.ACCEPTED, Reply.RAISES, Reply.REFUSED)
    with serving(tmp_path / "research.db", engine) as service:
        service.runs.grant(OWNER, 5)
        secrets = [service.headers["Authorization"].removeprefix("Bearer ")]
        person = {
            "firstName": marks[0],
            "lastName": marks[1],
            "company": marks[2],
            "linkedinUrl": f"linkedin.com/in/{marks[6]}",
        }
        with service.client() as client, service.client() as worker:
            keyed = {"Idempotency-Key": marks[5]}
            person_id = client.post(PEOPLE, json=person, headers=keyed).json()["person"]["id"]
            client.post(PEOPLE, json={**person, "company": marks[2] * 200}, headers=keyed)
            client.post(PEOPLE, json={**person, "photoUrl": f"{marks[0]}\n"})
            client.post(PEOPLE, content=f'{{"firstName": "{marks[0]}', headers={"Content-Type": "application/json"})
            sent = engine.requests[0]
            secrets.append(sent.token)
            worker.headers["Authorization"] = f"Bearer {sent.token}"
            run = {"run_no": 1, "external_run_id": "x"}
            worker.post(f"{RUNS}/{sent.run_id}/claim", json=run)
            worker.post(f"{RUNS}/{sent.run_id}/complete", json={**run, "content": {"text": marks[3]}})
            worker.post(f"{RUNS}/{sent.run_id}/fail", json={**run, "reason": marks[4]})
            client.post(f"{PEOPLE}/{person_id}/mark-stale")
            client.post(f"{PEOPLE}/{person_id}/run")
            client.post(PEOPLE, json=person)
            client.get(f"{PEOPLE}/{person_id}/report", headers={"Authorization": f"Bearer {secrets[0]}x"})
            service.runs.store.close()
            client.post(PEOPLE, json=person)
            worker.post(f"{RUNS}/{sent.run_id}/complete", json={**run, "content": {"text": marks[3]}})
    text = logged.getvalue()
    assert "could not be answered" in text
    assert "the dispatcher raised" in text
    assert [mark for mark in (*marks, *secrets) if mark in text] == []
