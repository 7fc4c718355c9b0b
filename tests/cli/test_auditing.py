"""A whole audit from the command line: verify, checkpoints and proofs, a log out and in again."""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from research_fsm import Profile, Runs, imported
from research_fsm.laws import STATEMENTS
from research_fsm.stores import sqlite_evidence
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.worker import Worker
from tests.cli.conftest import Program, Spawn
from tests.system.program import until


@pytest.fixture
def key(program: Program) -> str:
    """A key beside the store."""
    assert program.json("checkpoint", "key", "audit.key") == {"private": "audit.key", "public": "audit.key.pub"}
    return "audit.key"


def stated(program: Program, key: str, name: str) -> str:
    """A checkpoint of the log as it is now, in a file."""
    Path(name).write_text(program("checkpoint", "make", "--key", key).stdout)
    return name


def test_a_private_key_is_for_its_owner_alone(program: Program, key: str) -> None:
    """It is readable by nobody else, and one that is there is never replaced."""
    assert Path(key).stat().st_mode & 0o777 == 0o600
    before = Path(key).read_bytes()
    assert program("checkpoint", "key", key).exit_code == 2
    assert Path(key).read_bytes() == before


def test_a_log_that_went_on_holds(program: Program, key: str) -> None:
    """A checkpoint is still one of the log after more was done, an erasure included."""
    person_id = program.complete()
    old = stated(program, key, "old.txt")
    program("erase", person_id)
    assert program.json("checkpoint", "check", old, "--key", f"{key}.pub") == {"problems": []}
    assert program.json("verify", "--checkpoint", old, "--key", f"{key}.pub")["findings"] == []


def test_the_report_says_who_was_erased(program: Program) -> None:
    """When, and by whom if they were named: for people, for machines, and from an exported file."""
    first, second = program.complete(), program.complete()
    program("erase", first)
    with SQLiteStore(program.store) as store:
        Runs(store).erase(second)
    erased = program.json("verify")["erased"]
    assert [(one["person_id"], one["by"]) for one in erased] == [(first, "cli"), (second, None)]
    words = program("verify").stdout
    assert f"{first} was erased on {erased[0]['at']} by cli\n" in words
    assert f"{second} was erased on {erased[1]['at']} by somebody who was not named\n" in words
    program("export", "log.jsonl")
    assert program.json("verify", "--exported", "log.jsonl") == {"findings": [], "erased": erased}


@pytest.mark.parametrize("lines_left", [0, 1, 4])
@pytest.mark.parametrize("more", [[], ["{}\n"]])
def test_what_could_not_be_asked_is_not_called_kept(program: Program, lines_left: int, more: list[str]) -> None:
    """Where a file cannot be read on, no law is known to hold of the rest; those that are broken before are named."""
    program.complete()
    program("export", "log.jsonl")
    lines = Path("log.jsonl").read_text().replace('"PersonAdded"', '"PersonErased"').splitlines(keepends=True)
    Path("log.jsonl").write_text("".join([*lines[:lines_left], *more]))
    result = program("verify", "--exported", "log.jsonl")
    assert result.exit_code == 1
    assert "✓" not in result.stdout
    assert result.stdout.count("✗ readable") == 1
    assert ("✗ chained" in result.stdout) is (lines_left == 4)
    assert "? never_overdrawn: " in result.stdout
    assert "?: asked only of what could be read\n" in result.stdout


def test_findings_are_listed_as_json_as_any_json_is(program: Program) -> None:
    """Item by item, and yet as a whole: one, several and none look as if they had been written at once."""
    erased = [program.complete() for _ in range(3)]
    for count, person_id in enumerate(erased, 1):
        program("erase", person_id)
        printed = program("--json", "verify").stdout
        found = json.loads(printed)
        assert (found["findings"], [one["person_id"] for one in found["erased"]]) == ([], erased[:count])
        assert printed == json.dumps(found, indent=2) + "\n"


def test_a_first_look_says_what_it_looked_at(program: Program) -> None:
    """It names its laws and no others, finds a head elsewhere, and cannot be had of an exported file."""
    program.complete()
    words = program("verify", "--state-only").stdout
    assert [line.split(":")[0] for line in words.splitlines()] == [
        "✓ readable",
        "✓ gapless",
        "✓ legal",
        "✓ heads_are_folds",
        "the log keeps each of these laws",
    ]
    program("export", "log.jsonl")
    assert program("verify", "--state-only", "--exported", "log.jsonl").exit_code == 2
    assert "✓ chained" in program("verify", "--exported", "log.jsonl").stdout
    assert "way_out" not in program("verify", "--exported", "log.jsonl").stdout
    with sqlite3.connect(program.store) as edited:
        edited.execute("UPDATE heads SET tag = 'idle' WHERE tag = 'complete'")
    edited.close()
    (finding,) = program.json("verify", "--state-only", code=1)["findings"]
    assert finding["law"] == "heads_are_folds"


def test_a_cut_tail_is_found_by_the_checkpoint_alone(program: Program, key: str) -> None:
    """Cut off together with its head and its keys, an account is missed by nothing but the checkpoint."""
    program.complete()
    program("grant", "other", 5)
    old = stated(program, key, "old.txt")
    with sqlite3.connect(program.store) as edited:
        edited.execute("DROP TRIGGER events_no_delete")
        edited.execute("DELETE FROM events WHERE stream = 'account:other'")
        edited.execute("DELETE FROM heads WHERE stream = 'account:other'")
        edited.execute("DELETE FROM unique_keys WHERE stream = 'account:other'")
    edited.close()
    assert program.json("verify")["findings"] == []
    (finding,) = program.json("verify", "--checkpoint", old, "--key", f"{key}.pub", code=1)["findings"]
    assert (finding["law"], finding["words"][-16:]) == ("checkpointed", "some were cut off"[-16:])
    assert program("checkpoint", "check", old, "--key", f"{key}.pub").exit_code == 1


def test_another_keys_checkpoint_is_refused(program: Program, key: str) -> None:
    """Who may write the log cannot make up a checkpoint: it is not signed with the key."""
    program.complete()
    program("checkpoint", "key", "forged.key")
    forged = stated(program, "forged.key", "forged.txt")
    assert program("checkpoint", "check", forged, "--key", f"{key}.pub").exit_code == 2
    assert program("verify", "--checkpoint", forged, "--key", f"{key}.pub").exit_code == 2
    assert program("verify", "--checkpoint", forged).exit_code == 2


def test_proofs_are_checked_without_the_store(program: Program, key: str) -> None:
    """Who has a checkpoint, the public key and a proof needs nothing else, and is not convinced by a wrong one."""
    program.complete()
    old = stated(program, key, "old.txt")
    program("grant", "other", 5)
    new, public = stated(program, key, "new.txt"), f"{key}.pub"
    Path("event.json").write_text(
        program("checkpoint", "prove", old, "--key", public, "--event", "account:acme", 1).stdout
    )
    Path("both.json").write_text(program("checkpoint", "prove", old, "--key", public, "--newer", new).stdout)
    program.store.unlink()
    assert program.json("checkpoint", "check", old, "--key", public, "--proof", "event.json") == {"problems": []}
    both = ("--proof", "both.json", "--newer")
    assert program.json("checkpoint", "check", old, "--key", public, *both, new) == {"problems": []}
    assert program("checkpoint", "check", new, "--key", public, *both, old).exit_code == 1
    edited = json.loads(Path("event.json").read_text())
    Path("event.json").write_text(json.dumps({**edited, "at": edited["at"] + 1}))
    assert program("checkpoint", "check", old, "--key", public, "--proof", "event.json").exit_code == 1


def test_a_signature_is_checked_with_openssl_alone(program: Program, key: str) -> None:
    """An auditor without Python checks who signed a checkpoint."""
    openssl = shutil.which("openssl")
    assert openssl is not None, "the tests need the program openssl"
    program.complete()
    *statement, signature = Path(stated(program, key, "old.txt")).read_text().splitlines(keepends=True)
    Path("statement").write_text("".join(statement))
    Path("signature").write_bytes(bytes.fromhex(signature.removeprefix("signature ")))
    words = [openssl, "pkeyutl", "-verify", "-pubin", "-inkey", f"{key}.pub", "-rawin", "-in", "statement"]
    checked = subprocess.run([*words, "-sigfile", "signature"], capture_output=True, check=False)  # noqa: S603 - a fixed program.
    assert checked.returncode == 0, checked.stderr


def test_a_log_goes_out_and_in(program: Program, key: str) -> None:
    """The new store has the old one's hashes: its checkpoint holds, and a second export has the same events."""
    program.complete()
    old = stated(program, key, "old.txt")
    assert program.json("export", "log.jsonl", "--with-documents")["export"] == "log.jsonl"
    assert Path("log.jsonl").stat().st_mode & 0o777 == 0o600
    other = Program(Path("other.db").resolve())
    assert other.json("import-log", "log.jsonl")["events"] > 5
    assert other.json("verify", "--checkpoint", old, "--key", f"{key}.pub")["findings"] == []
    assert program.json("verify", "--exported", "log.jsonl")["findings"] == []
    assert other("import-log", "log.jsonl").exit_code == 7
    assert program("export", "log.jsonl").exit_code == 2


def test_a_copy_without_documents_is_not_condemned(program: Program) -> None:
    """What no exported log brings is not asked for, and not said to be kept; whoever forgets to say so is told."""
    program.complete()
    program("export", "log.jsonl")
    copy = Program(Path("copy.db").resolve())
    copy("import-log", "log.jsonl")

    held = copy("verify", "--imported")
    assert (held.exit_code, held.stderr) == (0, "")
    assert "✓ chained" in held.stdout
    assert "documents_match" not in held.stdout
    assert held.stdout.endswith("the log keeps each of these laws\n")
    assert copy("page", "--html", "copy.html", "--imported").exit_code == 0
    shown = Path("copy.html").read_text()
    assert "The log keeps each law that it was asked about.</b>" in shown
    assert f"{len(STATEMENTS) - 1} laws, no findings. Not asked: documents_match." in shown

    for words in (["verify"], ["page", "--html", "copy.html"]):
        result = copy(*words)
        assert result.exit_code == 1
        assert result.stderr.endswith("if it is one, say --imported.\n")
        assert result.stderr.count("\n") == 1


def test_a_document_less_is_no_copy(program: Program) -> None:
    """That a store may be a copy is said only where no document is there, and only if an event names one."""
    program("grant", "acme", 5)
    assert program("verify").stderr == ""
    program.person()
    with sqlite3.connect(program.store) as edited:
        edited.execute("DELETE FROM documents WHERE name = 'profile'")
    edited.close()
    result = program("verify", "--imported")
    assert (result.exit_code, result.stderr) == (1, "")
    assert "✗ documents_match" in result.stdout
    assert program("verify", "--imported", "--state-only").exit_code == 2
    assert program("verify", "--imported", "--exported", "log.jsonl").exit_code == 2


def test_a_cut_export_is_found_and_not_imported(program: Program) -> None:
    """Half a file is a finding, and leaves no half store."""
    program.complete()
    program("export", "log.jsonl")
    lines = Path("log.jsonl").read_text().splitlines(keepends=True)
    Path("log.jsonl").write_text("".join(lines[:-2]))
    assert program("verify", "--exported", "log.jsonl").exit_code == 1
    other = Program(Path("other.db").resolve())
    assert other("import-log", "log.jsonl").exit_code == 7
    assert sorted(one.name for one in Path().glob("other.db*")) == []


def test_a_killed_import_leaves_no_store(program: Program, spawn: Spawn, tmp_path: Path) -> None:
    """Half a log is whole in itself: it must not lie where the store was to be, and the name is free."""
    with SQLiteStore("long.db") as store:
        runs = Runs(store)
        runs.grant("acme", 2)
        runs.start(runs.add("acme", Profile(linkedin_url="linkedin.com/in/ada")).accepted().person_id)
        assert Worker(runs, lambda _: {"found": "x" * imported._TOGETHER_BYTES}).run_once()
        runs.grant("acme", 1)
    assert Program(Path("long.db"))("export", "log.jsonl", "--with-documents").exit_code == 0
    lines = Path("log.jsonl").read_text().splitlines(keepends=True)
    os.mkfifo("pipe")
    process = spawn("import-log", "pipe")
    with Path("pipe").open("w") as out:
        out.writelines(lines[:-1])
        out.flush()
        until(lambda: any(one.stat().st_size > 2**20 for one in tmp_path.glob("research.db.*.part/*-wal")), "it wrote")
        process.kill()
        process.wait()
    assert not program.store.exists()
    assert program.json("import-log", "log.jsonl")["events"] == sum('"position"' in line for line in lines)
    assert program.json("verify")["findings"] == []


def test_an_import_that_others_have_opened_is_no_store(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite leaves what it wrote last in a file beside it then: the store would lose it with its new name."""
    program.complete()
    program("export", "log.jsonl")
    opened = list[sqlite3.Connection]()
    load = imported.load

    def meanwhile(*words: Any, **named: Any) -> imported.Imported:  # noqa: ANN401  # Passed on.
        done = load(*words, **named)
        (part,) = Path().glob("other.db.*.part/other.db")
        opened.append(sqlite3.connect(part))
        opened[0].execute("SELECT count(*) FROM events").fetchall()
        return done

    monkeypatch.setattr(imported, "load", meanwhile)
    other = Program(Path("other.db").resolve())
    assert other.json("import-log", "log.jsonl", code=75)["error"] == "store_busy"
    opened[0].close()
    assert sorted(one.name for one in Path().glob("other.db*")) == []


def test_an_import_into_no_folder_says_so(program: Program) -> None:
    """In the words of a store that cannot be made."""
    program.complete()
    program("export", "log.jsonl")
    assert "No such file" in Program(Path("none/other.db")).json("import-log", "log.jsonl", code=7)["problem"]


@pytest.mark.parametrize("leftover", [False, True])
def test_evidence_is_not_written_to(program: Program, monkeypatch: pytest.MonkeyPatch, *, leftover: bool) -> None:
    """On a disk that takes no writes a log is verified as it lies there, with what its write-ahead log holds."""
    monkeypatch.setattr(sqlite_evidence, "_may_write_in", lambda _: False)
    program.complete()
    with program.runs() as runs:
        runs.grant("late", 7)  # While the store is open, this is in the write-ahead log alone.
        evidence = Path("evidence")
        evidence.mkdir()
        for end in ("", "-wal") if leftover else ("",):
            shutil.copyfile(f"{program.store}{end}", evidence / f"log.db{end}")
    before = {one.name: hashlib.sha256(one.read_bytes()).digest() for one in evidence.iterdir()}
    copy = Program((evidence / "log.db").resolve())
    assert copy.json("verify")["findings"] == []
    copy("export", "log.jsonl")
    assert ("account:late" in Path("log.jsonl").read_text()) is leftover
    assert {one.name: hashlib.sha256(one.read_bytes()).digest() for one in evidence.iterdir()} == before


def test_a_file_that_may_not_be_written_is_verified(program: Program) -> None:
    """A copy without write permission is enough."""
    program.complete()
    program.store.chmod(0o444)
    before = program.store.read_bytes()
    assert program.json("verify")["findings"] == []
    assert program.store.read_bytes() == before
    assert program.store.stat().st_mode & 0o777 == 0o444
