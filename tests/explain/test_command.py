"""``research-fsm explain``: sentences on a terminal, the same facts as JSON."""

from pathlib import Path

import pytest

import research_fsm
from research_fsm import Policy
from tests.cli.conftest import Program, elsewhere, program

__all__ = ["elsewhere", "program"]


def test_it_prints_the_sentences(program: Program) -> None:
    """Each on a line, never cut."""
    person_id = program.complete()
    lines = program("explain", person_id).stdout.splitlines()
    assert len(lines) == len(program.json("explain", person_id)["sentences"])
    assert f"person {person_id} of acme is complete" in lines[0]
    assert lines[-1].startswith("Recovery has nothing to do here")


def test_it_prints_the_facts_as_json(program: Program) -> None:
    """Times as RFC 3339; the answer of a start by its name."""
    person_id = program.person()
    found = program.json("explain", person_id)
    assert (found["status"], found["past"], found["because"]["actor"]) == ("idle", False, "cli")
    assert found["start"] == {"answer": "InsufficientCredits", "balance": 0, "required": 1, "run": None}
    assert found["since"] == found["because"]["at"]
    assert found["since"].endswith("Z")


def test_it_takes_one_point_of_the_past(program: Program) -> None:
    """By time, by version or by position; two of them are a mistake, a malformed one as well."""
    person_id = program.complete()
    added = program.json("explain", person_id, "--version", 1)
    assert added["status"] == "idle"
    assert program.json("explain", person_id, "--at", added["as_of"])["status"] == "idle"
    assert program.json("explain", person_id, "--position", added["latest"]["position"])["past"]
    assert program("explain", person_id, "--version", 1, "--position", 1).exit_code == 2
    assert program("explain", person_id, "--at", "yesterday").exit_code == 2
    assert program("explain", person_id, "--at", "1999-01-01T00:00:00Z").exit_code == 5


@pytest.mark.parametrize("cost", [1, 7])
def test_it_answers_under_the_settings_that_are_named(program: Program, cost: int) -> None:
    """The price of a run is in no log."""
    program("grant", "acme", 5)
    answer = program.json("explain", program.person(), "--cost", cost)["start"]
    assert (answer["required"], answer["answer"]) == (cost, "Queued" if cost <= 5 else "InsufficientCredits")
    assert Policy().cost == 1


def test_credits_and_reports_are_shown_as_they_were(program: Program) -> None:
    """A balance by the account's version or a time; a report until it was erased, and then who erased it."""
    person_id = program.complete()
    assert program.json("balance", "acme", "--version", 1)["available"] == 5
    assert program.json("balance", "acme", "--version", 2)["held"] == 1
    assert program.json("balance", "acme")["available"] == 4
    reported = program.json("report", person_id)["generated_at"]
    assert program.json("report", person_id, "--at", reported)["version"] == 1
    assert program.json("report", person_id, "--version", 1) is None
    assert program("balance", "acme", "--version", 1, "--at", reported).exit_code == 2
    program("erase", person_id)
    gone = program.json("report", person_id, "--at", reported, code=5)
    assert (gone["report"], gone["version"], gone["erased_by"]) == (None, 1, "cli")
    words = f"report 1 of person {person_id} was erased on {gone['erased_at']} by cli\n"
    assert program("report", person_id, "--at", reported).stdout == words
    assert program("report", person_id).exit_code == 5


def test_a_status_is_shown_as_it_was(program: Program) -> None:
    """By a moment, a version or a position; before the person was added there is nobody."""
    person_id = program.complete()
    now = program.json("status", person_id)
    assert now["status"] == "complete"
    last = [one for one in program.json("history", person_id) if one["stream"] == f"person:{person_id}"][-1]["version"]
    assert program.json("status", person_id, "--version", last) == now
    assert program.json("status", person_id, "--version", 99, code=2)["field"] == "version"
    assert program.json("status", person_id, "--version", 1)["status"] == "idle"
    running = next(one for one in program.json("history", person_id) if one["type"] == "RunClaimed")
    assert program.json("status", person_id, "--position", running["position"])["phase"] == "executing"
    assert program.json("status", person_id, "--at", running["at"])["status"] == "running"
    assert program.json("status", person_id, "--version", 0, code=5)["error"] == "not_found"
    assert program("status", person_id, "--version", 1, "--position", 1).exit_code == 2


def test_what_an_auditor_looks_with_changes_no_byte(program: Program, tmp_path: Path) -> None:
    """The store is opened as evidence: the page, a copy for SQL, an explanation and a comparison are made."""
    person_id = program.complete()
    folder = tmp_path / "evidence"
    folder.mkdir()
    copy = Program(folder / "copy.db")
    program("backup", copy.store)
    before = {one.name: one.read_bytes() for one in folder.iterdir()}
    for words in (
        ("page", "--html", tmp_path / "page.html"),
        ("views", "--out", tmp_path / "views.db"),
        ("explain", person_id),
        ("compare", "--with", Path(research_fsm.__file__).parent.parent),
    ):
        assert copy(*words).exit_code == 0
    after = {one.name: one.read_bytes() for one in folder.iterdir() if not one.name.endswith(("-wal", "-shm"))}
    assert after == before
