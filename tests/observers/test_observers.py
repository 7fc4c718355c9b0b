"""What observers are told: each command once, with what it came to; each attempt; and nothing besides."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from research_fsm import Policy, Profile, Runs
from research_fsm.async_runs import AsyncRuns
from research_fsm.driver import InThreads
from research_fsm.errors import InvalidInput, StoreBusy
from research_fsm.events import AttemptResult
from research_fsm.http import create_app
from research_fsm.observers import Attempt, Done
from research_fsm.outcomes import Claimed, Queued
from research_fsm.requests import AttemptOutcome, DispatchRequest
from research_fsm.stores.memory import MemoryStore
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.testing.scripted import Reply, ScriptedDispatcher

OWNER = "acme"
ADA = Profile(linkedin_url="linkedin.com/in/ada")


class Remembers:
    """Remembers everything that it is told, in order."""

    def __init__(self) -> None:
        self.told: list[Done | Attempt] = []
        self.open = 0

    @contextmanager
    def command(self, command: str) -> Iterator[Callable[[Done], None]]:
        """Remember what a command came to."""
        self.open += 1
        try:
            yield self.told.append
        finally:
            self.open -= 1
        assert isinstance(self.told[-1], Done)
        assert self.told[-1].command == command

    def attempt(self, attempt: Attempt) -> None:
        """Remember an attempt."""
        self.told.append(attempt)

    def commands(self) -> list[tuple[str, str]]:
        """Return what each command came to."""
        return [(one.command, one.outcome) for one in self.told if isinstance(one, Done)]


def story(do: Callable[..., Any], person: Callable[[str], Any]) -> None:
    """Ask at every door that changes something; `do` calls one, `person` looks at somebody."""
    do("grant", OWNER, 4, grant_id="g")
    do("revoke", OWNER, "none")
    added = do("add", OWNER, ADA)
    person_id = added.person_id
    do("start", person_id)
    run_id = person(person_id).run_id
    do("start", person_id)
    do("dispatch", run_id)
    do("claim", run_id, 1, "x")
    do("complete", run_id, 1, "x", {})
    do("fail", run_id, 1, "x")
    do("mark_stale", person_id)
    do("create", OWNER, ADA)
    do("submit", OWNER, ADA)
    do("recover")
    do("take")
    do("renew", run_id, 1, "x")
    do("erase", person_id)


EXPECTED = [
    ("grant", "Granted"),
    ("revoke", "GrantNotFound"),
    ("add", "Added"),
    ("start", "Queued"),
    ("start", "AlreadyRunning"),
    ("dispatch", "Queued"),
    ("claim", "Claimed"),
    ("complete", "Completed"),
    ("fail", "StaleRun"),
    ("mark_stale", "MarkedStale"),
    ("create", "RolledBack"),
    ("submit", "Unresolved"),
    ("take", "QueueEmpty"),
    ("renew", "StaleRun"),
    ("erase", "Erased"),
]
"""What is told of the story, command by command; nobody was overdue."""


def scripted() -> ScriptedDispatcher:
    """Return an engine that takes, refuses, and does not answer."""
    return ScriptedDispatcher(Reply.ACCEPTED, Reply.REFUSED, Reply.RAISES)


def test_a_blocking_caller_is_observed() -> None:
    """Every door that changes something, with its answer's name; looking is nobody's business."""
    seen = Remembers()
    runs = Runs(MemoryStore(), scripted(), observers=[seen])
    story(lambda name, *args, **others: getattr(runs, name)(*args, **others), runs.person)
    assert seen.commands() == EXPECTED
    assert seen.open == 0


def test_an_awaiting_caller_is_observed_in_the_same_way() -> None:
    """Through the doors that were made from the blocking ones, which have the same observers."""
    seen = Remembers()
    runs = AsyncRuns.of(Runs(MemoryStore(), scripted(), observers=[seen]))

    def do(name: str, *args: object, **others: object) -> Any:  # noqa: ANN401  # Any answer.
        return asyncio.run(getattr(runs, name)(*args, **others))

    story(do, lambda person_id: asyncio.run(runs.person(person_id)))
    assert seen.commands() == EXPECTED


def test_attempts_are_told_before_their_command() -> None:
    """Accepted, refused, and one that raised, which is ambiguous: each with its person and run."""
    seen = Remembers()
    runs = Runs(MemoryStore(), scripted(), observers=[seen])
    runs.grant(OWNER, 3)
    answers = [runs.create(OWNER, ADA).accepted() for _ in range(3)]
    attempts = [one for one in seen.told if isinstance(one, Attempt)]
    assert [one.result for one in attempts] == [
        AttemptResult.ACCEPTED,
        AttemptResult.REFUSED,
        AttemptResult.AMBIGUOUS,
    ]
    assert [one.person_id for one in attempts] == [answer.person_id for answer in answers]
    assert [type(one) for one in seen.told] == [Done, Attempt, Done, Attempt, Done, Attempt, Done]


def test_a_command_says_whom_it_is_about() -> None:
    """Person, run and number, from the caller or from the answer, also of a refusal that names nobody."""
    seen = Remembers()
    runs = Runs(MemoryStore(), observers=[seen])
    person_id = runs.add(OWNER, ADA).accepted().person_id
    runs.start(person_id)
    runs.grant(OWNER, 1)
    started = runs.start(person_id).accepted()
    claimed = runs.take()
    assert isinstance(claimed, Claimed)
    runs.complete(claimed.run_id, 1, claimed.external_id, {})
    told = [(one.outcome, one.person_id, one.run_id, one.run_no) for one in seen.told if isinstance(one, Done)]
    assert told == [
        ("Added", person_id, None, None),
        ("InsufficientCredits", person_id, None, None),
        ("Granted", None, None, None),
        ("Queued", person_id, started.run_id, 1),
        ("Claimed", person_id, started.run_id, 1),
        ("Completed", person_id, started.run_id, 1),
    ]
    assert all(one.seconds >= 0 and not one.raised for one in seen.told if isinstance(one, Done))


def test_recovery_says_what_it_did_for_each() -> None:
    """A command for each person that was overdue, with what was done; a resend is an attempt."""
    now = [1_000_000]
    seen = Remembers()
    engine = ScriptedDispatcher(Reply.LOST)
    runs = Runs(MemoryStore(lambda: now[0]), engine, policy=Policy(cost=1), observers=[seen])
    runs.grant(OWNER, 1)
    person_id = runs.create(OWNER, ADA).accepted().person_id
    now[0] += timedelta(minutes=1) // timedelta(microseconds=1)
    seen.told.clear()
    runs.recover()
    attempt, done = seen.told
    assert isinstance(attempt, Attempt)
    assert isinstance(done, Done)
    assert (attempt.person_id, attempt.result) == (person_id, AttemptResult.ACCEPTED)
    assert (done.command, done.outcome, done.person_id, done.run_no) == ("recover", "resent", person_id, 1)


class Busy(MemoryStore):
    """A store that is busy whenever something is to be written."""

    def transact(self, *_: object) -> Any:  # noqa: ANN401  # As the contract says.
        """Refuse."""
        raise StoreBusy("somewhere", "locked")


@pytest.mark.parametrize("awaited", [False, True])
def test_an_error_is_told_by_its_name_and_raised(*, awaited: bool) -> None:
    """The caller hears it as if nobody had listened."""
    seen = Remembers()
    runs = Runs(Busy(), observers=[seen])
    with pytest.raises(StoreBusy):
        _ = asyncio.run(AsyncRuns.of(runs).grant(OWNER, 1)) if awaited else runs.grant(OWNER, 1)
    (done,) = seen.told
    assert isinstance(done, Done)
    assert (done.command, done.outcome, done.raised, seen.open) == ("grant", "StoreBusy", True, 0)


def test_what_is_malformed_is_no_command() -> None:
    """It is refused before anything begins, and whatever stands in it is told to nobody."""
    seen = Remembers()
    runs = Runs(MemoryStore(), observers=[seen])
    with pytest.raises(InvalidInput):
        runs.start("Ada Lovelace")
    with pytest.raises(InvalidInput):
        runs.claim("Ada Lovelace", 1, "x")
    assert seen.told == []


def test_a_caller_who_is_cancelled_is_told_of_and_so_is_the_attempt() -> None:
    """What goes on in the background is heard of, too."""
    seen = Remembers()

    class Waits(ScriptedDispatcher):
        """Answers when it is allowed to."""

        def __init__(self) -> None:
            super().__init__()
            self.asked, self.allowed = threading.Event(), threading.Event()

        def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
            """Wait."""
            self.asked.set()
            assert self.allowed.wait(60)
            return super().dispatch(request)

    async def main() -> None:
        engine = Waits()
        async with AsyncRuns(MemoryStore(), InThreads(engine), observers=[seen]) as runs:
            await runs.grant(OWNER, 1)
            task = asyncio.ensure_future(runs.create(OWNER, ADA))
            assert await asyncio.to_thread(engine.asked.wait, 60)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            engine.allowed.set()

    asyncio.run(main())
    assert seen.commands() == [("grant", "Granted"), ("create", "CancelledError")]
    assert isinstance(seen.told[-1], Attempt)


def test_each_of_several_observers_is_told() -> None:
    """The first one surrounds the others."""
    first, second = Remembers(), Remembers()
    Runs(MemoryStore(), observers=[first, second]).grant(OWNER, 1)
    assert first.told == second.told != []


class Deaf(Remembers):
    """Cannot bear to be told anything."""

    @contextmanager
    def command(self, command: str) -> Iterator[Callable[[Done], None]]:
        """Listen, and break."""
        del command
        yield self._break

    def attempt(self, attempt: Attempt) -> None:
        """Break."""
        self._break(attempt)

    def _break(self, _: object) -> None:
        raise ZeroDivisionError


def test_an_observer_that_breaks_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The run is handed over and recorded, the answer is the answer, and the others are told."""
    seen = Remembers()
    runs = Runs(MemoryStore(), scripted(), observers=[Deaf(), seen])
    runs.grant(OWNER, 1)
    answer = runs.create(OWNER, ADA).accepted()
    assert isinstance(answer.start, Queued)
    assert seen.commands() == [("grant", "Granted"), ("create", "Queued")]
    assert caplog.text.count("an observer raised, and was passed over") == 3


def test_whoever_joins_a_transaction_is_observed(tmp_path: Path) -> None:
    """The doors inside a host's transaction have the same observers."""
    seen = Remembers()
    with SQLiteStore(tmp_path / "research.db") as store:
        runs = Runs(store, observers=[seen])
        connection = sqlite3.connect(tmp_path / "research.db", isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        runs.joined(connection).grant(OWNER, 1)
        connection.execute("COMMIT")
        connection.close()
    assert seen.commands() == [("grant", "Granted")]


def test_the_http_interface_is_observed() -> None:
    """An application that is made of observed runs asks through them."""
    from starlette.testclient import TestClient

    seen = Remembers()
    runs = Runs(MemoryStore(), scripted(), observers=[seen])
    runs.grant(OWNER, 1)
    token = runs.tokens.create(OWNER).secret
    client = TestClient(create_app(runs), headers={"Authorization": f"Bearer {token}"})
    assert client.post("/api/deep-research/people", json={"linkedinUrl": ADA.linkedin_url}).status_code == 201
    assert seen.commands()[-1] == ("create", "Queued")


def test_without_observers_nothing_is_loaded_and_nothing_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """No OpenTelemetry is imported, and no command is surrounded by anything."""
    code = "import sys, research_fsm.runs, research_fsm.async_runs; print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # Ours.
    assert done.stdout.strip() == "False"
    monkeypatch.setattr("research_fsm.runs.watching", None)
    monkeypatch.setattr("research_fsm.async_runs.watching", None)
    Runs(MemoryStore()).grant(OWNER, 1).accepted()
    asyncio.run(AsyncRuns(MemoryStore(), InThreads(scripted())).grant(OWNER, 1))
