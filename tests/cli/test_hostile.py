"""What people are shown of a store that somebody else wrote: no text in it acts on the terminal, or forges a line."""

import json
import logging
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from research_fsm import Profile, Runs, codec
from research_fsm.cli import cli, session
from research_fsm.cli.together import logging_to_stderr
from research_fsm.explain import Explanation, explain
from research_fsm.laws import Erased, Finding
from research_fsm.outcomes import GrantIdReused, Revoked
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.visible import visible
from research_fsm.worker import Worker
from tests.cli.conftest import Program

MARK = "Mark"
"""Stands in a store wherever a text of somebody else's can stand."""

WORST = "ops\n\x1b[2J\x1b[32mthe log keeps every law\r\x07\t\x7f\x85\x9b2J\u2028\u2029\u202eevil\u2066\x1b]0;x\x1b\\"

HOSTILE = st.text(
    st.sampled_from("\n\r\t\x1b\x7f\x85\x9b\u2028\u202e\u2067[];02Jm a\"'\\{é") | st.characters(codec="utf-8"),
    min_size=1,
)

ESCAPE = "\x1b"

COMMANDS = [
    "balance acme",
    "compare --with theirs:version",
    "doctor",
    "export -",
    "export - --with-documents",
    "explain {complete}",
    "explain {erased}",
    "follow --quiet-for 0s",
    "history {complete}",
    "history {erased}",
    "history {failed}",
    "list acme",
    "mark-stale {failed}",
    "page --html - --with-names",
    "recover",
    "report {complete}",
    "report {erased} --version 6",
    "status {complete}",
    "status {failed}",
    "token list",
    "token revoke {token}",
    "verify",
    "verify --state-only",
]

THEIRS = '''
"""Another version of the library, to which everybody is somebody else."""


class version:
    """It."""

    def replay(stream, lines):
        """Say whose stream it is."""
        return {stream: [line[5] for line in lines]}
'''


class Marked:
    """A store with the mark in all places, and copies of it with something else there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.names, self.copies = folder, dict[str, str](), 0
        with SQLiteStore(folder / "marked.db") as store:
            self._live(Runs(store))
        with sqlite3.connect(folder / "marked.db") as edited:
            edited.execute("INSERT INTO documents VALUES ('person:Mark', 'Mark', '{}')")
            edited.execute("INSERT INTO documents SELECT stream, 'Mark', '{}' FROM heads WHERE tag = 'complete'")
            edited.execute("UPDATE unique_keys SET value = 'Mark' WHERE key LIKE 'run:%'")
            edited.execute("INSERT INTO queue (run_id, stream) VALUES ('Mark', 'person:Mark')")
            edited.execute("DROP TRIGGER events_no_update")
            edited.execute("UPDATE events SET type = 'Mark', data = '\"Mark\"' WHERE type = 'AttemptArmed'")
            edited.execute("UPDATE events SET type = 'Mark' WHERE stream = 'account:Mark' AND version = 2")
        edited.close()

    def _live(self, runs: Runs) -> None:
        runs.grant("acme", 10, grant_id=MARK, actor=MARK)
        runs.grant(MARK, 10, grant_id=MARK, actor=MARK)
        runs.revoke(MARK, MARK, actor=MARK)
        self.names["token"] = runs.tokens.create(MARK).token_id
        for name in ("complete", "erased", "failed"):
            profile = Profile(first_name=MARK, last_name=MARK, company=MARK, role=MARK)
            self.names[name] = runs.add("acme", profile, actor=MARK).accepted().person_id
            runs.start(self.names[name], key=f"{MARK} {name}", actor=MARK)
            assert Worker(runs, _fails if name == "failed" else _reports).run_once()
        runs.erase(self.names["erased"], actor=MARK)

    def copy(self, text: str) -> Path:
        """Return a store that has this text wherever the mark was."""
        self.copies += 1
        place = self.folder / f"copy-{self.copies}.db"
        shutil.copyfile(self.folder / "marked.db", place)
        with sqlite3.connect(place) as edited:
            for (table,) in edited.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                _put(edited, table, text)
        edited.close()
        return place

    def printed(self, command: str, text: str) -> Result:
        """Return what a command about one of its people prints of a store with this text; colours are let through."""
        words = command.format(**self.names).split()
        return CliRunner().invoke(cli, ["--store", str(self.copy(text)), *words], catch_exceptions=False, color=True)


def _reports(_: object) -> dict[str, Any]:
    return {MARK: [MARK, {"text": MARK}]}


def _fails(_: object) -> dict[str, Any]:
    raise ValueError(MARK)


_JSON = {"answer", "body", "data", "key", "meta", "state"}


def _put(edited: sqlite3.Connection, table: str, text: str) -> None:
    """Put a text wherever the mark is in a table; within JSON, as JSON has it."""
    for _, name, *_ in edited.execute(f"PRAGMA table_info({table})").fetchall():
        put = codec.encode(text).decode()[1:-1] if name in _JSON else text
        words = f"UPDATE {table} SET {name} = replace({name}, 'Mark', ?) WHERE instr({name}, 'Mark')"  # noqa: S608  # Our own tables.
        if table != "settings":
            edited.execute(words, (put,))


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Marked:
    """A store that is whole but for a few rows, made once."""
    return Marked(tmp_path_factory.mktemp("marked"))


@pytest.fixture
def theirs(tmp_path: Path) -> None:
    """Another version to compare with, where the program stands."""
    (tmp_path / "theirs.py").write_text(THEIRS)


def lines_of(output: str) -> list[str]:
    """Split what was printed as a terminal does."""
    assert output.endswith("\n")
    return output.removesuffix("\n").split("\n")


@pytest.mark.usefixtures("theirs")
@pytest.mark.parametrize("command", COMMANDS)
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(WORST)
@given(HOSTILE)
def test_no_text_acts_on_a_terminal(marked: Marked, command: str, text: str) -> None:
    """Whatever stands in a store, a command prints the lines that it would print of a harmless one, and no control."""
    harmless, hostile = (marked.printed(command, one) for one in ("mere", text))
    assert hostile.exit_code == harmless.exit_code
    assert len(lines_of(hostile.output)) == len(lines_of(harmless.output))
    assert {one for one in hostile.output if visible(one) != one} <= {"\n"}


@pytest.mark.parametrize("command", ["history {erased}", "verify"])
def test_colours_are_our_own(marked: Marked, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """At a terminal, no escape is printed but those that are printed of a harmless store."""
    monkeypatch.setattr(session, "_is_terminal", lambda: True)
    harmless, hostile = (marked.printed(command, one).output for one in ("mere", WORST))
    assert ESCAPE in harmless
    assert hostile.count(ESCAPE) == harmless.count(ESCAPE)


def test_json_is_harmless_and_says_what_is_there(marked: Marked) -> None:
    """What a program is told is what stands in the store, in characters that may be shown."""
    printed = marked.printed("--json history {erased}", WORST).stdout
    assert {one for one in printed if visible(one) != one} == {"\n"}
    assert json.loads(printed)[-1]["meta"]["actor"] == WORST


def test_findings_in_python_are_lines() -> None:
    """Whoever prints what `audit.verify` yields prints one line for each."""
    for one in (Finding("chained", WORST, 1, WORST), Finding("chained", WORST, None, WORST), Erased(WORST, 1, WORST)):
        assert visible(str(one)) == str(one)
        assert visible(WORST) in str(one)


def test_explanations_in_python_are_lines(marked: Marked) -> None:
    """A line for each sentence."""
    with SQLiteStore(marked.copy(WORST)) as store:
        found = explain(store, marked.names["erased"])
    assert isinstance(found, Explanation)
    assert any(WORST in one for one in found.sentences)
    assert str(found).split("\n") == [visible(one) for one in found.sentences]


def test_errors_are_lines() -> None:
    """Refusals and errors, too, whoever wrote the words in them."""
    result = CliRunner().invoke(cli, ["--store", WORST, "list", "acme"], color=True)
    assert result.exit_code == 7
    assert {one for one in result.stderr if visible(one) != one} == {"\n"}
    assert len(lines_of(result.stderr)) == 1


def test_logged_messages_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Also an error with its traceback: that has lines of its own, and none of the error's words acts."""
    log = logging.getLogger("research_fsm.tests")
    with logging_to_stderr():
        log.warning("somebody is called %s", WORST)
        log.error("it failed", exc_info=ValueError(WORST))
    written = capsys.readouterr().err
    assert {one for one in written if visible(one) != one} == {"\n"}
    assert visible(WORST) in written.splitlines()[0]


def test_mistakes_are_told_in_harmless_characters() -> None:
    """Those in how the program was called, by a script that was given somebody's words."""
    result = CliRunner().invoke(cli, ["add", "acme", "--from", WORST.replace("/", "")], color=True)
    assert result.exit_code == 2
    assert {one for one in result.output if visible(one) != one} == {"\n"}


def test_a_proof_is_harmless_and_says_what_is_there(marked: Marked, tmp_path: Path) -> None:
    """It says what the event says."""
    program = Program(marked.copy(WORST))
    for words in (["key", "key"], ["make", "--key", "key"]):
        made = program("checkpoint", *words).stdout
    (tmp_path / "stated").write_text(made)
    stream = f"account:{WORST}"
    about = ("stated", "--key", "key.pub")
    proof = CliRunner().invoke(
        cli, ["--store", str(program.store), "checkpoint", "prove", *about, "--event", stream, "1"]
    )
    assert {one for one in proof.stdout if visible(one) != one} == {"\n"}
    assert json.loads(proof.stdout)["stream"] == stream


def test_answers_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Answers and refusals name owners and ids, whoever checked them."""
    for answer in (Revoked(WORST, WORST, 1), GrantIdReused(WORST, WORST, 1)):
        session.Session().answer(answer)
        printed = "".join(capsys.readouterr())
        assert visible(printed.removesuffix("\n")) + "\n" == printed


def test_what_a_doctor_saw_is_a_line_each(program: Program) -> None:
    """Also where it says what somebody's file is called."""
    place = program.store.with_name(WORST.replace("/", ""))
    for store in (place, program.store):
        Program(store)("grant", "acme", 5)
    printed = CliRunner().invoke(cli, ["--store", str(place), "doctor"], color=True).output
    assert len(lines_of(printed)) == len(lines_of(program("doctor").output))
    assert {one for one in printed if visible(one) != one} == {"\n"}
