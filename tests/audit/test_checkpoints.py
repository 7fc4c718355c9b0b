"""A checkpoint says how far a log reached, and finds what no look at the log alone can find."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from research_fsm import Profile, Runs, checkpoints
from research_fsm.audit import verify
from research_fsm.checkpoints import Checkpoint, Consistency
from research_fsm.errors import InvalidInput
from research_fsm.merkle import Tree
from research_fsm.stores.memory import MemoryStore
from research_fsm.stores.sqlite import SQLiteStore

KEY = Ed25519PrivateKey.from_private_bytes(
    bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
)
"""The key of RFC 8032, section 7.1, test 1: known to everybody, and so of no use but for examples."""

STATED = Checkpoint(3, b"\x01" * 32, 1_795_500_000_000_000)


@pytest.fixture
def runs() -> Runs:
    """A log of a few people, each with a run."""
    runs = Runs(MemoryStore())
    runs.grant("acme", 10)
    for name in ("ada", "bob", "cy"):
        person = runs.add("acme", Profile(linkedin_url=f"linkedin.com/in/{name}")).accepted()
        runs.start(person.person_id)
    return runs


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of a granted account, and two people."""
    path = tmp_path / "log.db"
    with SQLiteStore(path) as store:
        runs = Runs(store)
        runs.grant("acme", 10)
        for name in ("ada", "bob"):
            runs.start(runs.add("acme", Profile(linkedin_url=f"linkedin.com/in/{name}")).accepted().person_id)
    return path


def test_a_signed_checkpoint_reads_back() -> None:
    """The text states what was signed, and only the key's owner can have signed it."""
    text = checkpoints.sign(STATED, KEY)
    assert checkpoints.parse(text) == STATED
    assert checkpoints.signed_by(text, checkpoints.load_public_key(checkpoints.public_pem(KEY)))
    other = checkpoints.load_private_key(checkpoints.new_key())
    assert not checkpoints.signed_by(text, other.public_key())


@pytest.mark.parametrize(
    ("old", "new"),
    [("events 3", "events 4"), ("root 01", "root 02"), ("at 20", "at 21"), ("signature ", "signature 00")],
)
def test_an_edited_checkpoint_is_not_signed(old: str, new: str) -> None:
    """Whatever is changed, the signature is not of it."""
    text = checkpoints.sign(STATED, KEY)
    assert text.replace(old, new) != text
    assert not checkpoints.signed_by(text.replace(old, new), KEY.public_key())


EDITS: dict[str, Callable[[str], str]] = {
    "nothing": lambda text: text[:0],
    "a line more": lambda text: text + "\n",
    "capitals": lambda text: text.upper(),
    "a leading zero": lambda text: text.replace("events 3", "events 03"),
    "fewer than none": lambda text: text.replace("events 3", "events -3"),
    "another format": lambda text: text.replace("checkpoint 1", "checkpoint 2"),
    "no hexadecimal": lambda text: text.replace("root 01", "root zz"),
    "no time": lambda text: text.replace("at 2026", "at tomorrow"),
    "another word": lambda text: text.replace("signature ", "signed "),
    "other line ends": lambda text: text.replace("\n", "\r\n"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_is_written_otherwise_is_no_checkpoint(edit: str) -> None:
    """There is one way to write a checkpoint, so that no two texts state the same."""
    with pytest.raises(InvalidInput, match="research_fsm checkpoint 1"):
        checkpoints.parse(EDITS[edit](checkpoints.sign(STATED, KEY)))


@pytest.mark.parametrize("pem", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_is_refused(pem: bytes) -> None:
    """A mistaken file is named as such."""
    with pytest.raises(InvalidInput, match="key"):
        checkpoints.load_private_key(pem)
    with pytest.raises(InvalidInput, match="key"):
        checkpoints.load_public_key(pem)


def test_a_key_of_another_kind_is_refused() -> None:
    """Only Ed25519 signs and checks."""
    key = X25519PrivateKey.generate()
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    public = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(InvalidInput, match="Ed25519"):
        checkpoints.load_private_key(private)
    with pytest.raises(InvalidInput, match="Ed25519"):
        checkpoints.load_public_key(public)


def test_a_log_that_went_on_is_still_the_checkpoints(runs: Runs) -> None:
    """What is appended later, an erasure included, changes nothing about what was stated."""
    before = checkpoints.make(runs.store)
    person = runs.add("acme", Profile(linkedin_url="linkedin.com/in/dee")).accepted()
    runs.erase(person.person_id)
    assert list(checkpoints.differences(runs.store, before)) == []
    assert checkpoints.make(runs.store).events > before.events


def test_a_cut_tail_is_found_though_the_log_is_whole(file: Path) -> None:
    """A log cut off together with its heads is whole in itself, and is not the one that the checkpoint stated."""
    with SQLiteStore(file) as store:
        Runs(store).grant("other", 5)
        stated = checkpoints.make(store)
    with sqlite3.connect(file) as edited:
        edited.execute("DROP TRIGGER events_no_delete")
        edited.execute("DELETE FROM events WHERE stream = 'account:other'")
        for table in ("heads", "unique_keys"):
            edited.execute(f"DELETE FROM {table} WHERE stream = 'account:other'")  # noqa: S608  # By hand.
    with SQLiteStore(file) as store:
        assert list(verify(store)) == []
        (words,) = checkpoints.differences(store, stated)
        assert words == f"the log has {stated.events - 1} events, the checkpoint had {stated.events}: some were cut off"
        Runs(store).grant("other", 6)
        assert list(verify(store)) == []
        (words,) = checkpoints.differences(store, stated)
        assert words.endswith("some were rewritten")


def test_an_event_is_proved_without_the_rest_of_the_log(runs: Runs) -> None:
    """Each event's proof convinces who has the checkpoint alone; that of an edited event convinces nobody."""
    stated = checkpoints.make(runs.store)
    for event in list(runs.store.events()):
        proof = checkpoints.prove_inclusion(runs.store, event.stream, event.version, stated.events)
        assert checkpoints.holds(checkpoints.load_inclusion(proof.text()), stated)
        assert not checkpoints.holds(evolve(proof, data=proof.data + " "), stated)
        assert not checkpoints.holds(evolve(proof, at=proof.at + 1), stated)
        assert not checkpoints.holds(evolve(proof, version=proof.version + 1), stated)
        assert not checkpoints.holds(evolve(proof, previous="00" * 32), stated)
        assert not checkpoints.holds(evolve(proof, previous="zz"), stated)
        assert not checkpoints.holds(evolve(proof, stream="\ud800"), stated)
        assert not checkpoints.holds(evolve(proof, index=proof.index + 1), stated)


def test_what_a_checkpoint_does_not_cover_is_not_proved(runs: Runs) -> None:
    """An event that is not there, or came later, has no proof."""
    stated = checkpoints.make(runs.store)
    runs.grant("other", 1)
    for stream, version in (("account:other", 1), ("account:acme", 99), ("account:nobody", 1), ("account:acme", 0)):
        with pytest.raises(InvalidInput, match="is not among the first"):
            checkpoints.prove_inclusion(runs.store, stream, version, stated.events)


def test_one_checkpoint_continues_another(runs: Runs) -> None:
    """The proof convinces who has the two checkpoints alone, and not of any other two."""
    old = checkpoints.make(runs.store)
    runs.grant("other", 1)
    new = checkpoints.make(runs.store)
    proof = checkpoints.load_consistency(checkpoints.prove_consistency(runs.store, old.events, new.events).text())
    assert checkpoints.continues(proof, old, new)
    assert not checkpoints.continues(proof, evolve(old, root=b"\x00" * 32), new)
    assert not checkpoints.continues(proof, old, evolve(new, root=b"\x00" * 32))
    assert not checkpoints.continues(proof, evolve(old, events=old.events - 1), new)
    assert not checkpoints.continues(evolve(proof, path=("zz",)), old, new)
    assert not checkpoints.continues(evolve(proof, old=proof.old + 1), old, new)


def test_every_log_continues_the_empty_one(runs: Runs) -> None:
    """A checkpoint made before the first event needs no proof."""
    empty, new = checkpoints.make(MemoryStore()), checkpoints.make(runs.store)
    assert checkpoints.continues(checkpoints.prove_consistency(runs.store, 0, new.events), empty, new)
    assert not checkpoints.continues(Consistency(0, new.events, ()), evolve(empty, root=new.root), new)


def test_a_log_proves_nothing_beyond_its_end(runs: Runs) -> None:
    """Numbers of events that cannot be are refused."""
    for old, new in ((5, 4), (-1, 4), (1, 10_000)):
        with pytest.raises(InvalidInput, match="checkpoint"):
            checkpoints.prove_consistency(runs.store, old, new)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "[" * 100_000, '{"old": 1, "new": true, "path": []}', '{"old": 1, "new": 2, "path": [1]}']
)
def test_what_is_no_proof_is_refused(text: str) -> None:
    """A proof may come from anybody: it has every field, and each of its type."""
    with pytest.raises(InvalidInput, match="proof"):
        checkpoints.load_consistency(text)
    with pytest.raises(InvalidInput, match="proof"):
        checkpoints.load_inclusion(text)


def test_the_documented_example_is_signed_with_the_documented_key() -> None:
    """The reference shows a checkpoint that others can hold their own program against."""
    page = Path(__file__).parents[2] / "docs" / "reference" / "checkpoints.md"
    text = page.read_text(encoding="utf-8").split("```text\n")[1].split("```")[0]
    tree = Tree()
    for number in (1, 2, 3):
        tree.append(bytes([number]) * 32)
    assert checkpoints.signed_by(text, KEY.public_key())
    assert checkpoints.parse(text) == Checkpoint(3, tree.root(), 1_795_500_000_000_000)
