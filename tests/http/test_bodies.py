"""What a body may be: bounded, declared as JSON, and readable in one way only."""

import itertools
import json
import logging
import sys
import time

import pytest

from research_fsm.http import bodies
from tests.http.asgi import Exchange
from tests.http.service import ADA, OWNER, PEOPLE, RUNS, Service, log_of, problem

MEBIBYTE = 1024 * 1024
JSON = {"Content-Type": "application/json"}


def wire(service: Service, *more: tuple[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers of somebody who may create people."""
    token = service.user.headers["authorization"].encode()
    return (b"authorization", token), (b"content-type", b"application/json"), *more


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"linkedinUrl": "https://www.linked',
        b'{"linkedinUrl": "linkedin.com/in/ada"} x',
        b"[]",
        b"null",
        b'"linkedin.com/in/ada"',
        b"7",
        b'{"a": NaN, "linkedinUrl": "linkedin.com/in/ada"}',
        b'{"a": -Infinity, "linkedinUrl": "linkedin.com/in/ada"}',
        b'{"a": 1e999, "linkedinUrl": "linkedin.com/in/ada"}',
        b'{"a": ' + b"9" * 5000 + b', "linkedinUrl": "linkedin.com/in/ada"}',
        b'{"a": "\xff", "linkedinUrl": "linkedin.com/in/ada"}',
        b'\xef\xbb\xbf{"linkedinUrl": "linkedin.com/in/ada"}',
        json.dumps(ADA).encode("utf-16"),
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"linkedinUrl": "linkedin.com/in/ada", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"linkedinUrl=linkedin.com/in/ada",
    ],
)
def test_body_that_is_no_json_object_is_invalid(service: Service, body: bytes) -> None:
    """400 names the body, and nobody is created."""
    assert problem(service.user.post(PEOPLE, content=body, headers=JSON), 400, "invalid_request") == {"field": "body"}
    assert log_of(service) == ["CreditsGranted"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"linkedinUrl": "linkedin.com/in/ada", "linkedinUrl": "linkedin.com/in/bob"}', "linkedinUrl"),
        (b'{"linkedinUrl": "linkedin.com/in/ada", "x": [{"y": 1, "z": 2, "z": 2}]}', "z"),
        (rb'{"a": 1, "\u0061": 2, "linkedinUrl": "linkedin.com/in/ada"}', "a"),
        (rb'{"\ud800": 1, "\ud800": 2}', "\ud800"),
    ],
)
def test_key_that_is_there_twice_is_invalid(service: Service, body: bytes, field: str) -> None:
    """Two readers would understand it differently, at whatever depth."""
    answer = service.user.post(PEOPLE, content=body, headers=JSON)
    assert problem(answer, 400, "invalid_request") == {"field": field}


@pytest.mark.parametrize(
    ("inside", "status"),
    [
        (b"[" * (bodies.DEEPEST - 1) + b"]" * (bodies.DEEPEST - 1), 201),
        (b"[" * bodies.DEEPEST + b"]" * bodies.DEEPEST, 400),
        (b'{"x":' * (bodies.DEEPEST // 2) + b"[" * (bodies.DEEPEST // 2), 400),
        (b'"' + b"[{" * 100_000 + b'"', 201),
        (rb'"\\" , "y": "' + rb"\"[" * 100_000 + rb'\""', 201),
        (b"[" + b"[]," * 100_000 + b"[]]", 201),
    ],
)
def test_depth_is_counted_outside_of_texts(service: Service, inside: bytes, status: int) -> None:
    """What stands in a text nests nothing, nor do many lists side by side."""
    body = b'{"linkedinUrl": "linkedin.com/in/ada", "x": ' + inside + b"}"
    assert service.user.post(PEOPLE, content=body, headers=JSON).status_code == status


@pytest.mark.parametrize("deep", [b"[" * 200 + b'"' + rb"\"" * 500_000, b"[" * 200 + b"\\" * 10**6, b'["' * 340_000])
def test_looking_at_the_depth_takes_no_longer_than_there_is_body(service: Service, deep: bytes) -> None:
    """A megabyte that was made to be gone over again and again is refused as quickly as any."""
    before = time.perf_counter()
    answer = service.user.post(PEOPLE, content=deep, headers=JSON)
    assert problem(answer, 400, "invalid_request") == {"field": "body"}
    assert time.perf_counter() - before < 20  # Going back at each quotation mark would take minutes.


def test_depth_does_not_depend_on_how_deep_the_host_recurses(service: Service) -> None:
    """A host that lets Python recurse a million times is not brought down by a body that does."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10**6)
    try:
        answer = service.user.post(PEOPLE, content=b"[" * 10**6, headers=JSON)
    finally:
        sys.setrecursionlimit(limit)
    assert problem(answer, 400, "invalid_request") == {"field": "body"}


def test_key_that_is_there_twice_is_found_among_many(service: Service) -> None:
    """A hundred thousand members are looked through once, not once for each."""
    body = "{" + ",".join(f'"{number}":0' for number in range(10**5)) + ',"99999":0}'
    answer = service.user.post(PEOPLE, content=body, headers=JSON)
    assert problem(answer, 400, "invalid_request") == {"field": "99999"}


@pytest.mark.parametrize("value", ["application/json", "Application/JSON; charset=utf-8", " application/json "])
def test_json_by_any_spelling_is_taken(service: Service, value: str) -> None:
    """Case and parameters of the media type do not matter."""
    answer = service.user.post(PEOPLE, content=json.dumps(ADA), headers={"Content-Type": value})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_other_media_types_are_not_supported(service: Service, headers: dict[str, str]) -> None:
    """415 for what is not declared as plain JSON, whatever it contains."""
    answer = service.user.post(PEOPLE, content=json.dumps(ADA).encode(), headers=headers)
    problem(answer, 415, "unsupported_media_type")
    assert log_of(service) == ["CreditsGranted"]


def test_person_of_exactly_a_mebibyte_is_taken(service: Service) -> None:
    """The limit itself is allowed."""
    body = json.dumps(ADA | {"x": ""})
    body = body.replace('""', '"' + "x" * (MEBIBYTE - len(body)) + '"')
    assert len(body) == MEBIBYTE
    assert service.user.post(PEOPLE, content=body, headers=JSON).status_code == 201
    answer = service.user.post(PEOPLE, content=body + " ", headers=JSON)
    assert problem(answer, 413, "payload_too_large") == {"limit": MEBIBYTE}


@pytest.mark.parametrize("length", [b"1048577", b"99999999999999999999999"])
def test_declared_length_is_refused_unread(service: Service, length: bytes) -> None:
    """A body that says itself that it is too long is not read at all."""
    exchange = Exchange(PEOPLE, [b"x" * 1000], wire(service, (b"content-length", length)))
    assert exchange.with_app(service.app)["code"] == "payload_too_large"
    assert (exchange.status, exchange.taken) == (413, 0)


@pytest.mark.parametrize("declared", [(), ((b"content-length", b"10"),), ((b"content-length", b"-1"),)])
def test_endless_body_is_refused_while_it_streams(service: Service, declared: tuple[tuple[bytes, bytes], ...]) -> None:
    """A hundred megabytes without a length, or with a wrong one, are left off right behind the limit."""
    chunks = itertools.repeat(b"x" * 65_536, 1600)
    exchange = Exchange(PEOPLE, chunks, wire(service, *declared))
    assert exchange.with_app(service.app)["limit"] == MEBIBYTE
    assert (exchange.status, exchange.taken) == (413, MEBIBYTE + 65_536)


def test_limit_holds_to_the_byte_without_a_length(service: Service) -> None:
    """A streamed body of exactly the limit is read to its end, and one byte more is too much."""
    exchange = Exchange(PEOPLE, [b" " * MEBIBYTE], wire(service))
    assert exchange.with_app(service.app)["code"] == "invalid_request"
    exchange = Exchange(PEOPLE, [b" " * MEBIBYTE, b" "], wire(service))
    assert exchange.with_app(service.app)["code"] == "payload_too_large"


def test_body_of_somebody_unknown_is_not_read(service: Service) -> None:
    """Who presents no valid token is refused before a byte of the body is taken."""
    for path in (PEOPLE, f"{RUNS}/00000000-0000-4000-8000-0000000000a1/complete"):
        headers = ((b"content-type", b"application/json"), (b"authorization", b"Bearer something-else"))
        exchange = Exchange(path, [b"x" * 100], headers)
        assert exchange.with_app(service.app)["code"] == "unauthorized"
        assert (exchange.status, exchange.taken) == (401, 0)


def test_client_that_goes_away_is_no_error_of_ours(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    """Half a body creates nobody and fills no log."""
    with caplog.at_level(logging.DEBUG, "research_fsm"):
        exchange = Exchange(PEOPLE, [json.dumps(ADA).encode()[:20]], wire(service), ends=False)
        assert exchange.with_app(service.app)["code"] == "invalid_request"
    assert log_of(service) == ["CreditsGranted"]
    assert caplog.records == []


def test_body_in_small_pieces_is_one_body(service: Service) -> None:
    """A byte at a time is as good as all at once."""
    chunks = [bytes([byte]) for byte in json.dumps(ADA).encode()]
    exchange = Exchange(PEOPLE, chunks, wire(service))
    assert exchange.with_app(service.app)["person"]["user_id"] == OWNER
    assert exchange.status == 201
