"""Asks the protocol's oracle about the transactions of a simulated world, as `research_fsm.testing.oracle` knows them.

Floor 6. A part of `simulate`. The oracle shares no guard with `decide`; it is told what stood before a
transaction, what was asked, what was answered, and what stands after it.
"""

from collections.abc import Iterator

from attrs import frozen

from research_fsm import commands as c
from research_fsm import transactions
from research_fsm.events import RunStarted
from research_fsm.laws.catalog import REPEATED_IS_THE_SAME
from research_fsm.lifecycle import Phase
from research_fsm.policy import Policy
from research_fsm.storage import Query, Reader
from research_fsm.testing import oracle
from research_fsm.testing.simulate.watch import Beside, Happened, Watch
from research_fsm.testing.steps import Command, Moment, Step

__all__ = ["Before", "Oracle"]

_SALT = b"s"


@frozen
class Before:
    """What stood before a transaction.

    Args:
        command: What is asked.
        person_id: About whom.
        owner: Whose account it concerns.
        moment: What stands in the store about them.
        now: The store's time.
        known: Whether its request key was answered before, so that nothing may happen.
    """

    command: Command
    person_id: str
    owner: str
    moment: Moment
    now: int
    known: bool


class Oracle:
    """Remembers whose run is whose, and asks about each step.

    Args:
        reader: The store.
        watch: What was followed of it.
        policy: The settings.
    """

    def __init__(self, reader: Reader, watch: Watch, policy: Policy) -> None:
        self.whose: dict[str, str] = {}
        """The person of each run."""
        self._reader, self._watch, self._policy = reader, watch, policy
        self._beside: dict[str, Beside] = {}

    def before(self, command: Command | None, now: int) -> Before | None:
        """Return what stands in the store before a command; None if the oracle knows nothing of it."""
        person_id = None if command is None else self._person_of(command)
        if command is None or person_id is None:
            return None
        owner = command.owner if isinstance(command, c.AddPerson) else self._watch.person(person_id).owner
        return Before(command, person_id, owner, self._moment(person_id, owner), now, self._known(command))

    def learn(self, happened: Happened) -> None:
        """Remember whose run it is, and that something has changed."""
        self._beside.pop(happened.person.person_id, None)
        if isinstance(happened.event, RunStarted):
            self.whose[happened.event.run_id] = happened.person.person_id

    def broken(self, before: Before, answer: object) -> Iterator[str]:
        """Yield what is wrong with a step that was taken."""
        happened = [one for one in self._watch.happened if one.person.person_id == before.person_id]
        if before.known:
            if self._watch.recorded:
                yield f"{REPEATED_IS_THE_SAME}: a request that was answered before appended something"
            return
        self._beside.pop(before.person_id, None)
        after, events = self._moment(before.person_id, before.owner), tuple(one.event for one in happened)
        erased = before.moment.person.phase is Phase.ERASED
        salt = b"" if erased else _SALT
        yield from oracle.broken(
            Step(before.command, before.now, self._policy, before.moment, after, answer, events, salt)
        )

    def forget(self) -> None:
        """Look again at what stands in the store: somebody wrote to it of whom the oracle was not told."""
        self._beside.clear()

    def _moment(self, person_id: str, owner: str) -> Moment:
        entry, due = self._beside.get(person_id) or self._look(person_id)
        return Moment(self._watch.person(person_id), self._watch.account(owner), entry, due)

    def _look(self, person_id: str) -> Beside:
        """Return what stands beside a person; the store is read only if the watch has not read it just now."""
        found = self._watch.beside.get(person_id)
        if found is None:
            run, stream = self._watch.person(person_id).run, transactions.person_stream(person_id)
            view = self._reader.read(Query(streams=(stream,), entry=None if run is None else run.run_id))
            head = view.heads.get(stream)
            found = (view.entry, None if head is None else head.due)
        self._beside[person_id] = found
        return found

    def _known(self, command: Command) -> bool:
        """Tell whether a start carries a request key that was answered before."""
        key = command.key if isinstance(command, c.StartRun) else None
        return key is not None and key.digest in self._reader.read(Query(receipts=(key.digest,))).receipts

    def _person_of(self, command: Command) -> str | None:
        """Return the person whom a command is about, if it is about one."""
        match command:
            case c.GrantCredits() | c.RevokeCredits():
                return None
            case c.TakeEntry():
                entry = self._reader.read(Query(next_entry=True)).entry
                return None if entry is None else transactions.person_id_of(entry.stream)
            case c.ArmAttempt() | c.ClaimRun() | c.CompleteRun() | c.FailRun() | c.RenewLease():
                return self.whose.get(command.run_id)
            case c.AddPerson() | c.ErasePerson() | c.MarkStale() | c.RecordAnswer() | c.RecoverRun() | c.StartRun():
                return command.person_id
