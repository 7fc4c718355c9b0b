"""Stores full of people who can be started, made fast and yet by the library's own rules."""

from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from typing import Any
from uuid import uuid4

from research_fsm import Policy, Profile, Runs, codec, transactions
from research_fsm.commands import AddPerson, StartRun
from research_fsm.events import PersonKind
from research_fsm.stores.group_commit import Ticket
from research_fsm.stores.postgres import PostgresStore
from research_fsm.stores.sqlite import SQLiteStore

__all__ = ["EVENTS_OF_A_START", "OWNER", "Starts", "fill"]

Store = SQLiteStore | PostgresStore

OWNER = "acme"

EVENTS_OF_A_START = 5
"""PersonAdded, RunStarted, RunDispatched, CreditsHeld, CreditsCharged."""

_ANOTHER = "another"

_CREDITS = 10**9
_BATCH = 500
_PROFILE = codec.encode(Profile(first_name="Person", last_name="Somebody", company="Example").known())


class Starts:
    """People on a store, to be started one after the other.

    Args:
        store: An empty one.
        people: How many people to prepare.
        events: How many events of somebody else there are to be before them, at least.
        charges: How many charges the first account is to have before them.
        accounts: Among how many accounts the people are spread; one is a hot one.
        keyed: Whether each start has a request key, and leaves a receipt.
    """

    def __init__(
        self, store: Store, people: int, events: int = 0, charges: int = 0, *, accounts: int = 1, keyed: bool = False
    ) -> None:
        self.store = store
        self.runs = Runs(store)
        self._keyed = keyed
        owners = [OWNER, *(f"{OWNER}-{number}" for number in range(1, accounts))]
        for owner in (*owners, _ANOTHER):
            self.runs.grant(owner, _CREDITS)
        fill(store, -(-events // EVENTS_OF_A_START), _ANOTHER)
        fill(store, charges, OWNER)
        self.people = _added(store, people, owners)
        self._next = iter(self.people)

    def next_person(self) -> str:
        """Return the next person who was not started yet."""
        return next(self._next)

    def start_next(self) -> None:
        """Start the next person."""
        person_id = next(self._next)
        self.runs.start(person_id, key=person_id if self._keyed else None).accepted()

    def start(self, operations: int) -> None:
        """Start so many people."""
        for _ in range(operations):
            self.start_next()

    def close(self) -> None:
        """Close the store."""
        self.store.close()


def fill(store: Store, starts: int, owner: str) -> None:
    """Let so many people be added and started, in large batches."""
    policy = Policy()
    for size in _sizes(starts):
        tickets = []
        for _ in range(size):
            adding = _adding(owner)
            starting = StartRun(person_id=adding.person_id, run_id=str(uuid4()), owner=owner, inside=True)
            tickets.append(Ticket(*transactions.create(adding, starting, policy), 0.0))
        _committed(store, tickets)


def _added(store: Store, people: int, owners: Sequence[str]) -> list[str]:
    """Add people who were not started, to each owner in turn, in large batches."""
    policy, ids, turns = Policy(), list[str](), cycle(owners)
    for size in _sizes(people):
        adding = [_adding(owner) for owner in islice(turns, size)]
        _committed(store, [Ticket(*transactions.add(command, policy), 0.0) for command in adding])
        ids += [command.person_id for command in adding]
    return ids


def _adding(owner: str) -> AddPerson:
    return AddPerson(
        person_id=str(uuid4()), owner=owner, kind=PersonKind.USER, profile=_PROFILE, linkedin_url=None, salt="ab" * 16
    )


def _sizes(count: int) -> Iterator[int]:
    yield from (min(_BATCH, count - begun) for begun in range(0, count, _BATCH))


def _committed(store: Store, tickets: Sequence[Ticket[Any]]) -> None:
    commit = store._commit if isinstance(store, SQLiteStore) else store._writers[0].commit  # noqa: SLF001  # See below.
    commit(60.0, lambda: tickets)  # Larger batches than callers could make.
    for ticket in tickets:
        ticket.result()
