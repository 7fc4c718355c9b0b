"""In which order Trigger.dev is asked: generators that yield a `Call` and receive the `Reply`.

Floor 5. Pure: the blocking and the awaiting client drive the same definitions. Reads only; a trigger and a
cancellation are one request each and need no order.
"""

from collections.abc import Generator
from http import HTTPStatus
from typing import Literal, NamedTuple, TypeVar

from research_fsm.commands import Sighting, SightingState
from research_fsm.dispatchers.trigger_dev import contract, evidence
from research_fsm.dispatchers.trigger_dev.contract import Answer, Call, NoAnswer, Reply
from research_fsm.dispatchers.trigger_dev.settings import TriggerDevSettings, is_loopback
from research_fsm.requests import DispatchRequest

__all__ = ["Check", "Conversation", "check", "look"]

T = TypeVar("T")

Conversation = Generator[Call, Reply, T]


def look(
    settings: TriggerDevSettings, request: DispatchRequest, external_ids: tuple[str, ...]
) -> Conversation[tuple[Sighting, ...]]:
    """Find the engine's runs of a run: those that are known by their ids, or else by the tag.

    Only while no engine run is known does the list matter, which lags and may be empty. It proves that a run is
    there, never how it ended: for that each is read by its id. A read that fails is no news, and spoils no other.
    """
    known = tuple(external_id for external_id in external_ids if contract.is_engine_id(external_id))
    listed: tuple[str, ...] = ()
    if not external_ids:
        listed = evidence.listed_runs((yield contract.list_request(settings, request)), request.run_id)
    seen: list[Sighting] = []
    for external_id in (*known, *listed):
        reply = yield contract.run_request(settings, external_id)
        url = evidence.output_url(reply, external_id, request.run_id)
        stored = None if url is None else (yield contract.output_request(url))
        found = evidence.sighting(reply, external_id, request, stored)
        if found is None and external_id in listed and not _is_answered(reply):
            found = Sighting(external_id=external_id, state=SightingState.ALIVE)
        if found is not None:
            seen.append(found)
    return tuple(seen)


def _is_answered(reply: Reply) -> bool:
    return isinstance(reply, Answer) and reply.status == HTTPStatus.OK


class Check(NamedTuple):
    """One thing that was examined.

    Args:
        name: What.
        verdict: ``ok``, ``warning`` or ``problem``.
        words: What was found, and what to do about it.
    """

    name: str
    verdict: Literal["ok", "warning", "problem"]
    words: str


def check(settings: TriggerDevSettings) -> Conversation[tuple[Check, ...]]:
    """Examine the connection, the key and the tasks, by reads that change nothing."""
    first = yield contract.probe_request(settings, settings.user_task)
    found = [_address(settings), _access(settings, first)]
    if found[-1].verdict == "ok":
        second = yield contract.probe_request(settings, settings.partner_task)
        found += [_task(settings.user_task, first), _task(settings.partner_task, second)]
    return tuple(found)


def _address(settings: TriggerDevSettings) -> Check:
    if settings.api_url.startswith("https:") or is_loopback(settings.api_url):
        return Check("engine address", "ok", settings.api_url)
    return Check("engine address", "warning", f"{settings.api_url} is plain http: the secret key travels in the clear")


def _access(settings: TriggerDevSettings, reply: Reply) -> Check:
    def problem(words: str) -> Check:
        return Check("engine access", "problem", words)

    if isinstance(reply, NoAnswer):
        return problem(f"{settings.api_url} does not answer ({reply.reason}): check TRIGGER_API_URL and the network")
    match reply.status:
        case HTTPStatus.OK:
            return Check("engine access", "ok", "the key opens the engine")
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return problem(f"the engine refuses the key (HTTP {reply.status}): set TRIGGER_SECRET_KEY to a secret key")
        case status if 300 <= status < 400:  # noqa: PLR2004  # The class of an HTTP status.
            return problem(f"the address redirects (HTTP {status}), which is never followed: set TRIGGER_API_URL")
        case status:
            return problem(f"the engine answers HTTP {status} to a read: is this Trigger.dev?")


def _task(task: str, reply: Reply) -> Check:
    """Say what can be said of a task: runs of it prove that it was there, and nothing proves that it is not."""
    if evidence.listed_runs(reply):
        return Check(f"task {task}", "ok", "the engine has runs of it")
    words = "no run of it was seen, and it cannot be checked: an unknown task id is accepted and waits for ever"
    return Check(f"task {task}", "warning", words)
