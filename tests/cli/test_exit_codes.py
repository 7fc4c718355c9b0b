"""Every exit code, each from the situation that it stands for."""

import json
import sqlite3
from pathlib import Path
from uuid import uuid4

import pytest

from research_fsm import Runs
from research_fsm.cli import cli
from research_fsm.cli.exits import MEANINGS, Exit, epilog, of_answer
from research_fsm.events import AttemptResult
from research_fsm.outcomes import Queued, Unresolved
from tests.cli.conftest import Engine, Program


def _answered(program: Program, result: AttemptResult) -> str:
    """Start a person at an outside engine under the key ``k``; return the person's id."""
    program("grant", "acme", 5)
    person_id = program.person()
    with program.runs() as inside:
        Runs(inside.store, Engine(result)).start(person_id, key="k")
    return person_id


def test_the_numbers_are_the_documented_ones() -> None:
    """Scripts depend on the numbers: they never change."""
    assert {code.name: code.value for code in Exit} == {
        "DONE": 0,
        "FINDINGS": 1,
        "USAGE": 2,
        "ALREADY_RUNNING": 3,
        "INSUFFICIENT_CREDITS": 4,
        "NOT_FOUND": 5,
        "ROLLED_BACK": 6,
        "STORE_ERROR": 7,
        "BUSY": 75,
        "INTERRUPTED": 130,
    }


def test_done_is_0(program: Program) -> None:
    """What was carried out ends with 0."""
    assert program("grant", "acme", 5).exit_code == 0


def test_unresolved_is_0(program: Program) -> None:
    """A start whose dispatch is still ambiguous is done as far as the caller is concerned."""
    person_id = _answered(program, AttemptResult.AMBIGUOUS)
    told = program.json("start", person_id, "--key", "k", code=0)
    assert told["outcome"] == "unresolved"
    assert told["run_no"] == 1


def test_findings_are_1(program: Program) -> None:
    """A log that somebody edited has findings."""
    program.complete()
    with sqlite3.connect(program.store) as edited:
        edited.execute("DROP TRIGGER events_no_update")
        edited.execute("UPDATE events SET at = at + 1 WHERE type = 'RunStarted'")
    edited.close()
    assert program("verify").exit_code == 1


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("grant", "acme"),
        ("grant", "acme", "many"),
        ("grant", "acme", "0"),
        ("grant", "", "5"),
        ("status", "--nonsense"),
        ("start", "not-a-uuid"),
        ("add", "acme", "--first-name", "Ada"),
        ("add", "acme", "--linkedin-url", "https://example.com/ada"),
        ("add", "acme", "--from", "missing.csv"),
        ("recover", "--run-deadline", "10"),
        ("recover", "--worker-lease", "1s"),
        ("work", "--pipeline", "nowhere:run"),
    ],
)
def test_bad_usage_and_bad_input_are_2(program: Program, words: tuple[str, ...]) -> None:
    """What the caller has to correct ends with 2, and says why on standard error alone."""
    result = program(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr
    if program.store.exists():
        with program.runs() as runs:
            assert not list(runs.store.events())


@pytest.mark.parametrize("command", ["status", "report", "history", "start", "mark-stale", "erase"])
def test_a_malformed_id_is_2_and_said(program: Program, command: str) -> None:
    """An id that is no UUID is bad input, and the message shows it."""
    program("grant", "acme", 5)
    result = program(command, "1234")
    assert result.exit_code == Exit.USAGE
    assert "person_id: must be a UUID, not '1234'" in result.stderr


def test_a_key_of_another_request_is_2(program: Program) -> None:
    """A request key cannot be used for another person."""
    program("grant", "acme", 5)
    program("start", program.person(), "--key", "k")
    told = program.json("start", program.person(), "--key", "k", code=2)
    assert told == {"error": "idempotency_key_reused", "key": "k"}


def test_a_grant_id_of_another_amount_is_2(program: Program) -> None:
    """A grant cannot change its amount."""
    program("grant", "acme", 5, "--grant-id", "g")
    told = program.json("grant", "acme", 6, "--grant-id", "g", code=2)
    assert told == {"error": "grant_id_reused", "owner": "acme", "grant_id": "g", "amount": 5}


def test_already_running_is_3(program: Program) -> None:
    """A running person cannot be started, and the answer says since when."""
    program("grant", "acme", 5)
    person_id = program.person()
    assert program("start", person_id).exit_code == 0
    told = program.json("start", person_id, code=3)
    assert told.pop("since").endswith("Z")
    assert told == {"error": "already_running", "person_id": person_id, "status": "running", "run_no": 1}


def test_not_complete_is_3(program: Program) -> None:
    """Only a complete person's report can be stale."""
    told = program.json("mark-stale", person_id := program.person(), code=3)
    assert told == {"error": "not_complete", "person_id": person_id, "status": "idle"}


def test_already_added_is_3(program: Program) -> None:
    """A partner has each LinkedIn URL once, and is told whose it is."""
    first = program.json("add", "acme", "--partner", "--linkedin-url", "linkedin.com/in/ada")["id"]
    told = program.json("add", "acme", "--partner", "--linkedin-url", "https://uk.linkedin.com/in/Ada/", code=3)
    assert told == {"error": "already_added", "person_id": first}


def test_insufficient_credits_is_4(program: Program) -> None:
    """A start without credits says the balance and what is required; nothing changed."""
    person_id = program.person()
    told = program.json("start", person_id, "--cost", "3", code=4)
    assert told == {"error": "insufficient_credits", "owner": "acme", "balance": 0, "required": 3}
    assert program.json("status", person_id)["status"] == "idle"


@pytest.mark.parametrize("command", ["status", "report", "history", "start", "mark-stale", "erase"])
def test_an_unknown_person_is_5(program: Program, command: str) -> None:
    """A person whom nobody added is not found."""
    program("grant", "acme", 5)
    stranger = str(uuid4())
    assert program.json(command, stranger, code=5) == {"error": "not_found", "person_id": stranger}
    result = program(command, stranger)
    assert (result.exit_code, result.stdout) == (Exit.NOT_FOUND, "")
    assert stranger in result.stderr


@pytest.mark.parametrize("command", ["status", "report", "start", "mark-stale", "erase"])
def test_another_owners_person_is_5(program: Program, command: str) -> None:
    """Another owner's person is not found, never forbidden."""
    person_id = program.complete()
    assert program(command, person_id, "--owner", "rival").exit_code == 5
    assert program.json("status", person_id, "--owner", "acme")["status"] == "complete"


def test_an_unknown_grant_and_an_unknown_token_are_5(program: Program) -> None:
    """What is to be revoked must be there."""
    program("grant", "acme", 5)
    assert program.json("revoke", "acme", "g", code=5) == {"error": "not_found", "owner": "acme", "grant_id": "g"}
    assert program.json("token", "revoke", "t", code=5) == {"error": "not_found", "token_id": "t"}


def test_rolled_back_is_6(program: Program) -> None:
    """A start that the engine refused was rolled back, and says so again to whoever asks with its key."""
    person_id = _answered(program, AttemptResult.REFUSED)
    told = program.json("start", person_id, "--key", "k", code=6)
    assert told.pop("run_id")
    assert told == {
        "error": "dispatch_failed",
        "person_id": person_id,
        "run_no": 1,
        "reason": "refused",
        "retry_at": None,
    }
    assert program.json("balance", "acme")["available"] == 5


def test_a_store_that_cannot_be_opened_is_7_and_untouched(program: Program) -> None:
    """Another program's file is named, in the store's own words, and not written to."""
    program.store.write_bytes(b"certainly no database, but long enough to have a header of one hundred bytes" * 4)
    before = program.store.read_bytes()
    for words in (("grant", "acme", "5"), ("list", "acme"), ("verify",), ("doctor",)):
        result = program(*words)
        assert result.exit_code == 7
        assert str(program.store) in result.output
    told = program.json("balance", "acme", code=7)
    assert told["error"] == "store_error"
    assert told["where"] == str(program.store)
    assert "name another file" in told["problem"]
    assert program.store.read_bytes() == before


def test_an_event_that_cannot_be_read_is_named(program: Program) -> None:
    """For a program, as what it is; where the store is, whoever asked knows."""
    person_id = program.person()
    with sqlite3.connect(program.store) as edited:
        edited.execute("DROP TRIGGER events_no_update")
        edited.execute("UPDATE events SET data = '{}'")
    edited.close()
    told = program.json("explain", person_id, code=7)
    assert told.keys() == {"error", "what", "problem"}
    assert (told["error"], told["what"]) == ("store_error", "PersonAdded schema 1")


def test_a_busy_store_is_75(program: Program) -> None:
    """A store that another process keeps locked is busy: nothing was done, try again."""
    program("grant", "acme", 5)
    holder = sqlite3.connect(program.store, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    result = program("grant", "acme", 5, "--wait", "10ms", "--json")
    holder.execute("ROLLBACK")
    holder.close()
    assert result.exit_code == 75
    assert json.loads(result.stdout)["error"] == "store_busy"
    assert program.json("balance", "acme")["granted"] == 5


def test_a_full_device_is_7(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the operating system is said in words, without a traceback."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("research_fsm.cli.session.Session.show", full)
    program("grant", "acme", 5)
    result = program("balance", "acme")
    assert result.exit_code == Exit.STORE_ERROR
    assert "No space left on device" in result.stderr


def test_an_interrupt_is_130(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is not taken for findings."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("research_fsm.runs.Runs.grant", interrupted)
    assert program("grant", "acme", 5).exit_code == 130


def test_the_help_lists_every_code() -> None:
    """What the numbers mean stands at the end of ``--help``, each of them."""
    assert set(MEANINGS) == set(Exit)
    assert cli.epilog == epilog()
    assert all(f" {code.value}  {MEANINGS[code]}" in epilog() for code in Exit)


def test_the_answers_of_a_start_that_went_well_are_told_apart() -> None:
    """Both end with 0; the name in JSON says which it was."""
    facts = (str(uuid4()), str(uuid4()), 1)
    assert [of_answer(answer(*facts)).name for answer in (Queued, Unresolved)] == ["queued", "unresolved"]


@pytest.mark.parametrize(
    "words",
    [
        ("list", "acme"),
        ("balance", "acme"),
        ("verify",),
        ("doctor",),
        ("backup", "copy.db"),
        ("token", "list"),
        ("status", "018f0000-0000-4000-8000-000000000000"),
        ("report", "018f0000-0000-4000-8000-000000000000"),
        ("history", "018f0000-0000-4000-8000-000000000000"),
    ],
)
def test_looking_never_makes_a_store(program: Program, words: tuple[str, ...], tmp_path: Path) -> None:
    """Where there is no store, whoever only looks is told what makes one, and leaves no file; not in an empty one."""
    for _ in ("absent", "empty"):
        before = sorted(tmp_path.iterdir())
        result = program(*words)
        assert result.exit_code == 7
        assert "`grant` or `add` makes one" in result.output
        assert sorted(tmp_path.iterdir()) == before
        program.store.touch()
    assert program.store.stat().st_size == 0
