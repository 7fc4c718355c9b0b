"""A store that the first version with a file wrote: today's code verifies, explains, exports and goes on with it.

``tests/golden/first_store.sql`` has two owners, eight people and every event there is, in the forms of that day: the
digest of a request key had another name, in the events and in the heads.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from research_fsm import Runs, as_of, audit, codec, explain, exported, imported, page
from research_fsm.as_of import AtVersion
from research_fsm.audit.states import verify_states
from research_fsm.compare import ThisVersion, compare
from research_fsm.laws import Erased
from research_fsm.lifecycle import Status
from research_fsm.outcomes import AlreadyRunning
from research_fsm.storage import Reader
from research_fsm.stores.memory import MemoryStore
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.stores.sqlite_evidence import evidence
from research_fsm.worker import Worker
from tests.core.test_golden import GOLDEN

ADA, BOB, CY, DEE, EVE, FAY, GUS, HAL = (
    "37c256c9-4b0c-40f5-9215-05f186b2a6a6",
    "5fe96ba1-5018-4b38-a58d-9f5730ef6c5e",
    "71740322-3076-4ee7-8848-db8ae1df8bfe",
    "4f20364d-cbce-4d41-b806-8fe9bc431ce2",
    "15947268-8681-4e5a-b224-fe5676a498ca",
    "1b978655-0e7c-4611-9fdc-4460705655d6",
    "f9f1fb5b-e043-4320-bd60-7d0f37e74cc6",
    "f8506849-c3bc-49d9-8333-8be8c9b9c29f",
)


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """The file, made anew."""
    path = tmp_path / "first.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((GOLDEN / "first_store.sql").read_text(encoding="utf-8"))
    return path


@pytest.fixture
def log(first: Path) -> Iterator[Reader]:
    """The file as evidence, which today's code does not change."""
    with evidence(first, timedelta(seconds=5)) as reader:
        yield reader


def test_it_has_every_event_and_another_form_of_one(log: Reader) -> None:
    """What the test is about is in the file."""
    assert {one.type for one in log.events()} == set(codec.SCHEMAS)
    assert all("request" in json.loads(one.data) for one in log.events() if one.type == "RunStarted")
    assert all(head.fold < codec.FOLD for head in log.heads())


def test_it_is_whole(log: Reader) -> None:
    """Every law is kept, and who was erased is said."""
    erased = list[Erased]()
    assert list(audit.verify(log, erased=erased.append)) == []
    assert [(one.person_id, one.actor) for one in erased] == [(CY, "the data protection officer")]
    assert list(verify_states(log)) == []


def test_everybody_is_explained(log: Reader) -> None:
    """In sentences, now and after each event of theirs."""
    for person_id in (ADA, BOB, CY, DEE, EVE, FAY, GUS, HAL):
        for point in (None, *(AtVersion(one.version) for one in log.events(f"person:{person_id}"))):
            told = explain.explain(log, person_id, point)
            assert isinstance(told, explain.Explanation)
            assert told.sentences
    assert as_of.balance(log, "acme").available == 4
    assert as_of.person(log, ADA, AtVersion(6)).state.status is Status.IDLE


def test_it_is_exported_and_imported_hash_for_hash(log: Reader) -> None:
    """Today's file of lines holds the old forms as they were hashed, and so does a store made of it."""
    lines = list(exported.export(log, with_documents=True))
    stores = list[MemoryStore]()

    def opened(clock: object) -> MemoryStore:
        stores.append(MemoryStore(clock))  # type: ignore[arg-type]  # It is a clock.
        return stores[0]

    imported.load(lines, opened)
    assert [(one.data, one.hash) for one in stores[0].events()] == [(one.data, one.hash) for one in log.events()]
    assert list(audit.verify(stores[0])) == []


def test_it_is_shown_and_compared(log: Reader) -> None:
    """The page knows everybody's runs although their heads are of an older fold, and two replays agree."""
    text = page.render(log)
    overview = json.loads(text.split('id="overview">')[1].split("</script>")[0])
    assert {row[0]: row[6] for row in overview["people"]}[FAY] == 2
    assert list(compare(log, ThisVersion())) == []


def test_life_goes_on(first: Path) -> None:
    """A store that is opened today reads everybody, starts whoever may be started, and is still whole."""
    with SQLiteStore(first) as store:
        runs = Runs(store)
        assert [one.person_id for one in runs.people("acme").people] == [HAL, GUS, FAY, BOB, ADA]
        assert Worker(runs, lambda _: {"found": "late"}).run_once()
        assert runs.start(EVE).accepted().run_no == 1
        assert runs.start(BOB).accepted().run_no == 2
        assert isinstance(runs.start(BOB, key="again"), AlreadyRunning)
        runs.erase(ADA).accepted()
        runs.grant("acme", 1)
        assert list(audit.verify(store)) == []
