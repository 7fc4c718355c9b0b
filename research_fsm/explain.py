"""Explain a person: what the status is and why, what a start is answered, what recovery does next.

Floor 8. There is no second copy of a rule here: the state is folded from the log, `decide.start` answers the start, and
`decide.next_look` and `decide.recover` say what recovery does. It reads one snapshot, asks no engine and never writes.
The settings are in no event: they are the caller's, and the answer holds under them.
"""

from uuid import UUID

from research_fsm import account as accounts
from research_fsm import as_of, codec, decide, transactions
from research_fsm import person as people
from research_fsm.account import Account
from research_fsm.as_of import AtMoment, AtPosition, AtVersion, Point
from research_fsm.commands import MarkStale, RecoverRun, StartRun, checked_uuid
from research_fsm.decide import Decision, Send
from research_fsm.events import Meta, PersonEvent, StaleReason
from research_fsm.explain_facts import Cause, Explanation, Holder, Look, Recovery, StartAnswered, time_in_words
from research_fsm.lifecycle import Phase, Status
from research_fsm.outcomes import (
    Action,
    AlreadyRunning,
    InsufficientCredits,
    MarkedStale,
    PersonNotFound,
    Queued,
    Recovered,
)
from research_fsm.person import Person, Run
from research_fsm.policy import Policy, micros
from research_fsm.storage import Query, Reader, RecordedEvent
from research_fsm.timeline import in_words

__all__ = ["Cause", "Explanation", "Holder", "Look", "Recovery", "StartAnswered", "explain"]

_NO_RUN = str(UUID(int=0))
"""The run_id of a start that is only imagined."""


def explain(
    reader: Reader, person_id: str, point: Point | None = None, *, policy: Policy | None = None
) -> Explanation | PersonNotFound:
    """Say why a person is as they are, or as they were.

    Args:
        reader: Where to look; only its log, its heads and the embedded queue are read.
        person_id: The person, erased or not.
        point: When; None for now. Of the past, leases of the embedded queue are not known.
        policy: The settings under which a start is answered and recovery looks.

    Returns:
        The explanation, or `PersonNotFound` if nobody had added the person by then.

    Raises:
        InvalidInput: The id is no UUID, or the point lies behind the end.
        LogUnreadable: An event up to then cannot be read.
    """
    person_id = checked_uuid("person_id", person_id)
    policy = policy or Policy()
    with reader.snapshot() as log:
        history = list(as_of.until(log.events(transactions.person_stream(person_id)), point))
        if not history:
            return PersonNotFound(person_id)
        as_of.check_there(log, point, history[-1].version)
        now = _time_of(point, history[-1], log.now())
        person, because = _followed(person_id, history)
        account = _account_beside(log, person.owner, history, point)
        due, lease_until = _watched(log, person, history[-1], policy) if point is None else (None, None)
    if point is not None:
        due = decide.next_look(person, history[-1].at, policy)
    return Explanation(
        person_id=person_id,
        owner=person.owner,
        as_of=now,
        past=point is not None,
        status=person.status,
        phase=person.phase,
        since=person.since,
        because=_cause(because),
        latest=_cause(history[-1]),
        start=_start(person, account, now, policy, past=point is not None),
        recovery=_recovery(person, due, lease_until, now, policy, past=point is not None),
        failures_in_a_row=person.failures_in_a_row,
        reports=person.reports,
    )


# --- what the log says -------------------------------------------------------------------------------------------


def _time_of(point: Point | None, last: RecordedEvent, now: int) -> int:
    match point:
        case AtMoment(moment):
            return moment
        case AtVersion() | AtPosition():
            return last.at
        case None:
            return now


def _followed(person_id: str, history: list[RecordedEvent]) -> tuple[Person, RecordedEvent]:
    """Return the person, and the event that began their status."""
    person, because = people.nobody(person_id), history[0]
    for recorded in history:
        before, person = person, people.evolve(person, codec.decode_person_event(recorded), recorded.at)
        if person.status is not before.status:
            because = recorded
    return person, because


def _account_beside(log: Reader, owner: str, history: list[RecordedEvent], point: Point | None) -> Account:
    """Return the account at the same point, with all that the person's events meant for it.

    A person's event and what it means for the account are one transaction: at a position or a version in the middle of
    it, the account is the one after it.
    """
    if isinstance(point, AtVersion):
        point = AtPosition(history[-1].position)
    causes = {f"{one.stream}@{one.version}" for one in history}
    account = accounts.EMPTY
    for recorded in log.events(transactions.account_stream(owner)):
        covered = point is None or point.covers(recorded)
        if not covered and codec.decode_meta(recorded.meta).causation_id not in causes:
            break
        account = accounts.evolve(account, codec.decode_account_event(recorded))
    return account


def _watched(log: Reader, person: Person, last: RecordedEvent, policy: Policy) -> tuple[int | None, int | None]:
    """Return when recovery looks next and the lease of the person's queue entry, as the store has them now."""
    entry = None if person.run is None else person.run.run_id
    view = log.read(Query(streams=(last.stream,), entry=entry))
    lease_until = None if view.entry is None else view.entry.lease_until
    head = view.heads.get(last.stream)
    return decide.next_look(person, last.at, policy, lease_until) if head is None else head.due, lease_until


def _cause(recorded: RecordedEvent) -> Cause:
    actor = codec.decode_meta(recorded.meta).actor
    return Cause(recorded.type, recorded.version, recorded.position, recorded.at, actor, in_words(recorded))


# --- a start -----------------------------------------------------------------------------------------------------


def _start(person: Person, account: Account, now: int, policy: Policy, *, past: bool) -> StartAnswered:
    command = StartRun(person_id=person.person_id, run_id=_NO_RUN, inside=True)
    answer = decide.start(command, person, account, now, policy).answer
    if not isinstance(answer, (Queued, AlreadyRunning, InsufficientCredits, PersonNotFound)):
        raise TypeError(f"an inside start is answered at once, not with {answer!r}")
    return StartAnswered(answer, past, account.available, policy.cost, _holder(person))


def _holder(person: Person) -> Holder | None:
    run = person.current(person.run_no)
    if run is None:
        return None
    return Holder(
        run.run_id,
        run.run_no,
        person.phase,
        run.started_at,
        run.claimed_by,
        run.open_attempts,
        run.deadline,
        str(run.hold),
        run.cost,
    )


# --- recovery ----------------------------------------------------------------------------------------------------


def _recovery(
    person: Person, due: int | None, lease_until: int | None, now: int, policy: Policy, *, past: bool
) -> Recovery:
    run = person.current(person.run_no)
    if person.phase is Phase.COMPLETE and policy.stale_after is not None:
        look = _ageing(person, person.since + micros(policy.stale_after), policy)
        return Recovery(look, None, look.at <= now, asks_engine=False, instead="", past=past)
    if run is None or due is None:
        return Recovery(None, None, overdue=False, asks_engine=False, instead=_instead(person, lease_until), past=past)
    look = _look(person, run, lease_until, max(due, now), policy)
    last = None
    if look.action in (Action.WAITED, Action.RESENT) and run.deadline is not None:
        last = _look(person, run, lease_until, max(run.deadline, now), policy)
    asks_engine = not run.inside and run.first_armed_at is not None
    return Recovery(look, last, due <= now, asks_engine, instead="", past=past)


def _ageing(person: Person, at: int, policy: Policy) -> Look:
    command = MarkStale(person_id=person.person_id, reason=StaleReason.AGE)
    decision = decide.mark_stale(command, person, at, policy)
    action = Action.MARKED_STALE if isinstance(decision.answer, MarkedStale) else Action.NOTHING
    return Look(at, action, _recorded(decision.events))


def _look(person: Person, run: Run, lease_until: int | None, at: int, policy: Policy) -> Look:
    """Ask the rule of recovery what it would do at a time, if the engine has no news."""
    command = RecoverRun(person_id=person.person_id, run_id=run.run_id, run_no=run.run_no, sends=not run.inside)
    decision: Decision[Recovered | Send] = decide.recover(command, person, lease_until, at, policy, b"")
    action = Action.RESENT if isinstance(decision.answer, Send) else decision.answer.action
    return Look(at, action, _recorded(decision.events))


def _instead(person: Person, lease_until: int | None) -> str:
    """Say what there is to wait for where recovery has nothing to do."""
    run = person.current(person.run_no)
    if run is None or person.status is not Status.RUNNING:
        return f"no run is open, the person is {person.status}"
    if run.delivery == 0:
        return "the run waits in the embedded queue for a worker"
    lease = "" if lease_until is None else f", which runs until {time_in_words(lease_until)}"
    return f"delivery {run.delivery} is with a worker, and another takes over when its lease ends{lease}"


def _recorded(events: tuple[PersonEvent, ...]) -> str | None:
    """Return what would be recorded, in the words that a history has for it."""
    words = []
    for event in events:
        new = codec.encode_event(event, Meta())
        words.append(in_words(RecordedEvent(0, "", 0, new.type, new.schema, 0, new.data, new.meta, b"")))
    return ", then ".join(words) or None
