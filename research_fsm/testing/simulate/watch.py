"""The laws of the log, asked after every step: each event once, between the two states that it connects.

Floor 6. A part of `simulate`. Three ways of counting that share no code are held against each other:
`laws` looks at each event, `recount` counts runs and credits from the bare JSON, and the heads that the store keeps
have to be what the events fold to. What takes the whole log is left to `audit`, at the end.
"""

from collections.abc import Iterator, Sequence

from attrs import frozen

from research_fsm import account as accounts
from research_fsm import codec, laws, transactions
from research_fsm import person as people
from research_fsm.account import Account
from research_fsm.events import PersonEvent
from research_fsm.laws.catalog import HEADS_ARE_FOLDS, WAY_OUT
from research_fsm.lifecycle import RUNNING
from research_fsm.person import Person
from research_fsm.storage import Head, Query, QueueEntry, RecordedEvent, Store
from research_fsm.testing.recount import Recount

__all__ = ["Beside", "Happened", "Watch"]

Beside = tuple[QueueEntry | None, int | None]
"""A person's entry in the embedded queue, and when recovery looks at them next."""

_PERSON = "person:"


@frozen
class Happened:
    """One event of a person, with the state that it found.

    Args:
        person: The person before it.
        event: What happened.
    """

    person: Person
    event: PersonEvent


class _Log:
    """The events of one step, for whoever follows a reader."""

    def __init__(self, events: Sequence[RecordedEvent]) -> None:
        self._events = events

    def events(self, stream: str | None = None, *, after: int = 0) -> Iterator[RecordedEvent]:  # noqa: ARG002  # A reader's.
        """Yield them."""
        return iter(self._events)


class Watch:
    """Follows a store and says what is wrong, each word beginning with the law's name.

    Args:
        store: The store.

    Attributes:
        people: Every person, folded as far as the log was followed.
        accounts: Every account, likewise.
        recount: Runs and credits, counted again.
        recorded: The events of the last step.
        happened: The same events of people, with the states that they found.
        beside: The entries in the embedded queue of the people of the last step, and when recovery looks at them next.
        position: How far the log was followed.
        count: How many events there are.
    """

    def __init__(self, store: Store) -> None:
        self.people: dict[str, Person] = {}
        self.accounts: dict[str, Account] = {}
        self.recount = Recount()
        self.recorded: list[RecordedEvent] = []
        self.happened: list[Happened] = []
        self.beside: dict[str, Beside] = {}
        self.position = 0
        self.count = 0
        self._store = store

    def person(self, person_id: str) -> Person:
        """Return a person as the log has them."""
        return self.people.get(person_id) or people.nobody(person_id)

    def account(self, owner: str) -> Account:
        """Return an account as the log has it."""
        return self.accounts.get(owner, accounts.EMPTY)

    def follow(self) -> list[str]:
        """Look at what was recorded since the last time, and return what is wrong with it."""
        self.recorded = list(self._store.events(after=self.position))
        self.happened, self.beside = [], {}
        if not self.recorded:
            return []
        self.position = self.recorded[-1].position
        self.count += len(self.recorded)
        wrong = self.recount.follow(_Log(self.recorded))  # type: ignore[arg-type]  # It reads events and nothing else.
        for recorded in self.recorded:
            wrong += [f"{words} ({recorded.stream} version {recorded.version})" for words in self._followed(recorded)]
        streams = tuple(dict.fromkeys(recorded.stream for recorded in self.recorded))
        view = self._store.read(Query(streams=streams, entry=self._entry_of(streams)))
        for stream in streams:
            wrong += [f"{words} ({stream})" for words in self._head_differs(stream, view.heads.get(stream), view.entry)]
        return wrong

    def _entry_of(self, streams: Sequence[str]) -> str | None:
        """Return the run whose entry in the embedded queue is read along: a step is about one person, if about any."""
        runs = (self.people[stream[len(_PERSON) :]].run for stream in streams if stream.startswith(_PERSON))
        return next((run.run_id for run in runs if run is not None), None)

    def _followed(self, recorded: RecordedEvent) -> Iterator[str]:
        kind, _, name = recorded.stream.partition(":")
        if kind == "person":
            event = codec.decode_person_event(recorded)
            before = self.person(name)
            after = self.people[name] = people.evolve(before, event, recorded.at)
            self.happened.append(Happened(before, event))
            for law in laws.PERSON_LAWS:
                words = law(before, event, after)
                if words is not None:
                    yield f"{law.__name__}: {words}"
            return
        booked = codec.decode_account_event(recorded)
        had = self.account(name)
        has = self.accounts[name] = accounts.evolve(had, booked)
        for account_law in laws.ACCOUNT_LAWS:
            words = account_law(had, booked, has)
            if words is not None:
                yield f"{account_law.__name__}: {words}"

    def _head_differs(self, stream: str, head: Head | None, entry: QueueEntry | None) -> Iterator[str]:
        """Invariant 7, and that somebody looks at whoever is running."""
        if head is None:
            yield f"{HEADS_ARE_FOLDS}: there are events and no head"
            return
        name = stream.partition(":")[2]
        if not stream.startswith(_PERSON):
            if head.state != codec.encode(self.accounts[name]):
                yield f"{HEADS_ARE_FOLDS}: the head says {_text(head)}, the events {self.accounts[name]}"
            return
        person = self.people[name]
        self.beside[name] = (entry, head.due)
        if head.state != codec.encode(person):
            yield f"{HEADS_ARE_FOLDS}: the head says {_text(head)}, the events {person}"
        if head.tag != str(person.phase):
            yield f"{HEADS_ARE_FOLDS}: the head is tagged {head.tag} while {person.phase}"
        if person.phase in RUNNING and head.due is None and not transactions.waits(person):
            yield f"{WAY_OUT}: nobody looks at somebody who is {person.phase}"


def _text(head: Head) -> str:
    """Return the state that a head keeps as it stands there: it may not be one that can be read."""
    return head.state.decode(errors="replace")
