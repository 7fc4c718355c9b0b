"""Callers who await and go away: what was begun is finished, and whoever closes the doors can wait for it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from research_fsm import Policy, Profile, Runs, driver
from research_fsm.async_runs import AsyncRuns
from research_fsm.audit import verify
from research_fsm.outcomes import Queued
from research_fsm.requests import AttemptOutcome
from research_fsm.storage import Query, Rule
from research_fsm.stores.memory import MemoryStore
from tests.core.awaited import Engine, added, types
from tests.core.doors import ACCEPTED, AMBIGUOUS, REFUSED, Clock, ScriptedEngine
from tests.core.examples import OWNER


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
