"""What the worker of an outside engine tells: that it takes a run, and how the run ended.

Floor 8. Imports Starlette's requests and responses. A callback is let in by the
token of its run, which is derived from the run's id and number and opens nothing else.
"""

import re

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from research_fsm.async_runs import AsyncRuns
from research_fsm.commands import checked_id
from research_fsm.http import answers, bodies, problems
from research_fsm.http.callers import bearer_token
from research_fsm.http.problems import UNAUTHORIZED, ProblemError
from research_fsm.outcomes import Claimed, Completed, Failed, Json, RunNotFound, StaleRun
from research_fsm.rfc3339 import format_time
from research_fsm.tokens import is_callback_token

__all__ = ["AskedByWorker", "claim", "complete", "fail", "presented_token"]

_RUN = ("run_no", "external_run_id")
_TOKEN = re.compile(r"[0-9a-f]{64}")


@frozen
class AskedByWorker:
    """A request that presents something like a callback token, with its body."""

    runs: AsyncRuns
    presented: str
    request: Request
    body: bytes


@frozen
class _Callback:
    """A callback whose token is that of its run."""

    run_id: str
    run_no: int
    external_id: str
    members: dict[str, Json]


def presented_token(request: Request) -> str:
    """Return what may be a callback token, before the body that names the run is read.

    Raises:
        ProblemError: It cannot be one.
    """
    presented = bearer_token(request)
    if presented is None or not _TOKEN.fullmatch(presented):
        raise ProblemError(UNAUTHORIZED)
    return presented


async def claim(asked: AskedByWorker) -> Response:
    """Take the run: a worker's first act. The answer is the only place where it learns whom to research."""
    told = await _admitted(asked, _RUN)
    match await asked.runs.claim(told.run_id, told.run_no, told.external_id):
        case Claimed() as claimed:
            members = {
                "person_id": claimed.person_id,
                "run_id": claimed.run_id,
                "run_no": claimed.run_no,
                "external_run_id": claimed.external_id,
                "deadline": format_time(claimed.deadline),
                "profile": dict(claimed.profile),
            }
            return answers.ok(members)
        case refusal:
            return await _refused(asked, refusal)


async def complete(asked: AskedByWorker) -> Response:
    """End the run with its report."""
    told = await _admitted(asked, (*_RUN, "content"), ("change_summary",))
    content, summary = told.members["content"], told.members.get("change_summary")
    match await asked.runs.complete(told.run_id, told.run_no, told.external_id, content, change_summary=summary):
        case Completed() | Failed():
            return answers.done()
        case refusal:
            return await _refused(asked, refusal)


async def fail(asked: AskedByWorker) -> Response:
    """End the run without a report; `reason` is free text."""
    told = await _admitted(asked, (*_RUN, "reason"))
    reason = told.members["reason"]
    if not isinstance(reason, str):
        raise problems.invalid("reason", "must be text")
    match await asked.runs.fail(told.run_id, told.run_no, told.external_id, reason):
        case Completed() | Failed():
            return answers.done()
        case refusal:
            return await _refused(asked, refusal)


async def _admitted(asked: AskedByWorker, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> _Callback:
    """Return what the callback says, if its token is that of the run it names."""
    run_id = bodies.path_id(asked.request, "run_id")
    members = await bodies.parsed(bodies.closed_object, asked.body, required, optional)
    run_no, external_id = members["run_no"], members["external_run_id"]
    if isinstance(run_no, bool) or not isinstance(run_no, int):
        raise problems.invalid("run_no", "must be a whole number")
    if not is_callback_token(asked.presented, asked.runs.store.secret, run_id, run_no):
        raise ProblemError(UNAUTHORIZED)
    return _Callback(run_id, run_no, checked_id("external_run_id", external_id), members)


async def _refused(asked: AskedByWorker, refusal: StaleRun | RunNotFound) -> Response:
    return (await problems.refused_by(asked.runs, refusal)).response()
