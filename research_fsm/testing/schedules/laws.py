"""What has to hold in an explored world: after each transaction, when a caller is answered, and at the end.

Floor 6. A part of `schedules`. The laws are those of `laws`, `oracle` and `recount`; here they are asked of what stood
before a transaction and what stands after it, so that nothing has to be remembered on the way.
"""

from collections.abc import Iterator
from typing import Any

from attrs import frozen

from research_fsm import account as accounts
from research_fsm import codec, driver, flows, laws, requests, transactions
from research_fsm import commands as c
from research_fsm import person as people
from research_fsm.events import (
    AttemptResult,
    FailReason,
    PersonEvent,
    RollBackReason,
    RunCompleted,
    RunDispatched,
    RunFailed,
    RunRolledBack,
)
from research_fsm.laws.catalog import (
    CHARGED_IF_EXECUTED,
    COMPLETE_NEEDS_WORK,
    CONFIRMED_BY_ITS_OWN,
    HEADS_ARE_FOLDS,
    ONE_OPEN_RUN,
    ORPHANS_END_NOTHING,
    REFUSAL_IS_PROOF,
    REPEATED_IS_THE_SAME,
    WAY_OUT,
)
from research_fsm.lifecycle import RUNNING, Phase
from research_fsm.outcomes import Claimed, Created, Queued, RolledBack, Unresolved
from research_fsm.person import Person
from research_fsm.policy import Policy
from research_fsm.requests import AttemptOutcome, Flow
from research_fsm.storage import Query, RecordedEvent
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing import oracle
from research_fsm.testing.clock import ManualClock
from research_fsm.testing.recount import Recount
from research_fsm.testing.schedules.engine import Engine
from research_fsm.testing.steps import Command, Moment, Step

__all__ = ["Happened", "at_rest", "counted", "engine_laws", "judged", "told"]

_SALT = b"s"
_RUNNING = tuple(map(str, RUNNING))
_MOST_PASSES = 60
_PERSON = "person:"


@frozen
class Happened:
    """One event of a person, with the state that it found."""

    person: Person
    event: PersonEvent


# --- one transaction ---------------------------------------------------------------------------------------------


def judged(
    before: MemoryStore, after: MemoryStore, command: Command | None, answer: object, policy: Policy
) -> tuple[list[str], tuple[Happened, ...]]:
    """Ask every law about one transaction; return what is wrong, and what happened to people.

    Args:
        before: The store as it was.
        after: The store as it is.
        command: What was asked, if that is known.
        answer: What was answered.
        policy: The settings.
    """
    seen = max((event.position for event in before.events()), default=0)
    recorded = list(after.events(after=seen))
    wrong, happened = list[str](), list[Happened]()
    for stream in dict.fromkeys(event.stream for event in recorded):
        events = [event for event in recorded if event.stream == stream]
        wrong += _folded(before, after, stream, events, happened)
    if command is not None:
        wrong += _asked(before, after, command, answer, policy, tuple(one.event for one in happened))
    return wrong, tuple(happened)


def _folded(
    before: MemoryStore, after: MemoryStore, stream: str, events: list[RecordedEvent], happened: list[Happened]
) -> Iterator[str]:
    """Fold a stream's new events, ask each law about each of them, and hold the new head against the fold."""
    head = after.read(Query(streams=(stream,))).heads[stream]
    if stream.startswith(_PERSON):
        person = _person(before, stream)
        for recorded in events:
            event = codec.decode_person_event(recorded)
            happened.append(Happened(person, event))
            found, person = person, people.evolve(person, event, recorded.at)
            yield from (f"{law.__name__}: {words}" for law in laws.PERSON_LAWS if (words := law(found, event, person)))
        if head.state != codec.encode(person):
            yield f"{HEADS_ARE_FOLDS}: the head says {head.state!r}, the events {person}"
        if person.phase in RUNNING and head.due is None and not transactions.waits(person):
            yield f"{WAY_OUT}: nobody looks at somebody who is {person.phase}"
        return
    account = transactions.account_in(before.read(Query(streams=(stream,))), stream.partition(":")[2])
    for recorded in events:
        booked = codec.decode_account_event(recorded)
        had, account = account, accounts.evolve(account, booked)
        yield from (f"{law.__name__}: {words}" for law in laws.ACCOUNT_LAWS if (words := law(had, booked, account)))
    if head.state != codec.encode(account):
        yield f"{HEADS_ARE_FOLDS}: the head says {head.state!r}, the events {account}"


def _asked(
    before: MemoryStore,
    after: MemoryStore,
    command: Command,
    answer: object,
    policy: Policy,
    events: tuple[PersonEvent, ...],
) -> Iterator[str]:
    """Ask the protocol's oracle about a command whose person is known."""
    key = command.key if isinstance(command, c.StartRun) else None
    if key is not None and key.digest in before.read(Query(receipts=(key.digest,))).receipts:
        if before.contents() != after.contents():
            yield f"{REPEATED_IS_THE_SAME}: a request that was answered before changed something"
        return
    stream = _about(before, command)
    if stream is None:
        return
    owner = command.owner if isinstance(command, c.AddPerson) else _person(before, stream).owner
    was, now = _moment(before, stream, owner), _moment(after, stream, owner)
    salt = b"" if was.person.phase is Phase.ERASED else _SALT
    yield from oracle.broken(Step(command, after.now(), policy, was, now, answer, events, salt))


def _about(store: MemoryStore, command: Command) -> str | None:
    """Return the stream of the person whom a command is about."""
    match command:
        case c.GrantCredits() | c.RevokeCredits():
            return None
        case c.TakeEntry():
            entry = store.read(Query(next_entry=True)).entry
            return None if entry is None else entry.stream
        case c.ArmAttempt() | c.ClaimRun() | c.CompleteRun() | c.FailRun() | c.RenewLease():
            key = transactions.run_key(command.run_id)
            found = store.read(Query(keys=(key,))).keys.get(key)
            return None if found is None else found.stream
        case c.AddPerson() | c.ErasePerson() | c.MarkStale() | c.RecordAnswer() | c.RecoverRun() | c.StartRun():
            return transactions.person_stream(command.person_id)


def _moment(store: MemoryStore, stream: str, owner: str) -> Moment:
    person = _person(store, stream)
    entry = None if person.run is None else person.run.run_id
    view = store.read(Query(streams=(stream, transactions.account_stream(owner)), entry=entry))
    head = view.heads.get(stream)
    return Moment(person, transactions.account_in(view, owner), view.entry, None if head is None else head.due)


def _person(store: MemoryStore, stream: str) -> Person:
    return transactions.person_in(store.read(Query(streams=(stream,))), transactions.person_id_of(stream))


def counted(store: MemoryStore) -> tuple[Recount, list[str]]:
    """Count a whole log again, from the bare events; return the count, and what is wrong with it."""
    recount = Recount()
    return recount, recount.follow(store)


# --- beside the log ----------------------------------------------------------------------------------------------


def engine_laws(happened: Happened, engine: Engine, sending: frozenset[str], command: Command | None) -> Iterator[str]:
    """Hold one event against what the engine has.

    Args:
        happened: It.
        engine: What the engine has.
        sending: The runs of which somebody is about to send a request.
        command: What was asked.
    """
    event, run = happened.event, happened.person.run
    run_id = "" if run is None else run.run_id
    match event:
        case RunRolledBack(reason=RollBackReason.REFUSED | RollBackReason.NOT_SENT):
            if engine.has(run_id) or run_id in sending:
                yield f"{REFUSAL_IS_PROOF}: run {run_id} was rolled back by a refusal; the engine has it, or may yet"
        case RunDispatched(external_id=str(external_id), run_no=run_no):
            found = engine.find(external_id)
            if found is None or (found.request.run_id, found.request.run_no) != (run_id, run_no):
                yield f"{CONFIRMED_BY_ITS_OWN}: run {run_id} was confirmed by {external_id}, which is another run's"
        case RunCompleted(external_id=external_id) if not isinstance(command, c.CompleteRun):
            found = engine.find(external_id)
            if found is None or found.output is None:
                yield f"{COMPLETE_NEEDS_WORK}: run {run_id} is complete by {external_id}, which did no work for it"
        case RunFailed(external_id=str(external_id), reason=FailReason.ENGINE_REPORTED | FailReason.NO_OUTPUT):
            found = engine.find(external_id)
            if found is None or found.request.run_id != run_id or not found.status.final:
                yield f"{ORPHANS_END_NOTHING}: run {run_id} failed because {external_id} ended, which did not"
        case _:
            return


def told(answer: object, recount: Recount) -> Iterator[str]:
    """Hold what a caller was told against the log: what it says has happened."""
    start = answer.start if isinstance(answer, Created) else answer
    if not isinstance(start, Queued | Unresolved | RolledBack):
        return
    life = recount.people.get(start.person_id)
    run = None if life is None else life.runs.get(start.run_no)
    if run is None or run.run_id != start.run_id:
        yield f"{ONE_OPEN_RUN}: a caller was told {start}, and the log has no such run"
    elif isinstance(start, Queued) and "CreditsCharged" not in run.credits and run.ended != "RunFailed":
        yield f"{CHARGED_IF_EXECUTED}: a caller was told {start}, and it is not charged"
    elif isinstance(start, RolledBack) and (run.ended != "RunRolledBack" or run.credits[-1] != "CreditsReleased"):
        found = f"{run.ended or 'an open run'}, {run.credits}"
        yield f"{CHARGED_IF_EXECUTED}: a caller was told {start}; the log has {found}"


# --- the end -----------------------------------------------------------------------------------------------------


def at_rest(store: MemoryStore, now: int, policy: Policy, *, inside: bool) -> list[str]:
    """Let everybody die and the engine fall silent: recovery alone, and the embedded queue's workers, lead out.

    Returns:
        What is wrong with where it ends.
    """
    clock = ManualClock(now)
    left = store.fork(clock)
    for _ in range(_MOST_PASSES):
        for head in left.due(_RUNNING, clock.now, after=None, limit=9):
            _silently(flows.recover(transactions.person_id_of(head.stream), policy, sends=not inside), left)
        if inside:
            _worked_off(left, policy)
        if not any(head.tag in _RUNNING for head in left.heads()):
            break
        clock.now = max(clock.now + 1, _next_look(left))
    wrong = [f"{WAY_OUT}: {head.stream} never came to rest" for head in left.heads() if head.tag in _RUNNING]
    return [*wrong, *counted(left)[1]]


def _next_look(store: MemoryStore) -> int:
    """Return when recovery, or another worker, has something to do again."""
    due = [head.due for head in store.heads() if head.tag in _RUNNING and head.due is not None]
    leases = [entry.lease_until for entry in store.entries() if entry.lease_until is not None]
    return min((*due, *leases), default=0)


def _silently(flow: Flow[Any], store: MemoryStore) -> None:
    """Run a flow to its end, with an engine that does not answer."""
    driver.drive(flow, store, _Silent())


class _Silent:
    """An engine of which nothing is heard."""

    def dispatch(self, _: requests.DispatchRequest) -> AttemptOutcome:
        return AttemptOutcome(result=AttemptResult.AMBIGUOUS, reason="silent")

    def look(self, _: requests.DispatchRequest, __: tuple[str, ...]) -> tuple[c.Sighting, ...]:
        return ()

    def cancel(self, _: str) -> None:
        """Do nothing."""


def _worked_off(store: MemoryStore, policy: Policy) -> None:
    """Let a worker of the embedded queue do what it finds there."""
    taken = store.transact(*transactions.take(c.TakeEntry(), policy))
    if isinstance(taken, Claimed):
        report = codec.encode_report(taken.run_id, {"found_by": taken.external_id}, None)
        command = c.CompleteRun(run_id=taken.run_id, run_no=taken.run_no, external_id=taken.external_id, report=report)
        store.transact(*transactions.complete(command, policy))
