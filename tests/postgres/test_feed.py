"""The feed of a log whose transactions commit in another order than their events got their positions."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack, aclosing, closing, contextmanager
from datetime import timedelta
from itertools import islice

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from research_fsm.errors import FeedStalled, StoreReadOnly, StoreUnavailable
from research_fsm.feed import follow, follow_async
from research_fsm.storage import RecordedEvent
from research_fsm.stores import postgres_watch
from research_fsm.stores.postgres import PostgresStore
from research_fsm.testing.postgres import PostgresServer
from research_fsm.testing.suites.base import end_of, note, put
from tests.postgres.examples import plain, tell

AT_ONCE = timedelta(0)
LONG = timedelta(minutes=2)


@pytest.fixture
def store(address: str) -> Iterator[PostgresStore]:
    """Open a store in a database of this test's own."""
    with PostgresStore(address) as opened:
        yield opened


@contextmanager
def writing(address: str, store: PostgresStore, stream: str) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """Begin a transaction of a host's that has written one event, and is open."""
    with psycopg.connect(address, application_name="billing") as connection:
        put(store.joined(connection), end_of(stream, 0, note()))
        yield connection


def settled(store: PostgresStore, after: int = 0) -> list[RecordedEvent]:
    """Read what is settled at this moment, without any patience."""
    read: list[RecordedEvent] = []
    try:
        read.extend(one for one in follow_into(read, store, after))
    except FeedStalled:
        return read
    return read


def follow_into(read: list[RecordedEvent], store: PostgresStore, after: int) -> Iterator[RecordedEvent]:
    """Keep what was read before the feed stalled."""
    for event in follow(store, after=after, wait=AT_ONCE, patience=AT_ONCE):
        read.append(event)
        yield from ()


def test_an_event_waits_for_those_before_it(address: str, store: PostgresStore) -> None:
    """What was committed first is held back, while somebody may still commit what has a lower position."""
    with writing(address, store, "slow") as slow:
        put(store, end_of("quick", 0, note()))
        assert [event.stream for event in store.events()] == ["quick"]
        assert settled(store) == []
        slow.commit()
        assert [event.stream for event in settled(store)] == ["slow", "quick"]


def test_an_event_does_not_wait_for_what_was_aborted(address: str, store: PostgresStore) -> None:
    """A gap is passed as soon as it is sure to stay one."""
    with writing(address, store, "slow") as slow:
        put(store, end_of("quick", 0, note()))
        slow.rollback()
    assert [event.stream for event in settled(store)] == ["quick"]


def test_a_transaction_that_wrote_no_event_is_in_nobodys_way(address: str, store: PostgresStore) -> None:
    """However old it is, and whatever else it has written."""
    with psycopg.connect(address) as idle:
        idle.execute("CREATE TABLE elsewhere (note text)")
        idle.execute("SELECT count(*) FROM research_fsm.events")
        put(store, end_of("quick", 0, note()))
        assert [event.stream for event in settled(store)] == ["quick"]


def test_a_later_writer_is_not_waited_for(address: str, store: PostgresStore) -> None:
    """Under never-ending writes there is always somebody writing; a follower gets on all the same."""
    with closing(store.watch()) as watch, ExitStack() as writers:
        put(store, end_of("first", 0, note()))
        one = writers.enter_context(writing(address, store, "one"))
        before = watch.extent()
        other = writers.enter_context(writing(address, store, "other"))
        one.commit()
        assert watch.extent().settled == before.newest
        assert watch.extent().settled > before.settled
        other.rollback()


def test_a_stall_is_bounded_and_says_who(address: str, store: PostgresStore) -> None:
    """After as long as the follower's patience; it may follow on from the same place, and has missed nothing."""
    put(store, end_of("before", 0, note()))
    with writing(address, store, "slow") as slow:
        put(store, end_of("quick", 0, note()))
        pid = slow.info.backend_pid
        events = follow(store, patience=timedelta(milliseconds=20))
        place = next(events).position
        with pytest.raises(FeedStalled, match=rf"settled up to position {place} .*backend {pid} \(billing, idle in tr"):
            next(events)
        slow.commit()
    assert [event.stream for event in follow(store, after=place, wait=AT_ONCE)] == ["slow", "quick"]


def test_a_notification_wakes_the_follower(address: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocking and awaiting followers are woken by the commit, not by looking again and again."""
    monkeypatch.setattr(postgres_watch, "_LISTENING_SECONDS", 3600.0)

    async def woken(place: int) -> int:
        async with aclosing(follow_async(store, after=place)) as events:
            coming = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            await asyncio.to_thread(put, other, end_of("a", 2, note()))
            return (await coming).version

    with PostgresStore(address) as other, closing(follow(store)) as events:
        put(other, end_of("a", 0, note()))
        place = next(events).position
        writer = threading.Thread(target=put, args=(other, end_of("a", 1, note())))
        writer.start()
        following = next(events)
        writer.join()
        assert (following.version, following.position > place) == (2, True)
        assert asyncio.run(woken(following.position)) == 3


def test_what_a_host_commits_comes_without_a_notification(address: str, store: PostgresStore) -> None:
    """A host's transaction notifies nobody, so that it keeps nobody waiting; the follower looks by itself."""
    with closing(follow(store)) as events, writing(address, store, "host's") as host:
        host.commit()
        assert next(events).stream == "host's"


def test_a_notification_that_fails_takes_nothing_back(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit was done before it: the caller is told so, and nothing is decided twice."""
    monkeypatch.setattr(store, "_notify", b"SELECT 1/0")
    put(store, end_of("a", 0, note()))
    put(store, end_of("a", 1, note()))
    assert [event.version for event in settled(store)] == [1, 2]


def test_behind_a_pooler_the_follower_asks(address: str) -> None:
    """Without a direct address there is nobody to be notified by; with one there is."""
    with PostgresStore(address, prepared=False) as asking, closing(follow(asking)) as events:
        put(asking, end_of("a", 0, note()))
        assert next(events).version == 1
        put(asking, end_of("a", 1, note()))
        assert next(events).version == 2
    with PostgresStore(address, prepared=False, direct=address) as told, closing(told.watch()) as watch:
        with plain(address) as client:
            channels = tell(client, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        assert watch._listening
        del channels


def test_a_follower_outlives_the_loss_of_its_connection(address: str, store: PostgresStore) -> None:
    """All connections are cut while it follows, more than once; it goes on, and gets each event once."""
    read: list[int] = []
    with closing(follow(store)) as events:
        for version in range(5):
            put(store, end_of("a", version, note()))
            read.append(next(events).version)
            with plain(address) as client:
                tell(
                    client,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
                    "datname = current_database()",
                )
    assert read == [1, 2, 3, 4, 5]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    schedule=st.lists(
        st.tuples(st.sampled_from(["write", "commit", "abort", "alone", "read"]), st.integers(0, 3)), max_size=24
    )
)
def test_whatever_the_order_of_commits_nothing_is_missed(
    server: PostgresServer, schedule: list[tuple[str, int]]
) -> None:
    """Several transactions write, commit and abort in any order; what was read in bits is the log, in its order."""
    address = server.new_database()
    streams = iter(range(1000))
    read: list[RecordedEvent] = []
    with PostgresStore(address) as store, ExitStack() as stack:
        hosts = [stack.enter_context(psycopg.connect(address)) for _ in range(4)]

        def step(what: str, host: psycopg.Connection[tuple[object, ...]]) -> None:
            match what:
                case "write":
                    put(store.joined(host), end_of(f"s{next(streams)}", 0, note(), note()))
                case "commit":
                    host.commit()
                case "abort":
                    host.rollback()
                case "alone":
                    put(store, end_of(f"s{next(streams)}", 0, note()))
                case _:
                    read.extend(settled(store, after=read[-1].position if read else 0))

        for what, number in schedule:
            step(what, hosts[number])
        for host in hosts:
            host.commit()
        step("read", hosts[0])
        assert read == list(store.events())
