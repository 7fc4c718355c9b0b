"""A file in use is read as it was at one moment, and not a byte of it is changed."""

from datetime import timedelta
from pathlib import Path

import pytest

from research_fsm import Runs
from research_fsm.audit import verify
from research_fsm.errors import StoreForeign, StoreUnavailable
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.stores.sqlite_evidence import evidence

WAIT = timedelta(seconds=1)


def test_what_is_written_meanwhile_is_not_seen(tmp_path: Path) -> None:
    """Everything that verify asks for is of the moment at which the file was opened."""
    with SQLiteStore(tmp_path / "log.db") as store:
        runs = Runs(store)
        runs.grant("acme", 1)
        with evidence(tmp_path / "log.db", WAIT) as log:
            runs.grant("beta", 2)
            assert [one.stream for one in log.events()] == ["account:acme"]
            assert list(verify(log)) == []
        assert len(list(store.events())) == 2


def test_a_closed_file_keeps_its_bytes(tmp_path: Path) -> None:
    """Looking neither migrates nor changes a file, though it may be written."""
    with SQLiteStore(tmp_path / "log.db") as store:
        Runs(store).grant("acme", 1)
    before = (tmp_path / "log.db").read_bytes()
    with evidence(tmp_path / "log.db", WAIT) as log:
        assert list(verify(log)) == []
    assert (tmp_path / "log.db").read_bytes() == before


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    """A missing file is not made, and another program's is named as such."""
    with pytest.raises(StoreUnavailable), evidence(tmp_path / "none.db", WAIT):
        pass
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "other.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreForeign), evidence(tmp_path / "other.db", WAIT):
        pass
