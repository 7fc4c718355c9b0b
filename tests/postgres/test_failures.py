"""What goes wrong around a PostgreSQL store: each trouble is one error of ours, and the store works on afterwards."""

# ruff: noqa: S608  # The schema is a name of ours.

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import ClassVar, NoReturn

import pytest

from research_fsm.errors import (
    CommitUnknown,
    InvalidInput,
    StoreBusy,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    WriteRejected,
)
from research_fsm.storage import Query, QueueEntry, Receipt, Token, UniqueKey, View, Write
from research_fsm.stores.group_commit import Ticket
from research_fsm.stores.postgres import PostgresStore
from research_fsm.stores.postgres_batch import Batch
from research_fsm.stores.postgres_errors import ServerSaid, WireLost, failure
from research_fsm.stores.postgres_server import Address
from research_fsm.stores.postgres_statements import Dialect
from research_fsm.stores.postgres_wire import Row, Wire
from research_fsm.testing.postgres import PostgresServer
from tests.postgres.examples import (
    Breaking,
    appending,
    end,
    interrupted_after,
    interrupted_before,
    lost_after,
    lost_before,
    notes,
    plain,
    tell,
    wait_until_somebody_waits,
)

SHORT = timedelta(milliseconds=200)


@pytest.fixture
def store(server: PostgresServer, schema: str) -> Iterator[PostgresStore]:
    """Open a store with one event in it."""
    with PostgresStore(server.address(), schema=schema) as opened:
        opened.transact(*appending("a", 1))
        yield opened


def hasty(server: PostgresServer, schema: str) -> PostgresStore:
    """Open a store that does not wait long."""
    return PostgresStore(server.address(), schema=schema, wait=SHORT)


# --- what an error means -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("55P03", StoreBusy),
        ("57014", StoreBusy),
        ("40P01", StoreBusy),
        ("53300", StoreBusy),
        ("53400", StoreBusy),
        ("53100", StoreFull),
        ("25006", StoreReadOnly),
        ("42501", StoreReadOnly),
        ("42P01", StoreUnavailable),
        ("28P01", StoreUnavailable),
        ("57P03", StoreUnavailable),
        ("26000", StoreUnavailable),
        ("42P05", StoreUnavailable),
        ("23001", WriteRejected),
        ("XX001", StoreDamaged),
        ("42601", StoreError),
    ],
)
def test_each_state_is_an_error_of_ours(state: str, expected: type[StoreError]) -> None:
    """The class says what to do, the message what the server said."""
    error = failure(ServerSaid(state, "what the server said"), "here")
    assert type(error) is expected
    assert "what the server said" in str(error)


def test_a_value_that_no_text_can_hold_is_invalid() -> None:
    """The caller's mistake, and not the store's."""
    assert type(failure(ServerSaid("22P05", "unsupported"), "here")) is InvalidInput


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_a_text_that_postgresql_cannot_hold_is_refused(store: PostgresStore, text: str) -> None:
    """A NUL and half a character, whether asked for or written; a message is never cut short by one."""
    with pytest.raises(InvalidInput):
        store.transact(Query(streams=(text,)), lambda _view, _now: Write(answer=1))
    with pytest.raises(InvalidInput):
        store.transact(Query(), lambda _view, _now: Write(answer=1, streams=(end(text, 0, 2),)))
    with pytest.raises(InvalidInput):
        store.transact(Query(), lambda _view, _now: Write(answer=1, streams=(end("b", 0, 2**63),)))
    with pytest.raises(InvalidInput):
        store.transact(Query(), lambda _view, _now: Write(answer=1, streams=(end("b", 0, 2, data=b"\xff"),)))
    assert store.transact(*appending("a", 2)) == 2


@pytest.mark.parametrize("prepared", [True, False])
@pytest.mark.parametrize("text", ["'", "\\", '"', "{,}", "$1", "%s", "a'); DROP TABLE events; --", "\N{SNOWMAN}", ""])
def test_a_text_is_never_taken_for_sql(server: PostgresServer, schema: str, text: str, *, prepared: bool) -> None:
    """Every text comes back as it went in, as a name in a list and as a value."""
    with PostgresStore(server.address(), schema=schema, prepared=prepared) as store:
        key = UniqueKey(f"k{text}", text, b'"\\""', personal=True)
        write = Write(answer=1, streams=(end(text, 0, 1),), keys=(key,))
        store.transact(Query(streams=(text, "other")), lambda _view, _now: write)
        view = store.read(Query(keys=(f"k{text}", "$2")))
        assert view.keys == {key.key: key}
        assert list(view.heads) == [text]
        assert notes(store, text) == [1]


# --- others in the way -------------------------------------------------------------------------------------------


def test_a_row_that_is_kept_locked_makes_the_store_busy(server: PostgresServer, schema: str) -> None:
    """The rule was not asked; later it works."""
    asked: list[View] = []
    with hasty(server, schema) as store, plain(server.address()) as other:
        store.transact(*appending("a", 1))
        query, rule = appending("a", 2)

        def noting(view: View, now: int) -> Write[int]:
            asked.append(view)
            return rule(view, now)

        with other.transaction():
            tell(other, f"SELECT FROM {schema}.heads FOR UPDATE")
            with pytest.raises(StoreBusy, match="try again later"):
                store.transact(query, noting)
        assert asked == []
        assert store.transact(query, rule) == 2


def test_a_deadlock_is_decided_anew(store: PostgresStore, server: PostgresServer, schema: str) -> None:
    """Whoever locks in another order is not ours to stop: one of the two goes on after the other."""
    store.transact(*appending("b", 1))
    with plain(server.address()) as other, ThreadPoolExecutor(1) as pool:
        tell(other, "SET deadlock_timeout = '10s'")  # So that it is our side that is told to give way.
        tell(other, "BEGIN")
        tell(other, f"SELECT FROM {schema}.heads WHERE stream = 'b' FOR UPDATE")
        query, rule = Query(streams=("a", "b")), appending("a", 2)[1]
        writing = pool.submit(store.transact, query, rule)
        wait_until_somebody_waits(server.address())
        tell(other, f"SELECT FROM {schema}.heads WHERE stream = 'a' FOR UPDATE")
        tell(other, "COMMIT")
        assert writing.result() == 2
    assert notes(store, "a") == [1, 2]


def test_two_stores_may_begin_the_same_stream_at_once(
    store: PostgresStore, server: PostgresServer, schema: str
) -> None:
    """A stream that is not there cannot be locked: the later one is decided anew, and sees the earlier one's."""
    decided: list[int] = []
    query, rule = appending("new", 2)

    def slow(view: View, now: int) -> Write[int]:
        decided.append(len(view.heads))
        if len(decided) == 1:
            other.transact(*appending("new", 1))
        return rule(view, now)

    with PostgresStore(server.address(), schema=schema) as other:
        assert store.transact(query, slow) == 2
    assert decided == [0, 1]
    assert notes(store, "new") == [1, 2]


def test_a_receipt_that_is_just_being_written_is_seen(
    store: PostgresStore, server: PostgresServer, schema: str
) -> None:
    """Who waited for a head is shown what stands beside it as it is once the head was had."""
    with plain(server.address()) as other, ThreadPoolExecutor(1) as pool:
        tell(other, "BEGIN")
        tell(other, f"SELECT FROM {schema}.heads FOR UPDATE")
        query = Query(streams=("a",), receipts=("r",))
        looking = pool.submit(store.transact, query, lambda view, _: Write(answer=(view.receipts, set(view.heads))))
        wait_until_somebody_waits(server.address())
        tell(other, f"INSERT INTO {schema}.receipts VALUES ('r', 'b', 'print', '1')")
        tell(other, f"INSERT INTO {schema}.heads VALUES ('b', 1, '', 1, '{{}}', NULL, 'tagged', NULL, 9)")
        tell(other, "COMMIT")
        assert looking.result() == ({"r": Receipt("r", "b", "print", b"1")}, {"a", "b"})


def test_an_entry_that_somebody_is_just_taking_is_not_waited_for(
    store: PostgresStore, server: PostgresServer, schema: str
) -> None:
    """The next worker gets the next entry, at once."""
    entries = (QueueEntry("1", "a"), QueueEntry("2", "a"))
    store.transact(Query(), lambda _view, _now: Write(answer=1, enqueued=entries))
    with plain(server.address()) as other, other.transaction():
        tell(other, f"SELECT 1 FROM {schema}.queue WHERE run_id = '1' FOR UPDATE")
        assert store.transact(Query(next_entry=True), lambda view, _: Write(answer=view.entry)) == entries[1]


# --- connections that break --------------------------------------------------------------------------------------


def cut(server: PostgresServer) -> None:
    """Cut every connection but our own, and wait until they are gone."""
    with plain(server.address()) as client:
        everybody = "FROM pg_stat_activity WHERE application_name = 'research_fsm'"
        tell(client, f"SELECT pg_terminate_backend(pid, 10000) {everybody}")


def test_a_connection_that_was_cut_is_opened_anew(store: PostgresStore, server: PostgresServer) -> None:
    """Nobody is told, whether they read or write."""
    cut(server)
    assert notes(store, "a") == [1]
    cut(server)
    assert store.transact(*appending("a", 2)) == 2
    cut(server)
    assert list(store.read(Query(streams=("a",))).heads) == ["a"]


def test_a_connection_that_is_cut_while_a_rule_decides(store: PostgresStore, server: PostgresServer) -> None:
    """It is decided anew; what a rule was shown before is forgotten."""
    seen: list[int] = []
    query, rule = appending("a", 2)

    def deciding(view: View, now: int) -> Write[int]:
        seen.append(1)
        if len(seen) == 1:
            cut(server)
        return rule(view, now)

    assert store.transact(query, deciding) == 2
    assert len(seen) == 2
    assert notes(store, "a") == [1, 2]


def test_a_connection_that_is_cut_while_a_rule_reads(store: PostgresStore, server: PostgresServer) -> None:
    """The rule is asked again, and nothing of the first time is written, on whatever connection."""
    seen: list[int] = []

    def reading(view: View, _: int) -> Write[int]:
        seen.append(1)
        if len(seen) == 1:
            cut(server)
        return Write(answer=len(list(view.history("a"))), streams=(end("a", view.heads["a"].version, 2),))

    assert store.transact(Query(streams=("a",)), reading) == 1
    assert len(seen) == 2
    assert notes(store, "a") == [1, 2]


@pytest.mark.parametrize("trouble", [lost_before, lost_after])
@pytest.mark.parametrize(
    "write",
    [
        Write(answer=7, streams=(end("a", 1, 2),)),
        Write(answer=7, receipts=(Receipt("r", "a", "print", b"1"),)),
        Write(answer=7, keys=(UniqueKey("k", "a"),)),
        Write(answer=7, enqueued=(QueueEntry("q", "a", 5),)),
        Write(answer=7, enqueued=(QueueEntry("q", "a"),)),
        Write(answer=7, tokens=(Token("t", "o", "user", "d", 1),)),
    ],
    ids=["events", "receipt", "key", "lease", "entry", "token"],
)
def test_a_commit_whose_answer_is_lost_is_looked_up(
    store: PostgresStore, write: Write[int], trouble: Callable[[Callable[[], object]], BaseException]
) -> None:
    """What was done is not done again, and what was not done is: the caller is told neither."""
    breaking = Breaking(store, trouble)
    asked: list[int] = []

    def noting(_: View, now: int) -> Write[int]:
        asked.append(now)
        return write

    assert store.transact(Query(), noting) == 7
    assert breaking.commits == 1
    assert len(asked) == (1 if trouble is lost_after else 2)
    found = [
        notes(store, "a")[1:],
        store.read(Query(receipts=("r",))).receipts,
        [*store.keys()],
        [*store.entries()],
        store.tokens(),
    ]
    assert sum(map(bool, found)) == 1


@pytest.mark.parametrize(("trouble", "done"), [(interrupted_before, False), (interrupted_after, True)])
def test_an_interrupt_at_the_commit_leaves_nobody_in_doubt(
    store: PostgresStore, trouble: Callable[[Callable[[], object]], BaseException], *, done: bool
) -> None:
    """It comes through; what was done stands and is not done again."""
    Breaking(store, trouble)
    with pytest.raises(KeyboardInterrupt):
        store.transact(*appending("a", 2))
    assert notes(store, "a") == ([1, 2] if done else [1])
    assert store.transact(*appending("a", 3)) == (3 if done else 2)


@pytest.mark.parametrize("trouble", [lost_after, interrupted_after])
def test_nobody_of_a_batch_that_was_committed_is_decided_for_again(
    store: PostgresStore, trouble: Callable[[Callable[[], object]], BaseException]
) -> None:
    """However its leader learnt of it, or was stopped: each caller has an answer, and it stands."""
    tickets = [Ticket(*appending("a", note), deadline=0.0) for note in (2, 3)]
    Breaking(store, trouble)
    with suppress(KeyboardInterrupt):
        store._writers[0].commit(1.0, lambda: tickets)
    assert [(ticket.done, ticket.result()) for ticket in tickets] == [(True, 2), (True, 3)]
    assert notes(store, "a") == [1, 2, 3]


def test_nothing_is_said_any_more_in_a_transaction_that_is_gone() -> None:
    """On a new connection it would be committed by itself."""

    class Gone(Wire):
        sent: ClassVar[list[bytes]] = []

        def run(self, message: bytes) -> list[list[Row]]:
            self.sent.append(message)
            raise WireLost("the connection was cut")

    batch = Batch(Gone(Address.of("postgresql://nowhere/"), lambda _: None, 1.0), Dialect("any"))
    for _ in range(2):
        with pytest.raises(WireLost):
            batch.run(b"SELECT 1")
    assert Gone.sent == [b"SELECT 1"]


def test_a_commit_that_cannot_be_looked_up_is_unknown(store: PostgresStore) -> None:
    """The caller is told so, and what to do, rather than something that may be wrong."""

    def lost_with_the_server(send: Callable[[], object]) -> BaseException:
        send()
        store._writers[0]._wait = 0.1
        store._writers[0].wire.get = unreachable  # type: ignore[method-assign]
        return WireLost("the connection was cut")

    def unreachable() -> NoReturn:
        raise WireLost("connection refused")

    get = store._writers[0].wire.get
    Breaking(store, lost_with_the_server)
    with pytest.raises(CommitUnknown, match="may last or not"):
        store.transact(*appending("a", 2))
    store._writers[0].wire.get = get  # type: ignore[method-assign]
    assert notes(store, "a") == [1, 2]
    assert store.transact(*appending("a", 3)) == 3


@pytest.mark.parametrize(("trouble", "attempts"), [(lost_after, 1), (lost_before, 2)])
def test_another_server_is_asked_for_the_events_alone(
    store: PostgresStore, trouble: Callable[[Callable[[], object]], BaseException], attempts: int
) -> None:
    """It gives out the old one's numbers again: what they say there means nothing."""
    asked: list[int] = []
    query, rule = appending("a", 2)

    def noting(view: View, now: int) -> Write[int]:
        asked.append(now)
        return rule(view, now)

    store._writers[0].wire.server = b"the old one", b"00000001"
    Breaking(store, trouble)
    assert store.transact(query, noting) == 2
    assert len(asked) == attempts
    assert notes(store, "a") == [1, 2]


def test_another_server_cannot_tell_of_a_write_without_events(store: PostgresStore) -> None:
    """Somebody else may have written the same, and the caller is told that nobody knows."""
    store._writers[0].wire.server = b"the old one", b"00000001"
    Breaking(store, lost_after)
    lease = Write(answer=1, enqueued=(QueueEntry("q", "a", 5),))
    with pytest.raises(CommitUnknown):
        store.transact(Query(), lambda _view, _now: lease)


def test_another_store_at_the_same_address_is_not_written_to(
    store: PostgresStore, server: PostgresServer, schema: str
) -> None:
    """Whoever swapped the database under an open store is told, and nothing of one store gets into the other."""
    with plain(server.address()) as client:
        tell(client, f"ALTER SCHEMA {schema} RENAME TO old_{schema}")
        PostgresStore(server.address(), schema=schema).close()
        cut(server)
        for act in (lambda: store.transact(*appending("a", 2)), lambda: list(store.events())):
            with pytest.raises(StoreUnavailable, match="another store"):
                act()
        assert tell(client, f"SELECT count(*) FROM {schema}.events") == [(0,)]


def test_a_snapshot_whose_connection_is_cut_is_over(store: PostgresStore, server: PostgresServer) -> None:
    """Its point in time cannot be had again, and nobody is shown another one instead."""
    with store.snapshot() as snapshot:
        cut(server)
        with pytest.raises(StoreUnavailable):
            list(snapshot.heads())
        with pytest.raises(StoreUnavailable, match="take another one"):
            list(snapshot.heads())
    with store.snapshot() as snapshot:
        assert len(list(snapshot.heads())) == 1


def test_a_server_that_is_not_there_is_unavailable(server: PostgresServer) -> None:
    """At once, when a store is opened; no message carries the password."""
    with pytest.raises(StoreUnavailable) as raised:
        PostgresStore("postgresql://somebody:secret@127.0.0.1:1/nothing")
    assert "secret" not in str(raised.value)
    assert not {"\n", "\t"} & set(str(raised.value))
    assert "secret" not in repr(Address.of("postgresql://somebody:secret@127.0.0.1:1/nothing"))
    with pytest.raises(StoreUnavailable, match=r"does not exist; .* that database, user and password are right"):
        PostgresStore(server.address("nothing"))


def test_a_connection_that_forgets_is_said_to_be_anothers_too(store: PostgresStore) -> None:
    """As a pooler that nobody found out would make it: the caller is told what to say when the store is opened."""
    store._writers[0].wire.run(b"DEALLOCATE ALL")
    with pytest.raises(StoreUnavailable, match="prepared=False"):
        store.transact(*appending("a", 2))
    assert notes(store, "a") == [1]


@pytest.mark.parametrize("address", ["nonsense secret", "host='secret"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """Without being repeated: it may hold a password."""
    with pytest.raises(InvalidInput) as raised:
        PostgresStore(address)
    assert "secret" not in str(raised.value)


def test_a_closed_store_refuses(store: PostgresStore) -> None:
    """Everything; closing twice is fine."""
    store.close()
    store.close()
    acts: list[Callable[[], object]] = [
        lambda: store.transact(*appending("a", 2)),
        lambda: list(store.events()),
        store.now,
        lambda: store.snapshot().__enter__(),
    ]
    for act in acts:
        with pytest.raises(StoreClosed):
            act()


# --- processes ---------------------------------------------------------------------------------------------------


def backends(store: PostgresStore) -> list[object]:
    """Return which processes of the server a store talks to."""
    wires = store._writers[0].wire, store._source._wire
    return [wire.run(b"SELECT pg_backend_pid()")[0][0] for wire in wires]


def test_a_child_has_connections_of_its_own(store: PostgresStore) -> None:
    """Both go on, whoever comes first; the parent's connection is not closed by its child's end."""
    before = backends(store)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = int(store.transact(*appending("a", 2)) != 2 or notes(store, "a") != [1, 2])
            store.close()
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert backends(store) == before
    assert notes(store, "a") == [1, 2]
    assert store.transact(*appending("a", 3)) == 3


def test_many_stores_write_to_a_few_streams(server: PostgresServer, schema: str) -> None:
    """None is stuck, and nothing is lost: rows are locked in one order, whatever order they are named in."""
    stores = [PostgresStore(server.address(), schema=schema) for _ in range(4)]
    barrier = threading.Barrier(len(stores))
    names = ("a", "b", "c")

    def write(number: int) -> None:
        barrier.wait()
        for turn in range(30):
            order = names if (turn + number) % 2 else names[::-1]

            def rule(view: View, _: int, order: tuple[str, ...] = order) -> Write[None]:
                versions = {name: view.heads[name].version if name in view.heads else 0 for name in order}
                return Write(answer=None, streams=tuple(end(name, versions[name], number) for name in order))

            stores[number].transact(Query(streams=order), rule)

    with ThreadPoolExecutor(len(stores)) as pool:
        list(pool.map(write, range(len(stores))))
    for name in names:
        assert sorted(notes(stores[0], name)) == sorted([*range(4)] * 30)
    for store in stores:
        store.close()
