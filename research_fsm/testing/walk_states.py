"""A person's state as the walk tells it apart, and one step from it through the real transaction; a part of `walk`.

Floor 6, pure. Times count from `NOW` and end where they are over, runs are numbered from the one before the latest.
"""

from collections.abc import Iterator
from typing import Any

from attrs import evolve, field, frozen

from research_fsm import codec, transactions
from research_fsm.account import Account
from research_fsm.events import PersonEvent
from research_fsm.lifecycle import Phase, Status
from research_fsm.person import Person, Run
from research_fsm.policy import Policy, micros
from research_fsm.storage import Head, Query, QueueEntry, RecordedEvent, StreamWrite, UniqueKey, View
from research_fsm.testing.steps import Command, Moment, Step, transaction_of

__all__ = [
    "NOW",
    "OWNER",
    "State",
    "a_moment_later",
    "canonical",
    "entry_id",
    "run_id_of",
    "state_of",
    "taken",
    "waits_for_a_worker",
]

OWNER = "acme"
NOW = 1_000
_SALT = b"{}"
_RUNS_TOLD_APART = 2


@frozen
class State:
    """What two paths have in common when no rule can tell them apart; `path` is how one of them came here."""

    person: Person
    available: int
    held: int
    lease: int | None
    queued: bool
    path: Any = field(eq=False, default=None)


def run_id_of(number: int) -> str:
    """Return the id of a run by its number."""
    return f"00000000-0000-4000-8000-{number:012}"


def taken(state: State, command: Command, policy: Policy) -> Step:
    """Apply one command through its real transaction, as a store would."""
    person = state.person
    stream, account = transactions.person_stream(person.person_id), transactions.account_stream(OWNER)
    entry = QueueEntry(entry_id(person), stream, state.lease) if state.queued else None
    before = Moment(person, Account(granted=state.available + state.held, held=state.held), entry, _due(person, policy))
    query, rule = transaction_of(command, policy)
    write = rule(_view(query, before, stream, account), NOW)
    after, events = before, tuple[PersonEvent, ...]()
    for end in write.streams:
        if end.stream == account:
            after = evolve(after, account=codec.decode_account(_head(end.stream, end.state)))
        else:
            events = tuple(_event(end, event) for event in end.events)
            after = evolve(after, person=codec.decode_person(_head(end.stream, end.state)), due=end.due)
    for changed in write.enqueued:
        after = evolve(after, entry=changed)
    if after.entry is not None and after.entry.run_id in write.dequeued:
        after = evolve(after, entry=None)
    return Step(command, NOW, policy, before, after, write.answer, events, _SALT)


def _event(end: StreamWrite, event: Any) -> PersonEvent:  # noqa: ANN401  # Either kind of event decodes alike.
    recorded = RecordedEvent(1, end.stream, 1, event.type, event.schema, NOW, event.data, event.meta, b"")
    return codec.decode_person_event(recorded)


def entry_id(person: Person) -> str:
    """Return the id of the latest run, by which the embedded queue knows it."""
    return "" if person.run is None else person.run.run_id


def _due(person: Person, policy: Policy) -> int | None:
    """Return some moment at which recovery looks: when exactly is not walked, whether at all is checked."""
    run = person.current(person.run_no)
    return None if run is None or waits_for_a_worker(person, run, policy) else NOW


def waits_for_a_worker(person: Person, run: Run, policy: Policy) -> bool:
    """Tell whether the embedded queue's workers, and not recovery, are who looks."""
    return run.inside and (person.phase is Phase.QUEUED or 0 < run.delivery < policy.max_deliveries)


def _head(stream: str, state: bytes, due: int | None = None) -> Head:
    return Head(stream, 1, b"", codec.FOLD, state, None, "", due, 1)


def _view(query: Query, before: Moment, stream: str, account: str) -> View:
    """Return what a store would show the rule."""
    person, entry = before.person, before.entry
    keys = {}
    for name in query.keys:
        number = name.removeprefix("run:0000") != name and int(name[-12:])
        if number and number <= person.run_no:
            keys[name] = UniqueKey(name, stream, b"%d" % number)
    shown = entry if entry is not None and query.entry == entry.run_id else None
    if query.next_entry and entry is not None and (entry.lease_until is None or entry.lease_until <= NOW):
        shown = entry
    heads = {account: _head(account, codec.encode(before.account))}
    if person.phase is not Phase.NONE and (stream in query.streams or keys or shown):
        heads[stream] = _head(stream, codec.encode(person), before.due)
    documents = {} if person.phase is Phase.ERASED else {(stream, name): _SALT for name in query.documents}
    return View(heads=heads, keys=keys, receipts={}, documents=documents, entry=shown, history=_no_history)


def _no_history(stream: str) -> Iterator[RecordedEvent]:
    raise AssertionError(f"the fold of {stream} is today's; nobody needs its history")


def state_of(step: Step, path: Any) -> State:  # noqa: ANN401  # A linked list.
    """Return the state that a step leads to."""
    entry, account = step.after.entry, step.after.account
    lease = None if entry is None else entry.lease_until
    return State(step.after.person, account.available, account.held, lease, entry is not None, path)


def a_moment_later(state: State) -> State:
    """Return the state a microsecond later: now stands still, so all times come nearer."""
    person, run = state.person, state.person.run
    if run is not None:
        lease, deadline, first = _less(run.lease_until), _less(run.deadline), _less(run.first_armed_at)
        run = evolve(run, lease_until=lease, deadline=deadline, first_armed_at=first)
    person = evolve(person, run=run, since=person.since - 1)
    return evolve(state, person=person, lease=_less(state.lease), path=(None, state.path))


def _less(moment: int | None) -> int | None:
    return None if moment is None else moment - 1


def _not_before(moment: int | None, earliest: int) -> int | None:
    return None if moment is None else max(moment, earliest)


def canonical(state: State, policy: Policy, *, outcomes: bool) -> State:
    """Return the one state that stands for all that no rule can tell from this one."""
    person = state.person
    run, last = person.run, person.outcome
    if last is not None and (last.run_no < person.run_no - 1 or (not outcomes and last.run_no != person.run_no)):
        last = None
    if run is not None:
        run = _canonical_run(person, run, policy)
        if last is not None and run.run_no != person.run_no:
            last = evolve(last, run_no=last.run_no - 1, external_id=_renamed(last.external_id))
    aged = micros(policy.stale_after) if policy.stale_after is not None and person.phase is Phase.COMPLETE else 0
    person = evolve(
        person,
        run=run,
        outcome=last,
        added_at=NOW,
        since=max(person.since, NOW - aged),
        reports=min(person.reports, 1),
        reported_at=None if person.reported_at is None else NOW,
        failures_in_a_row=0,
        refused=(),
    )
    return evolve(state, person=person, lease=_not_before(state.lease, NOW))


def _canonical_run(person: Person, run: Run, policy: Policy) -> Run:
    """Count times from now, and runs from the one before this; what is over has no times."""
    if run.run_no > _RUNS_TOLD_APART:
        run = evolve(
            run,
            run_no=run.run_no - 1,
            run_id=run_id_of(run.run_no - 1),
            claimed_by=_renamed(run.claimed_by),
        )
    if person.status is not Status.RUNNING:
        return evolve(run, started_at=NOW, open_attempts=(), last_attempt=0, first_armed_at=None, lease_until=None)
    return evolve(
        run,
        started_at=NOW,
        first_armed_at=_not_before(run.first_armed_at, NOW - micros(policy.resend_window)),
        lease_until=_not_before(run.lease_until, NOW),
        deadline=_not_before(run.deadline, NOW),
    )


def _renamed(external_id: Any) -> Any:  # noqa: ANN401  # A str or None, as it came.
    """Name a delivery after its run's new number."""
    return external_id if external_id is None else external_id.replace(run_id_of(3), run_id_of(2))
