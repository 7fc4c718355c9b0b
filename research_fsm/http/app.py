"""The ASGI application: which operation answers where, who is let in, and what an error looks like.

Floor 6. Imports Starlette and anyio. No rule lives here: an operation is a blocking function over `Runs`, called in
a thread, so that a store's lock or a slow engine never stops the event loop.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar
from attrs import frozen
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from research_fsm.errors import InvalidInput, ResearchError, StoreBusy
from research_fsm.events import PersonKind
from research_fsm.http import answers, bodies, callbacks, people, problems
from research_fsm.http.callbacks import AskedByWorker
from research_fsm.http.callers import Authenticate, access_tokens, allowed
from research_fsm.http.people import AskedByUser
from research_fsm.http.problems import Code, Problem, ProblemError
from research_fsm.runs import Runs
from research_fsm.storage import Query

__all__ = ["OPERATIONS", "Operation", "create_app"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_THREADS = 64
"""Calls that one application has at work at once, of each kind; the others wait for a thread."""

Answer = Callable[[bytes], Response]
Admit = Callable[[Runs, Authenticate, Request], Answer]
"""Lets a request in, or raises a `ProblemError`, before its body is read; returns what answers it."""


@frozen
class Operation:
    """One thing that can be asked for.

    Args:
        method: The HTTP method.
        path: Behind the prefix.
        admit: Who may ask, and what answers.
        longest_body: Bytes of JSON that it takes; 0 for an operation that reads no body.
        dispatches: Whether it may wait for an outside engine.
    """

    method: str
    path: str
    admit: Admit
    longest_body: int = 0
    dispatches: bool = False


def _for_users(answer: Callable[[AskedByUser], Response]) -> Admit:
    def admit(runs: Runs, authenticate: Authenticate, request: Request) -> Answer:
        caller = allowed(authenticate(request), PersonKind.USER)
        return lambda body: answer(AskedByUser(runs, caller, request, body))

    return admit


def _for_workers(answer: Callable[[AskedByWorker], Response]) -> Admit:
    def admit(runs: Runs, _: Authenticate, request: Request) -> Answer:
        presented = callbacks.presented_token(request)
        return lambda body: answer(AskedByWorker(runs, presented, request, body))

    return admit


def _healthz(runs: Runs, _: Authenticate, __: Request) -> Answer:
    """Tell everybody whether the store can be read."""
    runs.store.read(Query())
    return lambda _: answers.ok({"status": "ok"})


_PEOPLE = "/deep-research/people"
_PERSON = _PEOPLE + "/{person_id}"
_RUN = "/deep-research/runs/{run_id}"

OPERATIONS: tuple[Operation, ...] = (
    Operation("POST", f"{_PERSON}/run", _for_users(people.run), dispatches=True),
    Operation("GET", f"{_PERSON}/report", _for_users(people.report)),
    Operation("POST", f"{_PERSON}/mark-stale", _for_users(people.mark_stale)),
    Operation("GET", _PERSON, _for_users(people.get)),
    Operation("DELETE", _PERSON, _for_users(people.delete), dispatches=True),
    Operation("POST", _PEOPLE, _for_users(people.create), longest_body=bodies.LONGEST, dispatches=True),
    Operation("GET", _PEOPLE, _for_users(people.list_people)),
    Operation("POST", f"{_RUN}/claim", _for_workers(callbacks.claim), longest_body=bodies.LONGEST),
    Operation("POST", f"{_RUN}/complete", _for_workers(callbacks.complete), longest_body=bodies.LONGEST_REPORT),
    Operation("POST", f"{_RUN}/fail", _for_workers(callbacks.fail), longest_body=bodies.LONGEST),
    Operation("GET", "/healthz", _healthz),
)


def create_app(runs: Runs, *, prefix: str = "/api", authenticate: Authenticate | None = None) -> Starlette:
    """Return the HTTP interface as an ASGI application, to be served or to be mounted in another one.

    Args:
        runs: What is asked.
        prefix: Before every path: empty, or ``/`` and a name. Empty is right below a mount that says it already.
        authenticate: Recognises who sent a request; by default the bearer of an access token of the store's.

    Raises:
        InvalidInput: The prefix is malformed.
    """
    if prefix and (not prefix.startswith("/") or prefix.endswith("/") or "{" in prefix):
        raise InvalidInput("prefix", f"must be empty or like /api, not {prefix!r}")
    door = _Door(runs, authenticate or access_tokens(runs.tokens))
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(prefix + operation.path, {})[operation.method] = operation
    routes = [Route(path, door.endpoint(methods), methods=list(methods)) for path, methods in by_path.items()]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _not_routed})
    app.router.redirect_slashes = False  # A path with another slash is another path, and a problem like any other.
    return app


class _Door:
    """Calls operations in threads and turns whatever they raise into problems.

    Operations that may wait for an outside engine have threads of their own: a slow engine must not keep its own
    workers' callbacks waiting.
    """

    def __init__(self, runs: Runs, authenticate: Authenticate) -> None:
        self._runs = runs
        self._authenticate = authenticate
        self._threads = _Threads("calls")
        self._dispatching = _Threads("dispatching")

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

        def admit() -> Answer:
            return operation.admit(self._runs, self._authenticate, request)

        threads = self._dispatching if operation.dispatches else self._threads
        if not operation.longest_body:
            return await threads.call(lambda: admit()(b""))
        answer = await self._threads.call(admit)
        body = await bodies.read(request, operation.longest_body)
        return await threads.call(lambda: answer(body))


class _Threads:
    """A number of threads, of each event loop that the application is served by."""

    def __init__(self, name: str) -> None:
        self._limiters: RunVar[anyio.CapacityLimiter] = RunVar(f"research_fsm.http.{name}")

    async def call(self, blocking: Callable[[], T]) -> T:
        """Call in a thread; whoever goes away meanwhile does not stop what was begun."""
        try:
            limiter = self._limiters.get()
        except LookupError:
            limiter = anyio.CapacityLimiter(_THREADS)
            self._limiters.set(limiter)
        return await anyio.to_thread.run_sync(blocking, limiter=limiter)


async def _not_routed(_: Request, error: Exception) -> Response:
    """Answer what no operation answers: an unknown path, or a method that its path does not have."""
    allow = error.headers.get("Allow") if isinstance(error, HTTPException) and error.headers else None
    if allow is None:
        return Problem(Code.NOT_FOUND, "there is nothing under this path").response()
    methods = ", ".join(sorted(allow.split(", ")))
    return Problem(Code.METHOD_NOT_ALLOWED, f"allowed are {methods}", headers={"Allow": methods}).response()
