"""Commands that only look: whatever file they are shown, they leave it byte for byte as it was."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import research_fsm
from research_fsm import PersonKind, Profile
from research_fsm.stores import sqlite_evidence
from research_fsm.worker import Worker
from tests.cli.conftest import Program

LOOKING = {
    "list": "list acme",
    "status": "status PERSON",
    "status then": "status PERSON --version 2",
    "report": "report PERSON",
    "report then": "report PERSON --version 5",
    "history": "history PERSON",
    "balance": "balance acme",
    "balance then": "balance acme --position 3",
    "token list": "token list",
    "follow": "follow --quiet-for 0s",
    "explain": "explain PERSON",
    "verify": "verify",
    "verify --state-only": "verify --state-only",
    "checkpoint make": "checkpoint make --key key",
    "checkpoint check": "checkpoint check stated --key key.pub",
    "checkpoint prove": "checkpoint prove stated --key key.pub --event account:acme 1",
    "export": "export log.jsonl --with-documents",
    "page": "page --html log.html",
    "views": "views --out views.db --with-documents",
    "compare": f"compare --with {Path(research_fsm.__file__).parents[1]}",
    "doctor": "doctor",
}
"""Every command that only looks; the last one calls a file that is no write-ahead log a problem."""


def _vacuumed(store: Path, copy: Path) -> None:
    """As a careful person copies a store: without a write-ahead log."""
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))


def _unfolded(store: Path, copy: Path) -> None:
    """As a store lies there whose process was killed: its latest events are in the write-ahead log alone."""
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("UPDATE heads SET due = due")
        for end in ("", "-wal"):
            shutil.copyfile(f"{store}{end}", f"{copy}{end}")
    assert copy.with_name(f"{copy.name}-wal").stat().st_size > 0


def _whole(store: Path, copy: Path) -> None:
    """As a store lies there that nobody uses."""
    shutil.copyfile(store, copy)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store with somebody who is complete, a token, a key and a checkpoint beside it; and who that is."""
    folder = tmp_path_factory.mktemp("made")
    program = Program(folder / "research.db")
    with program.runs() as runs:
        runs.grant("acme", 5)
        person_id = runs.add("acme", Profile(linkedin_url="linkedin.com/in/ada")).accepted().person_id
        runs.start(person_id)
        assert Worker(runs, lambda _: {"found": 1}).run_once()
        runs.tokens.create("acme", PersonKind.USER)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        program("checkpoint", "key", "key")
        Path("stated").write_text(program("checkpoint", "make", "--key", "key").stdout)
    return folder, person_id


Copied = tuple[Program, str]


@pytest.fixture(params=[_vacuumed, _unfolded, _whole])
def copied(request: pytest.FixtureRequest, made: tuple[Path, str], tmp_path: Path) -> Copied:
    """A copy of the store that nobody uses, in a folder of its own, with what the commands need elsewhere."""
    folder, person_id = made
    copy: Callable[[Path, Path], None] = request.param
    (tmp_path / "evidence").mkdir()
    copy(folder / "research.db", tmp_path / "evidence" / "copy.db")
    for name in ("key", "key.pub", "stated"):
        shutil.copyfile(folder / name, tmp_path / name)
    return Program(tmp_path / "evidence" / "copy.db"), person_id


def _bytes(store: Path) -> dict[str, bytes]:
    """What the file and its write-ahead log hold; none is as good as an empty one."""
    both = (store, store.with_name(f"{store.name}-wal"))
    return {place.name: place.read_bytes() if place.exists() else b"" for place in both}


def _looked(copied: Copied, words: str) -> None:
    """Call a command, which finds nothing to complain of but a journal mode."""
    program, person_id = copied
    result = program(*words.replace("PERSON", person_id).split())
    assert result.exit_code in ((0, 1) if words == "doctor" else (0,)), result.output


@pytest.mark.parametrize("words", LOOKING.values(), ids=LOOKING)
def test_what_is_looked_at_is_left_as_it_was(copied: Copied, words: str) -> None:
    """No journal mode is switched, no write-ahead log emptied, nothing migrated."""
    before = _bytes(copied[0].store)
    _looked(copied, words)
    assert _bytes(copied[0].store) == before


@pytest.mark.parametrize("words", LOOKING.values(), ids=LOOKING)
def test_a_folder_that_takes_no_writes_is_looked_at(
    copied: Copied, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is made beside the file, either."""
    monkeypatch.setattr(sqlite_evidence, "_may_write_in", lambda folder: folder != copied[0].store.parent)
    copied[0].store.chmod(0o444)
    folder = copied[0].store.parent
    before = {place.name: place.read_bytes() for place in folder.iterdir()}
    _looked(copied, words)
    assert {place.name: place.read_bytes() for place in folder.iterdir()} == before


@pytest.mark.parametrize("words", LOOKING.values(), ids=LOOKING)
def test_an_older_store_is_looked_at_as_it_is(copied: Copied, words: str) -> None:
    """Whoever writes to it migrates it, and whoever looks does not."""
    store = copied[0].store
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 0")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = _bytes(store)
    _looked(copied, words)
    assert _bytes(store) == before
