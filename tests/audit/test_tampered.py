"""A file that somebody edited by hand, in many ways: each is found, and the finding names where and what."""

# ruff: noqa: S608 - the statements are edits by hand, put together from the constants of this module.

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from research_fsm import Profile, Runs, codec, transactions
from research_fsm.audit import verify
from research_fsm.storage import NewEvent, first_hash, next_hash
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.worker import Worker

ACME, BETA = "account:acme", "account:beta"
TRIGGERS = ("events_no_update", "events_no_delete", "events_no_replace")


class Forger:
    """Somebody who can write the file, and knows how hashes and heads are made."""

    def __init__(self, path: Path, people: dict[str, str]) -> None:
        self.sql = sqlite3.connect(path, isolation_level=None)
        self.people = people
        for trigger in TRIGGERS:
            self.sql.execute(f"DROP TRIGGER {trigger}")

    def stream(self, name: str) -> str:
        """The stream of somebody, or the name itself."""
        return transactions.person_stream(self.people[name]) if name in self.people else name

    def number(self, name: str, kind: str) -> int:
        """The version of a stream's first event of a type."""
        words = "SELECT min(version) FROM events WHERE stream = ? AND type = ?"
        found: int = self.sql.execute(words, (self.stream(name), kind)).fetchone()[0]
        return found

    def change(self, name: str, kind: str, /, *, hide: bool = True, **data: Any) -> None:  # noqa: ANN401  # JSON.
        """Change the data of an event; and hide it behind new hashes and folds."""
        version, stream = self.number(name, kind), self.stream(name)
        where = (stream, version)
        (before,) = self.sql.execute("SELECT data FROM events WHERE stream = ? AND version = ?", where).fetchone()
        after = codec.encode({**json.loads(before), **data}).decode()
        assert after != before
        self.sql.execute("UPDATE events SET data = ? WHERE stream = ? AND version = ?", (after, *where))
        if hide:
            self.hide(name)

    def drop(self, name: str, kind: str, *, close_the_gap: bool = True) -> None:
        """Remove an event; and let those behind it move up."""
        version, stream = self.number(name, kind), self.stream(name)
        self.sql.execute("DELETE FROM events WHERE stream = ? AND version = ?", (stream, version))
        if close_the_gap:
            later = "SELECT version FROM events WHERE stream = ? AND version > ? ORDER BY version"
            for (one,) in self.sql.execute(later, (stream, version)).fetchall():
                self.sql.execute(
                    "UPDATE events SET version = ? WHERE stream = ? AND version = ?", (one - 1, stream, one)
                )
            self.hide(name)

    def append(self, name: str, kind: str, /, **data: Any) -> None:  # noqa: ANN401  # JSON.
        """Add an event of the right form at the wrong time."""
        stream, text = self.stream(name), codec.encode(data).decode()
        (version,) = self.sql.execute("SELECT max(version) FROM events WHERE stream = ?", (stream,)).fetchone()
        row = (stream, version + 1, kind, 1, 1, text, META, b"")
        self.sql.execute("INSERT INTO events SELECT max(position) + 1, ?, ?, ?, ?, ?, ?, ?, ? FROM events", row)
        self.hide(name)

    def meta(self, name: str, text: str) -> None:
        """Give the first event of a stream another meta."""
        self.sql.execute("UPDATE events SET meta = ? WHERE stream = ? AND version = 1", (text, self.stream(name)))
        self.hide(name)

    def copy(self, name: str, kind: str) -> None:
        """Add an event once more."""
        where = (self.stream(name), self.number(name, kind))
        (text,) = self.sql.execute("SELECT data FROM events WHERE stream = ? AND version = ?", where).fetchone()
        self.append(name, kind, **json.loads(text))

    def head(self, name: str, assignment: str) -> None:
        """Edit a head."""
        self.sql.execute(f"UPDATE heads SET {assignment} WHERE stream = ?", (self.stream(name),))

    def hide(self, name: str) -> None:
        """Make every hash of a stream anew, and its head."""
        stream = self.stream(name)
        rows = "SELECT version, type, schema, at, data, meta FROM events WHERE stream = ? ORDER BY version"
        previous, version = first_hash(stream), 0
        for version, kind, schema, at, data, meta in self.sql.execute(rows, (stream,)).fetchall():
            previous = next_hash(previous, stream, version, NewEvent(kind, schema, data.encode(), meta.encode()), at)
            self.sql.execute("UPDATE events SET hash = ? WHERE stream = ? AND version = ?", (previous, stream, version))
        self.sql.execute("UPDATE heads SET version = ?, hash = ? WHERE stream = ?", (version, previous, stream))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A file with two owners: somebody complete, somebody waiting, somebody erased, somebody of the other owner."""
    path = tmp_path_factory.mktemp("whole") / "log.db"
    people = dict[str, str]()
    with SQLiteStore(path) as store:
        runs = Runs(store)
        runs.grant("acme", 10, grant_id="first")
        runs.grant("acme", 2, grant_id="second")
        runs.revoke("acme", "second")
        runs.grant("beta", 5, grant_id="first")
        for name, owner in (("ada", "acme"), ("cy", "acme"), ("dee", "beta"), ("bob", "acme")):
            profile = Profile(linkedin_url=f"linkedin.com/in/{name}")
            people[name] = runs.add(owner, profile).accepted().person_id
            runs.start(people[name], key=f"key of {name}")
            if name != "bob":
                assert Worker(runs, lambda _: {"found": 1}).run_once()
        runs.erase(people["cy"])
        assert list(verify(store)) == []
    return path, people


@pytest.fixture
def forger(whole: tuple[Path, dict[str, str]], tmp_path: Path) -> Iterator[Forger]:
    """A copy of the file in the hands of a forger."""
    path, people = whole
    shutil.copyfile(path, tmp_path / "log.db")
    found = Forger(tmp_path / "log.db", people)
    yield found
    found.sql.close()


def _swapped(forger: Forger) -> None:
    """Let each owner have the other's grant."""
    forger.change(ACME, "CreditsGranted", amount=5)
    forger.change(BETA, "CreditsGranted", amount=10)


def _moved(forger: Forger) -> None:
    """Let the other owner pay for a run."""
    words = "SELECT data FROM events WHERE stream = ? AND type = 'CreditsHeld'"
    for data in [json.loads(row[0]) for row in forger.sql.execute(words, (ACME,)).fetchall()]:
        if data["person_id"] == forger.people["ada"]:
            forger.append(BETA, "CreditsHeld", **data)


def _refused_twice(forger: Forger) -> None:
    """Let one stale callback be recorded, and then once more."""
    for _ in range(2):
        forger.append("ada", "CallbackRefused", run_no=1, kind="complete", external_id="x")


def _late(forger: Forger) -> None:
    """Let the last event be of a year behind the last one."""
    words = "UPDATE events SET at = 9000000000000000000 WHERE stream = ? AND type = 'RunCompleted'"
    forger.sql.execute(words, (forger.stream("ada"),))
    forger.hide("ada")


def _sql(words: str, *names: str) -> Callable[[Forger], object]:
    return lambda forger: forger.sql.execute(words, tuple(forger.stream(name) for name in names))


NOBODY = "00000000-0000-4000-8000-000000000000"
RUN = {"run_id": NOBODY, "run_no": 2, "cost": 1, "inside": True, "deadline": None, "request_digest": None}
CREDIT = {"person_id": NOBODY, "run_id": NOBODY, "run_no": 1, "amount": 1}

META = '{"actor":null,"causation_id":null,"correlation_id":null}'

Edit = Callable[[Forger], object]
TAMPERED: dict[str, tuple[Edit, str, str]] = {
    # Without new hashes.
    "an amount": (lambda f: f.change(ACME, "CreditsGranted", hide=False, amount=99), "chained", ACME),
    "a digest": (lambda f: f.change("ada", "PersonAdded", hide=False, profile_digest="0"), "chained", "ada"),
    "a time": (_sql("UPDATE events SET at = at + 1 WHERE stream = ? AND version = 2", "ada"), "chained", "ada"),
    "a type": (
        _sql("UPDATE events SET type = 'PersonErased' WHERE stream = ? AND version = 3", "ada"),
        "chained",
        "ada",
    ),
    "a schema": (_sql("UPDATE events SET schema = 2 WHERE stream = ? AND version = 1", "ada"), "readable", "ada"),
    "an actor": (
        _sql("UPDATE events SET meta = replace(meta, 'null', '1') WHERE stream = ? AND version = 1", "ada"),
        "chained",
        "ada",
    ),
    "a hash": (_sql("UPDATE events SET hash = zeroblob(32) WHERE stream = ? AND version = 1", "ada"), "chained", "ada"),
    "a hash as text": (_sql("UPDATE events SET hash = 'x' WHERE stream = ? AND version = 1", "ada"), "readable", "ada"),
    "a version": (_sql("UPDATE events SET version = 99 WHERE stream = ? AND version = 2", "ada"), "gapless", "ada"),
    "an event less": (lambda f: f.drop("ada", "RunStarted", close_the_gap=False), "gapless", "ada"),
    "the first less": (lambda f: f.drop("ada", "PersonAdded", close_the_gap=False), "gapless", "ada"),
    "another stream": (
        lambda f: f.sql.execute("UPDATE events SET stream = 'x' WHERE stream = ? AND version = 1", (f.stream("ada"),)),
        "readable",
        "x",
    ),
    "spaces in the data": (
        _sql("UPDATE events SET data = data || ' ' WHERE stream = ? AND version = 1", "ada"),
        "readable",
        "ada",
    ),
    "no data": (_sql("UPDATE events SET data = '' WHERE stream = ? AND version = 1", "ada"), "readable", "ada"),
    "another order": (
        _sql(
            "UPDATE events SET position = position + 1000 - 2 * (version - 1) WHERE stream = ? AND version <= 2", "ada"
        ),
        "gapless",
        "ada",
    ),
    # With new hashes and heads.
    "a grant made larger": (lambda f: f.change(ACME, "CreditsGranted", amount=99), "keys_are_kept", ACME),
    "a grant's name": (lambda f: f.change(ACME, "CreditsGranted", grant_id="x"), "keys_are_kept", ACME),
    "two owners' credits swapped": (_swapped, "keys_are_kept", BETA),
    "an overdraft": (lambda f: f.change(ACME, "CreditsGranted", amount=1), "never_overdrawn", ACME),
    "a debt": (lambda f: f.change(ACME, "CreditsGranted", amount=-1), "never_overdrawn", ACME),
    "a grant counted twice": (lambda f: f.copy(ACME, "CreditsGranted"), "grants_count_once", ACME),
    "a grant revoked twice": (lambda f: f.copy(ACME, "CreditsRevoked"), "grants_count_once", ACME),
    "half a grant revoked": (lambda f: f.change(ACME, "CreditsRevoked", amount=1), "grants_count_once", ACME),
    "a revocation less": (lambda f: f.drop(ACME, "CreditsRevoked"), "heads_are_folds", ACME),
    "a charge less": (lambda f: f.drop(ACME, "CreditsCharged"), "credits_follow_runs", "ada"),
    "a hold less": (lambda f: f.drop(ACME, "CreditsHeld"), "one_hold_per_run", ACME),
    "a charge more": (lambda f: f.copy(ACME, "CreditsCharged"), "one_hold_per_run", ACME),
    "a hold more": (lambda f: f.copy(ACME, "CreditsHeld"), "one_hold_per_run", ACME),
    "a hold for nobody": (lambda f: f.append(ACME, "CreditsHeld", **CREDIT), "credits_follow_runs", ACME),
    "a refund for nothing": (lambda f: f.append(ACME, "CreditsRefunded", **CREDIT), "one_hold_per_run", ACME),
    "a cheaper charge": (lambda f: f.change(ACME, "CreditsCharged", amount=0), "credits_follow_runs", ACME),
    "a run paid by another owner": (_moved, "credits_follow_runs", BETA),
    "another cost": (lambda f: f.change("ada", "RunStarted", cost=7), "credits_follow_runs", ACME),
    "another run id": (lambda f: f.change("ada", "RunStarted", run_id=NOBODY), "keys_are_kept", "ada"),
    "another run number": (lambda f: f.change("ada", "RunStarted", run_no=7), "one_open_run", "ada"),
    "a key used twice": (
        lambda f: f.change("dee", "RunStarted", request_digest=_digest_of(f, "ada")),
        "keys_are_kept",
        "dee",
    ),
    "another owner": (lambda f: f.change("ada", "PersonAdded", owner="beta"), "credits_follow_runs", ACME),
    "a profile's digest": (
        lambda f: f.change("ada", "PersonAdded", profile_digest="0" * 64),
        "documents_match",
        "ada",
    ),
    "a report's digest": (lambda f: f.change("ada", "RunCompleted", report_digest="0" * 64), "documents_match", "ada"),
    "a report's number": (lambda f: f.change("ada", "RunCompleted", report_version=2), "reports_count_up", "ada"),
    "who reported": (lambda f: f.change("ada", "RunCompleted", external_id="x"), "only_the_claimer_ends", "ada"),
    "a report less": (lambda f: f.drop("ada", "RunCompleted"), "heads_are_folds", "ada"),
    "a start less": (lambda f: f.drop("ada", "RunStarted"), "legal", "ada"),
    "a start while running": (lambda f: f.append("bob", "RunStarted", **RUN), "one_open_run", "bob"),
    "a person added twice": (lambda f: f.copy("ada", "PersonAdded"), "legal", "ada"),
    "an erasure undone": (lambda f: f.drop("cy", "PersonErased"), "documents_match", "cy"),
    "a run after the erasure": (lambda f: f.append("cy", "RunStarted", **RUN), "legal", "cy"),
    "an attempt after the end": (
        lambda f: f.append("ada", "AttemptArmed", run_no=1, attempt=1, lease_until=1),
        "legal",
        "ada",
    ),
    "an unknown field": (lambda f: f.change("ada", "PersonAdded", more=1), "readable", "ada"),
    "an account's event of a person": (
        lambda f: f.append("ada", "CreditsGranted", grant_id="x", amount=1),
        "readable",
        "ada",
    ),
    "a stale callback recorded twice": (_refused_twice, "stale_changes_nothing", "ada"),
    "a meta with one name twice": (
        lambda f: f.meta("ada", '{"actor":"x",' + META.removeprefix("{")),
        "readable",
        "ada",
    ),
    "a meta that says more": (
        lambda f: f.meta("ada", META.replace("}", ',"name":"Ada Lovelace"}')),
        "readable",
        "ada",
    ),
    "a meta with a space": (lambda f: f.meta("ada", META.replace(":", ": ", 1)), "readable", "ada"),
    "a meta that says nothing": (lambda f: f.meta("ada", "{}"), "readable", "ada"),
    "a time that no calendar has": (_late, "readable", "ada"),
    # Beside the log.
    "a head's state": (lambda f: f.head("ada", "state = replace(state, '1', '2')"), "heads_are_folds", "ada"),
    "a head's version": (lambda f: f.head("ada", "version = 1"), "heads_are_folds", "ada"),
    "a head's hash": (lambda f: f.head("ada", "hash = zeroblob(32)"), "heads_are_folds", "ada"),
    "a head's tag": (lambda f: f.head("ada", "tag = 'idle'"), "heads_are_folds", "ada"),
    "a head's link": (lambda f: f.head("ada", "link = 'account:beta'"), "heads_are_folds", "ada"),
    "an account's tag": (lambda f: f.head(ACME, "tag = 'dispatching'"), "heads_are_folds", ACME),
    "an account's link": (lambda f: f.head(ACME, "link = 'account:beta'"), "heads_are_folds", ACME),
    "an account that is due": (lambda f: f.head(ACME, "due = 5"), "heads_are_folds", ACME),
    "a report that never gets old": (lambda f: f.head("ada", "due = 9000000000000000"), "way_out", "ada"),
    "a report whose age nobody looks at": (lambda f: f.head("ada", "due = NULL"), "way_out", "ada"),
    "a balance": (lambda f: f.head(ACME, "state = replace(state, '12', '99')"), "heads_are_folds", ACME),
    "a head less": (_sql("DELETE FROM heads WHERE stream = ?", "ada"), "heads_are_folds", "ada"),
    "a profile": (
        _sql("UPDATE documents SET body = '{}' WHERE stream = ? AND name = 'profile'", "ada"),
        "documents_match",
        "ada",
    ),
    "a salt less": (
        _sql("DELETE FROM documents WHERE stream = ? AND name = 'salt'", "ada"),
        "documents_match",
        "ada",
    ),
    "an erased profile": (_sql("INSERT INTO documents VALUES (?, 'profile', '{}')", "cy"), "documents_match", "cy"),
    "a document that no event names": (
        _sql("INSERT INTO documents VALUES (?, 'report:9', '{}')", "ada"),
        "documents_match",
        "ada",
    ),
    "a document of nobody": (
        lambda f: f.sql.execute("INSERT INTO documents VALUES ('person:nobody', 'profile', '{}')"),
        "documents_match",
        "person:nobody",
    ),
    "a document under a name that is no text": (
        _sql("INSERT INTO documents VALUES (?, x'00ff', '{}')", "ada"),
        "documents_match",
        "ada",
    ),
    "a run's key less": (
        _sql("DELETE FROM unique_keys WHERE stream = ? AND key LIKE 'run:%'", "ada"),
        "keys_are_kept",
        "ada",
    ),
    "a grant's key more": (
        lambda f: f.sql.execute("INSERT INTO unique_keys VALUES ('grant:[\"acme\",\"x\"]', ?, '5', 0)", (ACME,)),
        "keys_are_kept",
        ACME,
    ),
    "a revocation's key more": (
        lambda f: f.sql.execute(
            "INSERT INTO unique_keys VALUES ('revoked:[\"acme\",\"first\"]', ?, 'null', 0)", (ACME,)
        ),
        "keys_are_kept",
        ACME,
    ),
    "a run's key more": (_sql("INSERT INTO unique_keys VALUES ('run:x', ?, '1', 0)", "ada"), "keys_are_kept", "ada"),
    "a receipt less": (_sql("DELETE FROM receipts WHERE stream = ?", "ada"), "keys_are_kept", "ada"),
    "a receipt's run": (
        _sql("UPDATE receipts SET answer = replace(answer, '\"run_no\":1', '\"run_no\":77') WHERE stream = ?", "ada"),
        "keys_are_kept",
        "ada",
    ),
    "a receipt that is no answer": (
        _sql("UPDATE receipts SET answer = 'garbage' WHERE stream = ?", "ada"),
        "keys_are_kept",
        "ada",
    ),
    "a receipt that is no text": (
        _sql("UPDATE receipts SET answer = x'ff00' WHERE stream = ?", "ada"),
        "keys_are_kept",
        "ada",
    ),
    "a receipt's stream": (_sql("UPDATE receipts SET stream = x'ff' WHERE stream = ?", "ada"), "keys_are_kept", "ada"),
    "a receipt's key": (_sql("UPDATE receipts SET key = x'ff' WHERE stream = ?", "ada"), "keys_are_kept", "ada"),
    "a receipt of somebody else": (
        _sql("UPDATE receipts SET stream = ? WHERE stream = ?", "bob", "ada"),
        "keys_are_kept",
        "bob",
    ),
    "a receipt of no run": (
        _sql("INSERT INTO receipts SELECT 'x', stream, fingerprint, answer FROM receipts WHERE stream = ?", "ada"),
        "keys_are_kept",
        "ada",
    ),
    "a refusal of nobody's": (
        lambda f: f.sql.execute(
            "INSERT INTO receipts VALUES ('x', 'person:nobody', '', '[\"AlreadyAdded\",{\"person_id\":\"nobody\"}]')"
        ),
        "keys_are_kept",
        "person:nobody",
    ),
    "an erased fingerprint": (
        _sql("UPDATE receipts SET fingerprint = 'who it was' WHERE stream = ?", "cy"),
        "keys_are_kept",
        "cy",
    ),
    "an entry less": (_sql("DELETE FROM queue WHERE stream = ?", "bob"), "way_out", "bob"),
    "an entry for no run": (
        _sql("INSERT INTO queue (run_id, stream) VALUES ('x', ?)", "ada"),
        "way_out",
        "ada",
    ),
    "a lease for ever": (_sql("UPDATE queue SET lease_until = 9e18 WHERE stream = ?", "bob"), "way_out", "bob"),
}


def _digest_of(forger: Forger, name: str) -> object:
    words = "SELECT data ->> 'request_digest' FROM events WHERE stream = ? AND type = 'RunStarted'"
    return forger.sql.execute(words, (forger.stream(name),)).fetchone()[0]


def test_whose_nobody_can_read_is_nobodys(forger: Forger, tmp_path: Path) -> None:
    """Where the event that names the owner cannot be read, no finding speaks of a name that is not there."""
    forger.change("ada", "PersonAdded", more=1)
    with SQLiteStore(tmp_path / "log.db") as store:
        words = [one.words for one in verify(store)]
    assert any("is nobody's" in one for one in words)
    assert not any("is 's" in one for one in words)


@pytest.mark.parametrize("edit", TAMPERED)
def test_it_is_found(forger: Forger, edit: str, tmp_path: Path) -> None:
    """Verify finds it, under the law that it breaks, in the stream where it is, and says in words what is wrong."""
    tamper, law, name = TAMPERED[edit]
    tamper(forger)
    with SQLiteStore(tmp_path / "log.db") as store:
        found = list(verify(store))
    assert (law, forger.stream(name)) in {(one.law, one.stream) for one in found}, "\n".join(map(str, found))
    assert all(one.words for one in found)
