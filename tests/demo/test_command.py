"""The command, with the play replaced: where the store goes, and what the exit code says."""

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from research_fsm.cli import cli
from research_fsm.demo import play
from research_fsm.demo.place import Database, File, Place
from research_fsm.demo.promises import STATEMENTS, Checks
from research_fsm.demo.screen import Screen


class Played:
    """Stands for the play, and remembers with what it was called."""

    def __init__(self) -> None:
        self.place: Place | None = None
        self.folder = Path()
        self.quiet = False
        self.failure: str | None = None
        self.broken: tuple[str, ...] = ()
        self.signum: signal.Signals | None = None

    @property
    def path(self) -> Path:
        """The file that the store was to go to."""
        assert isinstance(self.place, File)
        return self.place.path

    def __call__(self, screen: Screen, place: Place, folder: Path) -> play.Ending:
        """Let every promise hold but the broken ones."""
        self.place, self.folder, self.quiet = place, folder, screen.console.quiet
        if self.signum is not None:
            signal.raise_signal(self.signum)
        checks = Checks()
        for name in STATEMENTS:
            checks.equal(name, 1, 2 if name in self.broken else 1)
        return play.Ending(place, folder, checks, 1.25, self.failure)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Played:
    """Replace the play, and let temporary folders be made below one of the test."""
    stand_in = Played()
    monkeypatch.setattr(play, "play", stand_in)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("RESEARCH_FSM_STORE", raising=False)
    return stand_in


def called(*arguments: str) -> Result:
    """Call the program."""
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def test_the_store_is_made_in_a_fresh_folder_that_is_kept(played: Played, tmp_path: Path) -> None:
    """What to look at next must still be there."""
    assert called("demo").exit_code == 0
    assert played.path.parent == played.folder
    assert played.folder.parent == tmp_path
    assert played.folder.is_dir()


@pytest.mark.parametrize("arguments", [("demo", "--store"), ("--store",)], ids=["after", "before"])
def test_a_store_can_be_named(played: Played, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """After the command's name or before it; the logs go to a folder of their own."""
    named = tmp_path / "named.db"
    words = (*arguments, str(named)) if arguments[0] == "demo" else (*arguments, str(named), "demo")
    assert called(*words).exit_code == 0
    assert played.path == named
    assert played.folder != tmp_path


@pytest.mark.parametrize("place", ["after", "before"])
def test_a_file_that_exists_is_refused(played: Played, tmp_path: Path, place: str) -> None:
    """A demonstration never touches a store that somebody has, nor anything else."""
    theirs = tmp_path / "theirs.db"
    theirs.write_bytes(b"precious")
    words = ("demo", "--store", str(theirs)) if place == "after" else ("--store", str(theirs), "demo")
    result = called(*words)
    assert result.exit_code == 2
    assert "exists" in result.stderr
    assert theirs.read_bytes() == b"precious"
    assert played.place is None
    assert list(tmp_path.iterdir()) == [theirs]


@pytest.mark.parametrize("arguments", [("demo", "--store"), ("--store",)], ids=["after", "before"])
def test_a_database_can_be_named(played: Played, arguments: tuple[str, ...]) -> None:
    """The schema is a new one of its own, or the one that is named; no password is shown, or stands in an argument."""
    for named, schema in (("", "research_fsm_demo_[0-9a-f]{8}"), ("?schema=mine", "mine")):
        address = f"postgresql://me:secret@host/app{named}"
        words = (*arguments, address) if arguments[0] == "demo" else (*arguments, address, "demo")
        assert called(*words, "--json").exit_code == 0
        place = played.place
        assert isinstance(place, Database)
        assert re.fullmatch(rf"postgresql://me:secret@host/app\?schema={schema}", place.address)
        assert place.environment == {"RESEARCH_FSM_STORE": place.address}
        told = (place.shown, repr(place), place.query("select 1"), place.removal(played.folder), *place.words)
        assert not any("secret" in one for one in told)
        assert re.search(rf"drop schema {schema} cascade", place.removal(played.folder))


def test_what_is_no_address_is_refused(played: Played, tmp_path: Path) -> None:
    """Before anything is made, and without repeating it."""
    result = called("demo", "--store", "postgresql://me:sec/ret@host/app")
    assert result.exit_code == 2
    assert "ret" not in result.output.replace("create", "")
    assert played.place is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_is_refused(played: Played, tmp_path: Path) -> None:
    """It is said before anything is started."""
    result = called("demo", "--store", str(tmp_path / "missing" / "demo.db"))
    assert result.exit_code == 2
    assert "there is no folder" in result.stderr
    assert played.place is None


def test_the_store_of_the_environment_is_not_played_with(
    played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator who has set one can still watch the demonstration, and theirs is left alone."""
    theirs = tmp_path / "theirs.db"
    theirs.write_bytes(b"precious")
    monkeypatch.setenv("RESEARCH_FSM_STORE", str(theirs))
    assert called("demo").exit_code == 0
    assert played.path != theirs


@pytest.mark.parametrize("words", [("demo", "--json"), ("--json", "demo")], ids=["after", "before"])
def test_json_is_one_object_and_nothing_else(played: Played, words: tuple[str, ...]) -> None:
    """The summary has every promise with what was expected and seen."""
    played.broken = ("one_credit",)
    result = called(*words)
    assert result.exit_code == 1
    assert played.quiet
    summary: dict[str, Any] = json.loads(result.stdout)
    assert (summary["held"], summary["seconds"], summary["store"]) == (False, 1.2, str(played.path))
    assert [check["name"] for check in summary["checks"]] == list(STATEMENTS)
    broken = [check for check in summary["checks"] if not check["held"]]
    assert broken == [
        {
            "name": "one_credit",
            "statement": STATEMENTS["one_credit"],
            "reached": True,
            "held": False,
            "expected": 1,
            "seen": 2,
        }
    ]


@pytest.mark.parametrize(
    ("broken", "failure", "code"),
    [((), None, 0), (("told_why",), None, 1), ((), "the server did not start", 1)],
    ids=["held", "broken", "could not go on"],
)
def test_the_exit_code_says_whether_every_promise_held(
    played: Played, broken: tuple[str, ...], failure: str | None, code: int
) -> None:
    """0 only if all of them were looked at and held, and nothing got in the way."""
    played.broken, played.failure = broken, failure
    assert called("demo").exit_code == code


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_the_signals_own_code(played: Played, signum: signal.Signals) -> None:
    """As a shell says it; the temporary folder is gone, for there is nothing to look at."""
    played.signum = signum
    result = called("demo")
    assert result.exit_code == 128 + signum
    assert "nothing is left running" in result.stderr
    assert not played.folder.exists()
