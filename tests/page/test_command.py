"""``research-fsm page``: a file at once, readable by whom it should be."""

import sqlite3
import stat
from pathlib import Path

from tests.cli.conftest import Program, elsewhere, program

__all__ = ["elsewhere", "program"]


def test_it_writes_a_page_and_replaces_the_one_before(program: Program, tmp_path: Path) -> None:
    """The log is verified first; nothing but the page is left in the folder."""
    person_id = program.complete()
    file = tmp_path / "out" / "page.html"
    file.parent.mkdir()
    file.write_text("<!doctype html>\nold")
    assert program.json("page", "--html", file) == {"page": str(file), "findings": 0}
    text = file.read_text(encoding="utf-8")
    assert person_id in text
    assert "The log keeps every law." in text
    assert [one.name for one in file.parent.iterdir()] == ["page.html"]


def test_a_page_with_names_is_for_its_owner_alone(program: Program, tmp_path: Path) -> None:
    """Names are personal data."""
    program.person()
    file = tmp_path / "page.html"
    program("page", "--html", file, "--with-names")
    assert "linkedin.com/in/ada" in file.read_text(encoding="utf-8")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_findings_are_on_the_page_and_in_the_exit_code(program: Program, tmp_path: Path) -> None:
    """Unless nobody asked for them."""
    person_id = program.person()
    with sqlite3.connect(program.store) as connection:
        connection.execute("UPDATE heads SET tag = 'complete' WHERE stream = ?", (f"person:{person_id}",))
    connection.close()
    file = tmp_path / "page.html"
    assert program("page", "--html", file).exit_code == 1
    assert "breaks its laws" in file.read_text(encoding="utf-8")
    assert program("page", "--html", file, "--no-verify").exit_code == 0
    assert "Not verified." in file.read_text(encoding="utf-8")


def test_what_is_no_page_is_not_replaced(program: Program, tmp_path: Path) -> None:
    """Nobody loses a log, or anything else, by a slip of the hand."""
    program.person()
    before = program.store.read_bytes()
    for place in (program.store, tmp_path):
        refused = program("page", "--html", place)
        assert refused.exit_code == 2
        assert "is there already, and is no page; name another file" in refused.stderr
    assert program.store.read_bytes() == before
    assert program("page", "--html", "/dev/null").exit_code == 2
    empty = tmp_path / "made-by-mktemp"
    empty.touch()
    assert program("page", "--html", empty).exit_code == 0


def test_a_file_that_cannot_be_written_is_an_error_of_files(program: Program, tmp_path: Path) -> None:
    """Exit code 7, as for every file."""
    program.person()
    file = tmp_path / "nowhere" / "page.html"
    failed = program("page", "--html", file)
    assert failed.exit_code == 7
    assert failed.stderr == f"Error: {file}: No such file or directory\n"
