"""The transactions of the embedded queue: take an entry, renew its lease.

Floor 3, pure. See `research_fsm.transactions` for what a transaction is.
"""

from attrs import evolve as changed

from research_fsm import codec, decide
from research_fsm.commands import RenewLease, TakeEntry
from research_fsm.errors import LogUnreadable
from research_fsm.outcomes import EntrySkipped, QueueEmpty, Renewed, StaleRun, TakeAnswer
from research_fsm.policy import Policy, micros
from research_fsm.rows import PROFILE, Transaction, document_in, person_id_of, person_in, written
from research_fsm.storage import Query, View, Write

__all__ = ["renew", "take"]


def take(command: TakeEntry, policy: Policy) -> Transaction[TakeAnswer]:
    """Take the first free entry, or the one that is named if it is free, and claim its run, in one transaction."""

    def rule(view: View, now: int) -> Write[TakeAnswer]:
        if view.entry is None or (view.entry.lease_until or 0) > now:
            return Write(answer=QueueEmpty())
        try:
            person = person_in(view, person_id_of(view.entry.stream))
            profile = codec.parse(document_in(view, view.entry.stream, PROFILE) or b"{}")
        except LogUnreadable as error:
            # Set aside under a lease that nobody has: one damaged person must not keep the others waiting.
            aside = changed(view.entry, lease_until=now + micros(policy.worker_lease))
            return Write(answer=EntrySkipped(person_id_of(view.entry.stream), str(error)), enqueued=(aside,))
        decision = decide.take(person, now, policy, profile)
        if isinstance(decision.answer, QueueEmpty):
            # The entry is of a run that waits for no worker: without it the next one is first.
            return Write(answer=decision.answer, dequeued=(view.entry.run_id,))
        return written(view, person, decision, now, policy, command.actor)

    return Query(entry=command.run_id, next_entry=command.run_id is None, documents=(PROFILE,)), rule


def renew(command: RenewLease, policy: Policy) -> Transaction[Renewed | StaleRun]:
    """Keep an entry a little longer: a row changes, no event is written."""

    def rule(view: View, now: int) -> Write[Renewed | StaleRun]:
        if view.entry is None:
            return Write(answer=StaleRun(command.run_id, command.run_no, command.external_id))
        person = person_in(view, person_id_of(view.entry.stream))
        decision = decide.renew(command, person, view.entry.lease_until, now, policy)
        return written(view, person, decision, now, policy, None)

    return Query(entry=command.run_id), rule
