"""Stores full of people who can be started, made fast and yet by the library's own rules."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from research_fsm import Policy, Profile, Runs, codec, transactions
from research_fsm.commands import AddPerson, StartRun
from research_fsm.events import PersonKind
from research_fsm.stores.group_commit import Ticket
from research_fsm.stores.sqlite import SQLiteStore

__all__ = ["EVENTS_OF_A_START", "OWNER", "Starts", "fill"]

OWNER = "acme"

EVENTS_OF_A_START = 5
"""PersonAdded, RunStarted, RunDispatched, CreditsHeld, CreditsCharged."""

_ANOTHER = "another"

_CREDITS = 10**9
_BATCH = 500
_PROFILE = codec.encode(Profile(first_name="Person", last_name="Somebody", company="Example").known())


class Starts:
    """People of one account on a SQLite store, to be started one after the other.

    Args:
        path: A file that does not exist yet.
        people: How many people to prepare.
        events: How many events of somebody else there are to be before them, at least.
        charges: How many charges the account is to have before them.
    """

    def __init__(self, path: Path, people: int, events: int = 0, charges: int = 0) -> None:
        self.store = SQLiteStore(path)
        self.runs = Runs(self.store)
        for owner in (OWNER, _ANOTHER):
            self.runs.grant(owner, _CREDITS)
        fill(self.store, -(-events // EVENTS_OF_A_START), _ANOTHER)
        fill(self.store, charges, OWNER)
        self.people = _added(self.store, people)
        self._next = iter(self.people)

    def next_person(self) -> str:
        """Return the next person who was not started yet."""
        return next(self._next)

    def start_next(self) -> None:
        """Start the next person."""
        self.runs.start(next(self._next)).accepted()

    def start(self, operations: int) -> None:
        """Start so many people."""
        for _ in range(operations):
            self.start_next()

    def close(self) -> None:
        """Close the store."""
        self.store.close()


def fill(store: SQLiteStore, starts: int, owner: str) -> None:
    """Let so many people be added and started, in large batches."""
    policy = Policy()
    for size in _sizes(starts):
        tickets = []
        for _ in range(size):
            adding = _adding(owner)
            starting = StartRun(person_id=adding.person_id, run_id=str(uuid4()), owner=owner, inside=True)
            tickets.append(Ticket(*transactions.create(adding, starting, policy), 0.0))
        _committed(store, tickets)


def _added(store: SQLiteStore, people: int) -> list[str]:
    """Add people who were not started, in large batches."""
    policy, ids = Policy(), list[str]()
    for size in _sizes(people):
        adding = [_adding(OWNER) for _ in range(size)]
        _committed(store, [Ticket(*transactions.add(command, policy), 0.0) for command in adding])
        ids += [command.person_id for command in adding]
    return ids


def _adding(owner: str) -> AddPerson:
    return AddPerson(
        person_id=str(uuid4()), owner=owner, kind=PersonKind.USER, profile=_PROFILE, linkedin_url=None, salt="ab" * 16
    )


def _sizes(count: int) -> Iterator[int]:
    yield from (min(_BATCH, count - begun) for begun in range(0, count, _BATCH))


def _committed(store: SQLiteStore, tickets: Sequence[Ticket[Any]]) -> None:
    store._commit(60.0, lambda: tickets)  # noqa: SLF001  # Larger batches than callers could make.
    for ticket in tickets:
        ticket.result()
