"""A whole simulated world: servers, a store, an engine, time, and who is at work; it takes one step after another.

Floor 6. A part of `simulate`. The flows, the transactions and the store are the real ones. Nothing here
chooses: what happens next is a line of the schedule, and the same lines lead to the same world on every machine. After
each step the laws are asked.
"""

from collections.abc import Callable, Iterator
from typing import Any

from attrs import define

from research_fsm import driver
from research_fsm.errors import CommitUnknown, ResearchError, StoreBusy
from research_fsm.laws.catalog import CHARGED_IF_EXECUTED, ONE_AT_WORK
from research_fsm.outcomes import Claimed
from research_fsm.requests import Cancel, Dispatch, Flow, Look, Read, Transact
from research_fsm.storage import Store
from research_fsm.testing.simulate import transcript
from research_fsm.testing.simulate.actors import Actor, Unanswered
from research_fsm.testing.simulate.coverage import Coverage
from research_fsm.testing.simulate.disk import Disk
from research_fsm.testing.simulate.network import Network
from research_fsm.testing.simulate.oracle import Before, Oracle
from research_fsm.testing.simulate.setting import Setting
from research_fsm.testing.simulate.watch import Watch
from research_fsm.testing.simulate.witness import Witness
from research_fsm.testing.simulate.words import STORE_FATES, Fate
from research_fsm.testing.steps import Command

__all__ = ["Broken", "Server", "World"]

_BEGINNING = 1_800_000_000_000_000


class Broken(AssertionError):
    """A law does not hold.

    Args:
        words: What is wrong, each beginning with the law's name.
    """

    def __init__(self, words: list[str]) -> None:
        self.words = words
        super().__init__("\n".join(words))


@define
class Server:
    """One process of ours.

    Args:
        name: Its name.
        sends: Whether it hands runs to the engine.
        up: Whether it is.
        ahead: How far its clock was ahead of the true time at `since`, in microseconds.
        drift: By how many millionths its clock is too fast.
        since: Since when it drifts.
    """

    name: str
    sends: bool
    up: bool = True
    ahead: int = 0
    drift: int = 0
    since: int = 0

    def clock(self, now: int) -> int:
        """Return what its clock says, in microseconds UTC, at a true time."""
        return now + self.ahead + (now - self.since) * self.drift // 1_000_000


class World:
    """A world, at its beginning.

    Args:
        setting: How it is.
        make_store: Makes an empty store that tells the time by a clock, in microseconds UTC.

    Attributes:
        now: The true time, in microseconds UTC.
        actors: Who is at work, by name.
        asked: What callers asked for, by name, so that it can be asked again.
        copies: Callbacks of which a copy is still under way.
        tell: Is told what happens, in words, if somebody wants to know.
    """

    def __init__(self, setting: Setting, make_store: Callable[[Callable[[], int]], Store]) -> None:
        self.setting, self.policy = setting, setting.policy
        self.now = self._local = _BEGINNING
        names = [f"s{number}" for number in range(1, setting.servers + 1)]
        self.servers = {name: Server(name, setting.sends(name)) for name in names}
        self.disk = Disk(make_store(lambda: self._local))
        key_ttl = f"{setting.key_ttl}s" if setting.key_ttl else None
        self.network = Network(lambda: self.now, key_ttl, setting.queue_ttl or None)
        if setting.typo:
            self.network.task = "deep-resaerch-enrich"
        self.watch = Watch(self.disk)
        self.witness = Witness(self.network, self.watch.recount)
        self.coverage = Coverage(worlds=1)
        self.actors: dict[str, Actor] = {}
        self.asked: dict[str, Any] = {}
        self.people: list[str] = []
        self.copies: dict[str, Command] = {}
        self.tell: Callable[[str], None] | None = None
        self.oracle = Oracle(self.disk, self.watch, self.policy)
        self._hit: dict[str, str] = {}

    def close(self) -> None:
        """Close the store."""
        self.disk.close()

    def is_up(self, server: str) -> bool:
        """Tell whether there is such a server and it runs."""
        here = self.servers.get(server)
        return here is not None and here.up

    def clock(self, server: str) -> int:
        """Return what a server's clock says, in microseconds UTC; the engine's is true."""
        here = self.servers.get(server)
        return self.now if here is None else here.clock(self.now)

    def say(self, words: str) -> None:
        """Tell whoever listens what happens."""
        if self.tell is not None:
            self.tell(words)

    def strike(self, person_id: str, fault: str) -> None:
        """Remember what went wrong, and for whom, until they are at rest."""
        self.coverage.faults[fault] += 1
        self._hit[person_id] = fault

    # --- somebody goes on ---

    def begin(self, actor: Actor, doing: Flow[Any]) -> None:
        """Let somebody begin, up to the first thing they want."""
        self.actors[actor.name] = actor
        actor.doing = doing
        self._advance(actor, lambda: next(doing))

    def go_on(self, actor: Actor, fate: str) -> None:
        """Do what somebody waits for, or let the answer to it arrive."""
        match actor.wanted:
            case Transact():
                self._transacted(actor, fate)
            case Read() as request:
                actor.looked_at = actor.looked_at or self.watch.person(actor.about)
                self._answer(actor, driver.perform(request, self.disk_at(actor.server), None))
            case Dispatch(request=request) if actor.held is None:
                actor.held = self.network.send(actor.name, request, fate)
                self._went_wrong(actor, fate)
            case Dispatch(request=request):
                self.network.answered(request.run_id)
                actor.command, outcome = transcript.answer(actor, actor.held), actor.held
                self._answer(actor, outcome)
            case Look(request=request, external_ids=known) if actor.held is None:
                actor.held = self.network.look(request, known, fate)
                self._went_wrong(actor, fate)
            case Look():
                actor.seen = actor.held
                self._answer(actor, actor.held)
            case Cancel(external_id=external_id):
                if fate == Fate.DONE:
                    self.network.cancel(external_id)
                self._went_wrong(actor, fate)
                self._answer(actor, None)
            case None:
                return

    def die(self, actor: Actor) -> None:
        """Let somebody die where they are."""
        if isinstance(actor.wanted, Dispatch) and actor.held is not None:
            self.network.answered(actor.wanted.request.run_id)
        self.actors.pop(actor.name, None)
        if actor.doing is not None:
            actor.doing.close()

    def _went_wrong(self, actor: Actor, fate: str) -> None:
        if fate != Fate.DONE:
            self.strike(actor.about, fate)

    def _answer(self, actor: Actor, answer: Any) -> None:  # noqa: ANN401  # By request.
        actor.held = None
        doing = actor.doing
        if doing is not None:
            self._advance(actor, lambda: doing.send(answer))

    def _throw(self, actor: Actor, error: Exception) -> None:
        doing = actor.doing
        if doing is not None:
            self._advance(actor, lambda: doing.throw(error))

    def _advance(self, actor: Actor, step: Callable[[], Any]) -> None:
        try:
            actor.wanted = step()
        except StopIteration as done:
            self.actors.pop(actor.name, None)
            self._done(actor, done.value)
        except ResearchError as error:
            self.actors.pop(actor.name, None)
            self._tell_caller(actor, error)

    def _done(self, actor: Actor, answer: object) -> None:
        if actor.ending is not None:
            self._ended(actor, actor.name)
        elif actor.caller:
            self._tell_caller(actor, answer)
            self.hold_to(list(self.witness.told(answer, actor.key)))

    def _tell_caller(self, actor: Actor, answer: object) -> None:
        if self.tell is not None:  # Else it is not even put into words, which takes longer than the step.
            self.tell(f"{actor.name} is told: {answer}")

    def _ended(self, actor: Actor, external_id: str) -> None:
        """Let an engine run end as its task did, unless somebody ended it before."""
        run, ending = self.network.find(external_id), actor.ending
        if run is None or ending is None or run.status.final:
            return
        if ending.output:
            self.witness.worked.add((run.payload.run_id, external_id))
        self.network.engine.end(external_id, ending.status, *ending.output)
        self.say(f"{external_id} is {ending.status} at the engine, with{'' if ending.output else 'out'} an output")

    # --- a transaction ---

    def disk_at(self, server: str) -> Disk:
        """Return the store as a server has it: by its own clock."""
        self._local = self.clock(server)
        return self.disk

    def receives(self) -> str:
        """Return the server that a callback reaches; empty if all are down."""
        return next((server.name for server in self.servers.values() if server.up), "")

    def _transacted(self, actor: Actor, fate: str) -> None:
        """Let a transaction be done, or go wrong; a callback has to find a server first."""
        server = actor.server or self.receives()
        if not server or (fate == Fate.LOST and not actor.server):
            self.strike(actor.about, Fate.LOST)
            self._throw(actor, Unanswered())
            return
        self._went_wrong(actor, fate)
        actor.command = command = transcript.next_command(actor)
        actor.looked_at = None
        disk = self.disk_at(server)
        before = self.oracle.before(command, self._local)
        self.witness.is_reported(command)
        disk.fate = Fate(fate) if fate in STORE_FATES else Fate.DONE
        try:
            answer = driver.perform(actor.wanted, disk, None)  # type: ignore[arg-type]  # The caller has looked.
        except StoreBusy as error:
            self.follow()
            self.hold_to(
                [f"{CHARGED_IF_EXECUTED}: a commit failed, and something was written"] if self.watch.recorded else []
            )
            self._throw(actor, error)
        except CommitUnknown as error:
            self._check(before, disk.answer)
            self.hold_to(list(self.witness.told_address(actor.adding, disk.answer)))
            self._throw(actor, error)
        except ResearchError as error:
            self.hold_to([f"{type(error).__name__}: {error}"])
        else:
            self._check(before, answer)
            self.hold_to([*self.witness.told_address(actor.adding, answer), *self._at_work_beside(answer)])
            actor.command, actor.sent = None, transcript.sent(answer)
            if not actor.server and fate == Fate.DOUBLED and command is not None:
                self.copies[f"copy_{actor.name}"] = command
            if not actor.server and fate == Fate.UNANSWERED:
                self._throw(actor, Unanswered())
            else:
                self._answer(actor, answer)

    def _check(self, before: Before | None, answer: object) -> None:
        """Ask every law about a transaction that was committed."""
        self.follow()
        wrong = [] if before is None else list(self.oracle.broken(before, answer))
        wrong += self.witness.told_callback(answer, before and before.command)
        self.hold_to(wrong)

    def _at_work_beside(self, answer: object) -> Iterator[str]:
        """One at work, in the embedded queue: who takes an entry finds nobody at work on it, if clocks go alike."""
        if not isinstance(answer, Claimed) or answer.lease_until is None or self.setting.clocks:
            return
        for other in self.actors.values():
            if other.holds is not None and other.holds[0] == answer.run_id and self.now < other.until:
                yield f"{ONE_AT_WORK}: {answer.external_id} is taken while {other.name} is at work on {other.holds[1]}"

    def follow(self) -> None:
        """Look at what was recorded, and hold it against the laws.

        Raises:
            Broken: A law does not hold.
        """
        wrong = self.watch.follow()
        for happened in self.watch.happened:
            wrong += self.witness.saw(happened)
            transcript.cover(self.coverage, happened, self._hit)
            self.oracle.learn(happened)
        if self.tell is not None:
            transcript.tell(self.tell, self.watch.recorded)
        self.hold_to(wrong)

    def hold_to(self, wrong: list[str]) -> None:
        """Stop if something is wrong.

        Raises:
            Broken: It is.
        """
        if wrong:
            raise Broken(wrong)
