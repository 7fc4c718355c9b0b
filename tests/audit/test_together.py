"""Shares of a log: together they find what one look finds, whoever follows which stream, and of one point in time."""

import multiprocessing
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from research_fsm import Profile, Runs, audit, audit_together
from research_fsm.audit_streams import Share
from research_fsm.errors import StoreUnavailable
from research_fsm.laws import Erased
from research_fsm.stores.sqlite import SQLiteStore
from tests.audit.test_tampered import TAMPERED, Forger, forger, whole

__all__ = ["forger", "whole"]  # The fixtures that this module takes over.

WAIT = timedelta(seconds=5)


@pytest.mark.parametrize("of", [2, 5])
@pytest.mark.parametrize("edit", sorted(TAMPERED))
def test_all_shares_find_what_one_look_finds(forger: Forger, edit: str, of: int, tmp_path: Path) -> None:
    """Each finding once, however a person and the account that pays are parted."""
    TAMPERED[edit][0](forger)
    with SQLiteStore(tmp_path / "log.db") as store:
        shares = [finding for number in range(of) for finding in audit.verify(store, share=Share(number, of))]
        assert Counter(shares) == Counter(audit.verify(store))


def test_processes_verify_a_file(forger: Forger, whole: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    """Their findings, who was erased and how far they are come back; nothing is found in a whole log."""
    steps, erased = list[int](), list[Erased]()
    assert audit_together.verify_file(whole[0], WAIT, 2, steps.append, erased.append) == []
    assert [one.person_id for one in erased] == [whole[1]["cy"]]
    with SQLiteStore(whole[0]) as store:
        assert sum(steps) == sum(1 for _ in store.events())
    forger.change("ada", "RunStarted", cost=7)
    with SQLiteStore(tmp_path / "log.db") as store:
        expected = Counter(audit.verify(store))
    assert Counter(audit_together.verify_file(tmp_path / "log.db", WAIT, 3)) == expected
    assert multiprocessing.active_children() == []


def test_what_goes_wrong_in_a_process_is_raised_here(tmp_path: Path) -> None:
    """As if it had been opened here; no process is left behind."""
    with pytest.raises(StoreUnavailable, match="no file here"):
        audit_together.verify_file(tmp_path / "nothing.db", WAIT, 2)
    assert multiprocessing.active_children() == []


class _Scripted:
    """A process that sees what it is told to, one look after the other."""

    def __init__(self, *seen: int) -> None:
        self._seen = list(seen)
        self.told: list[Share | None] = []

    def recv(self) -> int:
        return self._seen.pop(0)

    def send(self, said: Share | None) -> None:
        self.told.append(said)


def test_a_log_that_is_written_meanwhile_is_opened_again() -> None:
    """Until all see the same; then each has its share."""
    first, second = _Scripted(4, 5), _Scripted(5, 5)
    assert audit_together._agreed([first, second]) == [first, second]  # type: ignore[comparison-overlap, list-item]
    assert (first.told, second.told) == ([None, Share(0, 2)], [None, Share(1, 2)])


def test_a_log_that_is_written_all_the_time_is_verified_by_one() -> None:
    """Rather than never, or of two points in time."""
    first, second = _Scripted(*range(0, 42, 2)), _Scripted(*range(1, 43, 2))
    assert audit_together._agreed([first, second]) == [first]  # type: ignore[comparison-overlap, list-item]
    assert first.told[-1] == Share(0, 1)
    assert set(second.told) == {None}


def test_a_store_in_use_is_verified_as_it_is_at_one_moment(tmp_path: Path) -> None:
    """A store that is open and was written to a moment ago, its events still in the write-ahead log."""
    with SQLiteStore(tmp_path / "log.db") as store:
        runs = Runs(store)
        runs.grant("acme", 5)
        runs.start(runs.add("acme", Profile(linkedin_url="linkedin.com/in/ada")).accepted().person_id)
        assert audit_together.verify_file(tmp_path / "log.db", WAIT, 2) == []
