"""Two connections write: who stands in which line, and that they meet only in the database."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pytest

from research_fsm.errors import StoreError
from research_fsm.storage import Query, StreamWrite, View, Write
from research_fsm.stores.postgres import PostgresStore
from research_fsm.testing.postgres import PostgresServer
from tests.postgres.examples import appending, end, notes

MANY = 16


@pytest.fixture
def store(server: PostgresServer, schema: str) -> Iterator[PostgresStore]:
    """Open an empty store."""
    with PostgresStore(server.address(), schema=schema) as opened:
        yield opened


class Held:
    """A rule that keeps its line waiting until it is let go; the callers behind it are `MANY`."""

    def __init__(self, store: PostgresStore, pool: ThreadPoolExecutor, stream: str) -> None:
        self._store, self._pool, self._stream = store, pool, stream
        self.entered, self.released = threading.Event(), threading.Event()

    def rule(self, _view: View, _now: int) -> Write[int]:
        """Wait, and append."""
        self.entered.set()
        self.released.wait()
        return Write(answer=1, streams=(end(self._stream, 0, 1),))

    def followed_by(self, streams: list[str]) -> "list[Future[int]]":
        """Enter the line, and let others stand behind."""
        query = Query(streams=(self._stream,))
        first = self._pool.submit(self._store.transact, query, self.rule)
        self.entered.wait()
        return [first, *self._behind(streams)]

    def _behind(self, streams: list[str]) -> "Iterator[Future[int]]":
        for number, stream in enumerate(streams, 2):
            yield self._pool.submit(partial(self._store.transact, *appending(stream, 1)))
            while self._store._writers[0].callers.length() < number:
                pass


def test_behind_a_long_line_another_connection_writes(store: PostgresStore) -> None:
    """The seventeenth is answered while sixteen still wait for the first of them."""
    with ThreadPoolExecutor(MANY + 1) as pool:
        held = Held(store, pool, "a")
        waiting = held.followed_by([f"b{number}" for number in range(MANY - 1)])
        try:
            assert store.transact(*appending("c", 1)) == 1
            assert not any(future.done() for future in waiting)
        finally:
            held.released.set()
        assert [future.result() for future in waiting] == [1] * MANY


def test_callers_of_one_row_stand_in_one_line(store: PostgresStore) -> None:
    """On two connections they would wait for each other's commit; together they are committed once."""
    query, link = Query(streams=tuple(f"d{number}" for number in range(MANY))), "shared"
    heads = [
        StreamWrite(
            stream=name, expected=0, events=end(name, 0, 1).events, state=b"{}", fold=1, link=link, tag="", due=None
        )
        for name in query.streams
    ]
    store.transact(query, lambda _view, _now: Write(answer=1, streams=(end(link, 0, 1), *heads)))
    first = store._writers[0].callers
    with ThreadPoolExecutor(MANY + 1) as pool:
        held = Held(store, pool, "a")
        waiting = held.followed_by(list(query.streams[1:]))
        held.released.set()
        for future in waiting:
            future.result()
        held = Held(store, pool, "e")
        waiting = held.followed_by([f"f{number}" for number in range(MANY - 1)])
        try:
            assert store._line() is first
        finally:
            held.released.set()
        for future in waiting:
            future.result()


@pytest.mark.parametrize("number", [0, 1])
def test_a_rule_that_uses_the_store_is_refused_in_either_line(store: PostgresStore, number: int) -> None:
    """It would be decided inside another decision, and wait for rows that its own batch has locked."""
    query, append = appending("a", 1)

    def impure(view: View, now: int) -> Write[int]:
        store.transact(*appending("a", 2))
        return append(view, now)

    with pytest.raises(StoreError, match="a rule is pure"):
        store._writers[number].callers.call(query, impure)
    assert notes(store, "a") == []
