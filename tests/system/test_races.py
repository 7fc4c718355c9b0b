"""64 callers in 4 processes fire at the same moment, against a real server, with an independent reader afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

from research_fsm import Profile, Runs
from research_fsm.audit import verify
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.worker import Worker
from tests.system.program import LEASES, Server, calling, fire, serving, until
from tests.system.recount import recount

CALLERS = 64
OWNER = "acme"


@frozen
class House:
    """A store in a file, somebody who may use it, and the library beside the server."""

    path: Path
    runs: Runs
    token: str

    def add(self) -> str:
        """Add an idle person, and return the id."""
        profile = Profile(first_name="Ada", last_name="Lovelace", company="Analytical Engines")
        return self.runs.add(OWNER, profile).accepted().person_id

    def found(self) -> list[str]:
        """Return everything that is wrong, by our own audit and by the independent reader."""
        return [str(finding) for finding in verify(self.runs.store)] + list(recount(self.path).problems)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Make a store without credits."""
    path = tmp_path / "research.db"
    with SQLiteStore(path) as store:
        runs = Runs(store)
        yield House(path, runs, runs.tokens.create(OWNER).secret)


@pytest.fixture
def server(house: House) -> Iterator[Server]:
    """Serve the house without a worker."""
    with serving(house.path, *LEASES) as listening:
        yield listening


def test_one_caller_wins_in_every_round(house: House, server: Server) -> None:
    """Of 64 callers one is told 200 and 63 are told 409, one credit is gone, round after round."""
    house.runs.grant(OWNER, 10)
    for round_number in range(1, 4):
        assert fire(server, house.token, [house.add()]) == {200: 1, 409: CALLERS - 1}
        counted = recount(house.path)
        assert (counted.runs, counted.charged, counted.holds) == (round_number, round_number, 0)
    assert house.found() == []


def test_nobody_wins_without_credits(house: House, server: Server) -> None:
    """With balance 0 every caller is told 402, and nothing is appended."""
    person_id = house.add()
    before = house.runs.history(person_id)
    assert fire(server, house.token, [person_id]) == {402: CALLERS}
    assert house.runs.history(person_id) == before
    assert house.found() == []


def test_one_credit_starts_one_of_many_people(house: House, server: Server) -> None:
    """With balance 1 and 8 people, one caller wins; the others of that person hear 409, all others 402."""
    house.runs.grant(OWNER, 1)
    people = [house.add() for _ in range(8)]
    assert fire(server, house.token, people) == {200: 1, 409: 7, 402: 56}
    counted = recount(house.path)
    assert (counted.runs, counted.charged) == (1, 1)
    assert house.found() == []


def test_a_failed_person_is_started_once(house: House, server: Server) -> None:
    """A failed person is there for one of the callers; one refused for lack of credits stays failed."""
    house.runs.grant(OWNER, 1)
    person_id = house.add()
    house.runs.start(person_id).accepted()

    def failing(_: object) -> dict[str, object]:
        raise ValueError("as asked")

    assert Worker(house.runs, failing).run_once()
    assert fire(server, house.token, [person_id]) == {402: CALLERS}
    assert str(getattr(house.runs.person(person_id), "status", None)) == "failed"
    house.runs.grant(OWNER, 5)
    assert fire(server, house.token, [person_id]) == {200: 1, 409: CALLERS - 1}
    assert house.found() == []


def test_a_server_killed_in_the_middle_of_it_loses_and_doubles_nothing(house: House) -> None:
    """``kill -9`` while 64 callers start 16 people: what was told 200 is queued, and each person runs at most once."""
    house.runs.grant(OWNER, 200)
    for _ in range(3):
        people = [house.add() for _ in range(16)]
        with serving(house.path, *LEASES) as listening, calling(listening, house.token, people) as callers:
            before = recount(house.path).runs
            callers.go()
            until(lambda before=before: recount(house.path).runs > before, "a run was started")  # type: ignore[misc]  # Bound.
            listening.process.kill()
            answers = callers.answers()
        counted = recount(house.path)
        assert answers[200] <= counted.runs - before <= len(people)
        assert counted.charged == counted.runs
        assert counted.holds == 0
        assert house.found() == []
    assert Worker(house.runs, lambda _: {"found": "much"}).run_once()
