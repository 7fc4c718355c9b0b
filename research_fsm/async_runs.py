"""The doors for callers who await: the same flows as `runs.Runs`, over the same store object.

Floor 7. One line per method; what each does, takes, answers and raises is said at `runs.Runs`. Importing it loads
asyncio only when something is awaited.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import timedelta
from typing import Any, Self, TypeVar, Unpack

from research_fsm import driver, feed
from research_fsm.async_tokens import AsyncAccessTokens
from research_fsm.doors import Doors, RecoveryPass
from research_fsm.driver import InThreads
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
from research_fsm.requests import AsyncDispatcher, Flow
from research_fsm.runs import Runs, new_uuid
from research_fsm.storage import RecordedEvent, Store

__all__ = ["AsyncRuns"]

A = TypeVar("A")


class AsyncRuns:
    """Deep research runs on a store, to be awaited; safe to share between tasks, and between event loops.

    Blocking callers of the same store, through `Runs`, are committed together with those who await.

    A caller that is cancelled is not told what came of it. With an outside engine what was begun is finished all the
    same; without one, a caller that was still waiting for its turn has done nothing. Ask again with the same key.

    ``async with AsyncRuns(…) as runs`` waits at its end until what was begun is finished. The store stays open.

    Args:
        store: Where the log is kept.
        dispatcher: The outside engine; None for the embedded queue. One that blocks is wrapped: ``InThreads(...)``.
        policy: Prices, leases, deadlines and limits.
        new_id: Makes UUIDs; tests inject one that counts.
        observers: Are told what each command came to.
    """

    def __init__(
        self,
        store: Store,
        dispatcher: AsyncDispatcher | None = None,
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
        self.tokens = AsyncAccessTokens(store)
        self._doors = Doors(self.policy, new_id, inside=dispatcher is None)
        self._begun: set[Any] = set()

    @classmethod
    def of(cls, runs: Runs) -> Self:
        """Return the same doors, over the same store and engine, for callers who await."""
        dispatcher = None if runs.dispatcher is None else InThreads(runs.dispatcher)
        return cls(runs.store, dispatcher, policy=runs.policy, new_id=runs.new_id, observers=runs.observers)

    async def settle(self) -> None:
        """Wait until what was begun on the running loop is finished, also for callers who have gone away.

        Call it when the service ends, once nobody asks for anything new, and before the store is closed. Whoever does
        not want to wait so long waits with a timeout; what is left then is left to recovery.
        """
        await driver.settle(self._begun)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.settle()

    # --- credits ---

    async def grant(
        self, owner: str, amount: int, *, grant_id: str | None = None, actor: str | None = None
    ) -> GrantAnswer:
        """Add credits to an account, once per grant_id."""
        return await self._drive(self._doors.grant(owner, amount, grant_id=grant_id, actor=actor), "grant")

    async def revoke(self, owner: str, grant_id: str, *, actor: str | None = None) -> RevokeAnswer:
        """Take a grant back, whole and once, and never below what is available."""
        return await self._drive(self._doors.revoke(owner, grant_id, actor=actor), "revoke")

    async def balance(self, owner: str) -> Balance:
        """Return an owner's credits."""
        return await self._drive(self._doors.balance(owner))

    # --- people ---

    async def add(
        self, owner: str, profile: Profile, *, kind: PersonKind = PersonKind.USER, actor: str | None = None
    ) -> AddAnswer:
        """Add a person, idle."""
        return await self._drive(self._doors.add(owner, profile, kind=kind, actor=actor), "add")

    async def create(
        self,
        owner: str,
        profile: Profile,
        *,
        kind: PersonKind = PersonKind.USER,
        key: str | None = None,
        actor: str | None = None,
    ) -> CreateAnswer:
        """Add a person and start them in one transaction; if the credits do not suffice, nobody is added."""
        return await self._drive(self._doors.create(owner, profile, kind=kind, key=key, actor=actor), "create")

    async def submit(
        self, owner: str, profile: Profile, *, key: str | None = None, actor: str | None = None
    ) -> SubmitAnswer:
        """Start the partner's person who has this LinkedIn address; add them first if nobody has it."""
        return await self._drive(self._doors.submit(owner, profile, key=key, actor=actor), "submit")

    async def person(self, person_id: str, *, owner: str | None = None) -> PersonDetails | PersonNotFound:
        """Return a person; another owner's is not found."""
        return await self._drive(self._doors.person(person_id, owner=owner))

    async def people(self, owner: str, *, limit: int = 100, cursor: str | None = None) -> PeoplePage:
        """Return an owner's people, newest first, a page at a time."""
        return await self._drive(self._doors.people(owner, limit=limit, cursor=cursor))

    async def report(self, person_id: str, *, owner: str | None = None) -> ReportDetails | PersonNotFound | None:
        """Return a person's latest report, or None while there is none."""
        return await self._drive(self._doors.report(person_id, owner=owner))

    async def history(self, person_id: str) -> list[RecordedEvent]:
        """Return everything that ever happened to a person, with what it meant for the account, by position."""
        return await self._drive(self._doors.history(person_id))

    def follow(
        self, *, after: int = 0, wait: timedelta | None = None, patience: timedelta = feed.PATIENCE
    ) -> AsyncGenerator[RecordedEvent, None]:
        """Yield every event behind a position, in order and once, and then those that come, as they come.

        Whoever leaves before the end closes it: ``async with contextlib.aclosing(runs.follow()) as events``.
        """
        return feed.follow_async(self.store, after=after, wait=wait, patience=patience)

    async def mark_stale(
        self, person_id: str, *, owner: str | None = None, actor: str | None = None
    ) -> MarkStaleAnswer:
        """Make a complete person idle again, so that the report can be refreshed; it stays readable."""
        return await self._drive(
            self._doors.mark_stale(person_id, owner=owner, actor=actor), "mark_stale", person_id=person_id
        )

    async def erase(self, person_id: str, *, owner: str | None = None, actor: str | None = None) -> EraseAnswer:
        """Delete a person's documents, in every status; an open hold is released, spent credits are not refunded."""
        return await self._drive(self._doors.erase(person_id, owner=owner, actor=actor), "erase", person_id=person_id)

    # --- runs ---

    async def start(
        self, person_id: str, *, owner: str | None = None, key: str | None = None, actor: str | None = None
    ) -> StartAnswer:
        """Start a run of a person who is idle or failed."""
        return await self._drive(
            self._doors.start(person_id, owner=owner, key=key, actor=actor), "start", person_id=person_id
        )

    async def dispatch(self, run_id: str, *, actor: str | None = None) -> StartAnswer | RunNotFound:
        """Send the first attempt of a run whose start sent none, or say how the run stands."""
        return await self._drive(self._doors.dispatch(run_id, actor=actor), "dispatch", run_id=run_id)

    async def claim(self, run_id: str, run_no: int, external_id: str, *, actor: str | None = None) -> ClaimAnswer:
        """Take a run for an engine run: a worker's first act."""
        return await self._drive(
            self._doors.claim(run_id, run_no, external_id, actor=actor), "claim", run_id=run_id, run_no=run_no
        )

    async def complete(
        self,
        run_id: str,
        run_no: int,
        external_id: str,
        content: Json,
        *,
        change_summary: Json = None,
        actor: str | None = None,
    ) -> CallbackAnswer:
        """End a run with its report."""
        complete = self._doors.complete  # Encoding a long report takes long: in a thread.
        flow = await driver.in_thread(
            lambda: complete(run_id, run_no, external_id, content, change_summary=change_summary, actor=actor)
        )
        return await self._drive(flow, "complete", run_id=run_id, run_no=run_no)

    async def fail(
        self,
        run_id: str,
        run_no: int,
        external_id: str,
        detail: str | None = None,
        *,
        reason: FailReason = FailReason.WORKER_REPORTED,
        actor: str | None = None,
    ) -> CallbackAnswer:
        """End a run without a report."""
        return await self._drive(
            self._doors.fail(run_id, run_no, external_id, detail, reason=reason, actor=actor),
            "fail",
            run_id=run_id,
            run_no=run_no,
        )

    # --- the embedded queue ---

    async def take(self, run_id: str | None = None, *, actor: str | None = None) -> TakeAnswer:
        """Take the next entry of the embedded queue, or a run's own, or take over one; claims its run."""
        return await self._drive(self._doors.take(run_id, actor=actor), "take")

    async def renew(self, run_id: str, run_no: int, external_id: str) -> Renewed | StaleRun:
        """Keep an entry of the embedded queue a little longer."""
        return await self._drive(self._doors.renew(run_id, run_no, external_id), "renew", run_id=run_id, run_no=run_no)

    # --- recovery ---

    async def recover(self) -> RecoveryPass:
        """Look at people who are overdue, a bounded number of them, and do the one thing that is due for each."""
        await driver.in_thread(lambda: driver.wipe(self.store))
        recovered: list[Recovered] = []
        errors: list[tuple[str, Exception]] = []
        for person_id in await self._drive(self._doors.overdue()):
            try:
                recovered.append(await self._drive(self._doors.recover(person_id), "recover", person_id=person_id))
            except Exception as error:  # noqa: BLE001  # Reported; the others must not wait for this one.
                errors.append((person_id, error))
        return RecoveryPass(tuple(recovered), tuple(errors))

    async def _drive(self, flow: Flow[A], command: str | None = None, **known: Unpack[Known]) -> A:
        """Drive a flow; a command, which changes something, is watched if anybody watches."""
        if command is None or not self.observers:
            return await driver.drive_async(flow, self.store, self.dispatcher, self._begun)
        with watching(self.observers, command, known) as watched:
            flow = watched.flow(flow)
            return watched.told(await driver.drive_async(flow, self.store, self.dispatcher, self._begun))
