"""``erase`` says what it could not overwrite yet, ``doctor`` knows it, and a recovery pass makes good."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.cli.conftest import Program, Spawn
from tests.cli.processes import ended, until

_NAME = b"Lovelace"
_SOON = ("--wait", "50ms")


def _named_in(store: Path) -> bool:
    """Tell whether the bytes of the store's files name her. No connection of this process may be open meanwhile."""
    return any(_NAME in file.read_bytes() for file in store.parent.glob(f"{store.name}*"))


def _reading(program: Program) -> sqlite3.Connection:
    """Begin to read the store, as any program may."""
    client = sqlite3.connect(program.store, isolation_level=None)
    client.execute("BEGIN")
    client.execute("SELECT count(*) FROM events").fetchall()
    return client


def _ada(program: Program) -> str:
    words = ("--first-name", "Ada", "--last-name", _NAME.decode(), "--company", "Engines")
    return str(program.json("add", "acme", *words)["id"])


def _erasures(program: Program) -> dict[str, str]:
    """What `doctor` says of erasures."""
    check: dict[str, str]
    [check] = [one for one in program.json("doctor") if one["check"] == "erasures"]
    return check


def test_who_erases_beside_a_reader_is_told(program: Program) -> None:
    """She is erased, exit code 0; that her bytes are still there is said in one sentence, with what to do."""
    ada, other = _ada(program), _ada(program)
    with closing(_reading(program)):
        said = program("erase", ada, *_SOON)
        facts = program.json("erase", other, *_SOON)
    assert said.exit_code == 0
    assert said.stdout == f"erased person {ada}\n"
    assert said.stderr == f"Warning: {facts['warning']}\n"
    assert f"still in the bytes of {program.store} or {program.store}-wal" in facts["warning"]
    assert "`recover`" in facts["warning"]
    assert (facts["outcome"], facts["wiped"]) == ("erased", False)
    assert not _named_in(program.store)  # The next command that wrote, or SQLite as the last to close, did it.


def test_another_process_makes_good(program: Program, spawn: Spawn) -> None:
    """`recover --every` has the store open since before the erasure; its pass after the reader's end overwrites her."""
    ada = _ada(program)
    recovering = spawn("recover", "--every", "20ms", "--json")
    assert recovering.stdout is not None
    recovering.stdout.readline()
    with closing(_reading(program)):
        assert program.json("erase", ada, *_SOON)["wiped"] is False
        assert _erasures(program)["verdict"] == "warning"
        assert "still in the bytes" in _erasures(program)["words"]
    until(lambda: not _named_in(program.store))
    until(lambda: _erasures(program)["verdict"] == "ok")
    recovering.terminate()
    assert ended(recovering)[0] == 0


def test_whoever_erases_alone_hears_of_nothing(program: Program) -> None:
    """Nobody was reading: there is nothing to warn of, and no byte is left."""
    said = program("erase", _ada(program))
    assert (said.exit_code, said.stderr) == (0, "")
    assert not _named_in(program.store)
