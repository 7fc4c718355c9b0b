"""What people read: tables, a timeline, the laws; without colours where nobody sees them."""

import re
from uuid import uuid4

import pytest
from rich.table import Table

from research_fsm import timeline
from research_fsm.cli import rendering
from research_fsm.codec import SCHEMAS
from research_fsm.laws import STATEMENTS, Finding
from research_fsm.storage import RecordedEvent
from tests.cli.conftest import Program

PERSON = str(uuid4())


def _event(name: str, data: bytes, schema: int = 1) -> RecordedEvent:
    return RecordedEvent(1, f"person:{PERSON}", 1, name, schema, 0, data, b"{}", b"")


def test_a_new_token_is_printed_and_nothing_else(program: Program) -> None:
    """A script takes the whole of standard output."""
    result = program("token", "create", "acme")
    assert re.fullmatch(r"rfsm_[\w-]{43}\n", result.stdout)
    assert result.stderr == ""
    with program.runs() as runs:
        found = runs.tokens.authenticate(result.stdout.strip())
    assert found is not None
    assert (found.owner, found.kind) == ("acme", "user")
    listed = program("token", "list").stdout
    assert found.token_id in listed
    assert result.stdout.strip() not in listed
    assert program("token", "revoke", found.token_id).stdout == f"token {found.token_id} of acme is revoked\n"


def test_a_history_is_a_timeline(program: Program) -> None:
    """Each event is a line: position, time, what happened, which run and delivery, what it did to the credits."""
    result = program("history", program.complete())
    lines = [re.split(r" {2,}", line) for line in result.stdout.splitlines()]
    assert lines[0] == ["position", "time", "what happened", "run", "credits"]
    assert [line[2:] for line in lines[1:]] == [
        ["added by acme (user)"],
        ["run 1 started, for 1 credit", "1"],
        ["queued", "1"],
        ["credits held", "1", "-1"],
        ["credits charged", "1", "±0"],
        ["claimed by a worker", "1, delivery 1"],
        ["complete: report 1", "1"],
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z", line[1]) for line in lines[1:])


@pytest.mark.parametrize(
    ("name", "data", "words", "run", "credits"),
    [
        ("AttemptArmed", b'{"attempt":2,"lease_until":1,"run_no":3}', "may be sent", "3, attempt 2", ""),
        (
            "AttemptAnswered",
            b'{"attempt":1,"external_id":"x","orphan":true,"reason":"http_200","result":"not_sent","run_no":3}',
            "the dispatch was answered: not sent, http_200, x (an orphan)",
            "3, attempt 1",
            "",
        ),
        ("RunDispatched", b'{"deadline":1,"external_id":"x","run_no":3}', "queued at the engine as x", "3", ""),
        (
            "RunClaimed",
            b'{"deadline":1,"delivery":2,"external_id":"x:2","run_no":3}',
            "the worker fell silent: taken over by another, delivery 2",
            "3, delivery 2",
            "",
        ),
        ("RunClaimed", b'{"deadline":1,"delivery":0,"external_id":"x","run_no":3}', "claimed by x", "3", ""),
        (
            "RunFailed",
            b'{"detail_digest":null,"external_id":null,"hold":"refunded","reason":"queue_deadline","run_no":3}',
            "failed (queue deadline); the credits are refunded",
            "3",
            "",
        ),
        ("RunRolledBack", b'{"reason":"not_sent","run_no":3}', "rolled back (not sent); the person is idle", "3", ""),
        ("ReportMarkedStale", b'{"reason":"age"}', "the report was marked stale (age)", "", ""),
        (
            "CallbackRefused",
            b'{"external_id":"x","kind":"claim","run_no":3}',
            "a stale claim of x was refused",
            "3",
            "",
        ),
        ("PersonErased", b'{"hold":null}', "erased", "", ""),
        (
            "RunFailed",
            b'{"detail_digest":null,"external_id":"x","hold":"kept","reason":"engine_reported","run_no":3}',
            "failed (engine reported); the charge stays",
            "3",
            "",
        ),
        ("PersonErased", b'{"hold":"kept"}', "erased with a run open; the charge stays", "", ""),
        ("PersonErased", b'{"hold":"released"}', "erased with a run open; the credits are released", "", ""),
        ("CreditsGranted", b'{"amount":5,"grant_id":"g"}', "credits granted (g)", "", "+5"),
        ("CreditsRevoked", b'{"amount":5,"grant_id":"g"}', "credits revoked (g)", "", "-5"),
        (
            "CreditsReleased",
            b'{"amount":5,"person_id":"p","run_id":"r","run_no":3}',
            "credits released",
            "3",
            "+5",
        ),
        (
            "CreditsRefunded",
            b'{"amount":5,"person_id":"p","run_id":"r","run_no":3}',
            "credits refunded",
            "3",
            "+5",
        ),
        ("RunStarted", b"{}", "RunStarted schema 1, which cannot be read", "", ""),
        ("PersonPraised", b"{}", "PersonPraised schema 1, which cannot be read", "", ""),
    ],
)
def test_every_event_is_said_in_words(name: str, data: bytes, words: str, run: str, credits: str) -> None:  # noqa: A002  # The column's name.
    """Also an event that this version cannot read has its line."""
    event = _event(name, data)
    assert words in timeline.in_words(event)
    assert timeline.run_in_words(event) == run
    assert timeline.credits_in_words(event) == credits
    assert name in SCHEMAS or "cannot be read" in words


def test_verify_shows_every_law_and_every_finding() -> None:
    """A kept law has its mark, a broken one each place where it is broken; an unknown law is shown, too."""
    found = [
        Finding("chained", "person:a", 2, "the hash is another"),
        Finding("chained", "person:b", None, "the head is another"),
        Finding("novel", "person:c", 1, "new"),
    ]
    text = rendering.to_text(rendering.findings(found, STATEMENTS, []), terminal=False, width=200)
    assert "✗ chained: " in text
    assert "    person:a version 2: the hash is another\n    person:b: the head is another\n" in text
    assert "✗ novel\n    person:c version 1: new\n" in text
    assert text.count("✓") == len(STATEMENTS) - 1
    assert text.endswith("3 findings")


def test_verify_shows_the_first_of_very_many_findings() -> None:
    """As many of each law as somebody could read; the others are counted, and JSON has them all."""
    found = [Finding(law, f"person:{number}", 1, "wrong") for law in ("chained", "legal") for number in range(1_200)]
    text = rendering.to_text(rendering.findings(iter(found), STATEMENTS, []), terminal=False, width=200)
    assert text.count("version 1: wrong\n") == 2_000
    assert text.count("    and 200 more: --json names them\n") == 2
    assert text.endswith("2,400 findings")


def test_verify_of_a_whole_log_says_so(program: Program) -> None:
    """Every law has its mark."""
    program.complete()
    result = program("verify")
    assert result.exit_code == 0
    assert result.stdout.count("✓") == len(STATEMENTS)
    assert result.stdout.endswith("the log keeps every law\n")


def test_names_are_never_read_as_markup(program: Program) -> None:
    """What looks like a style is shown as it was given."""
    company = "[bold red]Acme[/] :smile:"
    program("add", "[red]acme", "--first-name", "[/]", "--last-name", "x", "--company", company)
    assert program("list", "[red]acme").stdout.splitlines()[1].endswith(f"[/] x, {company}")


def test_what_is_piped_has_no_colours_and_is_not_cut(program: Program) -> None:
    """A pipe gets plain text, each thing on one line however long it is."""
    program("add", "acme", "--first-name", "A" * 400, "--last-name", "x", "--company", "y")
    stdout = program("list", "acme").stdout
    assert "\x1b" not in stdout
    assert "A" * 400 in stdout


def test_a_terminal_gets_colours_and_its_own_width() -> None:
    """Ids stay whole; the last column gives way."""
    table = rendering.people([])
    assert not isinstance(table, Table)
    text = rendering.to_text(rendering.findings([], STATEMENTS, []), terminal=True, width=80)
    assert "\x1b[32m✓" in text


def test_a_status_says_what_a_person_is_about(program: Program) -> None:
    """Who, whose, since when, which run, how often it failed."""
    program("grant", "acme", 5)
    person_id = program.person()
    assert "since" in program("status", person_id).stdout
    for _ in range(2):
        program("start", person_id)
        program("work", "--pipeline", "pipelines:broken", "--drain")
    stdout = program("status", person_id).stdout
    assert re.search(r"failures in a row +2; for a human", stdout)
    assert re.search(r"run +2 \([0-9a-f-]{36}\)", stdout)
    program("start", person_id)
    with program.runs() as runs:
        runs.take()
    stdout = program("status", person_id).stdout
    assert re.search(r"status +running \(executing\)", stdout)
    assert re.search(r"deadline +\d{4}-", stdout)


def test_a_report_shows_its_content_as_json(program: Program) -> None:
    """A report is free JSON, shown as such; without one that is said."""
    assert program("report", program.person()).stdout == "there is no report yet\n"
    person_id = program.complete()
    assert '"linkedin_url": "https://www.linkedin.com/in/ada"' in program("report", person_id).stdout
    assert re.search(r"latest report +\d{4}-", program("status", person_id).stdout)


def test_a_change_summary_is_shown_before_the_content(program: Program) -> None:
    """What is new is what people look for."""
    program("grant", "acme", 5)
    person_id = program.person()
    program("start", person_id)
    with program.runs() as runs:
        claimed = runs.take().accepted()
        run = (claimed.run_id, claimed.run_no, claimed.external_id)  # type: ignore[union-attr]  # There is an entry.
        runs.complete(*run, {"a": "[red]"}, change_summary="\x1b[31mnew")
    stdout = program("report", person_id).stdout
    assert stdout.endswith('what is new:\n"\\u001b[31mnew"\n{\n  "a": "[red]"\n}\n')


def test_nobody_and_no_tokens_are_said(program: Program) -> None:
    """An empty table would look like a mistake."""
    program("grant", "acme", 5)
    assert program("list", "acme").stdout == "nobody\n"
    assert program("token", "list").stdout == "no tokens\n"


def test_answers_are_sentences(program: Program) -> None:
    """What was done is said on standard output, what was refused on standard error."""
    assert program("grant", "acme", 5, "--grant-id", "g").stdout == "acme has the grant 'g' of 5 credits\n"
    person_id = program.person()
    assert program("start", person_id).stdout == f"person {person_id} is queued as run 1\n"
    refused = program("start", person_id)
    assert (refused.stdout, refused.stderr) == ("", f"person {person_id} is already running (run 1)\n")
    assert program("recover").stdout == "nothing was overdue\n"
