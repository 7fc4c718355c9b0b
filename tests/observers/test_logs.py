"""Structured logs: a record for each command and attempt, with its facts as attributes, and no personal data."""

import json
import logging
from collections.abc import Iterator

import pytest

from research_fsm import Profile, Runs
from research_fsm.errors import StoreBusy
from research_fsm.observers.logs import Logs
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.scripted import ScriptedDispatcher
from tests.observers import marked

OWNER = "acme"
ADA = Profile(linkedin_url="linkedin.com/in/ada")
FACTS = ("command", "outcome", "person_id", "run_id", "run_no")


class Kept(logging.Handler):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.records.append(record)


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Iterator[list[logging.LogRecord]]:
    """Everything that this library writes."""
    kept, logger = Kept(), logging.getLogger("research_fsm")
    logger.addHandler(kept)
    with caplog.at_level(logging.DEBUG, "research_fsm"):
        yield kept.records
    logger.removeHandler(kept)


def test_a_start_is_two_records(records: list[logging.LogRecord]) -> None:
    """The attempt and the command, each with the person, the run and what it came to."""
    runs = Runs(MemoryStore(), ScriptedDispatcher(), observers=[Logs()])
    runs.grant(OWNER, 1)
    answer = runs.create(OWNER, ADA).accepted()
    person_id, run_id = answer.person_id, answer.start.run_id
    assert [[getattr(record, name) for name in FACTS] for record in records[1:]] == [
        ["attempt", "accepted", person_id, run_id, 1],
        ["create", "Queued", person_id, run_id, 1],
    ]
    assert [record.getMessage() for record in records[1:]] == [
        f"attempt: accepted, run {run_id}",
        f"create: Queued, person {person_id}, run 1",
    ]
    assert {record.name for record in records} == {"research_fsm.observers"}
    assert {record.levelno for record in records} == {logging.INFO}


def test_what_came_to_nothing_is_for_debugging(records: list[logging.LogRecord]) -> None:
    """An idle worker fills no log."""
    Runs(MemoryStore(), observers=[Logs()]).take()
    assert [(record.levelno, record.getMessage()) for record in records] == [(logging.DEBUG, "take: QueueEmpty")]


def test_an_error_is_an_error_by_its_name(records: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its text, which may have anything in it."""
    store = MemoryStore()

    def transact(*_: object) -> None:
        raise StoreBusy("/srv/place.db", "Ada waits")

    monkeypatch.setattr(store, "transact", transact)
    with pytest.raises(StoreBusy):
        Runs(store, observers=[Logs()]).grant(OWNER, 1)
    (record,) = records
    assert (record.levelno, record.getMessage(), record.exc_info) == (logging.ERROR, "grant: raised StoreBusy", None)


def test_another_logger_may_be_named() -> None:
    """And a formatter of the host's writes the facts as it likes."""
    logger, kept = logging.getLogger("host"), Kept()
    logger.setLevel(logging.INFO)
    logger.addHandler(kept)
    Runs(MemoryStore(), observers=[Logs(logger)]).start("00000000-0000-4000-8000-00000000dead")
    logger.removeHandler(kept)
    (line,) = [json.dumps({name: vars(record)[name] for name in FACTS}) for record in kept.records]
    assert json.loads(line)["outcome"] == "PersonNotFound"


def test_marked_people_stand_in_no_record(records: list[logging.LogRecord]) -> None:
    """Neither who they are nor what was found, nor why it failed, nor who asked, nor the key."""
    runs = Runs(MemoryStore(), marked.engine(), observers=[Logs()])
    runs.erase(marked.lived(runs).person_id)
    written = "".join(repr(vars(record)) + logging.Formatter().format(record) for record in records)
    assert "Queued" in written
    assert marked.marks_in(written) == []
