"""The rules of people: add, mark stale, erase.

Floor 3, pure. See `research_fsm.decide` for what a rule is.
"""

from research_fsm import codec, lifecycle
from research_fsm.commands import AddPerson, ErasePerson, MarkStale
from research_fsm.decide.decision import Decision, engine_runs
from research_fsm.events import HoldEnd, PersonAdded, PersonErased, ReportMarkedStale, StaleReason
from research_fsm.lifecycle import Trigger
from research_fsm.outcomes import Added, Erased, MarkedStale, NotComplete, PersonNotFound
from research_fsm.person import Hold, Person
from research_fsm.policy import Policy, micros

__all__ = ["add", "erase", "mark_stale"]


def add(command: AddPerson) -> Decision[Added]:
    """Add a person, idle. That the person is new, the unique keys say."""
    salt = command.salt.encode()
    return Decision(
        answer=Added(command.person_id),
        events=(PersonAdded(command.owner, command.kind, codec.digest(salt, command.profile)),),
        documents={"salt": salt, "profile": command.profile},
    )


def mark_stale(
    command: MarkStale, person: Person, now: int, policy: Policy
) -> Decision[MarkedStale | NotComplete | PersonNotFound]:
    """Make a complete person idle again; on account of age, only a report that is old enough."""
    if not person.visible_to(command.owner):
        return Decision(answer=PersonNotFound(command.person_id))
    by_age = command.reason is StaleReason.AGE
    too_young = by_age and (policy.stale_after is None or now < person.since + micros(policy.stale_after))
    if too_young or not lifecycle.allows(person.phase, Trigger.MARK_STALE):
        return Decision(answer=NotComplete(command.person_id, str(person.status)))
    return Decision(answer=MarkedStale(command.person_id), events=(ReportMarkedStale(command.reason),))


def erase(command: ErasePerson, person: Person) -> Decision[Erased | PersonNotFound]:
    """Delete a person's documents in any phase; an open hold is released, a charge stays."""
    if not person.visible_to(command.owner):
        return Decision(answer=PersonNotFound(command.person_id))
    run = person.current(person.run_no)
    if run is None:
        return Decision(answer=Erased(command.person_id), events=(PersonErased(None),), forget=True)
    hold = HoldEnd.RELEASED if run.hold is Hold.OPEN else HoldEnd.KEPT
    to_cancel = () if run.inside else engine_runs(run)
    return Decision(answer=Erased(command.person_id, to_cancel), events=(PersonErased(hold),), forget=True)
