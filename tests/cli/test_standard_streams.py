"""``-`` in place of a file, files that are written whole or not at all, and a standard output that is full."""

import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from tests.cli.conftest import Program


def _piped(program: Program, *words: str, stdin: bytes = b"", encoding: str = "utf-8") -> bytes:
    """Call the program as a process of its own; return what it wrote to standard output, byte for byte."""
    called = [sys.executable, "-m", "research_fsm", "--store", str(program.store), *words]
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(called, input=stdin, capture_output=True, check=False, env=env)  # noqa: S603  # Our own.
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def test_a_log_goes_through_a_pipe(program: Program) -> None:
    """`export -` writes the bytes of the file, in any locale; `import-log -` and `verify --exported -` read them."""
    program("grant", "Ägypten", 5)
    program.complete()
    program("export", "log.jsonl", "--with-documents")
    lines = Path("log.jsonl").read_bytes()
    assert _piped(program, "export", "-", "--with-documents", encoding="ascii") == lines
    assert not Path("-").exists()
    assert program.json("verify", "--exported", "-", stdin=lines)["findings"] == []
    copy = Program(Path("copy.db").resolve())
    assert copy.json("import-log", "-", stdin=lines)["events"] == lines.count(b'"position"')
    assert _piped(copy, "export", "-").count(b"\n") == lines.count(b'"position"') + 2


def test_a_page_goes_through_a_pipe(program: Program) -> None:
    """`page --html -` writes the page and nothing else."""
    program.complete()
    shown = _piped(program, "page", "--html", "-", encoding="ascii").decode()
    assert shown.startswith("<!doctype html>")
    assert shown.endswith("</html>\n")
    assert not Path("-").exists()


@pytest.mark.parametrize("words", [("backup", "-"), ("views", "--out", "-"), ("checkpoint", "key", "-")])
def test_what_is_no_stream_is_refused(program: Program, words: tuple[str, ...]) -> None:
    """A database, or two halves of a key, are no lines: - is refused, and no file has that name."""
    program("grant", "acme", 5)
    assert "standard output" in program.json(*words, code=2)["problem"]
    assert not list(Path().glob("-*"))


def test_a_key_is_made_whole_or_not_at_all(program: Program) -> None:
    """One half is there already: the other is not made, and nothing that is there is touched."""
    for taken, other in (("a.pub", "a"), ("b", "b.pub")):
        Path(taken).write_text("somebody's")
        assert program("checkpoint", "key", taken.removesuffix(".pub")).exit_code == 2
        assert Path(taken).read_text() == "somebody's"
        assert not Path(other).exists()


def test_views_are_made_with_their_description_or_not_at_all(program: Program) -> None:
    """One of the two files is there already: the other is not made, and nothing that is there is touched."""
    program("grant", "acme", 5)
    for taken, other in (("a.db.datasette.yaml", "a.db"), ("b.db", "b.db.datasette.yaml")):
        Path(taken).write_text("somebody's")
        assert program("views", "--out", taken.removesuffix(".datasette.yaml")).exit_code == 2
        assert Path(taken).read_text() == "somebody's"
        assert not Path(other).exists()


@pytest.mark.parametrize("half", [0, 1])
def test_a_key_on_a_full_disk_can_be_made_again(program: Program, monkeypatch: pytest.MonkeyPatch, half: int) -> None:
    """Whichever half there was no room for, the other is not left: with room made, the same command succeeds."""
    opened = count()
    usual = os.fdopen

    def filled(number: int, mode: str) -> object:
        if next(opened) != half:
            return usual(number, mode)
        os.close(number)
        return Path("/dev/full").open(mode)

    with monkeypatch.context() as patched:
        patched.setattr("research_fsm.cli.files.os.fdopen", filled)
        assert program("checkpoint", "key", "k").exit_code == 7
    assert not list(Path().glob("k*"))
    assert program("checkpoint", "key", "k").exit_code == 0
    assert {one.name for one in Path().glob("k*")} == {"k", "k.pub"}


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("list", "--help"), ("balance", "acme")])
def test_a_full_standard_output_is_an_error_and_no_traceback(program: Program, words: tuple[str, ...]) -> None:
    """Whatever was to be printed: one line on standard error, exit code 7."""
    program("grant", "acme", 5)
    called = [sys.executable, "-m", "research_fsm", "--store", str(program.store), *words]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(called, stdout=full, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603  # Our own.
    assert (done.returncode, done.stderr) == (7, "Error: [Errno 28] No space left on device\n")
