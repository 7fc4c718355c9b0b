"""What reads of Trigger.dev prove: a run that is there, its end, its report, and never an absence."""

import json
from typing import Any

import pytest

from research_fsm.commands import SightingState
from research_fsm.dispatchers.trigger_dev.contract import Answer, NoAnswer
from research_fsm.dispatchers.trigger_dev.evidence import listed_runs, output_url, sighting
from research_fsm.outcomes import Json
from tests.dispatchers.service import RUN_ID, request

TAG = f"research-run:{RUN_ID}"
REPORT = {"run_id": RUN_ID, "run_no": 1, "content": {"found": "much"}}


def read(status: str = "COMPLETED", **others: Any) -> Answer:  # noqa: ANN401  # Any field.
    """Return an answer to a read of ``run_1``."""
    return Answer(200, {}, json.dumps({"id": "run_1", "status": status, "tags": [TAG], **others}).encode())


def seen(reply: Answer | NoAnswer, stored: Answer | NoAnswer | None = None) -> tuple[str, Json] | None:
    """Return the state and the report that a read proves."""
    found = sighting(reply, "run_1", request(), stored)
    if found is None:
        return None
    assert found.external_id == "run_1"
    return str(found.state), None if found.report is None else json.loads(found.report)


@pytest.mark.parametrize(
    "status",
    ["PENDING_VERSION", "QUEUED", "DEQUEUED", "EXECUTING", "WAITING", "DELAYED", "FROZEN", "SOMETHING_NEW", None, 7],
)
def test_a_status_that_is_not_known_to_be_final_says_that_it_is_there(status: Any) -> None:  # noqa: ANN401  # Anything.
    """Whatever the engine's flags say beside it."""
    assert seen(read(status, isCompleted=True, isFailed=True)) == ("alive", None)


@pytest.mark.parametrize(
    "status", ["CANCELED", "FAILED", "CRASHED", "SYSTEM_FAILURE", "EXPIRED", "TIMED_OUT", "INTERRUPTED"]
)
def test_another_final_status_is_an_end(status: str) -> None:
    """The flags are false for a run that expired or timed out: the status decides. An output makes no difference."""
    assert seen(read(status, isCompleted=False, isFailed=False, output=REPORT)) == ("ended", None)


def test_a_report_of_this_very_run_is_one() -> None:
    """It is kept in the stored form, with a summary if there is one."""
    stored = {"id": RUN_ID, "content": {"found": "much"}, "change_summary": None}
    assert seen(read(output=REPORT)) == ("completed", stored)
    assert seen(read(output=REPORT | {"change_summary": "new", "more": 1})) == (
        "completed",
        stored | {"change_summary": "new"},
    )
    assert seen(read(output=REPORT | {"content": None})) == ("completed", stored | {"content": None})


@pytest.mark.parametrize(
    "output",
    [
        None,
        {},
        "done",
        [REPORT],
        {"run_id": RUN_ID, "run_no": 1},
        REPORT | {"run_no": 2},
        REPORT | {"run_no": "1"},
        REPORT | {"run_id": RUN_ID.replace("1", "2")},
        {"content": {"found": "much"}},
    ],
)
def test_another_output_is_no_report(output: Json) -> None:
    """A worker that was told to stop returns none, and a replay's is of another run."""
    assert seen(read(output=output)) == ("completed", None)


def test_a_run_without_an_output_completed_without_a_report() -> None:
    """The engine leaves the field out."""
    assert seen(read()) == ("completed", None)


def test_an_output_that_is_kept_elsewhere_is_fetched() -> None:
    """Large ones are: the address comes instead."""
    elsewhere = read(outputPresignedUrl="https://store.example/x")
    assert output_url(elsewhere, "run_1", RUN_ID) == "https://store.example/x"
    stored = Answer(200, {}, json.dumps(REPORT).encode())
    found = seen(elsewhere, stored)
    assert found is not None
    assert found[0] == "completed"
    assert found[1]["content"] == {"found": "much"}


@pytest.mark.parametrize(
    "stored",
    [
        None,
        NoAnswer("read_timeout", sent=True),
        Answer(403, {}, b'{"run_id":"x"}'),
        Answer(200, {}, None),
        Answer(200, {}, b"<html>"),
    ],
)
def test_an_output_that_cannot_be_seen_is_not_taken_for_none(stored: Answer | NoAnswer | None) -> None:
    """Taken for none it would fail, and refund, a run that may have shipped."""
    assert seen(read(outputPresignedUrl="https://store.example/x"), stored) == ("alive", None)


def test_a_report_that_cannot_be_kept_is_not_taken_for_none() -> None:
    """The same: it is there, and the deadline decides."""
    deep: Json = []
    for _ in range(300):
        deep = [deep]
    assert seen(read(output=REPORT | {"content": deep})) == ("alive", None)
    assert seen(read(output=REPORT | {"content": "x" * (3 * 1024 * 1024)})) == ("alive", None)


@pytest.mark.parametrize(
    ("reply", "url"),
    [
        (read(outputPresignedUrl="https://store.example/x", output={}), None),
        (read("FAILED", outputPresignedUrl="https://store.example/x"), None),
        (read(outputPresignedUrl="file:///etc/passwd"), None),
        (read(outputPresignedUrl=7), None),
        (read(outputPresignedUrl="https://store.example/x", tags=[]), None),
        (read(), None),
        (NoAnswer("read_timeout", sent=True), None),
    ],
)
def test_nothing_else_is_fetched(reply: Answer | NoAnswer, url: str | None) -> None:
    """Only what a completed run of ours keeps elsewhere, over http."""
    assert output_url(reply, "run_1", RUN_ID) == url


@pytest.mark.parametrize(
    "reply",
    [
        NoAnswer("connect_timeout", sent=False),
        Answer(404, {"x-should-retry": "true"}, b'{"error":"Run not found"}'),
        Answer(401, {}, read().body),
        Answer(500, {}, read().body),
        Answer(200, {}, None),
        Answer(200, {}, b"<html>"),
        Answer(200, {}, b"[]"),
    ],
)
def test_a_read_that_fails_is_no_news(reply: Answer | NoAnswer) -> None:
    """A replica lags: one 404 right after a trigger proves nothing."""
    assert seen(reply) is None


@pytest.mark.parametrize(
    "others",
    [
        {"tags": []},
        {"tags": [TAG + "0"]},
        {"tags": TAG},
        {"tags": None},
        {"id": "run_2"},
        {"id": None},
    ],
)
def test_a_run_without_this_runs_tag_is_not_evidence(others: dict[str, Json]) -> None:
    """Workers choose what they claim with: the end of somebody else's run must not end this one."""
    assert seen(read("FAILED", **others)) is None


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"data": [{"id": "run_1", "tags": [TAG]}, {"id": "run_2", "tags": ["x", TAG]}]}, ("run_1", "run_2")),
        ({"data": [{"id": "run_1", "tags": ["x"]}, {"id": "run_2"}, {"id": "a/b", "tags": [TAG]}]}, ()),
        ({"data": [{"tags": [TAG]}, {"id": 7, "tags": [TAG]}, "run_1", None]}, ()),
        ({"data": [{"id": f"run_{n}", "tags": [TAG]} for n in range(50)]}, tuple(f"run_{n}" for n in range(10))),
        ({"data": []}, ()),
        ({"data": {}}, ()),
        ({}, ()),
        ([], ()),
    ],
)
def test_a_list_names_runs_that_carry_the_tag(body: Json, found: tuple[str, ...]) -> None:
    """A filter that the engine ignored would otherwise name everybody's; and no list is endless."""
    assert listed_runs(Answer(200, {}, json.dumps(body).encode()), RUN_ID) == found


def test_a_list_that_fails_names_nothing() -> None:
    """Which proves as little as an empty one."""
    assert listed_runs(Answer(500, {}, b'{"data":[{"id":"run_1"}]}')) == ()
    assert listed_runs(NoAnswer("read_timeout", sent=True)) == ()
    assert listed_runs(Answer(200, {}, b'{"data":[{"id":"run_1"}]}')) == ("run_1",)


def test_states_are_the_three_of_the_protocol() -> None:
    """A reader of these tests sees the words that recovery decides by."""
    assert {str(state) for state in SightingState} == {"alive", "completed", "ended"}
