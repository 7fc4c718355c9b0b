"""The doors for callers who await: the same doors, the same answers, and what a cancellation leaves behind."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from research_fsm import Policy, Profile, Runs, driver
from research_fsm.async_runs import AsyncRuns
from research_fsm.async_tokens import AsyncAccessTokens
from research_fsm.audit import verify
from research_fsm.commands import Sighting
from research_fsm.driver import InThreads
from research_fsm.errors import InvalidInput
from research_fsm.events import AttemptResult, PersonKind
from research_fsm.outcomes import PersonNotFound, Queued, RolledBack, Unresolved
from research_fsm.requests import AttemptOutcome, DispatchRequest
from research_fsm.storage import Query, Rule
from research_fsm.stores.memory import MemoryStore
from research_fsm.tokens import AccessTokens
from tests.core.doors import ACCEPTED, ADA, AMBIGUOUS, REFUSED, Clock, ScriptedEngine
from tests.core.examples import OWNER

OTHERS = {"joined", "of", "settle"}
"""A host's transaction is a blocking affair; `of` makes the one from the other; who blocks leaves nothing begun."""


def counted() -> Callable[[], str]:
    """Return a maker of UUIDs that counts."""
    made = iter(range(1, 1000))
    return lambda: f"00000000-0000-4000-8000-{next(made):012}"


def doors(of: type) -> dict[str, Any]:
    """Return the public methods of a class."""
    return {name: member for name, member in vars(of).items() if not name.startswith("_") and name not in OTHERS}


def test_both_have_the_same_doors() -> None:
    """Names, parameters, defaults and answers are the same; the one blocks and the other is awaited."""
    blocking, awaiting = doors(Runs), doors(AsyncRuns)
    assert list(blocking) == list(awaiting)
    for name, door in blocking.items():
        if name == "follow":  # The one that gives an answer after the other, to ``for`` and to ``async for``.
            assert inspect.signature(door).parameters == inspect.signature(awaiting[name]).parameters
            continue
        assert inspect.signature(door) == inspect.signature(awaiting[name]), name
        assert inspect.iscoroutinefunction(awaiting[name]), name
        assert not inspect.iscoroutinefunction(door), name


# --- the same answers --------------------------------------------------------------------------------------------

Call = Callable[..., Any]


def story(do: Call) -> list[Any]:
    """Ask at every door, once at least, and return the answers; `do` calls one of them."""
    told = [do("grant", OWNER, 3, grant_id="g"), do("grant", OWNER, 5, grant_id="h"), do("revoke", OWNER, "h")]
    person_id = do("add", OWNER, ADA).person_id
    told += [do("start", person_id, key="k"), do("start", person_id, key="k"), do("start", person_id)]
    run_id = do("person", person_id).run_id
    told += [
        do("dispatch", run_id),
        do("claim", run_id, 1, "engine-1"),
        do("complete", run_id, 1, "engine-1", {"found": True}, change_summary="all"),
        do("report", person_id),
        do("mark_stale", person_id),
        do("start", person_id),
        do("recover"),
        do("fail", do("person", person_id).run_id, 2, "engine-2", "in vain"),
        do("create", OWNER, ADA, key="c"),
        do("take"),
        do("renew", run_id, 1, "engine-1"),
        do("person", person_id),
        do("people", OWNER, limit=1),
        do("erase", person_id),
        do("person", person_id),
        do("balance", OWNER),
        [event.hash for event in do("history", person_id)],
    ]
    return told


def test_both_give_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same story, told to each on a store of its own: the same answers, to the last hash."""
    monkeypatch.setattr("secrets.token_hex", lambda length: "ab" * length)
    clock, answers, logs = Clock(), [], []
    outcomes = [ACCEPTED, AttemptOutcome(result=AttemptResult.ACCEPTED, external_id="engine-2"), REFUSED]
    for awaiting in (False, True):
        store, engine = MemoryStore(clock), ScriptedEngine(list(outcomes))
        runs = Runs(store, engine, new_id=counted())

        def do(name: str, *args: object, runs: Runs = runs, awaiting: bool = awaiting, **others: object) -> Any:  # noqa: ANN401
            if awaiting:
                return asyncio.run(getattr(AsyncRuns.of(runs), name)(*args, **others))
            return getattr(runs, name)(*args, **others)

        answers.append(story(do))
        logs.append([event.hash for event in store.events()])
        assert list(verify(store)) == []
    assert answers[0] == answers[1]
    assert logs[0] == logs[1]


def test_without_a_store_that_joins_there_is_nothing_to_join() -> None:
    """It is said, and what would be right."""
    with pytest.raises(ValueError, match="MemoryStore cannot join"):
        Runs(MemoryStore()).joined(object())


def test_both_have_the_same_tokens() -> None:
    """Names, parameters and answers are the same; what the one makes the other recognises and revokes."""
    blocking, awaiting = doors(AccessTokens), doors(AsyncAccessTokens)
    assert list(blocking) == list(awaiting)
    for name, door in blocking.items():
        assert inspect.signature(door) == inspect.signature(awaiting[name]), name
        assert inspect.iscoroutinefunction(awaiting[name]), name

    async def main(store: MemoryStore) -> str:
        tokens = AsyncRuns(store).tokens
        made = await tokens.create(OWNER, PersonKind.PARTNER)
        assert await tokens.authenticate(made.secret) == (await tokens.list(OWNER))[0]
        assert await tokens.authenticate(made.secret + "x") is None
        with pytest.raises(InvalidInput, match="there is no token"):
            await tokens.revoke("none")
        kept = await tokens.create(OWNER)
        assert (await tokens.revoke(made.token_id)).revoked_at is not None
        assert await tokens.authenticate(made.secret) is None
        return kept.secret

    store = MemoryStore()
    secret = asyncio.run(main(store))
    assert Runs(store).tokens.authenticate(secret) == Runs(store).tokens.list(OWNER)[1]


# --- an engine that is awaited -----------------------------------------------------------------------------------


class Engine:
    """Answers when it is allowed to.

    Args:
        outcome: What it answers, or raises.
    """

    def __init__(self, outcome: AttemptOutcome | Exception = ACCEPTED) -> None:
        self.asked = asyncio.Event()
        self.allowed = asyncio.Event()
        self.requests: list[DispatchRequest] = []
        self.cancelled: list[str] = []
        self._outcome = outcome

    async def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Take a request, and answer later."""
        self.requests.append(request)
        self.asked.set()
        await self.allowed.wait()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    async def look(self, request: DispatchRequest, external_ids: tuple[str, ...]) -> tuple[Sighting, ...]:
        """See nothing, or fail."""
        del request, external_ids
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return ()

    async def cancel(self, external_id: str) -> None:
        """Stop an engine run, or fail."""
        self.cancelled.append(external_id)
        if isinstance(self._outcome, Exception):
            raise self._outcome


async def added(runs: AsyncRuns) -> str:
    """Return a person whose owner has three credits."""
    await runs.grant(OWNER, 3, grant_id="g")
    return (await runs.add(OWNER, ADA)).accepted().person_id


def types(store: MemoryStore, person_id: str) -> list[str]:
    """Return what happened to a person."""
    return [event.type for event in store.events(f"person:{person_id}")]


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [(ACCEPTED, Queued), (REFUSED, RolledBack), (AMBIGUOUS, Unresolved), (RuntimeError("broken"), Unresolved)],
)
def test_an_engine_is_awaited(outcome: AttemptOutcome | Exception, expected: type) -> None:
    """The four results; whatever it raises is ambiguous."""

    async def main() -> object:
        engine = Engine(outcome)
        engine.allowed.set()
        runs = AsyncRuns(MemoryStore(), engine)
        return await runs.start(await added(runs))

    assert isinstance(asyncio.run(main()), expected)


def test_an_engine_that_fails_stops_no_recovery(caplog: pytest.LogCaptureFixture) -> None:
    """A look that raises sees nothing, a cancellation that raises is passed over; both are logged."""
    clock = Clock()

    async def main() -> object:
        engine = Engine(RuntimeError("broken"))
        engine.allowed.set()
        runs = AsyncRuns(MemoryStore(clock), engine)
        person_id = await added(runs)
        await runs.start(person_id)
        clock.pass_(hours=1)
        done = await runs.recover()
        assert not done.errors
        assert len(done.recovered) == 1
        await runs.erase(person_id)
        return await runs.person(person_id)

    with caplog.at_level(logging.CRITICAL, "research_fsm"):
        assert isinstance(asyncio.run(main()), PersonNotFound)


def test_recovery_passes_over_nobody_who_raises() -> None:
    """Whoever cannot be looked at is reported, and the others are recovered."""
    clock = Clock()
    store = MemoryStore(clock)

    async def main() -> None:
        runs = AsyncRuns(store, Engine(RuntimeError("broken")))
        assert isinstance(runs.dispatcher, Engine)
        runs.dispatcher.allowed.set()
        people = [await added(runs) for _ in range(2)]
        for person_id in people:
            await runs.start(person_id)
        head = store._tables.heads[f"person:{people[0]}"]
        from attrs import evolve

        store._tables.heads[head.stream] = evolve(head, state=b"{}")
        clock.pass_(hours=1)
        done = await runs.recover()
        assert [person_id for person_id, _ in done.errors] == [people[0]]
        assert [one.person_id for one in done.recovered] == [people[1]]

    asyncio.run(main())


def test_a_dispatcher_that_blocks_is_awaited_in_a_thread() -> None:
    """The loop goes on while the engine thinks."""

    async def main() -> list[str]:
        blocking = ScriptedEngine([ACCEPTED])
        runs = AsyncRuns(MemoryStore(), InThreads(blocking))
        person_id = await added(runs)
        order: list[str] = []
        loop = asyncio.get_running_loop()
        answered = asyncio.Event()

        def meanwhile(_: DispatchRequest) -> None:
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(20)
            order.append("the loop went on")

        blocking.meanwhile = meanwhile
        assert isinstance(await runs.start(person_id), Queued)
        answered.set()
        order.append("answered")
        return order

    assert asyncio.run(main()) == ["the loop went on", "answered"]


# --- cancellation ------------------------------------------------------------------------------------------------


class Cancelling(MemoryStore):
    """A store whose caller is cancelled at its n-th transaction, before or after it is committed.

    Args:
        at: Which transaction, from 1.
        after: Whether it is committed first.
    """

    def __init__(self, at: int, *, after: bool) -> None:
        super().__init__()
        self.caller: asyncio.Task[Any] | None = None
        self._at, self._after, self._seen = at, after, 0

    async def transact_async(self, query: Query, rule: Rule[Any]) -> Any:  # noqa: ANN401  # As the contract says.
        """Commit, and have the caller cancelled."""
        self._seen += self.caller is not None
        due = self.caller is not None and self._seen == self._at
        if due and not self._after and self.caller is not None:
            self.caller.cancel()
            await asyncio.sleep(0)
        answer = self.transact(query, rule)
        if due and self._after and self.caller is not None:
            self.caller.cancel()
            await asyncio.sleep(0)
        return answer


async def cancelled_start(
    runs: AsyncRuns, person_id: str, arrange: Callable[[asyncio.Task[Any]], Awaitable[None]]
) -> bool:
    """Start, let somebody cancel it, wait for what goes on in the background; tell whether it was cancelled."""
    task = asyncio.ensure_future(runs.start(person_id))
    await arrange(task)
    others = asyncio.all_tasks() - {asyncio.current_task(), task}
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    await asyncio.gather(*others, return_exceptions=True)
    return isinstance(outcome, asyncio.CancelledError)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2])
def test_a_start_that_is_cancelled_in_a_transaction_is_finished(at: int, *, after: bool) -> None:
    """The engine has the run, and the log says so, as if nobody had gone away."""

    async def main() -> list[str]:
        store, engine = Cancelling(at, after=after), Engine()
        engine.allowed.set()
        runs = AsyncRuns(store, engine)
        person_id = await added(runs)

        async def arrange(task: asyncio.Task[Any]) -> None:
            store.caller = task
            for _ in range(50):  # Many more turns of the loop than it takes.
                await asyncio.sleep(0)

        assert await cancelled_start(runs, person_id, arrange)
        return types(store, person_id)

    assert asyncio.run(main()) == ["PersonAdded", "RunStarted", "AttemptArmed", "AttemptAnswered", "RunDispatched"]


def test_a_start_that_is_cancelled_while_the_engine_is_asked_is_finished() -> None:
    """Nobody hears the answer, and it is recorded all the same."""

    async def main() -> list[str]:
        store, engine = MemoryStore(), Engine()
        runs = AsyncRuns(store, engine)
        person_id = await added(runs)

        async def arrange(task: asyncio.Task[Any]) -> None:
            await engine.asked.wait()
            task.cancel()
            engine.allowed.set()

        assert await cancelled_start(runs, person_id, arrange)
        return types(store, person_id)

    assert asyncio.run(main())[-1] == "RunDispatched"


def test_a_loop_that_ends_before_the_engine_answers_leaves_it_to_recovery() -> None:
    """The attempt is armed and stays so; a later pass sends it again under the same key."""
    clock = Clock()
    store = MemoryStore(clock)

    async def leaving() -> str:
        runs = AsyncRuns(store, Engine())
        person_id = await added(runs)
        task = asyncio.ensure_future(runs.start(person_id))
        assert isinstance(runs.dispatcher, Engine)
        await runs.dispatcher.asked.wait()
        task.cancel()
        return person_id

    person_id = asyncio.run(leaving())
    assert types(store, person_id)[-1] == "AttemptArmed"
    clock.pass_(minutes=1)
    engine = ScriptedEngine([ACCEPTED])
    assert not Runs(store, engine).recover().errors
    assert types(store, person_id)[-1] == "RunDispatched"
    assert list(verify(store)) == []


@pytest.mark.parametrize("gone", [False, True])
def test_whoever_closes_the_doors_waits_for_what_was_begun(*, gone: bool) -> None:
    """Whether its caller still waits or has gone away; nothing is left to recovery."""

    async def main() -> list[str]:
        store, engine = MemoryStore(), Engine()
        async with AsyncRuns(store, engine) as runs:
            person_id = await added(runs)
            task = asyncio.ensure_future(runs.start(person_id))
            await engine.asked.wait()
            if gone:
                task.cancel()
            asyncio.get_running_loop().call_soon(engine.allowed.set)
        seen = types(store, person_id)
        await asyncio.gather(task, return_exceptions=True)
        return seen

    assert asyncio.run(main())[-1] == "RunDispatched"


def test_whoever_will_not_wait_so_long_cancels_nothing() -> None:
    """A timeout ends the waiting; the engine's answer is recorded all the same."""

    async def main() -> list[str]:
        store, engine = MemoryStore(), Engine()
        runs = AsyncRuns(store, engine)
        person_id = await added(runs)
        task = asyncio.ensure_future(runs.start(person_id))
        await engine.asked.wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await runs.settle()
        assert types(store, person_id)[-1] == "AttemptArmed"
        engine.allowed.set()
        await runs.settle()
        assert isinstance(await task, Queued)
        return types(store, person_id)

    assert asyncio.run(main())[-1] == "RunDispatched"


def test_what_another_loop_began_is_not_waited_for() -> None:
    """A loop can wait for its own tasks only; with nothing begun there is nothing to wait for."""

    async def leaving(runs: AsyncRuns, engine: Engine) -> None:
        task = asyncio.ensure_future(runs.start(await added(runs)))
        await engine.asked.wait()
        await asyncio.to_thread(asyncio.run, runs.settle())
        assert not task.done()
        engine.allowed.set()
        await task

    engine = Engine()
    asyncio.run(leaving(AsyncRuns(MemoryStore(), engine), engine))


async def _start(runs: AsyncRuns, person_id: str) -> None:
    await runs.start(person_id)


async def _create(runs: AsyncRuns, _: str) -> None:
    await runs.create(OWNER, Profile(linkedin_url="https://www.linkedin.com/in/grace"), key="k")


async def _dispatch(runs: AsyncRuns, person_id: str) -> None:
    await runs.dispatch(getattr(await runs.person(person_id), "run_id", ""))


async def _erase(runs: AsyncRuns, person_id: str) -> None:
    await runs.erase(person_id)


async def _recover(runs: AsyncRuns, _: str) -> None:
    await runs.recover()


async def _nothing(_: AsyncRuns, __: str) -> None:
    """Nothing has to be there beforehand."""


async def _joined(runs: AsyncRuns, person_id: str) -> None:
    """Start as in a transaction of the host's: nothing is sent."""
    runs._doors.joined = True
    await runs.start(person_id)
    runs._doors.joined = False


Step = Callable[[AsyncRuns, str], Awaitable[None]]


@pytest.mark.parametrize("outcome", [ACCEPTED, REFUSED, AMBIGUOUS, RuntimeError("broken")], ids=str)
@pytest.mark.parametrize(
    ("before", "door"),
    [(_nothing, _start), (_nothing, _create), (_joined, _dispatch), (_start, _erase), (_start, _recover)],
)
def test_whoever_is_cancelled_at_any_request_leaves_what_others_leave(
    before: Step, door: Step, outcome: AttemptOutcome | Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every request of every door with several, before it and after it: the log is that of a caller who stayed."""
    perform = driver.perform_async

    async def told(at: int, *, after: bool) -> tuple[list[str], int]:
        """Return what is in the log, and how many requests there were."""
        clock = Clock()
        store, engine = MemoryStore(clock), Engine(outcome)
        engine.allowed.set()
        runs = AsyncRuns(store, engine)
        person_id = await added(runs)
        await before(runs, person_id)
        clock.pass_(hours=1)
        seen = 0

        async def cancelling(*arguments: Any) -> Any:  # noqa: ANN401  # As what it stands for.
            nonlocal seen
            seen += 1
            due = seen == at
            if due and not after:
                task.cancel()
                await asyncio.sleep(0)
            answer = await perform(*arguments)
            if due and after:
                task.cancel()
                await asyncio.sleep(0)
            return answer

        with monkeypatch.context() as patched:
            patched.setattr(driver, "perform_async", cancelling)
            task = asyncio.ensure_future(door(runs, person_id))
            (raised,) = await asyncio.gather(task, return_exceptions=True)
            await asyncio.gather(*driver._UNDER_WAY, return_exceptions=True)
        assert isinstance(raised, asyncio.CancelledError) is (0 < at <= seen)
        if door in (_recover, _dispatch):  # A look comes first, and nothing was begun while it was looked.
            await door(runs, person_id)
        assert list(verify(store)) == []
        return [event.type for event in store.events()], seen

    stayed, requests = asyncio.run(told(0, after=False))
    assert requests >= (2 if outcome is ACCEPTED else 1)
    for at in range(1, requests + 1):
        for after in (False, True):
            assert asyncio.run(told(at, after=after))[0] == stayed, (at, after)


def test_what_fails_when_nobody_listens_any_more_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A store that breaks behind the back of a caller who has left is no silence."""

    class Broken(MemoryStore):
        """Fails from the second transaction of a start on."""

        broken = False

        async def transact_async(self, query: Query, rule: Rule[Any]) -> Any:  # noqa: ANN401  # As the contract says.
            if self.broken:
                raise OSError("the disk is gone")
            return self.transact(query, rule)

    async def main() -> None:
        store, engine = Broken(), Engine()
        runs = AsyncRuns(store, engine)
        person_id = await added(runs)

        async def arrange(task: asyncio.Task[Any]) -> None:
            await engine.asked.wait()
            store.broken = True
            task.cancel()
            engine.allowed.set()

        assert await cancelled_start(runs, person_id, arrange)

    asyncio.run(main())
    assert "nobody waited any more" in caplog.text


def test_without_an_engine_a_cancelled_caller_has_done_all_or_nothing() -> None:
    """A cancellation before the transaction leaves no event behind."""

    async def main() -> list[str]:
        store = Cancelling(1, after=False)
        runs = AsyncRuns(store, policy=Policy())
        person_id = await added(runs)
        task = asyncio.ensure_future(runs.start(person_id))
        store.caller = task
        assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)
        return types(store, person_id)

    assert asyncio.run(main()) == ["PersonAdded"]
