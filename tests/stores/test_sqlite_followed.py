"""Following a file that may not be written to: its writers come and go, and nothing is missed."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from research_fsm import Runs, feed
from research_fsm.errors import StoreForeign, StoreUnavailable
from research_fsm.storage import RecordedEvent
from research_fsm.stores import sqlite_evidence
from research_fsm.stores.evidence import followed
from research_fsm.stores.sqlite import SQLiteStore

WAIT = timedelta(seconds=5)


def _grant(path: Path, grant_id: str) -> None:
    """Be a service that comes, writes an event and goes."""
    with SQLiteStore(path) as store:
        Runs(store).grant("acme", 1, grant_id=grant_id)


@contextmanager
def _following(path: Path) -> Iterator[Iterator[RecordedEvent]]:
    with followed(str(path), WAIT) as log, closing(feed.follow(log)) as events:
        yield events


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of one event that nobody uses."""
    _grant(tmp_path / "research.db", "first")
    return tmp_path / "research.db"


def _kept(path: Path) -> None:
    """Leave it as it is."""


def _plain(path: Path) -> None:
    """Take its write-ahead log from it, as VACUUM INTO does."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize("prepare", [_kept, _plain])
def test_whoever_comes_to_write_is_followed(
    path: Path, monkeypatch: pytest.MonkeyPatch, prepare: object, *, writable: bool
) -> None:
    """While services come and go, whatever the file was before, and whether the follower may write beside it or not."""
    monkeypatch.setattr(sqlite_evidence, "_may_write_in", lambda _: writable)
    assert callable(prepare)
    prepare(path)
    with _following(path) as events:
        assert b"first" in next(events).data
        for name in ("second", "third"):
            _grant(path, name)
            assert name.encode() in next(events).data
        with SQLiteStore(path) as store:
            Runs(store).grant("acme", 1, grant_id="fourth")
            assert b"fourth" in next(events).data
            Runs(store).grant("acme", 1, grant_id="fifth")
            assert b"fifth" in next(events).data


def test_a_follower_keeps_no_writer_waiting(path: Path) -> None:
    """Between two looks it holds no lock: a service that must switch the journal mode can."""
    _plain(path)
    with _following(path) as events:
        next(events)
        with SQLiteStore(path, busy_timeout=timedelta(0)) as store:
            Runs(store).grant("acme", 1)


def test_nothing_is_followed_where_there_is_no_store(path: Path) -> None:
    """An empty database stays one, and another program's is left alone."""
    with closing(sqlite3.connect(path.with_name("empty.db"))) as connection:
        connection.execute("PRAGMA user_version = 7")
    with closing(sqlite3.connect(path.with_name("other.db"))) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreUnavailable, match="no store here"), _following(path.with_name("empty.db")):
        pass
    with pytest.raises(StoreForeign), _following(path.with_name("other.db")):
        pass
    with pytest.raises(StoreUnavailable, match="may be read"), _following(path.with_name("none.db")):
        pass
