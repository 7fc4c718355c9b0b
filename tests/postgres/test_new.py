"""A store that is made in one piece of an exported log: whole or not at all, and the same as one that lived."""

# ruff: noqa: S608  # The schema is a name of ours.

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

import pytest
from attrs import evolve

from research_fsm import Profile, Runs, exported, imported
from research_fsm.audit import verify
from research_fsm.errors import (
    CommitUnknown,
    InvalidInput,
    LogUnreadable,
    ResearchError,
    StoreError,
    StoreReadOnly,
    StoreUnavailable,
    WriteRejected,
)
from research_fsm.storage import Query, Receipt, UniqueKey, View, Write
from research_fsm.stores.memory import MemoryStore
from research_fsm.stores.postgres import PostgresStore
from research_fsm.stores.postgres_errors import ServerSaid, WireLost
from research_fsm.stores.postgres_new import NewStore, new_store
from research_fsm.stores.postgres_wire import Row, Wire
from research_fsm.worker import Worker
from tests.postgres.examples import appending, end, plain, tell, wait_until_somebody_waits
from tests.system.program import killed_in_the_end, until

WAIT = timedelta(seconds=20)

TABLES = {
    "events": "position, stream, version, type, schema, at, data, meta, hash",
    "heads": "stream, version, hash, fold, state, link, tag, due, first",
    "unique_keys": "key, stream, value, personal",
    "documents": "stream, name, body",
    "queue": "rank() OVER (ORDER BY position), run_id, stream, lease_until",
    "receipts": "key, stream, fingerprint, answer",
    "tokens": "token_id",
}


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """A log of two owners, with runs that are complete and that wait, someone erased, and a grant taken back."""
    runs = Runs(MemoryStore())
    for owner in ("acme", "beta"):
        runs.grant(owner, 20, grant_id="first")
        runs.grant(owner, 2, grant_id="second")
        runs.revoke(owner, "second")
    people = [
        runs.add(("acme", "beta")[number % 2], Profile(linkedin_url=f"linkedin.com/in/{number}")).accepted().person_id
        for number in range(8)
    ]
    for person_id in people[:4]:
        runs.start(person_id, key=f"first {person_id}").accepted()
    worker = Worker(runs, lambda _: {"found": "☃'\\"})
    assert worker.run_once()
    assert worker.run_once()
    for person_id in (people[0], *people[4:7]):
        runs.mark_stale(person_id)
        runs.start(person_id, key=f"second {person_id}")
    runs.erase(people[1])
    return list(exported.export(runs.store, with_documents=True))


def made(address: str, lines: list[str], wait: timedelta = WAIT) -> imported.Imported:
    """Make a store of a log, as the program does."""
    with ExitStack() as stack:
        return imported.load(
            lines, lambda clock: stack.enter_context(new_store(address, clock, wait)), together=NewStore.together
        )


def lived(address: str, lines: list[str]) -> imported.Imported:
    """Let a store live through a log, one commit after the other."""
    with ExitStack() as stack:
        return imported.load(lines, lambda clock: stack.enter_context(PostgresStore(address, clock=clock)))


def alone(address: str, lines: list[str]) -> imported.Imported:
    """Make a store of a log, and write each transaction by itself."""
    with ExitStack() as stack:
        return imported.load(lines, lambda clock: stack.enter_context(new_store(address, clock, WAIT)))


def tables(address: str, schema: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything that a store holds but its secret."""
    with plain(address) as client:
        return {
            name: tell(client, f"SELECT {columns} FROM {schema}.{name} ORDER BY 1, 2")
            if "," in columns
            else tell(client, f"SELECT {columns} FROM {schema}.{name}")
            for name, columns in TABLES.items()
        }


def schemas(address: str) -> list[str]:
    """Return the schemas that there are beside PostgreSQL's own."""
    with plain(address) as client:
        found = tell(client, "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information_|^public$'")
    return [name for (name,) in found]


@pytest.mark.parametrize("at_once", [1, 600, 2**20])
def test_a_new_store_is_the_one_that_lived(
    address: str, lines: list[str], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positions, hashes, heads, keys, documents and the queue's order are the same, however much is written at once."""
    monkeypatch.setattr(imported, "_TOGETHER_BYTES", at_once)
    done = made(f"{address}?schema=made", lines)
    assert done == lived(f"{address}?schema=lived", lines)
    found = tables(address, "made")
    assert found == tables(address, "lived")
    assert min(len(found[name]) for name in ("events", "heads", "unique_keys", "documents", "queue", "receipts")) > 1
    assert done.root.hex() == json.loads(lines[-1])["root"]
    with PostgresStore(f"{address}?schema=made", create=False) as store:
        assert list(verify(store)) == []
        assert len(store.secret) == 32
        runs = Runs(store)
        runs.start(runs.add("acme", Profile(linkedin_url="linkedin.com/in/new")).accepted().person_id).accepted()


def test_a_new_store_writes_one_transaction_where_many_are_not_asked_for(address: str, lines: list[str]) -> None:
    """It is a store like others, only that nobody sees it before its end."""
    alone(f"{address}?schema=made", lines)
    lived(f"{address}?schema=lived", lines)
    assert tables(address, "made") == tables(address, "lived")


def test_it_is_one_commit(address: str, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the log is, the disk is flushed for it once, and few messages go to and fro."""
    sent = list[bytes]()
    run = Wire.run

    def noting(wire: Wire, message: bytes) -> list[list[Row]]:
        sent.append(message)
        return run(wire, message)

    monkeypatch.setattr(Wire, "run", noting)
    made(f"{address}?schema=made", lines)
    assert [message for message in sent if message.endswith(b"COMMIT")] == [sent[-1]]
    assert len(sent) < 10


def test_nobody_sees_it_before_its_end_and_nobody_waits(address: str) -> None:
    """Another store of the same database goes on being written to and read, and the new one is there in one moment."""
    with PostgresStore(address) as other:
        with new_store(f"{address}?schema=made", lambda: 1, WAIT) as new:
            new.transact(*appending("a", 1))
            assert other.transact(*appending("b", 1)) == 1
            assert [event.stream for event in other.events()] == ["b"]
            assert [event.stream for event in new.events()] == ["a"]
            assert schemas(address) == ["research_fsm"]
        assert sorted(schemas(address)) == ["made", "research_fsm"]


def test_a_stream_may_link_to_one_that_is_not_loaded(address: str) -> None:
    """A person who is added and erased before their account has any event."""
    with new_store(f"{address}?schema=made", lambda: 1, WAIT) as new:
        with new.together(Query(streams=("a",))) as into:
            added = Write(answer=None, streams=(evolve(end("a", 0, 1), link="b"),))
            into.transact(Query(streams=("a",)), lambda _view, _now: added)
            assert into.transact(*appending("a", 2)) == 2
        assert [head.version for head in new.heads()] == [2]


# --- what is not to be had -----------------------------------------------------------------------------------------


SPOILT: dict[str, tuple[Callable[[list[str]], list[str]], type[ResearchError], str]] = {
    "cut off": (lambda lines: lines[:-3], LogUnreadable, "the file was cut off"),
    "a line cut": (lambda lines: [*lines[:-2], lines[-2][:40]], LogUnreadable, "is not a JSON object"),
    "a wrong hash": (
        lambda lines: [line.replace("CreditsRevoked", "CreditsGranted") for line in lines],
        LogUnreadable,
        "is not the event that its hash says",
    ),
    "an event less": (
        lambda lines: [line for line in lines if "CreditsRevoked" not in line],
        LogUnreadable,
        "follows version",
    ),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_what_is_no_whole_log_leaves_nothing(
    address: str, lines: list[str], spoilt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, as on any store; the schema was never there, and its name is free at once."""
    monkeypatch.setattr(imported, "_TOGETHER_BYTES", 600)
    edit, error, words = SPOILT[spoilt]
    with pytest.raises(error, match=words):
        made(f"{address}?schema=made", edit(lines))
    assert schemas(address) == []
    made(f"{address}?schema=made", lines)


def test_a_schema_that_is_there_is_not_touched(address: str, lines: list[str]) -> None:
    """It may be a store, or anybody's."""
    with plain(address) as client:
        tell(client, "CREATE SCHEMA made; CREATE TABLE made.customers (id int)")
        with pytest.raises(InvalidInput, match="there is a schema made already; name a new one"):
            made(f"{address}?schema=made", lines)
        assert tell(client, "SELECT tablename FROM pg_tables WHERE schemaname = 'made'") == [("customers",)]


def test_of_two_that_make_the_same_store_one_does(address: str, lines: list[str]) -> None:
    """The other one waits for it, and is told that there is one."""
    with ThreadPoolExecutor(1) as pool:
        with new_store(f"{address}?schema=made", lambda: 1, WAIT) as new:
            new.transact(*appending("a", 1))
            second = pool.submit(made, f"{address}?schema=made", lines)
            wait_until_somebody_waits(address)
        with pytest.raises(InvalidInput, match="there is a schema made already"):
            second.result()
    with PostgresStore(f"{address}?schema=made") as store:
        assert [event.stream for event in store.events()] == ["a"]


def test_a_role_that_may_make_no_schema_is_told_so(address: str, lines: list[str]) -> None:
    """Nothing else is tried."""
    role = "importer"
    with plain(address) as client:
        tell(client, f"CREATE ROLE {role} LOGIN")
        try:
            with pytest.raises(StoreReadOnly, match="permission denied"):
                made(f"{address.replace('postgres@', f'{role}@')}?schema=made", lines)
        finally:
            tell(client, f"DROP ROLE {role}")


# --- names ---------------------------------------------------------------------------------------------------------


Taking = Callable[[str, str], tuple[Query, Callable[[View, int], Write[None]]]]


def with_key(stream: str, name: str) -> tuple[Query, Callable[[View, int], Write[None]]]:
    """Make a transaction that begins a stream and takes a unique key."""
    write = Write(answer=None, streams=(end(stream, 0, 1),), keys=(UniqueKey(name, stream, b"null", personal=False),))
    return Query(streams=(stream,)), lambda _view, _now: write


def with_receipt(stream: str, name: str) -> tuple[Query, Callable[[View, int], Write[None]]]:
    """Make a transaction that begins a stream and leaves a receipt."""
    write = Write(answer=None, streams=(end(stream, 0, 1),), receipts=(Receipt(name, stream, "", b"null"),))
    return Query(streams=(stream,)), lambda _view, _now: write


@pytest.mark.parametrize(
    ("taking", "words"),
    [(with_key, "the unique key mine is taken"), (with_receipt, "there is a receipt mine already")],
)
@pytest.mark.parametrize("together", [True, False])
def test_a_name_is_taken_once(address: str, taking: Taking, words: str, *, together: bool) -> None:
    """Whether it was taken by what is already written or by what is not, it is named, and there is no store."""

    def twice(new: NewStore) -> None:
        if together:
            with new.together(Query(streams=("a", "b"))) as into:
                into.transact(*taking("a", "mine"))
                into.transact(*taking("b", "mine"))
        new.transact(*taking("a", "mine"))
        with new.together(Query(streams=("b", "c"))) as into:
            into.transact(*taking("c", "other"))
            into.transact(*taking("b", "mine"))

    with pytest.raises(WriteRejected, match=words), new_store(f"{address}?schema=made", lambda: 1, WAIT) as new:
        twice(new)
    assert schemas(address) == []


# --- the end -------------------------------------------------------------------------------------------------------


def breaking(monkeypatch: pytest.MonkeyPatch, trouble: Callable[[Callable[[], object]], object]) -> None:
    """Let something happen in place of the next commit."""
    run = Wire.run

    def broken(wire: Wire, message: bytes) -> list[list[Row]]:
        if b";COMMIT" in message:
            monkeypatch.setattr(Wire, "run", run)
            trouble(lambda: run(wire, message))
            wire.drop()
            raise WireLost("the connection was cut")
        return run(wire, message)

    monkeypatch.setattr(Wire, "run", broken)


def test_a_lost_answer_to_the_commit_is_looked_up(
    address: str, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is there, so it was committed; who asks is told so."""
    breaking(monkeypatch, lambda send: send())
    done = made(f"{address}?schema=made", lines)
    assert done.root.hex() == json.loads(lines[-1])["root"]
    assert schemas(address) == ["made"]


def test_a_commit_that_was_never_sent_is_none(address: str, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The server has aborted it, and the name is free."""
    breaking(monkeypatch, lambda _: None)
    with pytest.raises(StoreUnavailable, match="the connection was cut"):
        made(f"{address}?schema=made", lines)
    assert schemas(address) == []


def test_a_commit_of_which_nothing_is_known_is_said_to_be(
    address: str, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole or not at all is all that can be said when the server does not come back."""
    breaking(monkeypatch, lambda _: monkeypatch.setattr(Wire, "get", lost))

    def lost(_: Wire) -> None:
        raise WireLost("the server does not answer")

    with pytest.raises(CommitUnknown, match="as a whole, or not at all"):
        made(f"{address}?schema=made", lines, timedelta(milliseconds=50))


def cut(address: str) -> None:
    """Cut whoever has a transaction open, as a server does that crashes."""
    with plain(address) as client:
        open_ones = "FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()"
        tell(client, f"SELECT pg_terminate_backend(pid, 20000) {open_ones}")


def test_the_store_of_somebody_else_is_not_taken_for_ours(
    address: str, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was aborted was not committed, whoever has made a schema of that name since."""

    def overtaken(_: object) -> None:
        cut(address)
        PostgresStore(address, schema="made").close()

    breaking(monkeypatch, overtaken)
    with pytest.raises(StoreUnavailable, match="the connection was cut"):
        made(f"{address}?schema=made", lines)
    with PostgresStore(address, schema="made") as store:
        assert list(store.events()) == []


@pytest.mark.parametrize("trouble", ["refused", "cut"])
def test_what_the_server_has_aborted_is_never_called_committed(address: str, trouble: str) -> None:
    """A caller who passes over an error has no store: PostgreSQL answers COMMIT by aborting, and calls that done."""

    def passed_over() -> None:
        with new_store(f"{address}?schema=made", lambda: 1, WAIT) as new:
            new.transact(*appending("a", 1))
            if trouble == "cut":
                cut(address)
            with suppress(WireLost, ServerSaid):
                new._wire.run(b"SELECT 1 / 0")

    with pytest.raises(StoreError, match=r"aborted|begin anew"):
        passed_over()
    assert schemas(address) == []


# --- processes -----------------------------------------------------------------------------------------------------


@contextmanager
def importing(address: str, pipe: Path, lines: list[str]) -> Iterator[tuple["subprocess.Popen[str]", TextIO]]:
    """Import in a process that has written a part of the log and waits for the rest; and where that would come from."""
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "research_fsm", "--store", f"{address}?schema=made", "import-log", str(pipe)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603  # Our own.
    with killed_in_the_end(process), pipe.open("w", encoding="utf-8") as out, plain(address) as client:
        out.writelines(lines[:-2])
        out.flush()
        written = "state = 'idle in transaction' AND query LIKE '%INSERT INTO made.events%'"
        until(lambda: tell(client, f"SELECT 1 FROM pg_stat_activity WHERE {written}") != [], "a part was written")
        yield process, out


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_stopped_import_leaves_nothing(address: str, number: int, tmp_path: Path) -> None:
    """Killed or interrupted in the middle: the server aborts, no schema was ever there, and its name is free."""
    runs = Runs(MemoryStore())
    runs.grant("acme", 2)
    for name in ("ada", "bob"):
        runs.start(runs.add("acme", Profile(linkedin_url=f"linkedin.com/in/{name}")).accepted().person_id)
    worker = Worker(runs, lambda _: {"found": "x" * imported._TOGETHER_BYTES})
    assert worker.run_once()
    assert worker.run_once()
    log = list(exported.export(runs.store, with_documents=True))
    with importing(address, tmp_path / "pipe", log) as (process, rest):
        process.send_signal(number)
        rest.close()  # Python sees a signal that came just before it began to read once it has read.
        assert process.wait(30) == (130 if number == signal.SIGINT else -number)
    assert schemas(address) == []
    assert made(f"{address}?schema=made", log).events == sum('"position"' in line for line in log)
