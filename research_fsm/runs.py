"""What an embedder calls: one object, one line per method, over the pure flows and whichever store and dispatcher.

Floor 7. No rule lives here. A method returns the domain's answer as a value; call ``.accepted()`` on it to have a
refusal raised instead. Times are integer microseconds since 1970-01-01 UTC. `async_runs` has the same doors for
callers who await.
"""

from collections.abc import Callable, Generator, Sequence
from datetime import timedelta
from typing import TypeVar, Unpack
from uuid import uuid4

from research_fsm import driver, feed
from research_fsm.doors import Doors, RecoveryPass
from research_fsm.errors import InvalidInput
from research_fsm.events import FailReason, PersonKind
from research_fsm.observers import Known, Observer, watching
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
from research_fsm.policy import Policy
from research_fsm.profile import Profile
from research_fsm.reads import Balance, PeoplePage, PersonDetails, ReportDetails
from research_fsm.requests import Dispatcher, Flow
from research_fsm.storage import RecordedEvent, Store
from research_fsm.tokens import AccessTokens

__all__ = ["RecoveryPass", "Runs", "new_uuid"]

A = TypeVar("A")


def new_uuid() -> str:
    """Return a fresh UUID."""
    return str(uuid4())


class Runs:
    """Deep research runs on a store: never queued twice, never charged twice, never stuck, always explainable.

    Safe to share between threads, and between processes that each open the store.

    Args:
        store: Where the log is kept.
        dispatcher: The outside engine; None for the embedded queue, whose workers are `research_fsm.worker`.
        policy: Prices, leases, deadlines and limits.
        new_id: Makes UUIDs; tests inject one that counts.
        observers: Are told what each command came to.
    """

    def __init__(
        self,
        store: Store,
        dispatcher: Dispatcher | None = None,
        *,
        policy: Policy | None = None,
        new_id: Callable[[], str] = new_uuid,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.store = store
        self.dispatcher = dispatcher
        self.policy = policy or Policy()
        self.new_id = new_id
        self.observers = tuple(observers)
        self.tokens = AccessTokens(store)
        self._doors = Doors(self.policy, new_id, inside=dispatcher is None)

    def joined(self, connection: object) -> "Runs":
        """Return the same doors inside a transaction of the host's: its rows and our events commit or abort together.

        A start with an outside engine sends nothing then: call `dispatch` with its run_id, on this object, once the
        host has committed. Recovery sends it if that call never comes. Erasing and recovering are no part of a host's
        transaction.

        Args:
            connection: The host's connection to the store's database; see the store's own ``joined`` for the kinds.

        Raises:
            InvalidInput: The store has no transaction of a host's to join, or the connection is of no known kind.
        """
        join = getattr(self.store, "joined", None)
        if join is None:
            raise InvalidInput("store", f"{type(self.store).__name__} cannot join a transaction of the host's")
        inside = Runs(
            join(connection), self.dispatcher, policy=self.policy, new_id=self.new_id, observers=self.observers
        )
        inside._doors.joined = True
        return inside

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
        return self._drive(self._doors.grant(owner, amount, grant_id=grant_id, actor=actor), "grant")

    def revoke(self, owner: str, grant_id: str, *, actor: str | None = None) -> RevokeAnswer:
        """Take a grant back, whole and once, and never below what is available.

        Returns:
            `Revoked`, `GrantNotFound`, or `InsufficientCredits` if it was spent already.
        """
        return self._drive(self._doors.revoke(owner, grant_id, actor=actor), "revoke")

    def balance(self, owner: str) -> Balance:
        """Return an owner's credits."""
        return self._drive(self._doors.balance(owner))

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
        return self._drive(self._doors.add(owner, profile, kind=kind, actor=actor), "add")

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
        return self._drive(self._doors.create(owner, profile, kind=kind, key=key, actor=actor), "create")

    def submit(self, owner: str, profile: Profile, *, key: str | None = None, actor: str | None = None) -> SubmitAnswer:
        """Start the partner's person who has this LinkedIn address; add them first if nobody has it.

        It is one transaction, so however many submit one address at once, there is one person and one run.

        Args:
            owner: The partner: whose person it is and whose credits are spent.
            profile: What is known of them, the address at least.
            key: The caller's key for this request: asking again with it gives the same answer.
            actor: Who asks.

        Returns:
            `Submitted`; `AlreadyRunning` for a person who is running, or complete and not to be run again; or
            `InsufficientCredits`, and then nobody was added.

        Raises:
            InvalidInput: There is no address, or a value is malformed.
        """
        return self._drive(self._doors.submit(owner, profile, key=key, actor=actor), "submit")

    def person(self, person_id: str, *, owner: str | None = None) -> PersonDetails | PersonNotFound:
        """Return a person; another owner's is not found."""
        return self._drive(self._doors.person(person_id, owner=owner))

    def people(self, owner: str, *, limit: int = 100, cursor: str | None = None) -> PeoplePage:
        """Return an owner's people, newest first, a page at a time."""
        return self._drive(self._doors.people(owner, limit=limit, cursor=cursor))

    def report(self, person_id: str, *, owner: str | None = None) -> ReportDetails | PersonNotFound | None:
        """Return a person's latest report, or None while there is none."""
        return self._drive(self._doors.report(person_id, owner=owner))

    def history(self, person_id: str) -> list[RecordedEvent]:
        """Return everything that ever happened to a person, with what it meant for the account, by position."""
        return self._drive(self._doors.history(person_id))

    def follow(
        self, *, after: int = 0, wait: timedelta | None = None, patience: timedelta = feed.PATIENCE
    ) -> Generator[RecordedEvent, None, None]:
        """Yield every event behind a position, in order and once, and then those that come, as they come.

        An event is yielded when nothing can be added before it any more, so a follower misses nothing, however many
        write at once. Keep the position of the last event that you have done with where you keep what came of it, in
        the same transaction, and follow on from there: then each event counts once, whatever crashes.

        Args:
            after: The position of the last event that was done with; 0 for the whole log.
            wait: How long to wait for more once everything was read that was there at the call; None for ever.
            patience: How long to wait for a transaction that was left open in the way, or for a server that cannot be
                reached.

        Raises:
            InvalidInput: There is no such position in this log: an older state of it was restored, or it is another.
            FeedStalled: A transaction was left open for too long that may still add events before the next one.
            StoreUnavailable: The server could not be reached for too long.
            StoreError: It could not be read otherwise.
        """
        return feed.follow(self.store, after=after, wait=wait, patience=patience)

    def mark_stale(self, person_id: str, *, owner: str | None = None, actor: str | None = None) -> MarkStaleAnswer:
        """Make a complete person idle again, so that the report can be refreshed; it stays readable."""
        return self._drive(
            self._doors.mark_stale(person_id, owner=owner, actor=actor), "mark_stale", person_id=person_id
        )

    def erase(self, person_id: str, *, owner: str | None = None, actor: str | None = None) -> EraseAnswer:
        """Delete a person's documents, in every status; an open hold is released, spent credits are not refunded."""
        return self._drive(self._doors.erase(person_id, owner=owner, actor=actor), "erase", person_id=person_id)

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
        return self._drive(
            self._doors.start(person_id, owner=owner, key=key, actor=actor), "start", person_id=person_id
        )

    def dispatch(self, run_id: str, *, actor: str | None = None) -> StartAnswer | RunNotFound:
        """Send the first attempt of a run whose start sent none, or say how the run stands.

        Raises:
            InvalidInput: There is no outside dispatcher to send it with.
        """
        return self._drive(self._doors.dispatch(run_id, actor=actor), "dispatch", run_id=run_id)

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
        return self._drive(
            self._doors.claim(run_id, run_no, external_id, actor=actor), "claim", run_id=run_id, run_no=run_no
        )

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
        return self._drive(
            self._doors.complete(run_id, run_no, external_id, content, change_summary=change_summary, actor=actor),
            "complete",
            run_id=run_id,
            run_no=run_no,
        )

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
        return self._drive(
            self._doors.fail(run_id, run_no, external_id, detail, reason=reason, actor=actor),
            "fail",
            run_id=run_id,
            run_no=run_no,
        )

    # --- the embedded queue ---

    def take(self, run_id: str | None = None, *, actor: str | None = None) -> TakeAnswer:
        """Take the next entry of the embedded queue, or take over one whose lease is over; claims its run.

        Args:
            run_id: The run whose entry is meant; None for whichever is next.
            actor: Who asks.

        Returns:
            `Claimed` with the profile; `QueueEmpty` if nothing is free, or the named entry is not; `GivenUp` if its
            deliveries were used up; `EntrySkipped` if its person cannot be read.
        """
        return self._drive(self._doors.take(run_id, actor=actor), "take")

    def renew(self, run_id: str, run_no: int, external_id: str) -> Renewed | StaleRun:
        """Keep an entry of the embedded queue a little longer."""
        return self._drive(self._doors.renew(run_id, run_no, external_id), "renew", run_id=run_id, run_no=run_no)

    # --- recovery ---

    def recover(self) -> RecoveryPass:
        """Look at people who are overdue, a bounded number of them, and do the one thing that is due for each.

        Any number of passes may run at once, in any number of processes. An error on one person does not stop the
        others. A pass goes on where the previous one of this object stopped, so that nobody is passed over. It also
        overwrites what an erasure had to leave in a file, because somebody was reading it.
        """
        driver.wipe(self.store)
        recovered: list[Recovered] = []
        errors: list[tuple[str, Exception]] = []
        for person_id in self._drive(self._doors.overdue()):
            try:
                recovered.append(self._drive(self._doors.recover(person_id), "recover", person_id=person_id))
            except Exception as error:  # noqa: BLE001  # Reported; the others must not wait for this one.
                errors.append((person_id, error))
        return RecoveryPass(tuple(recovered), tuple(errors))

    def _drive(self, flow: Flow[A], command: str | None = None, **known: Unpack[Known]) -> A:
        """Drive a flow; a command, which changes something, is watched if anybody watches."""
        if command is None or not self.observers:
            return driver.drive(flow, self.store, self.dispatcher)
        with watching(self.observers, command, known) as watched:
            return watched.told(driver.drive(watched.flow(flow), self.store, self.dispatcher))
