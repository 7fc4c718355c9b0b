"""What is sent to Trigger.dev, to the byte, and what every answer to a trigger means."""

import json
from datetime import timedelta
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from research_fsm import PersonKind
from research_fsm.dispatchers.trigger_dev.contract import (
    Answer,
    NoAnswer,
    cancel_request,
    classify,
    list_request,
    output_request,
    run_request,
    tag,
    trigger_request,
)
from research_fsm.events import AttemptResult
from tests.dispatchers.service import KEY, PERSON_ID, PUBLIC_URL, RUN_ID, TOKEN, request, settings

ACCEPTED, REFUSED, NOT_SENT, AMBIGUOUS = (
    AttemptResult.ACCEPTED,
    AttemptResult.REFUSED,
    AttemptResult.NOT_SENT,
    AttemptResult.AMBIGUOUS,
)

# The names and types of TriggerTaskRequestBody's options, as the vendor documents them; none of them may be null.
DOCUMENTED = {"idempotencyKey": str, "idempotencyKeyTTL": str, "ttl": int, "tags": list}


# --- what is sent ------------------------------------------------------------------------------------------------


def test_a_trigger_is_these_very_bytes() -> None:
    """The golden request: whoever changes it changes what a resend sends, too."""
    sent = trigger_request(settings(), request())
    assert sent.method == "POST"
    assert sent.url == "https://api.trigger.dev/api/v1/tasks/deep-research-enrich/trigger"
    assert sent.body is not None
    assert sent.body.decode() == (
        '{"options":{'
        f'"idempotencyKey":"{KEY}","idempotencyKeyTTL":"24h","tags":["research-run:{RUN_ID}"],"ttl":600'
        '},"payload":{'
        f'"callback":{{"token":"{TOKEN}","url":"{PUBLIC_URL}/deep-research/runs/{RUN_ID}"}},'
        f'"person_id":"{PERSON_ID}","run_id":"{RUN_ID}","run_no":1'
        "}}"
    )


def test_options_are_documented_ones_and_never_null() -> None:
    """The engine drops a name it does not know without a word, and refuses null."""
    sent = json.loads(trigger_request(settings(), request()).body or b"")
    assert set(sent) == {"payload", "options"}
    assert {name: type(value) for name, value in sent["options"].items()} == DOCUMENTED


def test_the_key_is_64_characters_and_the_tag_fits() -> None:
    """A key of another length could not be looked up or reset in the engine; a comma would end a tag in a filter."""
    options = json.loads(trigger_request(settings(), request()).body or b"")["options"]
    assert len(options["idempotencyKey"]) == 64
    assert options["tags"] == [tag(RUN_ID)]
    assert len(tag(RUN_ID)) <= 128
    assert "," not in tag(RUN_ID)


def test_a_partners_run_goes_to_the_partners_task_with_its_own_settings() -> None:
    """The kind of person chooses the task; the time in the queue is in whole seconds."""
    configured = settings(partner_task="other", queue_ttl=timedelta(minutes=3), api_url="http://t.example:3030/x/")
    sent = trigger_request(configured, request(kind=PersonKind.PARTNER, run_no=7))
    assert sent.url == "http://t.example:3030/x/api/v1/tasks/other/trigger"
    body = json.loads(sent.body or b"")
    assert (body["options"]["ttl"], body["payload"]["run_no"]) == (180, 7)


def test_the_request_alone_makes_the_bytes() -> None:
    """Made again, from the log and the same settings, it is the same to the last header."""
    first, again = trigger_request(settings(), request()), trigger_request(settings(), request())
    assert first == again
    assert first.headers == again.headers


def test_ids_of_engine_runs_are_quoted() -> None:
    """Whatever an id is, it stays one segment of the path."""
    assert run_request(settings(), "run_1").url == "https://api.trigger.dev/api/v3/runs/run_1"
    assert run_request(settings(), "a/../b?c").url == "https://api.trigger.dev/api/v3/runs/a%2F..%2Fb%3Fc"
    assert cancel_request(settings(), "a/b").url == "https://api.trigger.dev/api/v2/runs/a%2Fb/cancel"


def test_a_read_asks_for_the_version_whose_statuses_are_known() -> None:
    """Without the header the engine answers with statuses of another age."""
    assert run_request(settings(), "run_1").headers["x-trigger-api-version"] == "2025-07-16"


def test_a_list_is_filtered_by_tag_and_task() -> None:
    """The filter's names have brackets, which travel encoded."""
    url = list_request(settings(), request()).url
    assert url.startswith("https://api.trigger.dev/api/v1/runs?filter%5Btag%5D=research-run%3A0f0f0f0f")
    assert "filter%5BtaskIdentifier%5D=deep-research-enrich" in url


def test_the_key_goes_to_the_engine_alone() -> None:
    """An output that is kept elsewhere is fetched without it."""
    assert "Authorization" not in output_request("https://store.example/x?signature=y").headers
    for call in (trigger_request(settings(), request()), run_request(settings(), "x"), cancel_request(settings(), "x")):
        assert call.headers["Authorization"] == "Bearer tr_dev_fake0000"
        assert "tr_dev" not in repr(call)
        assert TOKEN not in repr(call)


# --- what an answer means ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"run_1","isCached":false}',
        b'{"id":"run_1","isCached":true}',
        b'{"id":"run_1"}',
        b' {"new":{"more":[1]},"id":"run_1"} ',
    ],
)
@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_readable_answer_is_accepted(body: bytes, status: int) -> None:
    """``isCached`` may be absent, and more fields may appear; the vendor's client takes every 2xx."""
    outcome = classify(Answer(status, {}, body))
    assert (outcome.result, outcome.external_id, outcome.reason) == (ACCEPTED, "run_1", f"http_{status}")


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b"<html>",
        b'{"id":"run_1"',
        b'"run_1"',
        b'["run_1"]',
        b"null",
        b"{}",
        b'{"id":""}',
        b'{"id":null}',
        b'{"id":1}',
        b'{"id":["run_1"]}',
        b'{"id":"run 1"}',
        b'{"id":"run_1\\u0000"}',
        b'{"id":"' + b"x" * 256 + b'"}',
        b'{"id":"run_1","isCached":"no"}',
        b'{"id":"run_1","isCached":null}',
        b'\xff{"id":"run_1"}',
        b"[" * 100_000,
    ],
)
def test_an_unreadable_200_is_ambiguous(body: bytes | None) -> None:
    """Something took it, and a resend with the same key tells which run it is."""
    outcome = classify(Answer(200, {}, body))
    assert (outcome.result, outcome.external_id, outcome.reason) == (AMBIGUOUS, None, "unreadable_answer")


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 411, 413, 415, 418, 422, 425, 428, 431, 451])
def test_a_defined_4xx_is_refused(status: int) -> None:
    """It says that the request will not be done; a 422 may be the engine's own credits, and is never our 402."""
    outcome = classify(Answer(status, {}, b'{"id":"run_1"}'))
    assert (outcome.result, outcome.external_id, outcome.reason) == (REFUSED, None, f"http_{status}")


@pytest.mark.parametrize("status", [408, 409, 460, 499, 500, 502, 503, 504, 520, 599])
def test_a_timeout_a_conflict_and_a_failure_are_ambiguous(status: int) -> None:
    """A 500 can mean that the row was created; a 4xx that nobody defined is a gateway's, about its own patience."""
    outcome = classify(Answer(status, {}, b'{"id":"run_1"}'))
    assert (outcome.result, outcome.external_id, outcome.reason) == (AMBIGUOUS, None, f"http_{status}")


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (101, AMBIGUOUS),
        (300, AMBIGUOUS),
        (301, AMBIGUOUS),
        (302, AMBIGUOUS),
        (303, AMBIGUOUS),
        (304, AMBIGUOUS),
        (307, REFUSED),
        (308, REFUSED),
    ],
)
def test_a_redirect_is_refused_only_if_it_says_that_nothing_was_done(status: int, result: AttemptResult) -> None:
    """307 and 308 ask for the same request elsewhere; after the others it may have been done."""
    assert classify(Answer(status, {"location": "https://elsewhere.example"}, b"")).result is result


@pytest.mark.parametrize(
    ("reset", "retry_at"),
    [
        ("1800000060000", 1_800_000_060_000_000),
        ("1800000060", None),
        ("60", None),
        ("", None),
        ("soon", None),
        ("1800000060000.5", None),
        ("-1800000060000", None),
        ("9" * 40, None),
        ("१८०००००६००००", None),
    ],
)
def test_a_429_is_refused_until_its_reset(reset: str, retry_at: int | None) -> None:
    """The header is in milliseconds; what cannot be milliseconds of this age is not guessed at."""
    outcome = classify(Answer(429, {"x-ratelimit-reset": reset}, b""))
    assert (outcome.result, outcome.reason, outcome.retry_at) == (REFUSED, "http_429", retry_at)


def test_only_a_429_says_when_to_come_back() -> None:
    """The limiter's headers come with every answer."""
    headers = {"x-ratelimit-reset": "1800000060000"}
    assert classify(Answer(422, headers, b"")).retry_at is None
    assert classify(Answer(200, headers, b'{"id":"run_1"}')).retry_at is None


def test_no_answer_is_ambiguous_once_a_byte_may_have_left() -> None:
    """That nothing was sent must be certain."""
    assert classify(NoAnswer("connect_timeout", sent=False)).result is NOT_SENT
    outcome = classify(NoAnswer("read_timeout", sent=True))
    assert (outcome.result, outcome.reason) == (AMBIGUOUS, "read_timeout")


@given(status=st.integers(100, 999), body=st.none() | st.binary(max_size=50) | st.just(b'{"id":"run_1"}'))
def test_every_answer_has_a_meaning(status: int, body: bytes | None) -> None:
    """Accepted needs a 2xx with a run, refused a status that says no; everything else is ambiguous."""
    outcome = classify(Answer(status, {}, body))
    if outcome.result is ACCEPTED:
        assert 200 <= status < 300
        assert outcome.external_id is not None
    elif outcome.result is REFUSED:
        assert HTTPStatus(status)
        assert status in (307, 308) or (400 <= status < 500 and status not in (408, 409))
    else:
        assert outcome.result is AMBIGUOUS
