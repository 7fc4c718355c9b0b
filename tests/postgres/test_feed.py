"""The feed of a log whose transactions commit in another order than their events got their positions."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing, closing, contextmanager
from datetime import timedelta
from itertools import islice
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from research_fsm import checkpoints, feed
from research_fsm.errors import FeedStalled, StoreUnavailable
from research_fsm.feed import follow, follow_async
from research_fsm.storage import RecordedEvent
from research_fsm.stores import postgres_watch
from research_fsm.stores.postgres import PostgresStore
from research_fsm.testing.postgres import PostgresServer
from research_fsm.testing.suites.base import end_of, note, put
from tests.postgres.examples import plain, tell

AT_ONCE = timedelta(0)
ROUNDS, EVENTS = 300, 10


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


def test_a_checkpoint_states_nothing_that_may_change(address: str, store: PostgresStore) -> None:
    """It is made up to where the log is settled, so the log that goes on is still the one that it stated."""
    put(store, end_of("before", 0, note()))
    with writing(address, store, "slow") as slow:
        put(store, end_of("quick", 0, note()))
        with pytest.raises(FeedStalled):
            feed.settled(store, patience=AT_ONCE)
        with ThreadPoolExecutor(1) as other:
            waiting = other.submit(feed.settled, store)
            slow.commit()
            until = waiting.result()
    stated = checkpoints.make(store, until=until)
    assert stated.events == 3
    put(store, end_of("after", 0, note()))
    assert list(checkpoints.differences(store, stated)) == []
    assert checkpoints.make(store, until=until).root == stated.root


def test_a_later_writer_is_not_waited_for(address: str, store: PostgresStore) -> None:
    """Under never-ending writes there is always somebody writing; a follower gets on all the same."""
    with closing(store.watch()) as watch, ExitStack() as writers:
        put(store, end_of("first", 0, note()))
        one = writers.enter_context(writing(address, store, "one"))
        before = watch.extent()
        other = writers.enter_context(writing(address, store, "other"))
        assert watch.extent().settled < before.newest
        one.commit()
        assert watch.extent().settled == before.newest
        assert watch.extent().settled > before.settled
        other.rollback()


def test_a_stall_is_bounded_and_says_who(address: str, store: PostgresStore) -> None:
    """After as long as the follower's patience; it may follow on from the same place, and has missed nothing."""
    put(store, end_of("before", 0, note()))
    events = follow(store, patience=timedelta(milliseconds=20))
    place = next(events).position
    with writing(address, store, "slow") as slow:
        put(store, end_of("quick", 0, note()))
        pid = slow.info.backend_pid
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
    monkeypatch.setattr(store._writers[0], "_notify", b"SELECT 1/0")
    put(store, end_of("a", 0, note()))
    put(store, end_of("a", 1, note()))
    assert [event.version for event in settled(store)] == [1, 2]


def test_behind_a_pooler_the_follower_asks(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a direct address there is nobody to be notified by; with one there is."""
    with PostgresStore(address, prepared=False) as asking, closing(follow(asking)) as events:
        put(asking, end_of("a", 0, note()))
        assert next(events).version == 1
        put(asking, end_of("a", 1, note()))
        assert next(events).version == 2
    monkeypatch.setattr(postgres_watch, "_LISTENING_SECONDS", 3600.0)
    with PostgresStore(address, prepared=False, direct=address) as told, closing(follow(told)) as events:
        writer = threading.Thread(target=put, args=(told, end_of("a", 2, note())))
        assert [next(events).version, next(events).version] == [1, 2]
        writer.start()
        assert next(events).version == 3
        writer.join()


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


def test_a_transaction_in_two_phases_is_waited_for() -> None:
    """Once it is prepared it goes on without a connection, and after a restart of the server under another name."""
    with PostgresServer(max_prepared_transactions="1") as server, PostgresStore(server.address()) as store:
        with closing(store.watch()) as watch:
            with plain(server.address()) as client:
                tell(client, "BEGIN")
                put(store.joined(client), end_of("two phases", 0, note()))
                put(store, end_of("quick", 0, note()))
                assert watch.extent().settled == 0
                tell(client, "PREPARE TRANSACTION 'ours'")
            assert watch.extent().settled == 0
            server.kill()
            server.start()
            with pytest.raises(StoreUnavailable):
                watch.extent()
            assert settled(store) == []
            assert watch.extent().settled == 0
            assert watch.behind() == "a prepared transaction"
            with plain(server.address()) as client:
                tell(client, "COMMIT PREPARED 'ours'")
            assert watch.extent().settled > 0
        assert [event.stream for event in settled(store)] == ["two phases", "quick"]


def test_a_follower_outlives_the_server() -> None:
    """It is killed and started again while somebody follows; nobody has to begin anew."""
    with PostgresServer() as server, PostgresStore(server.address()) as store, closing(follow(store)) as events:
        put(store, end_of("a", 0, note()))
        assert next(events).version == 1
        server.kill()
        with ThreadPoolExecutor(1) as other:
            coming = other.submit(next, events)
            server.start()
            put(store, end_of("a", 1, note()))
            assert coming.result().version == 2


def test_a_server_that_stays_away_is_reported() -> None:
    """After as long as the follower's patience."""
    with PostgresServer() as server, PostgresStore(server.address()) as store:
        put(store, end_of("a", 0, note()))
        with closing(follow(store, patience=timedelta(milliseconds=50))) as events:
            next(events)
            server.stop()
            with pytest.raises(StoreUnavailable):
                next(events)


STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "commit", "abort", "alone", "read"]), st.integers(0, 3)), max_size=24
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schedule=STEPS)
def test_whatever_the_order_of_commits_nothing_is_missed(
    address: str, store: PostgresStore, schedule: list[tuple[str, int]]
) -> None:
    """Several transactions write, commit and abort in any order; what was read in bits is the log, in its order."""
    start = max((event.position for event in store.events()), default=0)
    read: list[RecordedEvent] = []
    with ExitStack() as stack:
        hosts = [stack.enter_context(psycopg.connect(address)) for _ in range(4)]

        def step(what: str, host: psycopg.Connection[tuple[object, ...]]) -> None:
            match what:
                case "write":
                    put(store.joined(host), end_of(str(uuid4()), 0, note(), note()))
                case "commit":
                    host.commit()
                case "abort":
                    host.rollback()
                case "alone":
                    put(store, end_of(str(uuid4()), 0, note()))
                case _:
                    read.extend(settled(store, after=read[-1].position if read else start))

        for what, number in schedule:
            step(what, hosts[number])
        for host in hosts:
            host.commit()
        step("read", hosts[0])
        assert read == list(store.events(after=start))


@pytest.mark.long
def test_a_follower_races_slow_and_fast_writers(address: str, store: PostgresStore) -> None:
    """Two followers, six who write quickly and two whose transactions last, or are aborted; nothing is missed."""

    def quick(number: int) -> None:
        for version in range(ROUNDS):
            put(store, end_of(f"quick {number}", version * EVENTS, *[note()] * EVENTS))

    def slow(number: int) -> None:
        with psycopg.connect(address) as host:
            for version in range(ROUNDS // 20):
                joined = store.joined(host)
                put(joined, end_of(f"slow {number}", version * EVENTS, *[note()] * EVENTS))
                for _ in range(50):
                    tell(host, "SELECT count(*) FROM pg_class")
                host.commit()
                put(store.joined(host), end_of(f"gone {number} {version}", 0, note()))
                host.rollback()

    def everything() -> list[RecordedEvent]:
        expected = 6 * ROUNDS * EVENTS + 2 * (ROUNDS // 20) * EVENTS
        with closing(follow(store)) as events:
            return list(islice(events, expected))

    with ThreadPoolExecutor(10) as pool:
        followers = [pool.submit(everything) for _ in range(2)]
        writers = [pool.submit(quick, number) for number in range(6)] + [pool.submit(slow, number) for number in (0, 1)]
        for writer in writers:
            writer.result()
        log = list(store.events())
        assert [follower.result() for follower in followers] == [log, log]
