"""Every door as a flow: what somebody asks for, checked, with the ids that it needs.

Floor 6, pure. `runs` and `async_runs` drive what is made here, the one by blocking and the other by awaiting; neither
decides anything of its own. What each door does, takes and raises is said at `runs.Runs`.
"""

import secrets
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from attrs import define, field, frozen

from research_fsm import codec, flows, reads, requests, transactions
from research_fsm.commands import (
    AddPerson,
    ArmAttempt,
    ClaimRun,
    CompleteRun,
    ErasePerson,
    FailRun,
    GrantCredits,
    MarkStale,
    RenewLease,
    RequestKey,
    RevokeCredits,
    StartRun,
    TakeEntry,
    checked_uuid,
)
from research_fsm.errors import InvalidInput
from research_fsm.events import FailReason, PersonKind
from research_fsm.lifecycle import RUNNING, Phase
from research_fsm.outcomes import (
    AddAnswer,
    CallbackAnswer,
    ClaimAnswer,
    CreateAnswer,
    EraseAnswer,
    GrantAnswer,
    Json,
    MarkStaleAnswer,
    PersonNotFound,
    Recovered,
    Renewed,
    RevokeAnswer,
    RunNotFound,
    StaleRun,
    StartAnswer,
    SubmitAnswer,
    TakeAnswer,
)
from research_fsm.policy import Policy, micros
from research_fsm.profile import Profile
from research_fsm.reads import Balance, PeoplePage, PersonDetails, ReportDetails
from research_fsm.requests import Flow
from research_fsm.storage import Head, Query, Reader, RecordedEvent, Rule
from research_fsm.stores.typed import TypedReader

__all__ = ["Doors", "RecoveryPass"]

A = TypeVar("A")

_RUNNING = tuple(map(str, RUNNING))
_COMPLETE = (str(Phase.COMPLETE),)


@frozen
class RecoveryPass:
    """What one recovery pass came to.

    Args:
        recovered: What was done about each person that was looked at.
        errors: People who could not be looked at, with what was raised; the others were not kept waiting.
    """

    recovered: tuple[Recovered, ...]
    errors: tuple[tuple[str, Exception], ...]


@define
class Doors:
    """Makes flows of what is asked for.

    Args:
        policy: Prices, leases, deadlines and limits.
        new_id: Makes UUIDs.
        inside: Whether the work waits in the embedded queue; else it is sent to an outside engine.
        joined: Whether all of it happens in a transaction of the host's: then a start sends nothing.
    """

    policy: Policy
    new_id: Callable[[], str]
    inside: bool
    joined: bool = False
    _looked: dict[tuple[str, ...], tuple[int, str] | None] = field(factory=dict, init=False)

    # --- credits ---

    def grant(self, owner: str, amount: int, *, grant_id: str | None, actor: str | None) -> Flow[GrantAnswer]:
        """Add credits to an account."""
        grant_id = grant_id if grant_id is not None else self.new_id()
        command = GrantCredits(owner=owner, grant_id=grant_id, amount=amount, actor=actor)
        return _one(transactions.grant(command))

    def revoke(self, owner: str, grant_id: str, *, actor: str | None) -> Flow[RevokeAnswer]:
        """Take a grant back."""
        return _one(transactions.revoke(RevokeCredits(owner=owner, grant_id=grant_id, actor=actor)))

    def balance(self, owner: str) -> Flow[Balance]:
        """Look at an owner's credits."""
        return _looking(partial(reads.balance, owner=owner))

    # --- people ---

    def add(self, owner: str, profile: Profile, *, kind: PersonKind, actor: str | None) -> Flow[AddAnswer]:
        """Add a person, idle."""
        return _one(transactions.add(self._adding(owner, profile, kind, actor), self.policy))

    def create(
        self, owner: str, profile: Profile, *, kind: PersonKind, key: str | None, actor: str | None
    ) -> Flow[CreateAnswer]:
        """Add a person and start them in one transaction."""
        adding = self._adding(owner, profile, kind, actor)
        request = ("create", str(kind), adding.profile.decode())
        request_key = None if key is None else RequestKey.of(owner, key, *request)
        return flows.create(adding, self._starting(adding.person_id, owner, request_key, actor), self.policy)

    def submit(self, owner: str, profile: Profile, *, key: str | None, actor: str | None) -> Flow[SubmitAnswer]:
        """Start the partner's person who has this address, added if nobody has it."""
        adding = self._adding(owner, profile, PersonKind.PARTNER, actor)
        if profile.linkedin_url is None:
            raise InvalidInput("linkedin_url", "is what a partner's people are known by: give one")
        request_key = None if key is None else RequestKey.of(owner, key, "submit", adding.profile.decode())
        return flows.submit(adding, self._starting(adding.person_id, owner, request_key, actor), self.policy)

    def person(self, person_id: str, *, owner: str | None) -> Flow[PersonDetails | PersonNotFound]:
        """Look at a person."""
        return _looking(partial(reads.person, person_id=person_id, owner=owner))

    def people(self, owner: str, *, limit: int, cursor: str | None) -> Flow[PeoplePage]:
        """Look at an owner's people."""
        return _looking(partial(reads.people, owner=owner, limit=limit, cursor=cursor))

    def report(self, person_id: str, *, owner: str | None) -> Flow[ReportDetails | PersonNotFound | None]:
        """Look at a person's latest report."""
        return _looking(partial(reads.report, person_id=person_id, owner=owner))

    def history(self, person_id: str) -> Flow[list[RecordedEvent]]:
        """Look at everything that ever happened to a person."""
        return _looking(partial(reads.history, person_id=person_id))

    def mark_stale(self, person_id: str, *, owner: str | None, actor: str | None) -> Flow[MarkStaleAnswer]:
        """Make a complete person idle again."""
        command = MarkStale(person_id=checked_uuid("person_id", person_id), owner=owner, actor=actor)
        return _one(transactions.mark_stale(command, self.policy))

    def erase(self, person_id: str, *, owner: str | None, actor: str | None) -> Flow[EraseAnswer]:
        """Delete a person's documents."""
        if self.joined:
            raise InvalidInput("erase", "is a transaction of its own: erase once the host's transaction has ended")
        command = ErasePerson(person_id=checked_uuid("person_id", person_id), owner=owner, actor=actor)
        return flows.erase(command, self.policy)

    # --- runs ---

    def start(self, person_id: str, *, owner: str | None, key: str | None, actor: str | None) -> Flow[StartAnswer]:
        """Start a run."""
        person_id = checked_uuid("person_id", person_id)
        request_key = None if key is None else RequestKey.of(owner, key, "start", person_id)
        return flows.start(self._starting(person_id, owner, request_key, actor), self.policy)

    def dispatch(self, run_id: str, *, actor: str | None) -> Flow[StartAnswer | RunNotFound]:
        """Send the first attempt of a run whose start sent none."""
        if self.inside:
            raise InvalidInput("dispatcher", "only an outside engine is sent anything: Runs(store, dispatcher)")
        if self.joined:
            raise InvalidInput("dispatch", "comes after the host's commit: call it on the Runs that is not joined")
        command = ArmAttempt(run_id=checked_uuid("run_id", run_id), actor=actor)
        return flows.dispatch(command, self.policy)

    def claim(self, run_id: str, run_no: int, external_id: str, *, actor: str | None) -> Flow[ClaimAnswer]:
        """Take a run for an engine run."""
        command = ClaimRun(run_id=checked_uuid("run_id", run_id), run_no=run_no, external_id=external_id, actor=actor)
        return _one(transactions.claim(command, self.policy))

    def complete(
        self, run_id: str, run_no: int, external_id: str, content: Json, *, change_summary: Json, actor: str | None
    ) -> Flow[CallbackAnswer]:
        """End a run with its report."""
        run_id = checked_uuid("run_id", run_id)
        command = CompleteRun(
            run_id=run_id,
            run_no=run_no,
            external_id=external_id,
            report=codec.encode_report(run_id, content, change_summary),
            actor=actor,
        )
        return _one(transactions.complete(command, self.policy))

    def fail(
        self, run_id: str, run_no: int, external_id: str, detail: str | None, *, reason: FailReason, actor: str | None
    ) -> Flow[CallbackAnswer]:
        """End a run without a report."""
        command = FailRun(
            run_id=checked_uuid("run_id", run_id),
            run_no=run_no,
            external_id=external_id,
            reason=reason,
            detail=None if detail is None else codec.canonical("detail", detail),
            actor=actor,
        )
        return _one(transactions.fail(command, self.policy))

    # --- the embedded queue ---

    def take(self, run_id: str | None, *, actor: str | None) -> Flow[TakeAnswer]:
        """Take the next entry of the embedded queue, or a run's own."""
        run_id = None if run_id is None else checked_uuid("run_id", run_id)
        return _one(transactions.take(TakeEntry(run_id=run_id, actor=actor), self.policy))

    def renew(self, run_id: str, run_no: int, external_id: str) -> Flow[Renewed | StaleRun]:
        """Keep an entry of the embedded queue a little longer."""
        command = RenewLease(run_id=checked_uuid("run_id", run_id), run_no=run_no, external_id=external_id)
        return _one(transactions.renew(command, self.policy))

    # --- recovery ---

    def overdue(self) -> Flow[list[str]]:
        """Look for the next people to recover: the running ones who are due, and reports that have grown old."""
        if self.joined:
            raise InvalidInput("recover", "is no part of a host's transaction: call it on the Runs that is not joined")
        return requests.read(self._overdue)

    def recover(self, person_id: str) -> Flow[Recovered]:
        """Do the one thing that is due for a person."""
        return flows.recover(person_id, self.policy, sends=not self.inside)

    def _overdue(self, reader: Reader) -> list[str]:
        now = reader.now()
        heads = self._page(reader, _RUNNING, now)
        if self.policy.stale_after is not None:
            heads += self._page(reader, _COMPLETE, now - micros(self.policy.stale_after))
        return [transactions.person_id_of(head.stream) for head in heads]

    def _page(self, reader: Reader, tags: tuple[str, ...], until: int) -> list[Head]:
        """Return the next heads with these tags: those behind the cursor first, then from the start again."""
        limit, looked = self.policy.recovery_batch, self._looked.get(tags)
        heads = reader.due(tags, until, after=looked, limit=limit)
        if len(heads) < limit and looked is not None:
            first = reader.due(tags, until, after=None, limit=limit - len(heads))
            heads += [head for head in first if head not in heads]
        last = heads[-1] if len(heads) == limit else None
        self._looked[tags] = None if last is None or last.due is None else (last.due, last.stream)
        return heads

    # --- commands that two doors need ---

    def _adding(self, owner: str, profile: Profile, kind: PersonKind, actor: str | None) -> AddPerson:
        if not isinstance(profile, Profile):
            raise InvalidInput("profile", f"must be a Profile, not {type(profile).__name__}")
        return AddPerson(
            person_id=self.new_id(),
            owner=owner,
            kind=kind,
            profile=codec.encode(profile.known()),
            linkedin_url=profile.linkedin_url,
            salt=secrets.token_hex(16),
            actor=actor,
        )

    def _starting(self, person_id: str, owner: str | None, key: RequestKey | None, actor: str | None) -> StartRun:
        return StartRun(
            person_id=person_id,
            run_id=self.new_id(),
            owner=owner,
            key=key,
            inside=self.inside,
            joined=self.joined and not self.inside,
            actor=actor,
        )


def _one(transaction: tuple[Query, Rule[A]]) -> Flow[A]:
    return requests.transact(*transaction)


def _looking(look: Callable[[Reader], A]) -> Flow[A]:
    """Look at the store, and raise `LogUnreadable` for a row that was edited by hand."""
    return requests.read(lambda reader: look(TypedReader(reader)))
