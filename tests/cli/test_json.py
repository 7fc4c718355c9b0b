"""What ``--json`` prints: it parses, and has the documented members."""

import re
import sqlite3
from pathlib import Path

import pytest

from research_fsm import FailReason, PersonDetails, Profile, Runs
from research_fsm.cli import shapes
from research_fsm.events import AttemptResult
from research_fsm.stores.memory import wall_clock
from research_fsm.stores.sqlite import SQLiteStore
from tests.cli.conftest import EVENT_MEMBERS, Engine, Program

PERSON = {
    "id",
    "owner",
    "kind",
    "status",
    "phase",
    "since",
    "first_name",
    "last_name",
    "linkedin_url",
    "role",
    "company",
    "company_domain",
    "photo_url",
    "run_id",
    "run_no",
    "deadline",
    "reports",
    "last_enriched_at",
    "failures_in_a_row",
    "failure",
    "created_at",
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def test_a_grant_and_its_revocation_say_what_is_there_now(program: Program) -> None:
    """Granting twice under one id is one grant."""
    for _ in range(2):
        told = program.json("grant", "acme", 5, "--grant-id", "g")
        assert told == {"outcome": "granted", "owner": "acme", "grant_id": "g", "amount": 5}
    told = program.json("revoke", "acme", "g")
    assert told == {"outcome": "revoked", "owner": "acme", "grant_id": "g", "amount": 5}
    assert program.json("balance", "acme")["available"] == 0


def test_a_balance_has_every_sum_and_charged_is_gross(program: Program) -> None:
    """What is available is granted - revoked - charged + refunded - held."""
    program.complete()
    assert program.json("balance", "acme") == {
        "owner": "acme",
        "available": 4,
        "granted": 5,
        "revoked": 0,
        "held": 0,
        "charged": 1,
        "refunded": 0,
    }


def test_an_added_person_is_shown_whole(program: Program) -> None:
    """`add` tells the person that `status` and `list` tell."""
    words = ("--first-name", "Ada", "--last-name", "Łovelace", "--company", "A", "--role", "r")
    added = program.json("add", "acme", *words, "--company-domain", "a.org", "--photo-url", "https://a.org/a.png")
    assert added.keys() == PERSON
    assert (added["status"], added["kind"], added["last_name"], added["role"]) == ("idle", "user", "Łovelace", "r")
    assert program.json("status", added["id"]) == added
    assert program.json("list", "acme") == [added]


def test_a_start_names_the_run(program: Program) -> None:
    """With a key, asking again tells the same run."""
    program("grant", "acme", 5)
    person_id = program.person()
    told = program.json("start", person_id, "--owner", "acme", "--key", "k")
    assert (told["outcome"], told["person_id"], told["run_no"]) == ("queued", person_id, 1)
    assert program.json("start", person_id, "--owner", "acme", "--key", "k") == told
    assert program.json("balance", "acme")["charged"] == 1


def test_a_report_is_null_until_there_is_one(program: Program) -> None:
    """A report is told as the HTTP interface tells it."""
    assert program.json("report", program.person()) is None
    person_id = program.complete()
    told = program.json("report", person_id)
    assert told.keys() == {"id", "person_id", "version", "content", "change_summary", "generated_at"}
    assert (told["person_id"], told["version"], told["change_summary"]) == (person_id, 1, None)
    assert told["content"] == {"profile": {"linkedin_url": "https://www.linkedin.com/in/ada"}}
    assert TIME.fullmatch(told["generated_at"])


def test_a_history_is_one_array_by_position_of_the_person_and_the_account(program: Program) -> None:
    """The events of the person, and of the account those that concern the person; not the grant."""
    person_id = program.complete()
    told = program.json("history", person_id)
    assert [event["type"] for event in told] == [
        "PersonAdded",
        "RunStarted",
        "RunDispatched",
        "CreditsHeld",
        "CreditsCharged",
        "RunClaimed",
        "RunCompleted",
    ]
    assert all(event.keys() == EVENT_MEMBERS for event in told)
    assert all(TIME.fullmatch(event["at"]) and re.fullmatch("[0-9a-f]{64}", event["hash"]) for event in told)
    assert all(isinstance(event["data"], dict) and isinstance(event["meta"], dict) for event in told)
    assert [event["position"] for event in told] == sorted(event["position"] for event in told)
    assert {event["stream"] for event in told} == {f"person:{person_id}", "account:acme"}


def test_a_history_outlives_the_person(program: Program) -> None:
    """An erased person is not found any more, and their history is still told."""
    person_id = program.complete()
    assert program.json("mark-stale", person_id) == {"outcome": "marked_stale", "person_id": person_id}
    assert program.json("erase", person_id) == {
        "outcome": "erased",
        "person_id": person_id,
        "engine_runs": [],
        "wiped": True,
    }
    assert program("status", person_id).exit_code == 5
    assert [event["type"] for event in program.json("history", person_id)][-2:] == ["ReportMarkedStale", "PersonErased"]
    assert program.json("list", "acme") == []
    assert program.json("verify")["findings"] == []


def test_people_are_listed_newest_first_over_all_pages_and_by_status(program: Program) -> None:
    """A list is whole, unless a limit is asked for."""
    ids = [program.person() for _ in range(3)]
    program("grant", "acme", 5)
    program("start", ids[1])
    assert [one["id"] for one in program.json("list", "acme")] == ids[::-1]
    assert [one["id"] for one in program.json("list", "acme", "--limit", 1)] == ids[2:]
    assert [one["id"] for one in program.json("list", "acme", "--status", "running")] == [ids[1]]
    assert program.json("list", "nobody") == []


def test_a_list_goes_through_every_page(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """More people than one page holds are all told."""
    monkeypatch.setattr("research_fsm.cli.people._PAGE", 2)
    ids = [program.person() for _ in range(5)]
    assert [one["id"] for one in program.json("list", "acme")] == ids[::-1]
    assert [one["id"] for one in program.json("list", "acme", "--limit", 3)] == ids[:1:-1]


def test_a_token_is_told_once_and_listed_without_it(program: Program) -> None:
    """The list has what revokes a token, not what opens people."""
    made = program.json("token", "create", "acme", "--partner")
    assert made.keys() == {"token_id", "owner", "kind", "token"}
    assert made["kind"] == "partner"
    [listed] = program.json("token", "list", "acme")
    assert listed.keys() == {"token_id", "owner", "kind", "created_at", "revoked_at"}
    assert (listed["token_id"], listed["revoked_at"]) == (made["token_id"], None)
    revoked = program.json("token", "revoke", made["token_id"])
    assert TIME.fullmatch(revoked["revoked_at"])
    assert program.json("token", "list") == [revoked]
    assert program.json("token", "list", "rival") == []


def _lost(program: Program, hours: int) -> str:
    """Start a person at an outside engine that never answered, so many hours ago; return the id."""
    store = SQLiteStore(program.store, clock=lambda: wall_clock() - hours * 3_600_000_000)
    runs = Runs(store, Engine(AttemptResult.AMBIGUOUS))
    runs.grant("acme", 5)
    person_id = runs.add("acme", Profile(linkedin_url="linkedin.com/in/ada")).accepted().person_id
    runs.start(person_id)
    store.close()
    return person_id


def test_recovery_says_what_it_did_about_whom(program: Program) -> None:
    """One pass settles a run that the engine never answered, and gives the credit back."""
    assert program.json("recover") == {"recovered": [], "errors": []}
    person_id = _lost(program, hours=1)
    told = program.json("recover")
    assert told == {"recovered": [{"person_id": person_id, "run_no": 1, "action": "rolled_back"}], "errors": []}
    assert program.json("status", person_id)["status"] == "idle"
    assert program.json("balance", "acme")["available"] == 5
    assert program.json("recover") == {"recovered": [], "errors": []}


def test_recovery_tells_whom_it_could_not_look_at(program: Program) -> None:
    """A person whose head is damaged keeps nobody else waiting, and the pass says so and ends with 7."""
    first, second = _lost(program, hours=1), _lost(program, hours=1)
    with sqlite3.connect(program.store) as edited:
        edited.execute("UPDATE heads SET state = '{' WHERE stream = ?", (f"person:{first}",))
    edited.close()
    told = program.json("recover", code=7)
    assert [one["person_id"] for one in told["recovered"]] == [second]
    assert [one["person_id"] for one in told["errors"]] == [first]


def test_verify_doctor_and_backup(program: Program, tmp_path: Path) -> None:
    """A whole log has no findings, a sound machine no problems, and a copy is a store."""
    person_id = program.complete()
    assert program.json("verify")["findings"] == []
    checks = program.json("doctor", "--pipeline", "pipelines:research")
    assert all(check.keys() == {"check", "verdict", "words"} for check in checks)
    assert {check["verdict"] for check in checks} <= {"ok", "warning"}
    copy = tmp_path / "copy.db"
    assert program.json("backup", copy) == {"store": str(program.store), "backup": str(copy)}
    assert Program(copy).json("history", person_id) == program.json("history", person_id)
    assert program.json("backup", copy, code=2)["error"] == "invalid_request"


def test_a_mistake_in_the_call_is_json_too(program: Program) -> None:
    """Standard output parses whatever was wrong, also if the mistake stands before ``--json``."""
    told = program.json("list", "acme", "--nonsense", code=2)
    assert told == {"error": "invalid_request", "problem": "No such option '--nonsense'."}
    assert program.json("status", "x", code=2)["field"] == "person_id"


def test_two_failures_in_a_row_are_told(program: Program) -> None:
    """A failed person says how often, and since when."""
    program("grant", "acme", 5)
    person_id = program.person()
    for _ in range(2):
        program("start", person_id)
        program("work", "--pipeline", "pipelines:broken", "--drain")
    told = program.json("status", person_id)
    assert (told["status"], told["failures_in_a_row"], told["run_no"]) == ("failed", 2, 2)
    assert "the source is down" in told["failure"]
    assert "the source is down" in program("status", person_id).stdout
    assert program.json("status", person_id, "--version", 1)["failure"] is None
    data = [event["data"] for event in program.json("history", person_id) if event["type"] == "RunFailed"]
    assert [fact["reason"] for fact in data] == [str(FailReason.PIPELINE_ERROR)] * 2
    with program.runs() as runs:
        found = runs.person(person_id)
    assert isinstance(found, PersonDetails)
    assert shapes.person(found) == told
