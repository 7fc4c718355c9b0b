"""People from a CSV file: every good line is added, every bad one reported with the number that an editor shows."""

from pathlib import Path

import pytest

from research_fsm import PersonKind, Profile, Runs
from research_fsm.cli import importing
from research_fsm.cli.importing import BadLine, GoodLine
from research_fsm.errors import InvalidInput, StoreFull
from research_fsm.outcomes import AddAnswer
from tests.cli.conftest import Program

HEADER = b"linkedin_url,first_name,last_name,company\n"


def _read(content: bytes) -> list[tuple[int, str]]:
    """Return each line's number with what it came to."""
    return [
        (line.line, line.field if isinstance(line, BadLine) else line.profile.last_name or "-")
        for line in importing.read_people(content)
    ]


def test_good_lines_are_added_and_bad_ones_reported(program: Program, tmp_path: Path) -> None:
    """The exit code says that something is to be corrected; what was good is in the store."""
    rows = b"linkedin.com/in/ada,,,\n,Grace,Hopper,\n,Grace,Hopper,Navy\nhttps://example.com,,,\n"
    (tmp_path / "people.csv").write_bytes(HEADER + rows)
    result = program("add", "acme", "--from", "people.csv")
    assert result.exit_code == 2
    assert result.stdout == "2 added, 0 already there, 2 bad\n"
    assert "people.csv:3: profile: needs a linkedin_url" in result.stderr
    assert "people.csv:5: linkedin_url: must look like" in result.stderr
    assert [one["last_name"] for one in program.json("list", "acme")] == ["Hopper", None]


def test_an_import_is_told_line_by_line(program: Program, tmp_path: Path) -> None:
    """A partner's file may be added again: who is there already is told with the line, and is no mistake."""
    (tmp_path / "people.csv").write_bytes(HEADER + b"linkedin.com/in/ada,,,\n,only,,\n")
    told = program.json("add", "acme", "--partner", "--from", "people.csv", code=2)
    assert told.keys() == {"added", "already_added", "bad"}
    assert [one["line"] for one in told["added"]] == [2]
    assert [(one["line"], one["field"]) for one in told["bad"]] == [(3, "profile")]
    (tmp_path / "people.csv").write_bytes(HEADER + b"https://www.linkedin.com/in/ADA/,,,\n")
    again = program.json("add", "acme", "--partner", "--from", "people.csv")
    assert again == {"added": [], "already_added": told["added"], "bad": []}


def test_standard_input_is_a_file_called_dash(program: Program) -> None:
    """A pipe can be added from."""
    told = program.json("add", "acme", "--from", "-", stdin=HEADER + b",Ada,Lovelace,Engine\n")
    assert [one["id"] for one in told["added"]] == [one["id"] for one in program.json("list", "acme")]


def test_a_byte_order_mark_and_carriage_returns_are_passed_over() -> None:
    """A spreadsheet's file is read as it is."""
    content = b"\xef\xbb\xbf" + HEADER.replace(b"\n", b"\r\n") + b",Ada,Lovelace,A\r\n\r\n,Grace,Hopper,B"
    assert _read(content) == [(2, "Lovelace"), (4, "Hopper")]
    assert _read(content.replace(b"\r\n", b"\r")) == [(2, "Lovelace"), (4, "Hopper")]


def test_a_line_break_in_a_cell_keeps_the_numbers_right() -> None:
    """A record is named by the line it begins on, and those behind it by theirs."""
    content = HEADER + b',Ada,Lovelace,"A\nB"\n,Grace,Hopper,"C\r\n"\n,,,\nbad,,,\n'
    assert _read(content) == [(2, "company"), (4, "Hopper"), (7, "linkedin_url")]
    [bad, *_] = importing.read_people(content)
    assert isinstance(bad, BadLine)
    assert bad.problem.endswith("(a quotation mark makes one record of lines 2 to 3)")
    assert str(bad).startswith("line 2: company: must be printable text")


def test_a_quotation_mark_that_is_never_closed_costs_one_line() -> None:
    """What stands behind it is read all the same."""
    content = HEADER + b',Ada,Lovelace,"A\n,Grace,Hopper,B\n,Alan,Turing,C\n'
    assert _read(content) == [(2, "line"), (3, "Hopper"), (4, "Turing")]


def test_a_quotation_mark_in_the_wrong_place_costs_one_line() -> None:
    """The rest of the file is read on."""
    assert _read(HEADER + b',Ada,"Love"lace,A\n,Grace,Hopper,B\n') == [(2, "line"), (3, "Hopper")]


def test_a_cell_that_is_too_large_costs_one_line() -> None:
    """The driver's limit of a cell is a bad line like any other."""
    assert _read(HEADER + b"," + b"x" * 200_000 + b",L,A\n,Grace,Hopper,B\n") == [(2, "line"), (3, "Hopper")]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (b",Ada,Lovelace,A,more", "line"),
        (b",Ada\x00,Lovelace,A", "first_name"),
        (b",Ad\xe4,Lovelace,A", "line"),
        (b",Ada,Lovelace", "profile"),
        (b",Ada," + b"x" * 501 + b",A", "last_name"),
    ],
)
def test_a_bad_line_keeps_nobody_else_out(row: bytes, field: str) -> None:
    """Too many fields, a NUL, another encoding, too few fields, too long: each costs its own line."""
    assert _read(HEADER + row + b"\n,Grace,Hopper,B\n") == [(2, field), (3, "Hopper")]


def test_another_encoding_is_named() -> None:
    """The line says what to do."""
    [bad] = importing.read_people(HEADER + b",Ad\xe4,Lovelace,A\n")
    assert isinstance(bad, BadLine)
    assert bad.problem == "is not UTF-8; save the file as CSV in UTF-8"


def test_columns_stand_in_any_order_and_case_and_need_not_all_be_there() -> None:
    """What is enough to find somebody by is enough; the other fields of a profile may be there, too."""
    [line] = importing.read_people(b" Company ,LAST_NAME,first_name,role\n A ,Lovelace,Ada,Countess\n")
    assert isinstance(line, GoodLine)
    assert dict(line.profile.known()) == {
        "first_name": "Ada",
        "last_name": "Lovelace",
        "company": "A",
        "role": "Countess",
    }


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\r\n\r\n", "is empty"),
        (HEADER.decode().encode("utf-16"), "is UTF-16"),
        (b"linkedin.com/in/ada\n", "unknown column 'linkedin.com/in/ada'"),
        (b"linkedin_url,,first_name\n", "unknown column ''"),
        (b"linkedin_url,Linkedin_URL\n", "'linkedin_url' more than once"),
        (b"first_name,last_name\n", "needs the column linkedin_url, or also company"),
        (b"role\n", "or also first_name, last_name, company"),
        (b"linkedin_url;first_name\n", "by commas, not by semicolons"),
        (b'linkedin_url,"first\n', "a header that cannot be read"),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_is_refused(program: Program, content: bytes, problem: str) -> None:
    """Nobody is added, and the message says what is wrong with the file."""
    with pytest.raises(InvalidInput) as raised:
        importing.read_people(content)
    assert problem in raised.value.problem
    result = program("add", "acme", "--from", "-", stdin=content)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
    assert not program.store.exists()


def test_a_file_of_a_header_alone_adds_nobody(program: Program) -> None:
    """An empty table is no mistake."""
    assert program.json("add", "acme", "--from", "-", stdin=HEADER) == {"added": [], "already_added": [], "bad": []}


def test_one_person_and_a_file_do_not_go_together(program: Program) -> None:
    """Which of them was meant is not guessed."""
    result = program("add", "acme", "--from", "-", "--company", "A", stdin=HEADER)
    assert result.exit_code == 2
    assert "without it" in result.stderr


def test_a_store_that_gives_up_half_way_says_what_is_in_it(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was added stays added, and is told besides the error."""
    real = Runs.add

    def full(runs: Runs, owner: str, profile: Profile, *, kind: PersonKind, actor: str) -> AddAnswer:
        if profile.last_name == "Hopper":
            raise StoreFull("research.db", "the disk is full")
        return real(runs, owner, profile, kind=kind, actor=actor)

    monkeypatch.setattr(Runs, "add", full)
    content = HEADER + b",Ada,Lovelace,A\n,x,,\n,Grace,Hopper,B\n,Alan,Turing,C\n"
    told = program.json("add", "acme", "--from", "-", stdin=content, code=7)
    assert (told["error"], told["problem"]) == ("store_error", "the disk is full")
    assert ([one["line"] for one in told["added"]], [one["line"] for one in told["bad"]]) == ([2], [3])
    result = program("add", "acme", "--from", "-", stdin=content)
    assert (result.exit_code, result.stdout) == (7, "")
    assert "1 added, 0 already there, 1 bad; then it stopped" in result.stderr
    assert [one["last_name"] for one in program.json("list", "acme")] == ["Lovelace", "Lovelace"]
