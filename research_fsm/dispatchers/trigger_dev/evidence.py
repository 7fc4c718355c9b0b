"""What reads of Trigger.dev prove: positive evidence only.

Floor 5. Pure, imports no HTTP client. A read replica lags, the list lags more and may be empty, and a read may fail:
none of it proves that something is not there.
"""

from collections.abc import Mapping
from http import HTTPStatus

from research_fsm import codec
from research_fsm.commands import Sighting, SightingState
from research_fsm.dispatchers.trigger_dev.contract import MOST_LISTED, Answer, Reply, is_engine_id, json_object, tag
from research_fsm.errors import InvalidInput
from research_fsm.outcomes import Json
from research_fsm.requests import DispatchRequest

__all__ = ["listed_runs", "output_url", "sighting"]

_ENDED = frozenset({"CANCELED", "FAILED", "CRASHED", "SYSTEM_FAILURE", "EXPIRED", "TIMED_OUT", "INTERRUPTED"})


def listed_runs(reply: Reply, run_id: str | None = None) -> tuple[str, ...]:
    """Return the engine runs of a list; none if it could not be read, which proves as little as an empty one.

    Args:
        reply: The answer to `list_request` or `probe_request`.
        run_id: The run whose tag they must carry: a filter that the engine does not know, it ignores.
    """
    items = _ok(reply).get("data")
    listed = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    ids = [item.get("id") for item in listed if run_id is None or _carries(item, run_id)]
    return tuple(found for found in ids if isinstance(found, str) and is_engine_id(found))[:MOST_LISTED]


def output_url(reply: Reply, external_id: str, run_id: str) -> str | None:
    """Return where the output of a completed run is kept, if the engine did not send it along."""
    engine_run = _tagged(reply, external_id, run_id)
    url = engine_run.get("outputPresignedUrl")
    elsewhere = engine_run.get("status") == "COMPLETED" and engine_run.get("output") is None
    return url if elsewhere and isinstance(url, str) and url.startswith(("https://", "http://")) else None


def sighting(reply: Reply, external_id: str, request: DispatchRequest, stored: Reply | None = None) -> Sighting | None:
    """Return what a read of one engine run proves; None for nothing.

    A 404 is no news: a replica lags. So is a run that does not carry this run's tag, whoever named it. The status
    alone decides: the engine's ``isCompleted`` is false for runs that expired or timed out. A status that is not
    known to be final says no more than that the run is there.

    Args:
        reply: The answer to `run_request`.
        external_id: The engine run that was asked for.
        request: The run that it should carry.
        stored: The answer to `output_request`, if the output was kept elsewhere.
    """
    engine_run = _tagged(reply, external_id, request.run_id)
    if not engine_run:
        return None
    status = engine_run.get("status")
    if status in _ENDED:
        return Sighting(external_id=external_id, state=SightingState.ENDED)
    alive = Sighting(external_id=external_id, state=SightingState.ALIVE)
    if status != "COMPLETED":
        return alive
    output = engine_run.get("output")
    if output is None and engine_run.get("outputPresignedUrl") is not None:
        # There is an output. Not to see it must not look like its absence: that would fail, and refund, a run that
        # may have shipped. A later look may see it; the deadline bounds the wait.
        output = {} if stored is None else _ok(stored)
        if not output:
            return alive
    try:
        return Sighting(external_id=external_id, state=SightingState.COMPLETED, report=_report(output, request))
    except InvalidInput:
        return alive  # An output of this very run, and one that cannot be kept: the same.


def _tagged(reply: Reply, external_id: str, run_id: str) -> dict[str, Json]:
    """Return an engine run if it is the one that was asked for and carries the run's tag, else nothing."""
    engine_run = _ok(reply)
    return engine_run if _carries(engine_run, run_id) and engine_run.get("id") == external_id else {}


def _carries(engine_run: Mapping[str, Json], run_id: str) -> bool:
    tags = engine_run.get("tags")
    return isinstance(tags, list) and tag(run_id) in tags


def _report(output: Json, request: DispatchRequest) -> bytes | None:
    """Return the report in an output that names this very run; a worker that was told to stop returns none.

    Raises:
        InvalidInput: The report cannot be stored.
    """
    if not isinstance(output, dict) or "content" not in output:
        return None
    if (output.get("run_id"), output.get("run_no")) != (request.run_id, request.run_no):
        return None
    return codec.encode_report(request.run_id, output["content"], output.get("change_summary"))


def _ok(reply: Reply) -> dict[str, Json]:
    """Return the JSON object that a read was answered with, or an empty one."""
    return json_object(reply.body) if isinstance(reply, Answer) and reply.status == HTTPStatus.OK else {}
