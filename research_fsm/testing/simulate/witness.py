"""What really happened in a simulated world, beside what the log says: the laws that no log can be asked about.

Floor 6. A part of `simulate`. Who was told what, who was at work when, and what the engine has, is
known in a simulation alone.
"""

from collections.abc import Iterator

from attrs import Factory, define

from research_fsm.commands import AddPerson, ClaimRun, CompleteRun, RequestKey, TakeEntry
from research_fsm.decide import Send
from research_fsm.events import FailReason, RollBackReason, RunCompleted, RunDispatched, RunFailed, RunRolledBack
from research_fsm.laws.catalog import (
    CHARGED_IF_EXECUTED,
    COMPLETE_NEEDS_WORK,
    CONFIRMED_BY_ITS_OWN,
    ONE_AT_WORK,
    ONE_OPEN_RUN,
    ORPHANS_END_NOTHING,
    REFUSAL_IS_PROOF,
    REPEATED_IS_THE_SAME,
)
from research_fsm.outcomes import (
    Added,
    AlreadyAdded,
    Claimed,
    Created,
    KeyReused,
    PersonNotFound,
    Queued,
    RolledBack,
    Unresolved,
)
from research_fsm.testing.recount import CountedRun, Life, Recount
from research_fsm.testing.simulate.network import Network
from research_fsm.testing.simulate.watch import Happened

__all__ = ["Witness"]


@define
class Witness:
    """Remembers what the log does not.

    Args:
        network: What the engine really has.
        recount: What was counted of the log so far.
        claimed: Who was told that a run is theirs, by run_id: engine runs, or deliveries of the embedded queue.
        worked: Whoever has done the work of a run: has reported it, or returned it.
        requests: What each request key was used for.
        answers: What each request key was answered, once that was settled.
        addresses: Who was added last under each owner's address.
        promised: Which run a request key was answered with.
    """

    network: Network
    recount: Recount
    claimed: dict[str, list[str]] = Factory(dict)
    worked: set[tuple[str, str]] = Factory(set)
    requests: dict[str, set[str]] = Factory(dict)
    answers: dict[str, object] = Factory(dict)
    addresses: dict[tuple[str, str], str] = Factory(dict)
    promised: dict[str, str] = Factory(dict)

    # --- what was told ---

    def is_asked(self, key: RequestKey | None) -> None:
        """Remember what a key was used for, whatever comes of it."""
        if key is not None:
            self.requests.setdefault(key.digest, set()).add(key.fingerprint)

    def told(self, answer: object, key: RequestKey | None) -> Iterator[str]:
        """Look at what a caller was told in the end."""
        start = answer.start if isinstance(answer, Created) else answer
        if isinstance(start, Queued | Unresolved | RolledBack):
            yield from self._kept(start)
        if key is not None:
            if isinstance(start, KeyReused):
                if len(self.requests[key.digest]) == 1:
                    yield (
                        f"{REPEATED_IS_THE_SAME}: the key {key.key} was said to be another request's, and "
                        "there is no other"
                    )
            elif not isinstance(start, PersonNotFound):
                yield from self._repeated(answer, start, key.digest)

    def _kept(self, start: Queued | Unresolved | RolledBack) -> Iterator[str]:
        """Hold an answer against the log: what it says has happened."""
        run = self.run(start.person_id, start.run_no)
        if run is None or run.run_id != start.run_id:
            yield f"{ONE_OPEN_RUN}: a caller was told {start}, and the log has no such run"
        elif isinstance(start, Queued) and "CreditsCharged" not in run.credits and run.ended != "RunFailed":
            # A worker that reports a failure without a claim proves that the engine had the run, and frees the hold.
            yield f"{CHARGED_IF_EXECUTED}: a caller was told that {start}, and it is not charged"
        elif isinstance(start, RolledBack) and (run.ended != "RunRolledBack" or run.credits[-1] != "CreditsReleased"):
            yield (
                f"{CHARGED_IF_EXECUTED}: a caller was told that {start}; the log has "
                f"{run.ended or 'an open run'}, {run.credits}"
            )

    def _repeated(self, answer: object, start: object, key: str) -> Iterator[str]:
        """Invariant 8: the same key, the same answer, once it is settled."""
        if (
            isinstance(start, Queued | Unresolved | RolledBack)
            and self.promised.setdefault(key, start.run_id) != start.run_id
        ):
            yield (
                f"{REPEATED_IS_THE_SAME}: a key was answered with run {self.promised[key]}, and then with "
                f"{start.run_id}"
            )
        settled = self.answers.get(key)
        if settled is not None and settled != answer:
            yield f"{REPEATED_IS_THE_SAME}: a key was answered {settled}, and then {answer}"
        if settled is None and not isinstance(start, Unresolved):
            self.answers[key] = answer

    def told_callback(self, answer: object, command: object) -> Iterator[str]:
        """Look at what a worker was answered, or would have been."""
        match command:
            case ClaimRun(run_id=run_id, external_id=external_id) if isinstance(answer, Claimed):
                others = self.claimed.setdefault(run_id, [])
                if external_id not in others:
                    others.append(external_id)
                if len(others) > 1 and not external_id.startswith(run_id):
                    yield f"{ONE_AT_WORK}: {' and '.join(others)} were both told to execute run {run_id}"
            case TakeEntry() if isinstance(answer, Claimed):
                self.claimed.setdefault(answer.run_id, []).append(answer.external_id)

    def told_address(self, adding: AddPerson | None, answer: object) -> Iterator[str]:
        """Look at what came of adding somebody with an address: a partner has each address once."""
        if adding is None or adding.linkedin_url is None:
            return
        address = (adding.owner, adding.linkedin_url)
        there = self.addresses.get(address, "")
        taken = there in self.recount.people and not self.recount.people[there].erased
        match answer:
            case AlreadyAdded(person_id=person_id):
                if not taken or person_id != there:
                    yield f"{ONE_OPEN_RUN}: {person_id} was said to have the address of {there if taken else 'nobody'}"
            case Added(person_id=person_id) | Created(person_id=person_id):
                yield from self._settles(address, there if taken else "", person_id)
            case Send(request=request):
                yield from self._settles(address, there if taken else "", request.person_id)
            case _:
                return

    def _settles(self, address: tuple[str, str], there: str, person_id: str) -> Iterator[str]:
        if there not in ("", person_id):
            yield f"{ONE_OPEN_RUN}: a partner has {there} and {person_id} under the same address"
        self.addresses[address] = person_id

    def is_reported(self, command: object) -> None:
        """Remember that somebody says to have done the work."""
        if isinstance(command, CompleteRun):
            self.worked.add((command.run_id, command.external_id))

    # --- what was recorded ---

    def saw(self, happened: Happened) -> Iterator[str]:
        """Hold one event against what the engine has."""
        event, run = happened.event, happened.person.run
        run_id = "" if run is None else run.run_id
        match event:
            case RunRolledBack(reason=RollBackReason.REFUSED | RollBackReason.NOT_SENT) if self.network.has(run_id):
                yield (
                    f"{REFUSAL_IS_PROOF}: run {run_id} was rolled back by a refusal, and the engine has it, or may yet"
                )
            case RunDispatched(external_id=str(external_id), run_no=run_no):
                request = self.network.request_of(external_id)
                if request is None or (request.run_id, request.run_no) != (run_id, run_no):
                    yield f"{CONFIRMED_BY_ITS_OWN}: run {run_id} was confirmed by {external_id}, which is another run's"
            case RunCompleted(external_id=external_id) if (run_id, external_id) not in self.worked:
                yield f"{COMPLETE_NEEDS_WORK}: run {run_id} is complete by {external_id}, which did no work for it"
            case RunFailed() if run is not None:
                yield from self._failed(event, run_id, run.dispatched_as, run.claimed_by)

    def _failed(
        self, event: RunFailed, run_id: str, dispatched_as: str | None, claimed_by: str | None
    ) -> Iterator[str]:
        if event.external_id is None or event.reason not in (FailReason.ENGINE_REPORTED, FailReason.NO_OUTPUT):
            return
        ended = self.network.find(event.external_id)
        if ended is None or ended.payload.run_id != run_id or not ended.status.final:
            yield f"{ORPHANS_END_NOTHING}: run {run_id} failed because {event.external_id} ended, which did not"
        if event.external_id != (claimed_by or dispatched_as or event.external_id):
            yield (
                f"{ORPHANS_END_NOTHING}: run {run_id} of {claimed_by or dispatched_as} failed because "
                f"{event.external_id} ended"
            )

    def run(self, person_id: str, run_no: int) -> CountedRun | None:
        """Return a run as it was counted."""
        life: Life | None = self.recount.people.get(person_id)
        return None if life is None else life.runs.get(run_no)

    def at_rest(self) -> Iterator[str]:
        """Invariant 4 at the end: whoever was told to execute a run is paid for, whatever came of it."""
        for life in self.recount.people.values():
            for run in life.runs.values():
                if self.claimed.get(run.run_id) and run.credits[-1] != "CreditsCharged":
                    yield (
                        f"{CHARGED_IF_EXECUTED}: run {run.run_id} was executed, and its credits ended "
                        f"with {run.credits[-1]}"
                    )
