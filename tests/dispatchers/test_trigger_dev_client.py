"""Sending to Trigger.dev: over real sockets of this machine, one request per attempt, for both colours."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, TypeVar

import httpx2
import pytest

from research_fsm.commands import Sighting, SightingState
from research_fsm.dispatchers.trigger_dev import AsyncTriggerDev, Check, TriggerDev, TriggerDevSettings, client
from research_fsm.events import AttemptResult
from research_fsm.requests import AttemptOutcome, DispatchRequest
from research_fsm.testing import ManualClock
from research_fsm.testing.engine import FakeEngine, Fault, Status
from research_fsm.testing.engine_http import serve, transport
from tests.dispatchers.service import KEY, RUN_ID, TOKEN, request, settings
from tests.dispatchers.sockets import closed_port, saying, silent

T = TypeVar("T")

SHORT = timedelta(milliseconds=50)


class Awaited:
    """The awaiting client, called as the blocking one is: each call in an event loop of its own."""

    def __init__(self, settings: TriggerDevSettings, *, transport: Any = None) -> None:  # noqa: ANN401  # Either colour's.
        self._settings, self._transport = settings, transport

    def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Trigger the run."""
        return self._called(lambda dispatcher: dispatcher.dispatch(request))

    def look(self, request: DispatchRequest, external_ids: tuple[str, ...]) -> tuple[Sighting, ...]:
        """Look at the run."""
        return self._called(lambda dispatcher: dispatcher.look(request, external_ids))

    def cancel(self, external_id: str) -> None:
        """Cancel a run."""
        self._called(lambda dispatcher: dispatcher.cancel(external_id))

    def check(self) -> tuple[Check, ...]:
        """Examine it."""
        return self._called(AsyncTriggerDev.check)

    def _called(self, method: Callable[[AsyncTriggerDev], Awaitable[T]]) -> T:
        async def called() -> T:
            async with AsyncTriggerDev(self._settings, transport=self._transport) as dispatcher:
                return await method(dispatcher)

        return asyncio.run(called())


Client = Callable[..., TriggerDev | Awaited]


@pytest.fixture(params=[TriggerDev, Awaited], ids=["blocking", "awaiting"])
def make(request: pytest.FixtureRequest) -> Iterator[Client]:
    """Make dispatchers of either colour, and close them."""
    made: list[TriggerDev] = []

    def maker(settings: TriggerDevSettings, **others: Any) -> TriggerDev | Awaited:  # noqa: ANN401  # A transport.
        dispatcher: TriggerDev | Awaited = request.param(settings, **others)
        if isinstance(dispatcher, TriggerDev):
            made.append(dispatcher)
        return dispatcher

    yield maker
    for dispatcher in made:
        dispatcher.close()


def at(port: int, scheme: str = "http", **others: Any) -> TriggerDevSettings:  # noqa: ANN401  # As the settings take them.
    """Return settings for an engine on a port of this machine."""
    return settings(api_url=f"{scheme}://127.0.0.1:{port}", **others)


def answering(status: int, body: bytes = b"", headers: bytes = b"") -> bytes:
    """Return an answer as it is on the wire."""
    return b"HTTP/1.1 %d Words\r\n%scontent-length: %d\r\n\r\n%s" % (status, headers, len(body), body)


# --- nothing was sent --------------------------------------------------------------------------------------------


def test_a_refused_connection_is_not_sent(make: Client) -> None:
    """Nobody listens there."""
    outcome = make(at(closed_port())).dispatch(request())
    assert (outcome.result, outcome.reason) == (AttemptResult.NOT_SENT, "connect_error")


def test_a_connection_that_takes_too_long_is_not_sent(make: Client) -> None:
    """The TLS handshake is never answered: the request has not left, whatever the network took."""
    with silent() as port:
        outcome = make(at(port, "https", connect_timeout=SHORT)).dispatch(request())
    assert (outcome.result, outcome.reason) == (AttemptResult.NOT_SENT, "connect_timeout")


def test_a_failed_handshake_is_not_sent(make: Client) -> None:
    """What listens there speaks no TLS."""
    with saying(answering(200, b'{"id":"run_1"}')) as (port, _):
        outcome = make(at(port, "https")).dispatch(request())
    assert (outcome.result, outcome.reason) == (AttemptResult.NOT_SENT, "connect_error")


def test_a_name_that_is_not_found_is_not_sent(make: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look-up fails before there is anything to connect to."""

    def not_found(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", not_found)
    outcome = make(settings(api_url="https://nothing.invalid")).dispatch(request())
    assert (outcome.result, outcome.reason) == (AttemptResult.NOT_SENT, "connect_error")


def test_connecting_and_reading_have_their_own_times(make: Client) -> None:
    """Waiting for a free connection belongs to connecting, and writing to reading."""
    timeouts = []

    def answer(asked: httpx2.Request) -> httpx2.Response:
        timeouts.append(asked.extensions["timeout"])
        return httpx2.Response(200, json={"id": "run_1"})

    configured = settings(connect_timeout=timedelta(seconds=2), read_timeout=timedelta(seconds=7))
    make(configured, transport=httpx2.MockTransport(answer)).dispatch(request())
    assert timeouts == [{"connect": 2.0, "pool": 2.0, "read": 7.0, "write": 7.0}]


# --- something may have been sent --------------------------------------------------------------------------------


def test_an_answer_that_does_not_come_is_ambiguous(make: Client) -> None:
    """The request left; who knows."""
    with silent() as port:
        outcome = make(at(port, read_timeout=SHORT)).dispatch(request())
    assert (outcome.result, outcome.reason) == (AttemptResult.AMBIGUOUS, "read_timeout")


def test_a_connection_that_breaks_after_the_request_is_ambiguous(make: Client) -> None:
    """It was read, and not answered."""
    with saying(b"") as (port, received):
        outcome = make(at(port)).dispatch(request())
    assert outcome.result is AttemptResult.AMBIGUOUS
    assert outcome.reason in {"remote_protocol_error", "read_error"}
    assert len(received) == 1


def test_an_answer_that_is_no_http_is_ambiguous(make: Client) -> None:
    """Something read the request and said something else."""
    with saying(b"220 mail.example ESMTP\r\n\r\n") as (port, _):
        outcome = make(at(port)).dispatch(request())
    assert (outcome.result, outcome.reason) == (AttemptResult.AMBIGUOUS, "remote_protocol_error")


def test_a_200_whose_body_breaks_off_is_ambiguous_and_a_422_is_not(make: Client) -> None:
    """A status that says no says it before its body does."""
    with saying(b'HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"id":"run_1"}') as (port, _):
        outcome = make(at(port)).dispatch(request())
    assert (outcome.result, outcome.reason) == (AttemptResult.AMBIGUOUS, "unreadable_answer")
    with saying(b"HTTP/1.1 422 No\r\ncontent-length: 99\r\n\r\n{") as (port, _):
        outcome = make(at(port)).dispatch(request())
    assert (outcome.result, outcome.reason) == (AttemptResult.REFUSED, "http_422")


def test_no_more_of_an_answer_is_read_than_an_answer_can_be(make: Client) -> None:
    """A body of 64 KiB is read, one byte more is not an answer of the engine."""
    body = b'{"id":"run_1","x":"' + b"y" * (64 * 1024 - 21) + b'"}'
    with saying(answering(200, body)) as (port, _):
        assert make(at(port)).dispatch(request()).external_id == "run_1"
    with saying(answering(200, body + b" ")) as (port, _):
        assert make(at(port)).dispatch(request()).reason == "unreadable_answer"


def test_an_answer_that_drips_is_not_waited_for(make: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, and the whole does not."""
    seconds = iter(range(0, 10_000, 10))
    monkeypatch.setattr(client, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    dripping = httpx2.MockTransport(lambda _: httpx2.Response(200, stream=Drip(b'{"id":"run_1"}')))
    assert make(settings(), transport=dripping).dispatch(request()).reason == "unreadable_answer"


class Drip(httpx2.ByteStream):
    """A body that comes a byte at a time."""

    def __iter__(self) -> Iterator[bytes]:
        for whole in super().__iter__():
            yield from (whole[n : n + 1] for n in range(len(whole)))

    async def __aiter__(self) -> Any:  # noqa: ANN401  # An asynchronous iterator of bytes.
        for piece in self:
            yield piece


@pytest.mark.parametrize(
    ("error", "result", "reason"),
    [
        (httpx2.PoolTimeout, AttemptResult.NOT_SENT, "pool_timeout"),
        (httpx2.ConnectTimeout, AttemptResult.NOT_SENT, "connect_timeout"),
        (httpx2.ConnectError, AttemptResult.NOT_SENT, "connect_error"),
        (httpx2.UnsupportedProtocol, AttemptResult.NOT_SENT, "unsupported_protocol"),
        (httpx2.WriteTimeout, AttemptResult.AMBIGUOUS, "write_timeout"),
        (httpx2.WriteError, AttemptResult.AMBIGUOUS, "write_error"),
        (httpx2.ReadTimeout, AttemptResult.AMBIGUOUS, "read_timeout"),
        (httpx2.ReadError, AttemptResult.AMBIGUOUS, "read_error"),
        (httpx2.CloseError, AttemptResult.AMBIGUOUS, "close_error"),
        (httpx2.RemoteProtocolError, AttemptResult.AMBIGUOUS, "remote_protocol_error"),
        (httpx2.LocalProtocolError, AttemptResult.AMBIGUOUS, "local_protocol_error"),
        (httpx2.ProxyError, AttemptResult.AMBIGUOUS, "proxy_error"),
    ],
)
def test_every_error_of_a_transport_has_a_class(
    make: Client, error: type[httpx2.TransportError], result: AttemptResult, reason: str
) -> None:
    """Not sent is what happens before a connection is there; whatever is not known to be that is ambiguous."""

    def failing(_: httpx2.Request) -> httpx2.Response:
        raise error("scripted")

    outcome = make(settings(), transport=httpx2.MockTransport(failing)).dispatch(request())
    assert (outcome.result, outcome.reason) == (result, reason)


# --- one attempt is one request ----------------------------------------------------------------------------------


def test_every_attempt_sends_the_same_bytes(make: Client) -> None:
    """With its length and never in chunks; a cookie that came with the first answer does not come back."""
    cookie = b"set-cookie: balancer=7; path=/\r\nconnection: close\r\n"
    with saying(answering(200, b'{"id":"run_1"}', cookie), callers=2) as (port, received):
        dispatcher = make(at(port))
        outcomes = [dispatcher.dispatch(request()) for _ in range(2)]
    assert [outcome.external_id for outcome in outcomes] == ["run_1", "run_1"]
    assert received[0] == received[1]
    head, _, body = received[0].partition(b"\r\n\r\n")
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]]
    assert b"content-length" in names
    assert f"\r\ncontent-length: {len(body)}\r\n".encode() in head.lower() + b"\r\n"
    assert not {b"transfer-encoding", b"cookie", b"content-encoding"} & set(names)
    assert KEY.encode() in body


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(make: Client, status: int) -> None:
    """It would be a second request, to somewhere else, with the key."""
    with saying(b"") as (elsewhere, received):
        location = b"location: http://127.0.0.1:%d/\r\n" % elsewhere
        with saying(answering(status, b"", location)) as (port, _):
            assert make(at(port)).dispatch(request()).reason == f"http_{status}"
        assert received == []
        make(at(elsewhere)).dispatch(request())  # The one caller that it waits for.


def test_a_proxy_of_the_environment_is_not_used(make: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy could repeat a request; whoever needs one brings a transport."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with saying(answering(200, b'{"id":"run_1"}')) as (port, _):
        assert make(at(port)).dispatch(request()).external_id == "run_1"


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.ANSWER_LOST, Fault.SLOW, Fault.UNREACHABLE])
def test_a_trigger_is_never_repeated_underneath(make: Client, fault: Fault) -> None:
    """Whatever went wrong with it: the next attempt is armed first."""
    engine = FakeEngine(ManualClock())
    engine.script(fault)
    assert make(settings(), transport=transport(engine)).dispatch(request()).result is not AttemptResult.ACCEPTED
    assert len(engine.requests) == 1


# --- reads -------------------------------------------------------------------------------------------------------


def begun(engine: FakeEngine, make: Client) -> tuple[TriggerDev | Awaited, str]:
    """Return a dispatcher and the engine run that it has triggered and that has begun."""
    dispatcher = make(settings(), transport=transport(engine))
    external_id = dispatcher.dispatch(request()).external_id
    assert external_id is not None
    engine.begin(external_id)
    return dispatcher, external_id


def test_a_known_run_is_read_by_its_id_and_an_unknown_one_found_by_its_tag(make: Client) -> None:
    """The list lags, and is asked only where no id is known."""
    engine = FakeEngine(ManualClock())
    dispatcher, external_id = begun(engine, make)
    alive = (Sighting(external_id=external_id, state=SightingState.ALIVE),)
    assert dispatcher.look(request(), (external_id,)) == alive
    assert [one.path for one in engine.requests[1:]] == [f"/api/v3/runs/{external_id}"]
    assert dispatcher.look(request(), ()) == alive
    assert [one.path for one in engine.requests[2:]] == ["/api/v1/runs", f"/api/v3/runs/{external_id}"]


def test_a_lagging_replica_and_an_empty_list_are_no_news(make: Client) -> None:
    """A 404 is not repeated at once: the next pass looks again."""
    engine = FakeEngine(ManualClock())
    engine.lagging_reads = 1
    engine.list_works = False
    dispatcher, external_id = begun(engine, make)
    assert dispatcher.look(request(), (external_id,)) == ()
    assert dispatcher.look(request(), ()) == ()
    assert len(dispatcher.look(request(), (external_id,))) == 1


def test_a_listed_run_that_cannot_be_read_is_there(make: Client) -> None:
    """The list proves that it exists, and never how it ended."""
    engine = FakeEngine(ManualClock())
    engine.lagging_reads = 1
    dispatcher, external_id = begun(engine, make)
    engine.end(external_id, Status.FAILED)
    assert [seen.state for seen in dispatcher.look(request(), ())] == [SightingState.ALIVE]
    assert [seen.state for seen in dispatcher.look(request(), ())] == [SightingState.ENDED]


def test_a_listed_run_that_does_not_carry_the_tag_is_none(make: Client) -> None:
    """The list lags: what the run itself says is believed."""

    def contradicting(asked: httpx2.Request) -> httpx2.Response:
        if asked.url.path == "/api/v1/runs":
            return httpx2.Response(200, json={"data": [{"id": "run_1", "tags": [f"research-run:{RUN_ID}"]}]})
        return httpx2.Response(200, json={"id": "run_1", "tags": ["other"], "status": "QUEUED"})

    assert make(settings(), transport=httpx2.MockTransport(contradicting)).look(request(), ()) == ()


def test_a_read_is_repeated_a_few_times(make: Client) -> None:
    """A break, a slow answer, a 503: the third request is answered. A fourth is not sent."""
    engine = FakeEngine(ManualClock())
    dispatcher, external_id = begun(engine, make)
    engine.script_reads(Fault.REQUEST_LOST, Fault.UNAVAILABLE)
    assert len(dispatcher.look(request(), (external_id,))) == 1
    engine.script_reads(*[Fault.SLOW] * 3)
    assert dispatcher.look(request(), (external_id,)) == ()
    assert len(engine.requests) == 1 + 3 + 3


@pytest.mark.parametrize("fault", [Fault.UNAUTHORIZED, Fault.RATE_LIMITED, Fault.GARBAGE, Fault.MOVED])
def test_a_read_that_is_answered_is_not_repeated(make: Client, fault: Fault) -> None:
    """Asking again would be answered the same, or be refused for longer."""
    engine = FakeEngine(ManualClock())
    dispatcher, external_id = begun(engine, make)
    engine.script_reads(fault)
    assert dispatcher.look(request(), (external_id,)) == ()
    assert len(engine.requests) == 2


def test_a_worker_may_claim_with_an_id_that_the_engine_cannot_have(make: Client) -> None:
    """Nothing is asked with it: neither read nor cancelled."""
    engine = FakeEngine(ManualClock())
    dispatcher = make(settings(), transport=transport(engine))
    assert dispatcher.look(request(), ("../../admin", "run 1", "lauf_ä")) == ()
    dispatcher.cancel("../../admin")
    assert engine.requests == []


def test_a_large_report_is_fetched_from_where_it_is_kept(make: Client) -> None:
    """Without the key: object stores refuse a second permit, and it is none of their business."""
    engine = FakeEngine(ManualClock())
    engine.keeps_large_outputs_elsewhere = 10
    dispatcher, external_id = begun(engine, make)
    engine.end(external_id, Status.COMPLETED, {"run_id": RUN_ID, "run_no": 1, "content": "large"})
    (seen,) = dispatcher.look(request(), (external_id,))
    assert seen.state is SightingState.COMPLETED
    assert b'"large"' in (seen.report or b"")
    assert "authorization" not in engine.requests[-1].headers


def test_an_address_that_makes_no_sense_is_no_news(make: Client) -> None:
    """The engine names it; it spoils no look."""

    def odd(asked: httpx2.Request) -> httpx2.Response:
        told = {"id": "run_1", "tags": [f"research-run:{RUN_ID}"], "status": "COMPLETED"}
        assert asked.url.path == "/api/v3/runs/run_1"
        return httpx2.Response(200, json=told | {"outputPresignedUrl": "https://[::1"})

    (seen,) = make(settings(), transport=httpx2.MockTransport(odd)).look(request(), ("run_1",))
    assert seen.state is SightingState.ALIVE


# --- the rest ----------------------------------------------------------------------------------------------------


def test_cancelling_asks_once_and_a_failure_is_logged(make: Client, caplog: pytest.LogCaptureFixture) -> None:
    """The run's callbacks are stale anyway."""
    engine = FakeEngine(ManualClock())
    dispatcher, external_id = begun(engine, make)
    engine.script_reads(Fault.UNAVAILABLE)
    dispatcher.cancel(external_id)
    assert "was not cancelled" in caplog.text
    assert engine.run(external_id).status is Status.EXECUTING
    dispatcher.cancel(external_id)
    dispatcher.cancel(external_id)
    assert engine.run(external_id).status is Status.CANCELED
    assert len(engine.requests) == 4


def test_neither_the_key_nor_a_token_is_logged(make: Client, caplog: pytest.LogCaptureFixture) -> None:
    """At the most talkative level of everything below, over a real connection, when things go wrong."""
    caplog.set_level(logging.DEBUG)
    engine = FakeEngine(ManualClock())
    with serve(engine) as url:
        dispatcher = make(settings(api_url=url))
        external_id = dispatcher.dispatch(request()).external_id
        engine.script(Fault.UNAUTHORIZED, Fault.ANSWER_LOST)
        engine.script_reads(*[Fault.REQUEST_LOST] * 3)
        dispatcher.dispatch(request())
        dispatcher.dispatch(request())
        dispatcher.look(request(), (str(external_id),))
        dispatcher.cancel(str(external_id))
    assert RUN_ID in caplog.text
    assert engine.secret_key not in caplog.text
    assert TOKEN not in caplog.text


def test_a_check_reads_and_says_what_it_found(make: Client) -> None:
    """That a task is there, only its runs can prove."""
    engine = FakeEngine(ManualClock())
    dispatcher, _ = begun(engine, make)
    found = {one.name: one for one in dispatcher.check()}
    assert {name: one.verdict for name, one in found.items()} == {
        "engine address": "ok",
        "engine access": "ok",
        "task deep-research-enrich": "ok",
        "task partner-deep-research-enrich": "warning",
    }
    assert "cannot be checked" in found["task partner-deep-research-enrich"].words
    assert {one.method for one in engine.requests[1:]} == {"GET"}
    assert len(engine.runs) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.UNAUTHORIZED, "refuses the key"),
        (Fault.UNREACHABLE, "does not answer (connect_error)"),
        (Fault.SLOW, "does not answer (read_timeout)"),
        (Fault.MOVED, "redirects"),
        (Fault.UNAVAILABLE, "HTTP 503"),
    ],
)
def test_a_check_says_what_keeps_it_out(make: Client, fault: Fault, words: str) -> None:
    """A wrong key, a wrong address, a network in between."""
    engine = FakeEngine(ManualClock())
    engine.script_reads(*[fault] * 3)
    found = make(settings(api_url="http://t.example"), transport=transport(engine)).check()
    assert [(one.name, one.verdict) for one in found] == [("engine address", "warning"), ("engine access", "problem")]
    assert words in found[1].words
    assert engine.secret_key not in str(found)


def test_a_transport_of_the_other_colour_is_a_mistake() -> None:
    """It is said so, and not answered with silence."""

    class Awaiting(httpx2.AsyncByteStream):
        """A body that can only be awaited."""

    wrong = httpx2.MockTransport(lambda _: httpx2.Response(200, stream=Awaiting()))
    with pytest.raises(TypeError, match="SyncByteStream"), TriggerDev(settings(), transport=wrong) as dispatcher:
        dispatcher.dispatch(request())
