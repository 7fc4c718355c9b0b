"""The transactions of people: add, mark stale, erase.

Floor 3, pure. See `research_fsm.transactions` for what a transaction is.
"""

from collections.abc import Callable
from typing import TypeVar

from research_fsm import decide
from research_fsm import person as people
from research_fsm.commands import AddPerson, ErasePerson, MarkStale
from research_fsm.decide import Decision
from research_fsm.errors import InvalidInput
from research_fsm.events import PersonKind
from research_fsm.outcomes import AddAnswer, AlreadyAdded, EraseAnswer, MarkStaleAnswer
from research_fsm.person import Person
from research_fsm.policy import Policy
from research_fsm.rows import Transaction, person_id_of, person_in, person_stream, url_key, written
from research_fsm.storage import Query, UniqueKey, View, Write

__all__ = ["add", "check_new", "erase", "key_of_url", "mark_stale", "url_keys"]

A = TypeVar("A")


def add(command: AddPerson, policy: Policy) -> Transaction[AddAnswer]:
    """Add a person; a partner has each LinkedIn URL once."""

    def rule(view: View, now: int) -> Write[AddAnswer]:
        existing = view.keys.get(url) if url is not None else None
        if existing is not None:
            return Write(answer=AlreadyAdded(person_id_of(existing.stream)))
        check_new(view, command.person_id)
        decision = decide.add(command)
        person = people.nobody(command.person_id)
        return written(view, person, decision, now, policy, command.actor, keys=url_keys(command))

    url = key_of_url(command)
    query = Query(streams=(person_stream(command.person_id),), keys=() if url is None else (url,))
    return query, rule


def mark_stale(command: MarkStale, policy: Policy) -> Transaction[MarkStaleAnswer]:
    """Make a complete person idle again."""
    return _of_person(
        command.person_id, command.actor, policy, lambda person, now: decide.mark_stale(command, person, now, policy)
    )


def erase(command: ErasePerson, policy: Policy) -> Transaction[EraseAnswer]:
    """Delete a person's documents and close their run."""
    return _of_person(command.person_id, command.actor, policy, lambda person, _: decide.erase(command, person))


def _of_person(
    person_id: str, actor: str | None, policy: Policy, decided: Callable[[Person, int], Decision[A]]
) -> Transaction[A]:
    """Decide about one person."""

    def rule(view: View, now: int) -> Write[A]:
        person = person_in(view, person_id)
        return written(view, person, decided(person, now), now, policy, actor)

    return Query(streams=(person_stream(person_id),)), rule


def check_new(view: View, person_id: str) -> None:
    """Refuse an id that a person has already: whoever makes ids must not make one twice."""
    if person_stream(person_id) in view.heads:
        raise InvalidInput("person_id", f"{person_id} is somebody's already; make a fresh one for each person")


def key_of_url(command: AddPerson) -> str | None:
    """Return the unique key of a partner's LinkedIn URL; a user may have the same person twice."""
    if command.kind is not PersonKind.PARTNER or command.linkedin_url is None:
        return None
    return url_key(command.owner, command.linkedin_url)


def url_keys(command: AddPerson) -> tuple[UniqueKey, ...]:
    """Return the key that a new person takes; it is personal, and goes with them."""
    key = key_of_url(command)
    return () if key is None else (UniqueKey(key, person_stream(command.person_id), personal=True),)
