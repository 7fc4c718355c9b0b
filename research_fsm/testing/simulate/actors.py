"""Who is at work in a simulated world: callers, recovery passes, workers of the embedded queue, tasks of the engine.

Floor 6. A part of `simulate`. Each is a generator over the real flows and transactions: suspended at
every yield, where it may be overtaken, be killed, or wait for an answer that is late. Nothing here decides what happens
next.
"""

from collections.abc import Callable, Generator, Iterable
from typing import Any

from attrs import define

from research_fsm import codec, flows, requests, transactions
from research_fsm.commands import (
    AddPerson,
    ArmAttempt,
    ClaimRun,
    CompleteRun,
    FailRun,
    RenewLease,
    RequestKey,
    Sighting,
    StartRun,
    TakeEntry,
)
from research_fsm.decide import Send
from research_fsm.errors import StoreError
from research_fsm.outcomes import Claimed, Json, Recovered, Renewed, StaleRun, Unresolved
from research_fsm.person import Person
from research_fsm.policy import Policy, micros
from research_fsm.requests import DispatchRequest, Flow, Request
from research_fsm.testing.engine_words import Status
from research_fsm.testing.steps import Command, transaction_of

__all__ = ["PLANS", "QUEUE_PLANS", "Actor", "Ending", "Unanswered", "at_work", "in_queue", "joining", "recovering"]

_TRIES = 3
_DETAIL = b'"it was not found"'

PLANS = ("complete", "fail", "silent", "unclaimed", "refuse", "hang", "early", "empty")
"""What a task of the engine does: it reports; it ends with its output but without a word; it reports, or fails, without
having claimed; it hangs, or dies, after its claim or before it (early); it ends at once, with no output (empty)."""

QUEUE_PLANS = ("complete", "fail", "stop", "twice", "reclaim")
"""What a worker of the embedded queue does: it reports, once or twice; it dies; it claims what it has taken."""


class Unanswered(Exception):  # The condition, as the rest of the vocabulary.
    """A callback was not answered; whether it arrived is not known."""


@define(eq=False)
class Actor:
    """Somebody at work.

    Args:
        name: As the schedule calls them.
        server: On which server; empty for a task of the engine.
        about: The person it is about, where that is known.
        doing: What they do.
        command: What the next transaction is, for whoever checks it.
        wanted: What they wait for.
        held: What has come of it already, though they do not know yet.
        looked_at: Whom they last looked at, of a recovery pass.
        seen: What the engine showed them of that person's run.
        sent: The attempt that they were last allowed to send.
        sends: Whether they can send an attempt, of a recovery pass.
        caller: Whether somebody waits for their answer.
        key: The request key, of a caller who has one.
        adding: What adds the person, of a caller who does.
        until: Until when a worker of the embedded queue holds its lease, by its own clock.
        holds: The run and the delivery that it holds.
        ending: How a task of the engine ended.
    """

    name: str
    server: str
    about: str = ""
    doing: Generator[Request, Any, Any] | None = None
    command: Command | None = None
    wanted: Request | None = None
    held: Any = None
    looked_at: Person | None = None
    seen: tuple[Sighting, ...] = ()
    sent: Send | None = None
    sends: bool = True
    caller: bool = False
    key: RequestKey | None = None
    adding: AddPerson | None = None
    until: int = 0
    holds: tuple[str, str] | None = None
    ending: "Ending | None" = None


@define
class Ending:
    """How a task of the engine ended.

    Args:
        status: Its status.
        output: What it returned; nothing, if it is empty.
    """

    status: Status
    output: tuple[Json, ...] = ()


# --- callers and recovery ----------------------------------------------------------------------------------------


def joining(actor: Actor, command: StartRun, policy: Policy) -> Flow[Any]:
    """Start somebody inside a host's transaction, and dispatch the run once that is committed."""
    started = yield from flows.start(command, policy)
    if not isinstance(started, Unresolved):
        return started
    actor.command = ArmAttempt(run_id=started.run_id)
    return (yield from flows.dispatch(actor.command, policy))


def recovering(actor: Actor, people: Iterable[str], policy: Policy) -> Flow[list[Recovered | StoreError]]:
    """Look at everybody who is overdue, one after the other; an error on one does not stop the others."""
    looked = list[Recovered | StoreError]()
    for person_id in people:
        actor.about, actor.command, actor.looked_at, actor.seen = person_id, None, None, ()
        try:
            looked.append((yield from flows.recover(person_id, policy, sends=actor.sends)))
        except StoreError as error:
            looked.append(error)
    return looked


# --- workers -----------------------------------------------------------------------------------------------------


def _told(actor: Actor, command: Command, policy: Policy) -> Flow[Any]:
    """Send a callback until it is answered, a few times; None if it never was."""
    for _ in range(_TRIES):
        actor.command = command
        try:
            return (yield from requests.transact(*transaction_of(command, policy)))
        except (Unanswered, StoreError):
            continue
    return None


def at_work(actor: Actor, request: DispatchRequest, external_id: str, plan: str, policy: Policy) -> Flow[None]:
    """Be the task of one engine run: claim, work, report, end."""
    named: dict[str, Any] = {"run_id": request.run_id, "run_no": request.run_no, "external_id": external_id}
    if plan in ("early", "empty"):
        actor.ending = Ending(Status.COMPLETED) if plan == "empty" else None
        return
    if plan not in ("unclaimed", "refuse"):
        answer = yield from _told(actor, ClaimRun(**named), policy)
        if not isinstance(answer, Claimed):
            actor.ending = Ending(Status.CRASHED if answer is None else Status.COMPLETED)
            return
    if plan == "hang":
        return
    content = {"found_by": external_id}
    if plan in ("fail", "refuse"):
        yield from _told(actor, FailRun(**named, detail=_DETAIL), policy)
        actor.ending = Ending(Status.FAILED)
        return
    if plan != "silent":
        report = CompleteRun(**named, report=codec.encode_report(request.run_id, content, None))
        answer = yield from _told(actor, report, policy)
        if isinstance(answer, StaleRun):
            actor.ending = Ending(Status.COMPLETED)
            return
    actor.ending = Ending(Status.COMPLETED, (content,))


def in_queue(actor: Actor, plan: str, renewals: int, clock: Callable[[], int], policy: Policy) -> Flow[None]:
    """Be a worker of the embedded queue: take an entry, keep its lease, report; stop when the lease has run out."""
    lease, asked = micros(policy.worker_lease), clock()
    actor.command = TakeEntry()
    try:
        taken = yield from requests.transact(*transactions.take(actor.command, policy))
    except StoreError:
        return
    if not isinstance(taken, Claimed):
        return
    actor.until, actor.about = asked + lease, taken.person_id
    actor.holds = (taken.run_id, taken.external_id)
    named: dict[str, Any] = {"run_id": taken.run_id, "run_no": taken.run_no, "external_id": taken.external_id}
    for _ in range(renewals):
        asked = clock()
        if asked >= actor.until:
            return
        actor.command = RenewLease(**named)
        try:
            answer = yield from requests.transact(*transactions.renew(actor.command, policy))
        except StoreError:
            continue
        if not isinstance(answer, Renewed):
            return
        actor.until = asked + lease
    reports = 2 if plan in ("twice", "reclaim") else 1
    while reports and clock() < actor.until and plan != "stop":
        actor.command = _last_word(plan, named, reports)
        try:
            yield from requests.transact(*transaction_of(actor.command, policy))
        except StoreError:
            continue
        reports -= 1


def _last_word(plan: str, named: dict[str, Any], reports: int) -> Command:
    if plan == "reclaim" and reports > 1:
        return ClaimRun(**named)
    if plan == "fail":
        return FailRun(**named, detail=_DETAIL)
    return CompleteRun(**named, report=codec.encode_report(named["run_id"], {"found_by": named["external_id"]}, None))
