"""The doors for callers who await: the same doors, the same answers, and what a cancellation leaves behind."""

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any

import pytest

from research_fsm import Runs
from research_fsm.async_runs import AsyncRuns
from research_fsm.async_tokens import AsyncAccessTokens
from research_fsm.audit import verify
from research_fsm.driver import InThreads
from research_fsm.errors import InvalidInput
from research_fsm.events import AttemptResult, PersonKind
from research_fsm.outcomes import PersonNotFound, Queued, RolledBack, Unresolved
from research_fsm.requests import AttemptOutcome, DispatchRequest
from research_fsm.stores.memory import MemoryStore
from research_fsm.tokens import AccessTokens
from tests.core.awaited import Engine, added
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
