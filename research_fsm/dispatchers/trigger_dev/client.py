"""Sends to Trigger.dev: one client for callers who block, one for callers who await. No rule lives here.

Floor 5. Imports httpx2 and stamina; stands on httpx2's transports, below its client, so that nothing underneath can
turn one attempt into two requests: no redirect, no cookie, no proxy of the environment, no retry. stamina repeats
reads, a few times and not for long. Neither the key nor a callback token is ever logged.
"""

import logging
import re
import time
from contextlib import aclosing, closing
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2
import stamina

from research_fsm.commands import Sighting
from research_fsm.dispatchers.trigger_dev import contract, conversations
from research_fsm.dispatchers.trigger_dev.contract import Answer, Call, NoAnswer, Reply
from research_fsm.dispatchers.trigger_dev.conversations import Check, Conversation
from research_fsm.dispatchers.trigger_dev.settings import TriggerDevSettings
from research_fsm.requests import AttemptOutcome, DispatchRequest

__all__ = ["AsyncTriggerDev", "TriggerDev"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_LIMITS = httpx2.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=5.0)

_REPEATED = frozenset({408, 500, 502, 503, 504})
"""Answers to a read after which it is repeated. A 429 is not one: its reset is further away than anybody waits."""

_NOTHING_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.InvalidURL,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
)
"""The connection was not made: the name, the port, the TLS handshake, or no connection was free in time."""


class TriggerDev:
    """A `research_fsm.requests.Dispatcher` to Trigger.dev. Safe to share between threads; close it at the end.

    Args:
        settings: Where the engine is, and where its tasks call back.
        transport: What sends, instead of a pool of connections of its own: with certificates of your own, or a fake
            engine in tests. It is closed along.
    """

    def __init__(self, settings: TriggerDevSettings, *, transport: httpx2.BaseTransport | None = None) -> None:
        self.settings = settings
        self._transport = transport or httpx2.HTTPTransport(trust_env=False, retries=0, limits=_LIMITS)

    @classmethod
    def from_environment(cls, *, public_url: str, **others: Any) -> Self:  # noqa: ANN401  # As the settings take them.
        """Make one from ``TRIGGER_SECRET_KEY`` and ``TRIGGER_API_URL``; see `TriggerDevSettings.from_environment`."""
        return cls(TriggerDevSettings.from_environment(public_url=public_url, **others))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Trigger the run, in one request."""
        return _classified(self._sent(contract.trigger_request(self.settings, request)), request)

    def look(self, request: DispatchRequest, external_ids: tuple[str, ...]) -> tuple[Sighting, ...]:
        """Return what the engine has of a run; what could not be read is no news."""
        return self._held(conversations.look(self.settings, request, external_ids))

    def cancel(self, external_id: str) -> None:
        """Ask the engine to stop a run, once; that it does not is logged."""
        if contract.is_engine_id(external_id):
            _log_cancellation(self._sent(contract.cancel_request(self.settings, external_id)), external_id)

    def check(self) -> tuple[Check, ...]:
        """Examine the connection, the key and the tasks, by reads that change nothing."""
        return self._held(conversations.check(self.settings))

    def _held(self, conversation: Conversation[T]) -> T:
        try:
            call = next(conversation)
            while True:
                call = conversation.send(self._read(call))
        except StopIteration as stop:
            answer: T = stop.value
            return answer

    def _read(self, call: Call) -> Reply:
        try:
            for attempt in _attempts(self.settings):
                with attempt:
                    return _worth_having(self._sent(call))
        except _UnansweredError as error:
            return _noted(error.reply, call)
        raise AssertionError("stamina ends with an answer or an error")  # pragma: no cover  # It never does not.

    def _sent(self, call: Call) -> Reply:
        try:
            response = self._transport.handle_request(_request(call, self.settings))
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            return _unanswered(error)
        stream = _stream(response, httpx2.SyncByteStream)
        with closing(response):
            body = _Body(call, self.settings)
            try:
                for chunk in stream:
                    body.add(chunk)
            except (httpx2.TransportError, _UnreadableError):
                return _answer(response, None)
            return _answer(response, bytes(body.read))


class AsyncTriggerDev:
    """The same for callers who await, with the same methods to be awaited.

    Args:
        settings: Where the engine is, and where its tasks call back.
        transport: What sends, instead of a pool of connections of its own.
    """

    def __init__(self, settings: TriggerDevSettings, *, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self.settings = settings
        self._transport = transport or httpx2.AsyncHTTPTransport(trust_env=False, retries=0, limits=_LIMITS)

    @classmethod
    def from_environment(cls, *, public_url: str, **others: Any) -> Self:  # noqa: ANN401  # As the settings take them.
        """Make one from ``TRIGGER_SECRET_KEY`` and ``TRIGGER_API_URL``; see `TriggerDevSettings.from_environment`."""
        return cls(TriggerDevSettings.from_environment(public_url=public_url, **others))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Trigger the run, in one request. Whoever is cancelled meanwhile knows nothing of it: it is ambiguous."""
        return _classified(await self._sent(contract.trigger_request(self.settings, request)), request)

    async def look(self, request: DispatchRequest, external_ids: tuple[str, ...]) -> tuple[Sighting, ...]:
        """Return what the engine has of a run; what could not be read is no news."""
        return await self._held(conversations.look(self.settings, request, external_ids))

    async def cancel(self, external_id: str) -> None:
        """Ask the engine to stop a run, once; that it does not is logged."""
        if contract.is_engine_id(external_id):
            _log_cancellation(await self._sent(contract.cancel_request(self.settings, external_id)), external_id)

    async def check(self) -> tuple[Check, ...]:
        """Examine the connection, the key and the tasks, by reads that change nothing."""
        return await self._held(conversations.check(self.settings))

    async def _held(self, conversation: Conversation[T]) -> T:
        try:
            call = next(conversation)
            while True:
                call = conversation.send(await self._read(call))
        except StopIteration as stop:
            answer: T = stop.value
            return answer

    async def _read(self, call: Call) -> Reply:
        try:
            async for attempt in _attempts(self.settings):
                with attempt:
                    return _worth_having(await self._sent(call))
        except _UnansweredError as error:
            return _noted(error.reply, call)
        raise AssertionError("stamina ends with an answer or an error")  # pragma: no cover  # It never does not.

    async def _sent(self, call: Call) -> Reply:
        try:
            response = await self._transport.handle_async_request(_request(call, self.settings))
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            return _unanswered(error)
        stream = _stream(response, httpx2.AsyncByteStream)
        async with aclosing(response):
            body = _Body(call, self.settings)
            try:
                async for chunk in stream:
                    body.add(chunk)
            except (httpx2.TransportError, _UnreadableError):
                return _answer(response, None)
            return _answer(response, bytes(body.read))


# --- what both share ---------------------------------------------------------------------------------------------


class _UnansweredError(Exception):
    """A read that may be repeated; never leaves this module."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        super().__init__(str(reply))


class _UnreadableError(Exception):
    """A body that is too long or too slow; never leaves this module."""


class _Body:
    """The body of an answer, as far as it was read: so long at most, in so much time."""

    def __init__(self, call: Call, settings: TriggerDevSettings) -> None:
        self.read = bytearray()
        self._longest = call.longest
        self._until = time.monotonic() + settings.read_timeout.total_seconds()

    def add(self, chunk: bytes) -> None:
        if len(self.read) + len(chunk) > self._longest or time.monotonic() > self._until:
            raise _UnreadableError
        self.read += chunk


def _request(call: Call, settings: TriggerDevSettings) -> httpx2.Request:
    connect, read = settings.connect_timeout.total_seconds(), settings.read_timeout.total_seconds()
    timeout = httpx2.Timeout(connect=connect, read=read, write=read, pool=connect)
    return httpx2.Request(
        call.method, call.url, headers=dict(call.headers), content=call.body, extensions={"timeout": timeout.as_dict()}
    )


def _stream(response: httpx2.Response, kind: type[T]) -> T:
    """Return what an answer's body is read from, as it was sent."""
    if not isinstance(response.stream, kind):
        raise TypeError(f"the transport answers with {type(response.stream).__name__}, not with {kind.__name__}")
    return response.stream


def _answer(response: httpx2.Response, body: bytes | None) -> Answer:
    return Answer(response.status_code, dict(response.headers), body)


def _unanswered(error: httpx2.TransportError | httpx2.InvalidURL) -> NoAnswer:
    """Name what happened after the error's class, and say whether a byte may have left."""
    words = re.findall("[A-Z]+[a-z]*", type(error).__name__)
    return NoAnswer("_".join(words).lower(), sent=not isinstance(error, _NOTHING_SENT))


def _classified(reply: Reply, request: DispatchRequest) -> AttemptOutcome:
    outcome = contract.classify(reply)
    _log.info("run %s was dispatched: %s (%s)", request.run_id, outcome.result, outcome.reason)
    return outcome


def _attempts(settings: TriggerDevSettings) -> Any:  # noqa: ANN401  # stamina does not name the type.
    return stamina.retry_context(
        on=_UnansweredError,
        attempts=settings.read_attempts,
        timeout=10.0,
        wait_initial=0.1,
        wait_max=1.0,
        wait_jitter=0.2,
    )


def _worth_having(reply: Reply) -> Reply:
    if isinstance(reply, NoAnswer) or reply.status in _REPEATED:
        raise _UnansweredError(reply)
    return reply


def _noted(reply: Reply, call: Call) -> Reply:
    _log.warning("%s %s: no answer after the last attempt: %s", call.method, call.url.partition("?")[0], reply)
    return reply


def _log_cancellation(reply: Reply, external_id: str) -> None:
    if not isinstance(reply, Answer) or reply.status != 200:  # noqa: PLR2004  # OK.
        _log.warning("the engine run %s was not cancelled (%s); its callbacks will be stale", external_id, reply)
