"""What an embedder calls: one object, one line per method, over the pure flows and whichever store and dispatcher.

Floor 6. No rule lives here. A method returns the domain's answer as a value; call ``.accepted()`` on it to have a
refusal raised instead. Times are integer microseconds since 1970-01-01 UTC.
"""

import secrets
from collections.abc import Callable
from typing import TypeVar
from uuid import uuid4

from attrs import frozen

from research_fsm import codec, driver, flows, reads, requests, transactions
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
    TakeAnswer,
)
from research_fsm.policy import Policy, micros
from research_fsm.profile import Profile
from research_fsm.reads import Balance, PeoplePage, PersonDetails, ReportDetails
from research_fsm.requests import Dispatcher
from research_fsm.storage import Head, Query, RecordedEvent, Rule, Store
from research_fsm.tokens import AccessTokens

__all__ = ["RecoveryPass", "Runs"]

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


class Runs:
    """Deep research runs on a store: never queued twice, never charged twice, never stuck, always explainable.

    Safe to share between threads, and between processes that each open the store.

    Args:
        store: Where the log is kept.
        dispatcher: The outside engine; None for the embedded queue, whose workers are `research_fsm.worker`.
        policy: Prices, leases, deadlines and limits.
        new_id: Makes UUIDs; tests inject one that counts.
    """

    def __init__(
        self,
        store: Store,
        dispatcher: Dispatcher | None = None,
        *,
        policy: Policy | None = None,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        self.store = store
        self.policy = policy or Policy()
        self.tokens = AccessTokens(store)
        self._dispatcher = dispatcher
        self._new_id = new_id
        self._looked: dict[tuple[str, ...], tuple[int, str] | None] = {}

    # --- credits ---

    def grant(self, owner: str, amount: int, *, grant_id: str | None = None, actor: str | None = None) -> GrantAnswer:
        """Add credits to an account, once per grant_id.

        Args:
            owner: Whose account.
            amount: Whole credits, from 1 to 10^12.
            grant_id: Names the grant, so that asking again changes nothing; None makes a fresh one.
            actor: Who asks.

        Returns:
            `Granted`, or `GrantIdReused` if the id was used with another amount.

        Raises:
            InvalidInput: A value is malformed.
        """
        grant_id = grant_id if grant_id is not None else self._new_id()
        command = GrantCredits(owner=owner, grant_id=grant_id, amount=amount, actor=actor)
        return self._transact(transactions.grant(command))

    def revoke(self, owner: str, grant_id: str, *, actor: str | None = None) -> RevokeAnswer:
        """Take a grant back, whole and once, and never below what is available.

        Returns:
            `Revoked`, `GrantNotFound`, or `InsufficientCredits` if it was spent already.
        """
        return self._transact(transactions.revoke(RevokeCredits(owner=owner, grant_id=grant_id, actor=actor)))

    def balance(self, owner: str) -> Balance:
        """Return an owner's credits."""
        return reads.balance(self.store, owner)

    # --- people ---

    def add(
        self, owner: str, profile: Profile, *, kind: PersonKind = PersonKind.USER, actor: str | None = None
    ) -> AddAnswer:
        """Add a person, idle.

        Args:
            owner: Whose person it is and whose credits are spent.
            profile: What is known of them.
            kind: Which API makes them; a partner has each LinkedIn URL once.
            actor: Who asks.

        Returns:
            `Added`, or `AlreadyAdded` with the person whom the partner has under this URL.
        """
        return self._transact(transactions.add(self._adding(owner, profile, kind, actor), self.policy))

    def create(
        self,
        owner: str,
        profile: Profile,
        *,
        kind: PersonKind = PersonKind.USER,
        key: str | None = None,
        actor: str | None = None,
    ) -> CreateAnswer:
        """Add a person and start them in one transaction; if the credits do not suffice, nobody is added.

        Args:
            owner: Whose person it is and whose credits are spent.
            profile: What is known of them.
            kind: Which API makes them.
            key: The caller's key for this request: asking again with it gives the same answer.
            actor: Who asks.
        """
        adding = self._adding(owner, profile, kind, actor)
        fingerprint = codec.encode(profile.known()).decode()
        request_key = None if key is None else RequestKey.of(owner, key, "create", str(kind), fingerprint)
        starting = StartRun(
            person_id=adding.person_id,
            run_id=self._new_id(),
            owner=owner,
            key=request_key,
            inside=self._inside,
            actor=actor,
        )
        return self._drive(flows.create(adding, starting, self.policy))

    def person(self, person_id: str, *, owner: str | None = None) -> PersonDetails | PersonNotFound:
        """Return a person; another owner's is not found."""
        return reads.person(self.store, person_id, owner)

    def people(self, owner: str, *, limit: int = 100, cursor: str | None = None) -> PeoplePage:
        """Return an owner's people, newest first, a page at a time."""
        return reads.people(self.store, owner, limit=limit, cursor=cursor)

    def report(self, person_id: str, *, owner: str | None = None) -> ReportDetails | PersonNotFound | None:
        """Return a person's latest report, or None while there is none."""
        return reads.report(self.store, person_id, owner)

    def history(self, person_id: str) -> list[RecordedEvent]:
        """Return everything that ever happened to a person, with what it meant for the account, by position."""
        return reads.history(self.store, person_id)

    def mark_stale(self, person_id: str, *, owner: str | None = None, actor: str | None = None) -> MarkStaleAnswer:
        """Make a complete person idle again, so that the report can be refreshed; it stays readable."""
        command = MarkStale(person_id=checked_uuid("person_id", person_id), owner=owner, actor=actor)
        return self._transact(transactions.mark_stale(command, self.policy))

    def erase(self, person_id: str, *, owner: str | None = None, actor: str | None = None) -> EraseAnswer:
        """Delete a person's documents, in every status; an open hold is released, spent credits are not refunded."""
        command = ErasePerson(person_id=checked_uuid("person_id", person_id), owner=owner, actor=actor)
        return self._drive(flows.erase(command, self.policy))

    # --- runs ---

    def start(
        self, person_id: str, *, owner: str | None = None, key: str | None = None, actor: str | None = None
    ) -> StartAnswer:
        """Start a run of a person who is idle or failed.

        Args:
            person_id: Whom to research.
            owner: Who asks; another owner's person is not found. None for somebody who may start everybody.
            key: The caller's key for this request: asking again with it gives the same answer and starts nothing.
            actor: Who asks.

        Returns:
            `Queued`; `Unresolved` while nobody knows whether the engine has it; or a refusal with its facts.

        Raises:
            InvalidInput: A value is malformed.
            StoreError: The store could not do it. After a `CommitUnknown`, ask again with the same key.
        """
        person_id = checked_uuid("person_id", person_id)
        command = StartRun(
            person_id=person_id,
            run_id=self._new_id(),
            owner=owner,
            key=None if key is None else RequestKey.of(owner, key, "start", person_id),
            inside=self._inside,
            actor=actor,
        )
        return self._drive(flows.start(command, self.policy))

    def dispatch(self, run_id: str, *, actor: str | None = None) -> StartAnswer | RunNotFound:
        """Send the first attempt of a run whose start sent none, or say how the run stands.

        Raises:
            InvalidInput: There is no outside dispatcher to send it with.
        """
        if self._inside:
            raise InvalidInput("dispatcher", "only an outside engine is sent anything: Runs(store, dispatcher)")
        command = ArmAttempt(run_id=checked_uuid("run_id", run_id), actor=actor)
        return self._drive(flows.dispatch(command, self.policy))

    def claim(self, run_id: str, run_no: int, external_id: str, *, actor: str | None = None) -> ClaimAnswer:
        """Take a run for an engine run: a worker's first act.

        Args:
            run_id: The run.
            run_no: The fencing token that came with it.
            external_id: The engine run that asks.
            actor: Who asks.

        Returns:
            `Claimed` with the profile; `StaleRun`: the worker stops; `RunNotFound`.
        """
        command = ClaimRun(run_id=checked_uuid("run_id", run_id), run_no=run_no, external_id=external_id, actor=actor)
        return self._transact(transactions.claim(command, self.policy))

    def complete(
        self,
        run_id: str,
        run_no: int,
        external_id: str,
        content: Json,
        *,
        change_summary: Json = None,
        actor: str | None = None,
    ) -> CallbackAnswer:
        """End a run with its report.

        Args:
            run_id: The run.
            run_no: The fencing token that came with it.
            external_id: The engine run that reports.
            content: The report: free JSON, at most 3 MiB.
            change_summary: What is new since the last report.
            actor: Who asks.
        """
        run_id = checked_uuid("run_id", run_id)
        command = CompleteRun(
            run_id=run_id,
            run_no=run_no,
            external_id=external_id,
            report=codec.encode_report(run_id, content, change_summary),
            actor=actor,
        )
        return self._transact(transactions.complete(command, self.policy))

    def fail(
        self,
        run_id: str,
        run_no: int,
        external_id: str,
        detail: str | None = None,
        *,
        reason: FailReason = FailReason.WORKER_REPORTED,
        actor: str | None = None,
    ) -> CallbackAnswer:
        """End a run without a report.

        Args:
            run_id: The run.
            run_no: The fencing token that came with it.
            external_id: The engine run that reports.
            detail: Free text, kept as a document and deleted with the person.
            reason: From the fixed list.
            actor: Who asks.
        """
        command = FailRun(
            run_id=checked_uuid("run_id", run_id),
            run_no=run_no,
            external_id=external_id,
            reason=reason,
            detail=None if detail is None else codec.canonical("detail", detail),
            actor=actor,
        )
        return self._transact(transactions.fail(command, self.policy))

    # --- the embedded queue ---

    def take(self, *, actor: str | None = None) -> TakeAnswer:
        """Take the next entry of the embedded queue, or take over one whose lease is over; claims its run."""
        return self._transact(transactions.take(TakeEntry(actor=actor), self.policy))

    def renew(self, run_id: str, run_no: int, external_id: str) -> Renewed | StaleRun:
        """Keep an entry of the embedded queue a little longer."""
        command = RenewLease(run_id=checked_uuid("run_id", run_id), run_no=run_no, external_id=external_id)
        return self._transact(transactions.renew(command, self.policy))

    # --- recovery ---

    def recover(self) -> RecoveryPass:
        """Look at people who are overdue, a bounded number of them, and do the one thing that is due for each.

        Any number of passes may run at once, in any number of processes. An error on one person does not stop the
        others. A pass goes on where the previous one of this object stopped, so that nobody is passed over.
        """
        recovered: list[Recovered] = []
        errors: list[tuple[str, Exception]] = []
        for person_id in self._overdue():
            try:
                recovered.append(self._drive(flows.recover(person_id, self.policy, sends=not self._inside)))
            except Exception as error:  # noqa: BLE001  # Reported; the others must not wait for this one.
                errors.append((person_id, error))
        return RecoveryPass(tuple(recovered), tuple(errors))

    def _overdue(self) -> list[str]:
        """Return the next people to look at: the running ones who are due, and reports that have grown old."""
        now = self.store.now()
        heads = self._page(_RUNNING, now)
        if self.policy.stale_after is not None:
            heads += self._page(_COMPLETE, now - micros(self.policy.stale_after))
        return [transactions.person_id_of(head.stream) for head in heads]

    def _page(self, tags: tuple[str, ...], until: int) -> list[Head]:
        """Return the next heads with these tags: those behind the cursor first, then from the start again."""
        limit, looked = self.policy.recovery_batch, self._looked.get(tags)
        heads = self.store.due(tags, until, after=looked, limit=limit)
        if len(heads) < limit and looked is not None:
            first = self.store.due(tags, until, after=None, limit=limit - len(heads))
            heads += [head for head in first if head not in heads]
        last = heads[-1] if len(heads) == limit else None
        self._looked[tags] = None if last is None or last.due is None else (last.due, last.stream)
        return heads

    # --- how ---

    @property
    def _inside(self) -> bool:
        return self._dispatcher is None

    def _adding(self, owner: str, profile: Profile, kind: PersonKind, actor: str | None) -> AddPerson:
        if not isinstance(profile, Profile):
            raise InvalidInput("profile", f"must be a Profile, not {type(profile).__name__}")
        return AddPerson(
            person_id=self._new_id(),
            owner=owner,
            kind=kind,
            profile=codec.encode(profile.known()),
            linkedin_url=profile.linkedin_url,
            salt=secrets.token_hex(16),
            actor=actor,
        )

    def _drive(self, flow: requests.Flow[A]) -> A:
        return driver.drive(flow, self.store, self._dispatcher)

    def _transact(self, transaction: tuple[Query, Rule[A]]) -> A:
        return self.store.transact(*transaction)
