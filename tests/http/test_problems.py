"""Every "no": its status, its code, its facts, and nothing that only the operator may read."""

import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import get_args

import pytest

from research_fsm import InvalidInput, errors, outcomes
from research_fsm.errors import ResearchError, StoreError
from research_fsm.http import Code
from research_fsm.http.problems import HttpRefusal, Problem, refused
from research_fsm.outcomes import AlreadyAdded, EntrySkipped, GrantIdReused, GrantNotFound, Refusal
from research_fsm.tokens import AccessTokens
from tests.http.service import ADA, NOBODY, NOW, PEOPLE, Service, problem

WHERE = "/srv/secret/place.db"
PROBLEM = "SELECT * FROM heads: database is locked"

STATUSES = {
    "unauthorized": 401,
    "forbidden": 403,
    "invalid_request": 400,
    "not_found": 404,
    "already_running": 409,
    "already_added": 409,
    "insufficient_credits": 402,
    "dispatch_failed": 502,
    "stale_run": 409,
    "not_complete": 409,
    "idempotency_key_reused": 422,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "rate_limited": 429,
    "store_busy": 503,
    "store_unavailable": 503,
    "internal_error": 500,
}


def test_every_code_has_its_status() -> None:
    """The codes and their statuses are a promise."""
    assert {str(code): Problem(code, "detail").response().status_code for code in Code} == STATUSES


def test_every_refusal_has_a_problem() -> None:
    """Every refusal of the domain can be answered, but those of grants and the queue, which no operation asks for."""
    refusals = {cls for cls in vars(outcomes).values() if isinstance(cls, type) and issubclass(cls, Refusal)}
    assert set(get_args(HttpRefusal)) == refusals - {Refusal, EntrySkipped, GrantIdReused, GrantNotFound}


def test_partners_person_is_already_there() -> None:
    """A partner's second person under one URL is answered with the first."""
    told = refused(AlreadyAdded(NOBODY), lambda: NOW)
    assert (told.code, told.facts) == (Code.ALREADY_ADDED, {"person_id": NOBODY})


def test_problem_is_sent_whatever_is_in_it() -> None:
    """Half a surrogate pair in a detail or a fact does not keep the answer from being sent."""
    body = bytes(Problem(Code.INVALID_REQUEST, "\ud800", {"field": "\udfff"}).response().body)
    assert (json.loads(body)["detail"], json.loads(body)["field"]) == ("\ud800", "\udfff")
    assert body.isascii()


def raising(service: Service, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let the store raise whenever something is to be changed."""

    def transact(*_: object) -> object:
        raise error

    monkeypatch.setattr(service.store, "transact", transact)


STORE_ERRORS: list[tuple[Callable[[str, str], ResearchError], int, str, str | None]] = [
    (errors.StoreBusy, 503, "store_busy", "1"),
    (errors.FeedStalled, 503, "store_busy", "1"),
    (errors.CommitUnknown, 503, "store_unavailable", "1"),
    (errors.StoreFull, 503, "store_unavailable", "30"),
    (errors.StoreReadOnly, 503, "store_unavailable", "30"),
    (errors.StoreUnavailable, 503, "store_unavailable", "30"),
    (errors.StoreClosed, 503, "store_unavailable", "30"),
    (errors.StoreDamaged, 500, "internal_error", None),
    (errors.StoreForeign, 500, "internal_error", None),
    (errors.StoreTooNew, 500, "internal_error", None),
    (errors.WriteRejected, 500, "internal_error", None),
    (errors.StoreError, 500, "internal_error", None),
    (errors.LogUnreadable, 500, "internal_error", None),
]


@pytest.mark.parametrize(("error", "status", "code", "retry_after"), STORE_ERRORS)
def test_store_error_keeps_its_place_to_itself(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    error: Callable[[str, str], ResearchError],
    status: int,
    code: str,
    retry_after: str | None,
) -> None:
    """An error of the store is a problem without its path and its statement, and says when to come back."""
    person_id = service.add()
    raising(service, monkeypatch, error(WHERE, PROBLEM))
    for answer in (service.user.post(f"{PEOPLE}/{person_id}/run"), service.user.post(PEOPLE, json=ADA)):
        assert problem(answer, status, code) == {}
        assert answer.headers.get("retry-after") == retry_after
        assert "secret" not in answer.text
        assert "SELECT" not in answer.text


def test_every_store_error_was_tried() -> None:
    """The list above has every error that a store can raise."""
    known = {cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, StoreError)}
    assert {row[0] for row in STORE_ERRORS} == known | {errors.LogUnreadable}


def test_unexpected_error_is_logged_and_not_told(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug is a problem for the caller and a stack trace for the operator."""
    person_id = service.add()
    raising(service, monkeypatch, ZeroDivisionError(f"in {WHERE}"))
    answer = service.user.post(f"{PEOPLE}/{person_id}/run")
    assert problem(answer, 500, "internal_error") == {}
    assert not {"Traceback", "secret", "ZeroDivision"} & set(answer.text.replace('"', " ").split())
    assert [record.levelno for record in caplog.records if record.exc_info] == [logging.ERROR]
    assert WHERE in caplog.text


def test_busy_store_is_no_error_of_the_log(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Load is answered, not logged with a stack trace for each request."""
    person_id = service.add()
    raising(service, monkeypatch, errors.StoreBusy(WHERE, PROBLEM))
    service.user.post(f"{PEOPLE}/{person_id}/run")
    assert [record for record in caplog.records if record.exc_info] == []


def test_malformed_value_that_only_the_domain_finds_is_invalid(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `Runs` itself refuses as malformed is 400 with its field."""
    person_id = service.add()
    raising(service, monkeypatch, InvalidInput("somewhere", "must be otherwise"))
    answer = service.user.post(f"{PEOPLE}/{person_id}/run")
    assert answer.json()["detail"] == "somewhere: must be otherwise"
    assert problem(answer, HTTPStatus.BAD_REQUEST, "invalid_request") == {"field": "somewhere"}


def test_broken_authentication_is_a_problem(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error while a caller is recognised lets nobody in."""

    def authenticate(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(AccessTokens, "authenticate", authenticate)
    problem(service.user.get(PEOPLE), 500, "internal_error")
