"""The fake Trigger.dev has the traps of the real one, in process and behind a socket."""

import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from research_fsm.outcomes import Json
from research_fsm.testing import ManualClock, engine_http
from research_fsm.testing import engine as engine_module
from research_fsm.testing.engine import Broken, FakeEngine, FakeRequest, FakeResponse, Fault, Status
from research_fsm.testing.engine_http import serve

TASK = "deep-research-enrich"
ENDED = (
    Status.FAILED,
    Status.CRASHED,
    Status.SYSTEM_FAILURE,
    Status.TIMED_OUT,
    Status.INTERRUPTED,
    Status.EXPIRED,
)


def ask(engine: FakeEngine, method: str, path: str, body: bytes = b"", **headers: str) -> FakeResponse:
    """Ask the engine something, as its clients do."""
    path, _, query = path.partition("?")
    usual = {"authorization": f"Bearer {engine.secret_key}", "x-trigger-api-version": "2025-07-16"}
    usual["content-length"] = str(len(body))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return engine.handle(FakeRequest(method, path, query, usual | named, body))


def trigger(engine: FakeEngine, task: str = TASK, payload: Json = None, **options: Json) -> tuple[int, Any]:
    """Trigger a task, and return the status and the answer."""
    body = json.dumps({"payload": payload, "options": options}).encode()
    answer = ask(engine, "POST", f"/api/v1/tasks/{task}/trigger", body)
    return answer.status, json.loads(answer.body)


def get(engine: FakeEngine, path: str) -> Any:  # noqa: ANN401  # JSON.
    """Read something that is there."""
    answer = ask(engine, "GET", path)
    assert answer.status == 200
    return json.loads(answer.body)


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that a test moves."""
    return ManualClock()


@pytest.fixture
def engine(clock: ManualClock) -> FakeEngine:
    """Return an engine with nothing in it."""
    return FakeEngine(clock)


# --- keys --------------------------------------------------------------------------------------------------------


def test_a_key_makes_one_run_whatever_is_sent_with_it(engine: FakeEngine) -> None:
    """The payload is not compared: the second one is lost without a word."""
    _, first = trigger(engine, payload=1, idempotencyKey="k")
    _, second = trigger(engine, payload=2, idempotencyKey="k")
    assert (first["isCached"], second["isCached"]) == (False, True)
    assert first["id"] == second["id"]
    assert [run.payload for run in engine.runs] == [1]


@pytest.mark.parametrize("status", ENDED)
def test_the_key_of_a_run_that_failed_is_forgotten(engine: FakeEngine, status: Status) -> None:
    """The next trigger with it makes a second run."""
    _, first = trigger(engine, idempotencyKey="k")
    engine.end(first["id"], status)
    _, second = trigger(engine, idempotencyKey="k")
    assert second["id"] != first["id"]
    assert second["isCached"] is False


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.CANCELED])
def test_the_key_of_another_end_is_kept(engine: FakeEngine, status: Status) -> None:
    """The run that is over answers for the key."""
    _, first = trigger(engine, idempotencyKey="k")
    engine.end(first["id"], status)
    assert trigger(engine, idempotencyKey="k")[1]["id"] == first["id"]


def test_a_key_is_of_its_task(engine: FakeEngine) -> None:
    """The same key with another task is another run."""
    _, first = trigger(engine, idempotencyKey="k")
    _, second = trigger(engine, "partner-deep-research-enrich", idempotencyKey="k")
    assert first["id"] != second["id"]


@pytest.mark.parametrize(
    ("given", "remembered"),
    [("90s", timedelta(seconds=90)), ("2h", timedelta(hours=2)), ("soon", timedelta(days=30))],
)
def test_a_key_is_remembered_for_its_time(
    engine: FakeEngine, clock: ManualClock, given: str, remembered: timedelta
) -> None:
    """A time that is malformed is silently 30 days."""
    _, first = trigger(engine, idempotencyKey="k", idempotencyKeyTTL=given)
    clock.advance(remembered - timedelta(seconds=1))
    assert trigger(engine, idempotencyKey="k")[1]["id"] == first["id"]
    clock.advance(timedelta(seconds=1))
    assert trigger(engine, idempotencyKey="k")[1]["id"] != first["id"]


def test_a_header_wins_over_the_option(engine: FakeEngine) -> None:
    """Whoever sends both has the header's key."""
    body = json.dumps({"options": {"idempotencyKey": "option"}}).encode()
    ask(engine, "POST", f"/api/v1/tasks/{TASK}/trigger", body, idempotency_key="header")
    assert engine.runs[0].options["idempotencyKey"] == "header"


def test_isCached_may_be_absent(engine: FakeEngine) -> None:  # noqa: N802  # The field's name.
    """The contract lets it be; more fields appear."""
    engine.tells_cached = False
    _, answer = trigger(engine)
    assert "isCached" not in answer
    assert set(answer) > {"id"}


# --- what is taken -----------------------------------------------------------------------------------------------


def test_an_unknown_option_is_dropped_without_a_word(engine: FakeEngine) -> None:
    """A mistyped idempotencyKey means no key."""
    first, second = (trigger(engine, idempotencykey="k") for _ in range(2))
    assert (first[0], second[0]) == (200, 200)
    assert first[1]["id"] != second[1]["id"]
    assert engine.runs[0].options == {}


@pytest.mark.parametrize(
    "options",
    [
        {"idempotencyKey": None},
        {"idempotencyKeyTTL": None},
        {"ttl": None},
        {"tags": None},
        {"idempotencyKey": "k" * 2049},
        {"idempotencyKey": 7},
        {"tags": ["t" * 129]},
        {"tags": [7]},
        {"ttl": -1},
        {"maxAttempts": "three"},
        {"delay": None},
    ],
)
def test_null_is_not_absent_and_types_are_checked(engine: FakeEngine, options: dict[str, Json]) -> None:
    """It is refused, and nothing is made."""
    assert trigger(engine, **options)[0] == 400
    assert engine.runs == ()


def test_more_than_ten_tags_are_refused(engine: FakeEngine) -> None:
    """With a 422."""
    assert trigger(engine, tags=["t"] * 11)[0] == 422
    assert trigger(engine, tags=["t"] * 10)[0] == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"options":7}'])
def test_what_is_no_request_is_refused(engine: FakeEngine, body: bytes) -> None:
    """With a 400."""
    assert ask(engine, "POST", f"/api/v1/tasks/{TASK}/trigger", body).status == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"content_length": ""},
        {"content_length": "nine"},
        {"content_length": str(3 * 1024 * 1024 + 1)},
        {"transfer_encoding": "chunked"},
    ],
)
def test_a_body_without_a_length_or_too_long_is_413(engine: FakeEngine, headers: dict[str, str]) -> None:
    """Chunks are refused like a body that is too large."""
    assert ask(engine, "POST", f"/api/v1/tasks/{TASK}/trigger", b"{}", **headers).status == 413


def test_an_unknown_task_is_accepted_and_waits_for_ever(engine: FakeEngine, clock: ManualClock) -> None:
    """A typo looks like success."""
    status, made = trigger(engine, "deep-reserach", ttl=60)
    clock.advance(timedelta(days=365))
    assert status == 200
    assert engine.waiting() == ()
    assert engine.run(made["id"]).status is Status.PENDING_VERSION
    with pytest.raises(ValueError, match="is not waiting"):
        engine.begin(made["id"])


@pytest.mark.parametrize("ttl", [60, "60s", "1m"])
def test_a_run_expires_in_the_queue_and_nowhere_else(engine: FakeEngine, clock: ManualClock, ttl: Json) -> None:
    """A run that has begun is not bounded by it, nor one without a ttl."""
    waits, begins, endless = (trigger(engine, **one)[1]["id"] for one in ({"ttl": ttl}, {"ttl": ttl}, {}))
    engine.begin(begins)
    clock.advance(timedelta(seconds=59))
    assert engine.run(waits).status is Status.QUEUED
    clock.advance(timedelta(seconds=1))
    assert [engine.run(one).status for one in (waits, begins, endless)] == [
        Status.EXPIRED,
        Status.EXECUTING,
        Status.QUEUED,
    ]


# --- who is let in, before anything is looked up -----------------------------------------------------------------


def test_a_wrong_key_is_401_before_anything_else(engine: FakeEngine) -> None:
    """Also on a resend, about whose first send it says nothing."""
    trigger(engine, idempotencyKey="k")
    answer = ask(engine, "POST", f"/api/v1/tasks/{TASK}/trigger", b"{}", authorization="Bearer tr_dev_other")
    assert answer.status == 401
    assert len(engine.runs) == 1


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault.UNAUTHORIZED, 401),
        (Fault.OUT_OF_CREDITS, 422),
        (Fault.RATE_LIMITED, 429),
        (Fault.MOVED, 308),
        (Fault.UNAVAILABLE, 503),
        (Fault.CONFLICT, 409),
    ],
)
def test_a_fault_before_the_key_is_looked_up(engine: FakeEngine, fault: Fault, status: int) -> None:
    """A resend is answered so while the first send's run lives."""
    _, first = trigger(engine, idempotencyKey="k")
    engine.script(fault)
    assert trigger(engine, idempotencyKey="k")[0] == status
    assert trigger(engine, idempotencyKey="k")[1]["id"] == first["id"]


def test_a_429_tells_its_reset_in_milliseconds(engine: FakeEngine, clock: ManualClock) -> None:
    """A minute from now."""
    engine.script(Fault.RATE_LIMITED)
    answer = ask(engine, "POST", f"/api/v1/tasks/{TASK}/trigger", b"{}")
    assert int(answer.headers["x-ratelimit-reset"]) * 1000 == clock.now + 60_000_000


# --- faults ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.UNREACHABLE, Fault.REQUEST_LOST])
def test_what_is_lost_on_the_way_is_not_taken(engine: FakeEngine, fault: Fault) -> None:
    """And it is recorded that it was sent."""
    engine.script(fault)
    with pytest.raises(Broken) as broken:
        trigger(engine)
    assert broken.value.fault is fault
    assert engine.runs == ()
    assert len(engine.requests) == 1


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.SLOW])
def test_what_is_lost_on_the_way_back_is_taken(engine: FakeEngine, fault: Fault) -> None:
    """The run waits for a worker."""
    engine.script(fault)
    with pytest.raises(Broken):
        trigger(engine)
    assert len(engine.waiting()) == 1


def test_a_500_can_mean_that_the_run_was_made_and_never_queued(engine: FakeEngine, clock: ManualClock) -> None:
    """It is there, a resend is answered with it, and nobody will ever begin it."""
    engine.script(Fault.CREATED_THEN_500)
    body = json.dumps({"options": {"idempotencyKey": "k", "ttl": 60}}).encode()
    assert ask(engine, "POST", f"/api/v1/tasks/{TASK}/trigger", body).status == 500
    clock.advance(timedelta(hours=1))
    status, known = trigger(engine, idempotencyKey="k")
    assert (status, known["isCached"]) == (200, True)
    assert engine.waiting() == ()
    assert engine.run(known["id"]).status is Status.QUEUED


def test_a_gateway_that_gives_up_and_a_page_hide_what_was_taken(engine: FakeEngine) -> None:
    """A 504, a page that is no JSON, and an answer without an id: there are three runs."""
    engine.script(Fault.GATEWAY_TIMEOUT, Fault.GARBAGE, Fault.NO_ID)
    path = f"/api/v1/tasks/{TASK}/trigger"
    answers = [ask(engine, "POST", path, b"{}") for _ in range(3)]
    assert [answer.status for answer in answers] == [504, 200, 200]
    assert answers[1].body.startswith(b"<html>")
    assert json.loads(answers[2].body) == {"id": ""}
    assert len(engine.waiting()) == 3


def test_something_in_between_may_deliver_twice(engine: FakeEngine) -> None:
    """A key makes one run of it; without a key there are two."""
    engine.script(Fault.TWICE, Fault.TWICE)
    trigger(engine, idempotencyKey="k")
    assert len(engine.runs) == 1
    trigger(engine)
    assert len(engine.runs) == 3


def test_a_script_is_forgotten_when_a_test_says_so(engine: FakeEngine) -> None:
    """Triggers and reads alike."""
    engine.script(Fault.UNAVAILABLE)
    engine.script_reads(Fault.UNAVAILABLE)
    engine.forget_script()
    assert trigger(engine)[0] == 200
    assert get(engine, "/api/v1/runs")["pagination"] == {}


# --- reads -------------------------------------------------------------------------------------------------------


def test_a_fresh_run_is_not_seen_by_a_lagging_replica(engine: FakeEngine) -> None:
    """One 404, with the hint to ask again; an unknown run is a 404 without it."""
    engine.lagging_reads = 1
    path = f"/api/v3/runs/{trigger(engine)[1]['id']}"
    first = ask(engine, "GET", path)
    assert (first.status, first.headers["x-should-retry"]) == (404, "true")
    assert get(engine, path)["status"] == "QUEUED"
    assert ask(engine, "GET", "/api/v3/runs/run_other").headers["x-should-retry"] == "false"


def test_the_flags_are_false_for_runs_that_expired_or_timed_out(engine: FakeEngine) -> None:
    """Whoever reads them waits for ever."""
    told = {}
    for status in (*ENDED, Status.COMPLETED, Status.CANCELED):
        external_id = trigger(engine)[1]["id"]
        engine.end(external_id, status)
        told[status] = get(engine, f"/api/v3/runs/{external_id}")
    assert all(one["status"] == str(status) for status, one in told.items())
    assert [status for status, one in told.items() if not one["isCompleted"]] == [Status.TIMED_OUT, Status.EXPIRED]
    assert not told[Status.TIMED_OUT]["isFailed"]
    assert told[Status.CRASHED]["isFailed"]


def test_without_the_versions_header_statuses_have_older_names(engine: FakeEngine) -> None:
    """A run that waits is frozen then."""
    external_id = trigger(engine)[1]["id"]
    engine.run(external_id).status = Status.WAITING
    request = FakeRequest(
        "GET", f"/api/v3/runs/{external_id}", "", {"authorization": f"Bearer {engine.secret_key}"}, b""
    )
    assert json.loads(engine.handle(request).body)["status"] == "FROZEN"
    assert get(engine, f"/api/v3/runs/{external_id}")["status"] == "WAITING"


def test_an_output_is_there_if_there_is_one(engine: FakeEngine) -> None:
    """Null is one; nothing is none; a large one is elsewhere, and its address the only permit."""
    engine.keeps_large_outputs_elsewhere = 5
    outputs: list[tuple[Json, ...]] = [(), (None,), ("large",)]
    ids = [trigger(engine)[1]["id"] for _ in outputs]
    for external_id, output in zip(ids, outputs, strict=True):
        engine.end(external_id, Status.COMPLETED, *output)
    nothing, null, large = (get(engine, f"/api/v3/runs/{external_id}") for external_id in ids)
    assert "output" not in nothing
    assert null["output"] is None
    assert "output" not in large
    kept = large["outputPresignedUrl"].removeprefix("http://localhost").removeprefix("https://localhost")
    assert ask(engine, "GET", kept).status == 400
    path, _, query = kept.partition("?")
    assert json.loads(engine.handle(FakeRequest("GET", path, query, {}, b"")).body) == "large"


def test_a_list_lags_forgets_and_may_be_empty(engine: FakeEngine, clock: ManualClock) -> None:
    """Newest first, of the last seven days, never with an output."""
    engine.list_lag = timedelta(minutes=1)
    first, second = (trigger(engine, tags=["a"], idempotencyKey=key)[1]["id"] for key in "kl")
    engine.end(first, Status.COMPLETED, "output")
    assert get(engine, "/api/v1/runs")["data"] == []
    clock.advance(timedelta(minutes=1))
    listed = get(engine, "/api/v1/runs")["data"]
    assert [one["id"] for one in listed] == [second, first]
    assert listed[1]["idempotencyKey"] == "k"
    assert not any("output" in one or "payload" in one for one in listed)
    engine.list_works = False
    assert get(engine, "/api/v1/runs")["data"] == []
    engine.list_works = True
    clock.advance(timedelta(days=7))
    assert get(engine, "/api/v1/runs")["data"] == []


def test_a_list_is_filtered_and_cut(engine: FakeEngine) -> None:
    """By tags, several between commas, and by task; a page is as long as asked for."""
    a, b, c = (trigger(engine, tags=tags)[1]["id"] for tags in (["a"], "b", ["b", "c"]))
    other = trigger(engine, "partner-deep-research-enrich", tags=["a"])[1]["id"]

    def ids(query: str) -> set[str]:
        return {one["id"] for one in get(engine, f"/api/v1/runs?{query}")["data"]}

    assert ids("filter%5Btag%5D=a") == {a, other}
    assert ids(f"filter[tag]=a&filter[taskIdentifier]={TASK}") == {a}
    assert ids("filter[tag]=a,c") == {a, c, other}
    assert ids("filter[tag]=d") == set()
    assert ids("filter[tag]=b&page[size]=1") == {c}
    assert b not in ids("filter[tag]=c")


def test_cancelling_is_200_for_a_finished_run_too(engine: FakeEngine) -> None:
    """And changes it no more; an unknown one is 404."""
    external_id = trigger(engine)[1]["id"]
    engine.end(external_id, Status.FAILED)
    assert ask(engine, "POST", f"/api/v2/runs/{external_id}/cancel", b"{}").status == 200
    assert engine.run(external_id).status is Status.FAILED
    assert ask(engine, "POST", "/api/v2/runs/run_other/cancel", b"{}").status == 404


def test_a_replay_is_a_new_run_with_the_same_payload(engine: FakeEngine) -> None:
    """And with the same tags, and no key; over HTTP as from the dashboard."""
    external_id = trigger(engine, payload={"run_id": "r"}, tags=["a"], idempotencyKey="k")[1]["id"]
    answer = ask(engine, "POST", f"/api/v1/runs/{external_id}/replay", b"{}")
    replayed = engine.run(json.loads(answer.body)["id"])
    assert (replayed.replay_of, replayed.payload, replayed.tags) == (external_id, {"run_id": "r"}, ("a",))
    assert "idempotencyKey" not in replayed.options


def test_nothing_else_is_there(engine: FakeEngine) -> None:
    """An unknown path is 404, whichever the method."""
    assert ask(engine, "GET", "/api/v9/runs").status == 404
    assert ask(engine, "POST", "/api/v9/runs").status == 404


def test_a_run_ends_once(engine: FakeEngine) -> None:
    """The engine is moved by hand, and not into what cannot be."""
    external_id = trigger(engine)[1]["id"]
    with pytest.raises(ValueError, match="cannot become"):
        engine.end(external_id, Status.EXECUTING)
    engine.end(external_id)
    with pytest.raises(ValueError, match="cannot become"):
        engine.end(external_id, Status.FAILED)


def test_waiting_in_vain_moves_a_clock_that_can_be_moved(engine: FakeEngine, clock: ManualClock) -> None:
    """A real clock is not waited for."""
    before = clock.now
    engine.wait(15.0)
    assert clock.now == before + 15_000_000
    FakeEngine(lambda: before).wait(15.0)
    assert clock.now == before + 15_000_000


# --- behind a socket ---------------------------------------------------------------------------------------------


def test_a_socket_answers_like_the_transport(engine: FakeEngine) -> None:
    """For clients that are no Python: the same engine, the same answers."""
    authorized = {"Authorization": f"Bearer {engine.secret_key}"}
    with serve(engine) as url, httpx2.Client(base_url=url, trust_env=False) as client:
        made = client.post(f"/api/v1/tasks/{TASK}/trigger", json={"payload": 7}, headers=authorized)
        refused = client.get("/api/v1/runs")
    assert engine.run(made.json()["id"]).payload == 7
    assert refused.status_code == 401


def test_a_socket_can_break_and_be_silent(engine: FakeEngine) -> None:
    """A lost answer is a closed connection; a slow one never comes, and ends with the block."""
    engine.script(Fault.ANSWER_LOST, Fault.SLOW)
    authorized = {"Authorization": f"Bearer {engine.secret_key}"}
    with serve(engine) as url, httpx2.Client(base_url=url, headers=authorized, trust_env=False) as client:
        with pytest.raises(httpx2.TransportError):
            client.post(f"/api/v1/tasks/{TASK}/trigger", json={})
        with pytest.raises(httpx2.ReadTimeout):
            client.post(f"/api/v1/tasks/{TASK}/trigger", json={}, timeout=0.05)
    assert len(engine.runs) == 2


@pytest.mark.parametrize("module", [engine_module, engine_http])
def test_the_examples_of_the_documentation_are_true(module: Any) -> None:  # noqa: ANN401  # A module.
    """They are run."""
    import doctest

    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
