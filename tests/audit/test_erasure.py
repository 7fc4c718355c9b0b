"""An erasure takes the personal data out of every byte, and leaves every proof as it was."""

import json
from pathlib import Path

from research_fsm import Profile, Runs, checkpoints, exported
from research_fsm.audit import verify
from research_fsm.events import PersonKind
from research_fsm.lifecycle import Status
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.worker import Worker

PERSONAL = (b"zaphod", b"Zaphod", b"Beeblebrox", b"Heart of Gold", b"two heads", b"third arm")


def personal_in(folder: Path) -> set[tuple[str, bytes]]:
    """Which personal words stand anywhere in the bytes of which files, whatever the files are."""
    contents = {one.name: one.read_bytes() for one in folder.iterdir()}
    return {(name, word) for name, content in contents.items() for word in PERSONAL if word in content}


def test_nothing_personal_is_left_and_every_proof_holds(tmp_path: Path) -> None:
    """No word is left in the file, its log, its free pages or a copy; checkpoints and proofs of before still hold."""
    (tmp_path / "store").mkdir()
    with SQLiteStore(tmp_path / "store" / "log.db") as store:
        runs = Runs(store)
        runs.grant("acme", 5)
        profile = Profile(
            linkedin_url="linkedin.com/in/zaphod",
            first_name="Zaphod",
            last_name="Beeblebrox",
            company="Heart of Gold",
        )
        person = runs.add("acme", profile, kind=PersonKind.PARTNER).accepted().person_id
        other = runs.add("acme", Profile(linkedin_url="linkedin.com/in/ada")).accepted().person_id
        for notes in ("two heads " * 2000, "third arm " * 2000):
            runs.start(person, key=f"key {notes[:3]}").accepted()
            assert Worker(runs, lambda _, notes=notes: {"notes": notes}).run_once()  # type: ignore[misc]
            runs.mark_stale(person)
        stated = checkpoints.make(store)
        proof = checkpoints.prove_inclusion(store, f"person:{person}", 1, stated.events)
        assert {word for _, word in personal_in(tmp_path / "store")} == set(PERSONAL), "the test looks at the bytes"

        runs.erase(person, actor="the data protection officer").accepted()

        store.backup(tmp_path / "store" / "backup.db")
        lines = "".join(exported.export(store, with_documents=True))
        (tmp_path / "store" / "log.jsonl").write_text(lines, encoding="utf-8")
        assert personal_in(tmp_path / "store") == set()
        assert list(verify(store)) == []
        assert list(checkpoints.differences(store, stated)) == []
        assert checkpoints.prove_inclusion(store, f"person:{person}", 1, stated.events) == proof
        assert checkpoints.holds(proof, stated)
        assert runs.person(other).status is Status.IDLE  # type: ignore[union-attr]  # They are there.
        *_, last = store.events(f"person:{person}")
        assert (last.type, json.loads(last.meta)["actor"]) == ("PersonErased", "the data protection officer")
    assert personal_in(tmp_path / "store") == set()
