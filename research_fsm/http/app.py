"""The ASGI application: which operation answers where, who is let in, and what an error looks like.

Floor 8. Imports Starlette and anyio. No rule lives here: an operation awaits one call of `AsyncRuns`. What blocks, such
as a host's own look at who asks, happens in a thread: nothing stops the event loop.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
from attrs import frozen
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from research_fsm.async_runs import AsyncRuns
from research_fsm.errors import InvalidInput, ResearchError, StoreBusy
from research_fsm.events import PersonKind
from research_fsm.http import about, bodies, callbacks, partners, people, problems
from research_fsm.http import credits as credits_
from research_fsm.http.asked import Asked
from research_fsm.http.callbacks import AskedByWorker
from research_fsm.http.callers import Authenticate, Caller, Limit, access_tokens, allowed, recognised
from research_fsm.http.problems import Code, Problem, ProblemError
from research_fsm.runs import Runs
from research_fsm.tokens import AccessTokens

__all__ = ["OPERATIONS", "Operation", "create_app"]

_log = logging.getLogger(__name__)

_SETTLE_SECONDS = 30

Answer = Callable[[bytes], Awaitable[Response]]
Admit = Callable[[AsyncRuns, "Caller | None", Request], Answer]
"""Lets a request in, or raises a `ProblemError`, before its body is read; returns what answers it."""


@frozen
class Operation:
    """One thing that can be asked for.

    Args:
        method: The HTTP method.
        path: Behind the prefix.
        admit: Who may ask, and what answers.
        longest_body: Bytes of JSON that it takes; 0 for an operation that reads no body.
        recognises: Whether who asks is looked up before it is let in.
    """

    method: str
    path: str
    admit: Admit
    longest_body: int = 0
    recognises: bool = False


def _for(kind: PersonKind | None, answer: Callable[[Asked], Awaitable[Response]]) -> Admit:
    """Let in who has a token of this kind, or of either."""

    def admit(runs: AsyncRuns, caller: Caller | None, request: Request) -> Answer:
        known = recognised(caller) if kind is None else allowed(caller, kind)
        return lambda body: answer(Asked(runs, known, request, body))

    return admit


def _for_workers(answer: Callable[[AskedByWorker], Awaitable[Response]]) -> Admit:
    def admit(runs: AsyncRuns, _: Caller | None, request: Request) -> Answer:
        presented = callbacks.presented_token(request)
        return lambda body: answer(AskedByWorker(runs, presented, request, body))

    return admit


def _health(runs: AsyncRuns, _: Caller | None, __: Request) -> Answer:
    return lambda _: about.health(runs)


def _for_readers(answer: Callable[[Request, Collection[tuple[str, str]]], Awaitable[Response]]) -> Admit:
    def admit(_: AsyncRuns, __: Caller | None, request: Request) -> Answer:
        served = [(operation.method, operation.path) for operation in OPERATIONS]
        return lambda _: answer(request, served)

    return admit


_PEOPLE = "/deep-research/people"
_PERSON = _PEOPLE + "/{person_id}"
_RUN = "/deep-research/runs/{run_id}"
_RESEARCH = "/v1/research"
_SUBMITTED = _RESEARCH + "/{person_id}"

OPERATIONS: tuple[Operation, ...] = (
    Operation("POST", _PEOPLE, _for(PersonKind.USER, people.create), longest_body=bodies.LONGEST, recognises=True),
    Operation("GET", _PEOPLE, _for(PersonKind.USER, people.list_people), recognises=True),
    Operation("GET", _PERSON, _for(PersonKind.USER, people.get), recognises=True),
    Operation("DELETE", _PERSON, _for(PersonKind.USER, people.delete), recognises=True),
    Operation("POST", f"{_PERSON}/run", _for(PersonKind.USER, people.run), recognises=True),
    Operation("GET", f"{_PERSON}/report", _for(PersonKind.USER, people.report), recognises=True),
    Operation("POST", f"{_PERSON}/mark-stale", _for(PersonKind.USER, people.mark_stale), recognises=True),
    Operation(
        "POST", _RESEARCH, _for(PersonKind.PARTNER, partners.create), longest_body=bodies.LONGEST, recognises=True
    ),
    Operation("GET", _RESEARCH, _for(PersonKind.PARTNER, partners.list_people), recognises=True),
    Operation("GET", _SUBMITTED, _for(PersonKind.PARTNER, partners.get), recognises=True),
    Operation("DELETE", _SUBMITTED, _for(PersonKind.PARTNER, partners.delete), recognises=True),
    Operation("GET", "/credits/config", _for(None, credits_.config), recognises=True),
    Operation("POST", "/credits/preview", _for(None, credits_.preview), longest_body=bodies.LONGEST, recognises=True),
    Operation("POST", f"{_RUN}/claim", _for_workers(callbacks.claim), longest_body=bodies.LONGEST),
    Operation("POST", f"{_RUN}/complete", _for_workers(callbacks.complete), longest_body=bodies.LONGEST_REPORT),
    Operation("POST", f"{_RUN}/fail", _for_workers(callbacks.fail), longest_body=bodies.LONGEST),
    Operation("GET", "/healthz", _health),
    Operation("GET", "/openapi.json", _for_readers(about.document)),
    Operation("GET", "/docs", _for_readers(about.page)),
)


def create_app(
    runs: Runs | AsyncRuns,
    *,
    prefix: str = "/api",
    authenticate: Authenticate | None = None,
    limit: Limit | None = None,
    body_seconds: float = 30,
) -> Starlette:
    """Return the HTTP interface as an ASGI application, to be served or to be mounted in another one.

    When it is served, its shutdown waits until every run that was begun is settled. A host that mounts it does so
    itself: ``async with runs`` around its own lifespan, with the `AsyncRuns` that it gives here.

    Args:
        runs: What is asked; a `Runs` is asked through an `AsyncRuns` over the same store and engine.
        prefix: Before every path: empty, or ``/`` and a name. Empty is right below a mount that says it already.
        authenticate: Recognises who sent a request; by default the bearer of an access token of the store's.
        limit: A rate limit of the host's own; by default there is none.
        body_seconds: How long a client may take to send a body.

    Raises:
        InvalidInput: The prefix is malformed, or there is no time for a body.
    """
    if prefix and (not prefix.startswith("/") or prefix.endswith("/") or "{" in prefix):
        raise InvalidInput("prefix", f"must be empty or like /api, not {prefix!r}")
    if not body_seconds > 0:
        raise InvalidInput("body_seconds", f"must be more than 0, not {body_seconds}")
    awaited = AsyncRuns.of(runs) if isinstance(runs, Runs) else runs
    door = _Door(awaited, authenticate or access_tokens(AccessTokens(awaited.store)), limit, body_seconds)
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(prefix + operation.path, {})[operation.method] = operation
    routes = [Route(path, door.endpoint(methods), methods=list(methods)) for path, methods in by_path.items()]
    app = Starlette(
        routes=routes, exception_handlers={HTTPException: _not_routed}, lifespan=lambda _: _settling(awaited)
    )
    app.router.redirect_slashes = False  # A path with another slash is another path, and a problem like any other.
    return app


@asynccontextmanager
async def _settling(runs: AsyncRuns) -> AsyncIterator[None]:
    """Wait at the end for what was begun; what an engine does not answer in time is left to recovery."""
    yield
    with anyio.move_on_after(_SETTLE_SECONDS) as waiting:
        await runs.settle()
    if waiting.cancelled_caught:
        _log.warning("an engine has not answered for %s seconds; recovery settles what it was asked", _SETTLE_SECONDS)


@frozen
class _Door:
    """Lets requests in, has them answered, and turns whatever is raised into problems."""

    _runs: AsyncRuns
    _authenticate: Authenticate
    _limit: Limit | None
    _body_seconds: float

    def endpoint(self, methods: Mapping[str, Operation]) -> Callable[[Request], Awaitable[Response]]:
        """Return what Starlette calls for one path."""

        async def answered(request: Request) -> Response:
            operation = methods["GET" if request.method == "HEAD" else request.method]
            try:
                return await self._answer(operation, request)
            except ProblemError as error:
                return error.problem.response()
            except ResearchError as error:
                if not isinstance(error, (InvalidInput, StoreBusy)):
                    _log.exception("%s %s could not be answered", operation.method, operation.path)
                return problems.failed(error).response()
            except ClientDisconnect:
                return problems.invalid("body", "ended before it was complete").problem.response()
            except Exception:  # noqa: BLE001  # Logged; a caller gets a problem, whatever it was.
                _log.exception("%s %s could not be answered", operation.method, operation.path)
                return problems.INTERNAL_ERROR.response()

        return answered

    async def _answer(self, operation: Operation, request: Request) -> Response:
        """Let the request in, then read its body, then answer: nobody unknown is listened to at length."""
        caller = None
        if operation.recognises:
            caller = await anyio.to_thread.run_sync(self._authenticate, request)
        if self._limit is not None:
            seconds = await anyio.to_thread.run_sync(self._limit, request, caller)
            if seconds is not None:
                raise ProblemError(problems.rate_limited(seconds))
        answer = operation.admit(self._runs, caller, request)
        longest = operation.longest_body
        return await answer(await bodies.read(request, longest, self._body_seconds) if longest else b"")


async def _not_routed(_: Request, error: Exception) -> Response:
    """Answer what no operation answers: an unknown path, or a method that its path does not have."""
    allow = error.headers.get("Allow") if isinstance(error, HTTPException) and error.headers else None
    if allow is None:
        return Problem(Code.NOT_FOUND, "there is nothing under this path").response()
    methods = ", ".join(sorted(allow.split(", ")))
    return Problem(Code.METHOD_NOT_ALLOWED, f"allowed are {methods}", headers={"Allow": methods}).response()
