"""Runs that are handed to an outside engine from the command line, over real sockets, to a fake Trigger.dev."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from research_fsm import Policy, Runs, Unresolved
from research_fsm.dispatchers.trigger_dev import TriggerDev
from research_fsm.stores.memory import wall_clock
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.testing.engine import FakeEngine, Fault, ttl
from research_fsm.testing.engine_http import serve
from tests.cli.conftest import Program

OUTSIDE = ("--dispatcher", "trigger", "--public-url", "https://research.example/api")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """Serve a fake engine, and say where it is as its own tools do."""
    made = FakeEngine(wall_clock)
    with serve(made) as url:
        monkeypatch.setenv("TRIGGER_API_URL", url)
        monkeypatch.setenv("TRIGGER_SECRET_KEY", made.secret_key)
        yield made


def test_a_start_is_handed_to_the_engine(program: Program, engine: FakeEngine) -> None:
    """The engine has the run, with where to call back and no personal data; the credit is charged."""
    program("grant", "acme", 1)
    person_id = program.person()
    assert program.json("start", person_id, *OUTSIDE)["outcome"] == "queued"
    (run,) = engine.runs
    assert run.payload["person_id"] == person_id
    assert run.payload["callback"]["url"].startswith("https://research.example/api/deep-research/runs/")
    assert program.json("balance", "acme")["charged"] == 1
    assert program.json("status", person_id)["phase"] == "queued"


def test_a_start_has_the_policy_that_recovery_has(program: Program, engine: FakeEngine) -> None:
    """The first attempt and one that recovery sends again expire at the same time: they have to be the same bytes."""
    program("grant", "acme", 1)
    settings = {"RESEARCH_FSM_QUEUE_DEADLINE": "20m"}
    assert program("start", program.person(), *OUTSIDE, env=settings).exit_code == 0
    (run,) = engine.runs
    assert ttl(run.options["ttl"]) == timedelta(minutes=20)


def test_a_lost_answer_is_unresolved_and_done(program: Program, engine: FakeEngine) -> None:
    """Nobody knows yet whether the engine has it: exit code 0, the person is running, the credit is held."""
    program("grant", "acme", 1)
    person_id = program.person()
    engine.script(Fault.ANSWER_LOST)
    assert program.json("start", person_id, *OUTSIDE)["outcome"] == "unresolved"
    assert program.json("balance", "acme")["held"] == 1


def test_a_refusal_is_rolled_back(program: Program, engine: FakeEngine) -> None:
    """The engine's own lack of credits is exit code 6, the person is idle, nothing was charged."""
    program("grant", "acme", 1)
    person_id = program.person()
    engine.script(Fault.OUT_OF_CREDITS)
    assert program.json("start", person_id, *OUTSIDE, code=6)["error"] == "dispatch_failed"
    assert program.json("status", person_id)["status"] == "idle"
    assert program.json("balance", "acme")["available"] == 1


def test_recovery_finds_what_the_engine_has(program: Program, engine: FakeEngine) -> None:
    """Once the attempt's lease is over, a pass asks the engine, and adopts its run instead of sending another."""
    program("grant", "acme", 1)
    person_id = program.person()
    engine.script(Fault.ANSWER_LOST)
    short = Policy(attempt_lease=timedelta(microseconds=1))
    with SQLiteStore(program.store) as store, TriggerDev.from_environment(public_url=OUTSIDE[-1]) as outside:
        assert isinstance(Runs(store, outside, policy=short).start(person_id), Unresolved)
    assert program.json("recover", *OUTSIDE)["recovered"] == [
        {"person_id": person_id, "run_no": 1, "action": "adopted"}
    ]
    assert program.json("status", person_id)["phase"] == "queued"
    assert len(engine.runs) == 1


def test_an_erasure_cancels_the_engine_run(program: Program, engine: FakeEngine) -> None:
    """What the engine still does for an erased person is stopped."""
    program("grant", "acme", 1)
    person_id = program.person()
    program("start", person_id, *OUTSIDE)
    assert program("erase", person_id, *OUTSIDE).exit_code == 0
    assert [str(run.status) for run in engine.runs] == ["CANCELED"]


def test_the_doctor_asks_the_engine(program: Program, engine: FakeEngine) -> None:
    """A key that opens nothing is a problem, found before the first customer does."""
    program("grant", "acme", 1)
    assert program("doctor", *OUTSIDE).exit_code == 0
    engine.script_reads(Fault.UNAUTHORIZED)
    checks = program.json("doctor", *OUTSIDE, code=1)
    assert [one["check"] for one in checks if one["verdict"] == "problem"] == ["engine access"]


def test_an_engine_needs_an_address_to_call_back(program: Program) -> None:
    """Without --public-url, or without a key, nothing is started: exit code 2, and no store is made."""
    no_key = {"TRIGGER_SECRET_KEY": "", "TRIGGER_ACCESS_TOKEN": ""}
    assert program("recover", "--dispatcher", "trigger").exit_code == 2
    assert program.json("recover", *OUTSIDE, code=2, env=no_key)["field"] == "TRIGGER_SECRET_KEY"
    assert not program.store.exists()


def test_the_doctor_names_a_setting_that_cannot_work(program: Program) -> None:
    """A missing key is one problem among the other things that were looked at."""
    program("grant", "acme", 1)
    no_key = {"TRIGGER_SECRET_KEY": "", "TRIGGER_ACCESS_TOKEN": ""}
    checks = program.json("doctor", *OUTSIDE, code=1, env=no_key)
    assert [one["check"] for one in checks if one["verdict"] == "problem"] == ["engine settings"]
