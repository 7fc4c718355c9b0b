"""A store and the reference store in lock step: the same is done to both, and everything has to be the same.

Floor 6. Part of `machine`. Positions are each store's own and are not compared.
"""

from collections.abc import Callable
from typing import Any

from attrs import evolve

from research_fsm import audit, codec, transactions
from research_fsm import commands as c
from research_fsm.events import PersonEvent
from research_fsm.laws.catalog import REPEATED_IS_THE_SAME
from research_fsm.policy import Policy
from research_fsm.storage import Query, Reader, Rule, Store
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.clock import ManualClock
from research_fsm.testing.oracle import broken
from research_fsm.testing.recount import Recount
from research_fsm.testing.steps import Broken, Command, Moment, Step, transaction_of

__all__ = ["Lockstep"]

_DOCUMENTS = ("profile", "salt", *(f"{kind}:{number}" for kind in ("report", "failure") for number in range(1, 6)))


class Lockstep:
    """Two stores, one clock.

    Args:
        make_store: Makes the store under test, empty, with a clock in microseconds UTC.
        policy: The settings.
        salt: What the people who are added are salted with.
    """

    def __init__(self, make_store: Callable[[Callable[[], int]], Store], policy: Policy, salt: bytes) -> None:
        self.clock, self._policy, self._salt = ManualClock(), policy, salt
        self.store, self._model = make_store(self.clock), MemoryStore(self.clock)
        self._recount = Recount()
        self._followed = (0, 0)
        self._receipts: set[str] = set()
        self._people: dict[str, str] = {}

    def close(self) -> None:
        """Ask the audit about the whole log, and close both."""
        try:
            found = "\n".join(map(str, audit.verify(self.store)))
            if found:
                raise AssertionError(f"the store's log:\n{found}")
        finally:
            self.store.close()
            self._model.close()

    def started(self, run_id: str, person_id: str) -> bool:
        """Remember whose run it is; tell whether it was not known before."""
        new = run_id not in self._people
        self._people[run_id] = person_id
        return new

    def ask(self, command: Command) -> Any:  # noqa: ANN401  # By command.
        """Ask both, and the oracle about the step that the store under test took.

        Raises:
            AssertionError: They differ, or the step broke a law.
        """
        person_id, known = self._person_of(command), self._is_known(command)
        owner = command.owner if isinstance(command, c.AddPerson) else None
        before = None if person_id is None else _moment(self.store, person_id, owner)
        versions, last = _versions(self.store), self._followed[0]
        answer = self.both(*transaction_of(command, self._policy))
        if known:
            _same(f"{REPEATED_IS_THE_SAME}: a request that was answered before", _versions(self.store), versions)
        elif person_id is not None and before is not None:
            events = tuple(_events_of(self.store, person_id, last))
            after = _moment(self.store, person_id, owner)
            step = Step(command, self.clock.now, self._policy, before, after, answer, events, self._salt)
            words = list(broken(step))
            if words:
                raise Broken(step, words, [command])
        return answer

    def both(self, query: Query, rule: Rule[Any]) -> Any:  # noqa: ANN401  # By rule.
        """Do the same on both, and compare everything."""
        answer, expected = self.store.transact(query, rule), self._model.transact(query, rule)
        _same("the answer", answer, expected)
        self._receipts.update(query.receipts)
        self._compare_events()
        _same("heads, keys or the queue", _beside(self.store), _beside(self._model))
        streams = tuple(head.stream for head in self._model.heads())
        asked = Query(streams=streams, receipts=tuple(self._receipts), documents=_DOCUMENTS, next_entry=True)
        one, other = self.store.read(asked), self._model.read(asked)
        _same("receipts", one.receipts, other.receipts)
        _same("documents", one.documents, other.documents)
        _same("the next entry", one.entry, other.entry)
        _same("what was counted", self._recount.follow(self.store), [])
        return answer

    def _compare_events(self) -> None:
        last, model_last = self._followed
        mine, theirs = list(self.store.events(after=last)), list(self._model.events(after=model_last))
        unplaced = ([evolve(event, position=0) for event in events] for events in (mine, theirs))
        _same("what was appended", *unplaced)
        if mine:
            self._followed = (mine[-1].position, theirs[-1].position)

    def _is_known(self, command: Command) -> bool:
        """Tell whether a start carries a request key that was answered before."""
        key = command.key if isinstance(command, c.StartRun) else None
        return key is not None and key.digest in self.store.read(Query(receipts=(key.digest,))).receipts

    def _person_of(self, command: Command) -> str | None:
        """Return the person whom a command is about, if it is about one."""
        match command:
            case c.GrantCredits() | c.RevokeCredits():
                return None
            case c.TakeEntry() if command.run_id is not None:
                return self._people.get(command.run_id)
            case c.TakeEntry():
                entry = self.store.read(Query(next_entry=True)).entry
                return None if entry is None else transactions.person_id_of(entry.stream)
            case c.ArmAttempt() | c.ClaimRun() | c.CompleteRun() | c.FailRun() | c.RenewLease():
                return self._people.get(command.run_id)
            case c.AddPerson() | c.ErasePerson() | c.MarkStale() | c.RecordAnswer() | c.RecoverRun() | c.StartRun():
                return command.person_id


def _same(what: str, one: object, other: object) -> None:
    if one != other:
        raise AssertionError(f"{what} differs:\n  {one}\n  {other}")


def _moment(reader: Reader, person_id: str, owner: str | None) -> Moment:
    """Return what stands in a store about one person; `owner` says whose they will be."""
    stream = transactions.person_stream(person_id)
    view = reader.read(Query(streams=(stream,)))
    person, head = transactions.person_in(view, person_id), view.heads.get(stream)
    whose = owner or person.owner
    account = transactions.account_in(reader.read(Query(streams=(transactions.account_stream(whose),))), whose)
    entry = None if person.run is None else reader.read(Query(entry=person.run.run_id)).entry
    return Moment(person, account, entry, None if head is None else head.due)


def _events_of(reader: Reader, person_id: str, last: int) -> list[PersonEvent]:
    stream = transactions.person_stream(person_id)
    return [codec.decode_person_event(event) for event in reader.events(after=last) if event.stream == stream]


def _versions(reader: Reader) -> list[tuple[str, int]]:
    return [(head.stream, head.version) for head in reader.heads()]


def _beside(reader: Reader) -> tuple[object, ...]:
    heads = [evolve(head, first=0) for head in reader.heads()]
    return heads, list(reader.keys()), list(reader.entries())
