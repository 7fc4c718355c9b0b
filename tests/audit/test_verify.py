"""Every law finds what breaks it, names the place, and finds nothing in a log that the rules wrote."""

# ruff: noqa: S608 - the statements are edits by hand, put together from the constants of this module.

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from attrs import evolve

from research_fsm import Profile, Runs, codec, transactions
from research_fsm.account import EMPTY
from research_fsm.account import fold as fold_account
from research_fsm.audit import verification, verify
from research_fsm.audit.receipts import receipts_after
from research_fsm.events import (
    AccountEvent,
    AttemptArmed,
    CallbackKind,
    CallbackRefused,
    CreditsCharged,
    CreditsGranted,
    CreditsHeld,
    CreditsRefunded,
    CreditsReleased,
    CreditsRevoked,
    FailReason,
    HoldEnd,
    Meta,
    PersonAdded,
    PersonErased,
    PersonEvent,
    PersonKind,
    RollBackReason,
    RunClaimed,
    RunCompleted,
    RunDispatched,
    RunFailed,
    RunRolledBack,
    RunStarted,
)
from research_fsm.laws import STATEMENTS, Finding
from research_fsm.laws.steps import stale_changes_nothing
from research_fsm.person import evolve as evolve_person
from research_fsm.person import fold as fold_person
from research_fsm.person import nobody
from research_fsm.storage import Query, QueueEntry, Reader, Receipt, RecordedEvent, StreamWrite, UniqueKey, View, Write
from research_fsm.stores.memory import MemoryStore
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.worker import Worker

ADA = "00000000-0000-4000-8000-00000000ada0"
BOB = "00000000-0000-4000-8000-00000000b0b0"
RUN = "00000000-0000-4000-8000-000000000001"
SECOND_RUN = "00000000-0000-4000-8000-000000000002"
SALT, PROFILE = b"salt", b"{}"

ADDED = PersonAdded("acme", PersonKind.USER, codec.digest(SALT, PROFILE))
STARTED = RunStarted(RUN, 1, 1, inside=False, deadline=10, request_digest=None)
ARMED = AttemptArmed(1, 1, 5)
DISPATCHED = RunDispatched(1, "x", 10)
CLAIMED = RunClaimed(1, "x", 0, 10)
GRANTED = CreditsGranted("welcome", 5)
HELD = CreditsHeld(ADA, RUN, 1, 1)
CHARGED = CreditsCharged(ADA, RUN, 1, 1)
RELEASED = CreditsReleased(ADA, RUN, 1, 1)
REFUNDED = CreditsRefunded(ADA, RUN, 1, 1)


@pytest.fixture(autouse=True)
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep so little at hand that the scratch file remembers almost everything."""
    monkeypatch.setattr(verification, "_AT_HAND", 2)
    monkeypatch.setattr(verification, "_PAGE", 1)


class ForgedLog:
    """A log that wrong rules wrote: whole, hashed and folded, with whatever events the test wants.

    Args:
        people: Events by person.
        accounts: Events by owner.
        due: When recovery looks at people.
        keys: Whether runs and grants are found by their ids.
        documents: Whether the documents are there.
        entries: Entries of the embedded queue.
    """

    def __init__(
        self,
        people: dict[str, list[PersonEvent]],
        accounts: dict[str, list[AccountEvent]],
        *,
        due: int | None = 1,
        keys: bool = True,
        documents: bool = True,
        entries: tuple[QueueEntry, ...] = (),
    ) -> None:
        self.store = MemoryStore(lambda: 1)
        streams = [self._life(person_id, events, due) for person_id, events in people.items()]
        streams += [self._ledger(owner, events) for owner, events in accounts.items()]
        kept = [key for person_id, events in people.items() for event in events for key in _run_key(person_id, event)]
        kept += [key for owner, events in accounts.items() for event in events for key in _grant_keys(owner, event)]
        bodies = {
            (transactions.person_stream(person_id), name): body
            for person_id in people
            for name, body in (("salt", SALT), ("profile", PROFILE))
        }
        write = Write(
            answer=None,
            streams=tuple(streams),
            keys=tuple({key.key: key for key in reversed(kept)}.values()) if keys else (),
            receipts=tuple(one for person_id, events in people.items() for one in _receipts(person_id, events)),
            documents=bodies if documents else {},
            enqueued=entries,
        )

        def rule(_: View, __: int) -> Write[None]:
            return write

        self.store.transact(Query(), rule)

    def broken(self) -> set[str]:
        """Return the names of the laws that are broken."""
        return {finding.law for finding in verify(self.store)}

    def _life(self, person_id: str, events: list[PersonEvent], due: int | None) -> StreamWrite:
        person = fold_person(nobody(person_id), ((event, 1) for event in events))
        return StreamWrite(
            stream=transactions.person_stream(person_id),
            expected=0,
            events=tuple(codec.encode_event(event, Meta()) for event in events),
            state=codec.encode(person),
            fold=codec.FOLD,
            link=transactions.account_stream(person.owner),
            tag=str(person.phase),
            due=due,
        )

    def _ledger(self, owner: str, events: list[AccountEvent]) -> StreamWrite:
        return StreamWrite(
            stream=transactions.account_stream(owner),
            expected=0,
            events=tuple(codec.encode_event(event, Meta()) for event in events),
            state=codec.encode(fold_account(EMPTY, events)),
            fold=codec.FOLD,
            link=None,
            tag="account",
            due=None,
        )


def _run_key(person_id: str, event: PersonEvent) -> Iterator[UniqueKey]:
    if isinstance(event, RunStarted):
        stream = transactions.person_stream(person_id)
        yield UniqueKey(transactions.run_key(event.run_id), stream, codec.encode(event.run_no))


def _receipts(person_id: str, events: list[PersonEvent]) -> list[Receipt]:
    person, answers = nobody(person_id), dict[str, bytes]()
    for event in events:
        before, person = person, evolve_person(person, event, 1)
        answers |= receipts_after(before, event, person)
    return [Receipt(key, transactions.person_stream(person_id), "", answer) for key, answer in answers.items()]


def _grant_keys(owner: str, event: AccountEvent) -> Iterator[UniqueKey]:
    stream = transactions.account_stream(owner)
    match event:
        case CreditsGranted(grant_id, amount):
            yield UniqueKey(transactions.grant_key("grant", owner, grant_id), stream, codec.encode(amount))
        case CreditsRevoked(grant_id):
            yield UniqueKey(transactions.grant_key("revoked", owner, grant_id), stream)
        case _:
            return


def forged(people: list[PersonEvent], account: list[AccountEvent], **more: Any) -> set[str]:  # noqa: ANN401  # Options.
    """Return the laws that one person's and one account's events break."""
    return ForgedLog({ADA: [ADDED, *people]}, {"acme": [GRANTED, *account]}, **more).broken()


def test_a_log_that_the_rules_wrote_keeps_every_law() -> None:
    """Nothing is found in a forged log that is legal, so that what the others find is what they forged."""
    assert forged([STARTED, ARMED, DISPATCHED, CLAIMED], [HELD, CHARGED]) == set()


FORGERIES: dict[str, tuple[str, list[PersonEvent], list[AccountEvent]]] = {
    "complete without a run": ("legal", [RunCompleted(1, "x", 1, "d")], []),
    "added twice": ("legal", [ADDED], []),
    "a second run while one is open": (
        "one_open_run",
        [STARTED, RunStarted(SECOND_RUN, 2, 1, inside=False, deadline=10, request_digest=None)],
        [HELD, CreditsHeld(ADA, SECOND_RUN, 2, 1)],
    ),
    "a run number left out": (
        "one_open_run",
        [RunStarted(RUN, 3, 1, inside=False, deadline=10, request_digest=None)],
        [CreditsHeld(ADA, RUN, 3, 1)],
    ),
    "an old run's outcome": ("one_open_run", [STARTED, RunClaimed(7, "x", 0, 10)], [HELD]),
    "completed by another than claimed": (
        "only_the_claimer_ends",
        [STARTED, DISPATCHED, CLAIMED, RunCompleted(1, "y", 1, codec.digest(SALT, PROFILE))],
        [HELD, CHARGED],
    ),
    "failed by another than claimed": (
        "only_the_claimer_ends",
        [STARTED, DISPATCHED, CLAIMED, RunFailed(1, "y", FailReason.WORKER_REPORTED, None, HoldEnd.KEPT)],
        [HELD, CHARGED],
    ),
    "taken over from an engine run": (
        "one_at_work",
        [STARTED, DISPATCHED, CLAIMED, RunClaimed(1, f"{RUN}:2", 2, 10)],
        [HELD, CHARGED],
    ),
    "charged and rolled back": (
        "charged_if_executed",
        [STARTED, DISPATCHED, RunRolledBack(1, RollBackReason.DISPATCH_DEADLINE)],
        [HELD, CHARGED],
    ),
    "never claimed and kept": (
        "unclaimed_is_refunded",
        [STARTED, DISPATCHED, RunFailed(1, None, FailReason.RUN_DEADLINE, None, HoldEnd.KEPT)],
        [HELD, CHARGED],
    ),
    "claimed and refunded": (
        "charged_if_executed",
        [STARTED, DISPATCHED, CLAIMED, RunFailed(1, None, FailReason.RUN_DEADLINE, None, HoldEnd.REFUNDED)],
        [HELD, CHARGED, REFUNDED],
    ),
    "refunded before a charge": (
        "charged_if_executed",
        [STARTED, RunFailed(1, None, FailReason.QUEUE_DEADLINE, None, HoldEnd.REFUNDED)],
        [HELD, REFUNDED],
    ),
    "released after a charge": (
        "charged_if_executed",
        [STARTED, DISPATCHED, RunFailed(1, None, FailReason.QUEUE_DEADLINE, None, HoldEnd.RELEASED)],
        [HELD, CHARGED, RELEASED],
    ),
    "erased without a word on the hold": ("charged_if_executed", [STARTED, PersonErased(None)], [HELD]),
    "refused while an attempt is open": (
        "refusal_is_proof",
        [STARTED, ARMED, RunRolledBack(1, RollBackReason.REFUSED)],
        [HELD, RELEASED],
    ),
    "an attempt number left out": ("refusal_is_proof", [STARTED, AttemptArmed(1, 2, 5)], [HELD]),
    "a report version left out": (
        "reports_count_up",
        [STARTED, DISPATCHED, CLAIMED, RunCompleted(1, "x", 2, "d")],
        [HELD, CHARGED],
    ),
    "more spent than granted": ("never_overdrawn", [], [CreditsHeld(ADA, RUN, 1, 9)]),
    "an amount below zero": ("never_overdrawn", [], [CreditsGranted("less", -1)]),
    "charged without a hold": ("one_hold_per_run", [], [CHARGED]),
    "held twice": ("one_hold_per_run", [STARTED], [HELD, HELD]),
    "held while the last one is": ("one_hold_per_run", [STARTED], [HELD, CreditsHeld(ADA, SECOND_RUN, 2, 1)]),
    "charged twice": ("one_hold_per_run", [STARTED, DISPATCHED], [HELD, CHARGED, CHARGED]),
    "refunded without a charge": ("one_hold_per_run", [STARTED], [HELD, REFUNDED]),
    "over and still held": ("one_hold_per_run", [STARTED, PersonErased(None)], [HELD]),
    "a hold that the account does not show": ("credits_follow_runs", [STARTED], []),
    "a hold that no run calls for": ("credits_follow_runs", [], [HELD]),
    "a hold of another amount": ("credits_follow_runs", [STARTED], [CreditsHeld(ADA, RUN, 1, 2)]),
    "granted twice": ("grants_count_once", [], [GRANTED]),
    "revoked without a grant": ("grants_count_once", [], [CreditsRevoked("other", 1)]),
    "revoked twice": (
        "grants_count_once",
        [],
        [CreditsGranted("more", 20), CreditsRevoked("welcome", 5), CreditsRevoked("welcome", 5)],
    ),
    "revoked in part": ("grants_count_once", [], [CreditsRevoked("welcome", 2)]),
    "one request key, two runs": (
        "keys_are_kept",
        [
            RunStarted(RUN, 1, 1, inside=False, deadline=10, request_digest="k"),
            RunRolledBack(1, RollBackReason.DISPATCH_DEADLINE),
            RunStarted(SECOND_RUN, 2, 1, inside=False, deadline=10, request_digest="k"),
        ],
        [HELD, RELEASED, CreditsHeld(ADA, SECOND_RUN, 2, 1)],
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_history_breaks_the_law_it_is_made_to_break(name: str) -> None:
    """Each forgery is an event, or its absence, that a wrong rule would write; the log is hashed and folded."""
    law, people, account = FORGERIES[name]
    assert law in forged(people, account)


def test_a_finding_reads_as_one_line() -> None:
    """It says which law is broken, where, and how."""
    assert str(Finding("legal", "person:a", 3, "no")) == "legal: person:a version 3: no"
    assert str(Finding("heads_are_folds", "person:a", None, "no")) == "heads_are_folds: person:a: no"


def test_another_owners_credits_are_found() -> None:
    """Two people whose runs are paid by each other's owners add up in sum, and are found all the same."""
    bob = PersonAdded("bond", PersonKind.USER, codec.digest(SALT, PROFILE))
    bobs_run = RunStarted(SECOND_RUN, 1, 1, inside=False, deadline=10, request_digest=None)
    log = ForgedLog(
        {ADA: [ADDED, STARTED], BOB: [bob, bobs_run]},
        {"acme": [GRANTED, CreditsHeld(BOB, SECOND_RUN, 1, 1)], "bond": [GRANTED, HELD]},
    )
    assert "credits_follow_runs" in log.broken()


def test_a_refused_callback_that_changes_the_person_is_found() -> None:
    """The law looks at the states on both sides of the event, so that a wrong fold is found, too."""
    before = fold_person(nobody(ADA), [(ADDED, 1), (STARTED, 1)])
    refused = CallbackRefused(1, CallbackKind.CLAIM, "y")
    assert stale_changes_nothing(before, refused, before) is None
    assert stale_changes_nothing(before, refused, evolve(before, reports=1)) is not None


def test_who_is_running_and_forgotten_is_found() -> None:
    """A running person without a time at which recovery looks would stay running for ever."""
    assert forged([STARTED], [HELD], due=None) == {"way_out"}
    assert STARTED.deadline is not None
    assert forged([STARTED], [HELD], due=STARTED.deadline) == set()
    assert forged([STARTED], [HELD], due=STARTED.deadline + 1) == {"way_out"}
    assert forged([evolve(STARTED, deadline=None)], [HELD]) == {"way_out"}


def test_a_queued_run_without_an_entry_is_found() -> None:
    """A run of the embedded queue that has no entry would never meet a worker."""
    queued: list[PersonEvent] = [
        RunStarted(RUN, 1, 1, inside=True, deadline=None, request_digest=None),
        RunDispatched(1, None, None),
    ]
    assert forged(queued, [HELD, CHARGED]) == {"way_out"}
    assert forged(queued, [HELD, CHARGED], entries=(QueueEntry(RUN, f"person:{ADA}"),)) == set()


def test_an_entry_of_no_run_is_found() -> None:
    """An entry that leads to nobody who waits would be handed to workers."""
    assert forged([], [], entries=(QueueEntry(RUN, f"person:{ADA}"),)) == {"way_out"}


def test_a_run_that_its_id_does_not_find_is_found() -> None:
    """Without its unique key a run's callbacks would be answered "not found"."""
    assert forged([STARTED], [HELD], keys=False) == {"keys_are_kept"}


def test_missing_documents_are_found() -> None:
    """A profile that is gone without an erasure is a loss."""
    assert forged([], [], documents=False) == {"documents_match"}


def test_a_forged_number_does_not_keep_verify_busy_for_ever() -> None:
    """However many reports an event claims of an erased person, no more are looked for than the stream has events."""
    completed = RunCompleted(1, "x", 10**15, codec.digest(SALT, PROFILE))
    broken = forged([STARTED, DISPATCHED, CLAIMED, completed, PersonErased(None)], [HELD, CHARGED])
    assert broken == {"reports_count_up", "documents_match"}


def test_documents_left_behind_by_an_erasure_are_found() -> None:
    """An erased person has no documents."""
    assert forged([PersonErased(None)], []) == {"documents_match"}


# --- a real log, edited by hand ----------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A file with a finished run, a failed one, a waiting one, an erased person, and a grant that was taken back."""
    path = tmp_path / "research.db"

    def pipeline(request: object) -> dict[str, object]:
        if "fail" in repr(getattr(request, "profile", "")):
            raise ValueError("as asked")
        return {"found": "much"}

    with SQLiteStore(path) as store:
        runs = Runs(store)
        runs.grant("acme", 5, grant_id="welcome")
        runs.grant("other", 7, grant_id="mistake")
        runs.revoke("other", "mistake")
        for company in ("done", "fail", "erase"):
            person = runs.add("acme", Profile(first_name="A", last_name="B", company=company)).accepted()
            runs.start(person.person_id).accepted()
            assert Worker(runs, pipeline).run_once()
        runs.erase(person.person_id).accepted()
        waiting = runs.add("acme", Profile(first_name="A", last_name="B", company="wait")).accepted()
        runs.start(waiting.person_id).accepted()
    return path


def findings(path: Path) -> list[Finding]:
    """Verify a file."""
    with SQLiteStore(path) as store:
        return list(verify(store))


@pytest.fixture
def by_hand(log: Path) -> Callable[..., None]:
    """Run SQL on the file, past the triggers that stop mistakes."""

    def execute(*statements: str) -> None:
        connection = sqlite3.connect(log)
        for name in ("events_no_update", "events_no_delete", "events_no_replace"):
            connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    return execute


def test_a_log_of_real_runs_is_whole(log: Path) -> None:
    """Nothing is found in what the library wrote."""
    assert findings(log) == []


EDITS: dict[str, tuple[str, set[tuple[str, int | None]]]] = {
    "a byte of an event": (
        "UPDATE events SET data = replace(data, '\"amount\":5', '\"amount\":6') WHERE type = 'CreditsGranted'",
        {("chained", 1)},
    ),
    "who did it": ("UPDATE events SET meta = replace(meta, 'null', '\"x\"') WHERE position = 1", {("chained", 1)}),
    "when it was": ("UPDATE events SET at = at + 1 WHERE stream = 'account:acme' AND version = 2", {("chained", 2)}),
    "a row deleted": (
        "DELETE FROM events WHERE stream = 'account:acme' AND version = 3",
        {("gapless", 4), ("chained", 4), ("credits_follow_runs", None)},
    ),
    "the last row of a stream cut off": (
        "DELETE FROM events WHERE position = (SELECT max(position) FROM events WHERE stream = 'account:acme')",
        {("heads_are_folds", None)},
    ),
    "an unknown event": (
        "UPDATE events SET type = 'CreditsInvented' WHERE stream = 'account:acme' AND version = 1",
        {("readable", 1), ("chained", 1)},
    ),
    "spaces in the data": (
        "UPDATE events SET data = replace(data, ':', ': ') WHERE stream = 'account:acme' AND version = 1",
        {("readable", 1), ("chained", 1)},
    ),
    "a head's state": (
        "UPDATE heads SET state = replace(state, '\"granted\":5', '\"granted\":9') WHERE stream = 'account:acme'",
        {("heads_are_folds", None)},
    ),
    "a head's version": (
        "UPDATE heads SET version = version + 1 WHERE stream = 'account:acme'",
        {("heads_are_folds", None)},
    ),
    "a head deleted": ("DELETE FROM heads WHERE stream = 'account:acme'", {("heads_are_folds", None)}),
    "a head of nobody": (
        (
            "INSERT INTO heads SELECT 'account:ghost', version, hash, fold, state, link, tag, due, first"
            " FROM heads LIMIT 1"
        ),
        {("heads_are_folds", None)},
    ),
    "a head's tag": ("UPDATE heads SET tag = 'idle' WHERE tag = 'complete'", {("heads_are_folds", None)}),
    "a head's owner": ("UPDATE heads SET link = 'account:other' WHERE tag = 'complete'", {("heads_are_folds", None)}),
    "a report": (
        "UPDATE documents SET body = replace(body, 'much', 'little') WHERE name = 'report:1'",
        {("documents_match", 5)},
    ),
    "a profile deleted": (
        "DELETE FROM documents WHERE name = 'profile' AND stream IN (SELECT stream FROM heads WHERE tag = 'complete')",
        {("documents_match", 1)},
    ),
    "the queue emptied": ("DELETE FROM queue", {("way_out", None)}),
    "a run's key deleted": (
        (
            "DELETE FROM unique_keys WHERE key LIKE 'run:%'"
            " AND stream IN (SELECT stream FROM heads WHERE tag = 'complete')"
        ),
        {("keys_are_kept", 2)},
    ),
    "a run's key that names another run": (
        (
            "UPDATE unique_keys SET value = '9' WHERE key LIKE 'run:%'"
            " AND stream IN (SELECT stream FROM heads WHERE tag = 'complete')"
        ),
        {("keys_are_kept", 2)},
    ),
    "a grant's key deleted": ("DELETE FROM unique_keys WHERE key LIKE 'grant:%welcome%'", {("keys_are_kept", 1)}),
    "a grant's key of another amount": (
        "UPDATE unique_keys SET value = '50' WHERE key LIKE 'grant:%welcome%'",
        {("keys_are_kept", 1)},
    ),
    "a grant's key given away": (
        "UPDATE unique_keys SET stream = 'account:other' WHERE key LIKE 'grant:%welcome%'",
        {("keys_are_kept", 1)},
    ),
    "the key of what was revoked deleted": (
        "DELETE FROM unique_keys WHERE key LIKE 'revoked:%'",
        {("keys_are_kept", 2)},
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_by_hand_is_found_where_it_was_made(name: str, log: Path, by_hand: Callable[..., None]) -> None:
    """The finding names the law, and the version of the stream that was edited."""
    statement, places = EDITS[name]
    by_hand(statement)
    found = {(finding.law, finding.version) for finding in findings(log)}
    assert places <= found


# --- columns of the wrong type: SQLite keeps any type in any column ----------------------------------------------

SECOND = "WHERE stream = 'account:acme' AND version = 2"
ACME = "WHERE stream = 'account:acme'"
WAITING = "WHERE stream = (SELECT stream FROM queue)"
NO_UTF8 = "CAST(x'ff41' AS TEXT)"

MISTYPED: dict[str, tuple[str, tuple[str, str, int | None]]] = {
    **{
        f"an event's {column} = {value[:20]}": (
            f"UPDATE events SET {column} = {value} {SECOND}",
            ("readable", "account:acme", 2),
        )
        for column, value in (
            ("schema", "'x'"),
            ("schema", "1.5"),
            ("at", "x'00ff'"),
            ("at", NO_UTF8),
            ("type", "x'00'"),
            ("type", NO_UTF8),
            ("data", "5"),
            ("data", "x'00'"),
            ("data", NO_UTF8),
            ("meta", "5"),
            ("meta", "x'ff'"),
            ("meta", f"""'{{"a":' || '{"[" * 5000}'"""),
            ("meta", NO_UTF8),
            ("hash", "5"),
            ("hash", "'x'"),
        )
    },
    "an event's hash, no UTF-8": (f"UPDATE events SET hash = {NO_UTF8} {SECOND}", ("chained", "account:acme", 2)),
    "an event's version": (f"UPDATE events SET version = 'x' {SECOND}", ("readable", "account:acme", None)),
    "an event's version as bytes": (f"UPDATE events SET version = x'00' {SECOND}", ("readable", "account:acme", None)),
    "an event's stream": (f"UPDATE events SET stream = x'00' {SECOND}", ("readable", r"b'\x00'", 2)),
    "an event's stream, no UTF-8": (f"UPDATE events SET stream = {NO_UTF8} {SECOND}", ("readable", r"b'\xffA'", 2)),
    **{
        f"a head's {column} = {value}": (
            f"UPDATE heads SET {column} = {value} {ACME}",
            ("heads_are_folds", "account:acme", None),
        )
        for column, value in (
            ("version", "'x'"),
            ("version", "x'00'"),
            ("hash", "'x'"),
            ("hash", "5"),
            ("fold", "'x'"),
            ("fold", NO_UTF8),
            ("state", "5"),
            ("state", "x'00'"),
            ("state", NO_UTF8),
            ("link", "x'00'"),
            ("tag", "x'00'"),
            ("tag", NO_UTF8),
            ("first", "'x'"),
            ("first", "first + 1"),
        )
    },
    "a head's stream": (f"UPDATE heads SET stream = x'00' {ACME}", ("heads_are_folds", r"b'\x00'", None)),
    "a head's stream, no UTF-8": (
        f"UPDATE heads SET stream = {NO_UTF8} {ACME}",
        ("heads_are_folds", r"b'\xffA'", None),
    ),
    "a head that is missed": (f"UPDATE heads SET stream = x'00' {ACME}", ("heads_are_folds", "account:acme", None)),
    "a head's due": (f"UPDATE heads SET due = 'x' {ACME}", ("way_out", "account:acme", None)),
    "a head's due as bytes": (f"UPDATE heads SET due = x'00' {ACME}", ("way_out", "account:acme", None)),
    "an entry's stream": ("UPDATE queue SET stream = x'00'", ("way_out", r"b'\x00'", None)),
    "an entry's stream, no UTF-8": (f"UPDATE queue SET stream = {NO_UTF8}", ("way_out", r"b'\xffA'", None)),
}
"""By name: an edit by hand, and the law, the stream and the version that are named."""

MISTYPED_ENTRIES = {
    "a run that is bytes": "run_id = x'00'",
    "a run that is no UTF-8": f"run_id = {NO_UTF8}",
    "another run": f"run_id = '{RUN}'",
    "a lease that is text": "lease_until = 'x'",
    "a lease that is bytes": "lease_until = x'00'",
    "a lease for ever": "lease_until = 9223372036854775807",
}


@pytest.mark.parametrize("name", MISTYPED)
def test_a_column_of_another_type_is_found_and_the_rest_is_read(
    name: str, log: Path, by_hand: Callable[..., None]
) -> None:
    """The finding names the place as well as it can be named, and an edit in the log's last event is found as well."""
    statement, place = MISTYPED[name]
    by_hand(statement, "UPDATE events SET at = at + 1 WHERE position = (SELECT max(position) FROM events)")
    found = findings(log)
    assert place in {(finding.law, finding.stream, finding.version) for finding in found}
    assert "the hash is not that of this event after the previous one" in {finding.words for finding in found}


@pytest.mark.parametrize("edit", ["schema = 'x'", "version = 'x'", "type = x'00'"])
def test_a_row_that_cannot_be_used_breaks_no_chain(edit: str, log: Path, by_hand: Callable[..., None]) -> None:
    """The stream is followed past it, so that what comes after is not blamed for it."""
    by_hand(f"UPDATE events SET {edit} {SECOND}")
    assert {"gapless", "chained"}.isdisjoint(finding.law for finding in findings(log))


@pytest.mark.parametrize("name", MISTYPED_ENTRIES)
def test_an_entry_that_nobody_can_take_is_found(name: str, log: Path, by_hand: Callable[..., None]) -> None:
    """The finding names the person who waits."""
    by_hand(f"UPDATE queue SET {MISTYPED_ENTRIES[name]}")
    with SQLiteStore(log) as store:
        stream = store.linked("account:acme", limit=1)[0].stream
        assert {(finding.law, finding.stream) for finding in verify(store)} == {("way_out", stream)}


@pytest.mark.parametrize("column", ["schema", "type", "at", "hash", "data", "meta", "version"])
def test_a_column_spoilt_in_every_row_is_found_in_every_row(
    column: str, log: Path, by_hand: Callable[..., None]
) -> None:
    """No row that cannot be used keeps another one from being named."""
    spoilt = "'x'" if column == "hash" else NO_UTF8
    by_hand(f"UPDATE events SET {column} = {spoilt} || position")
    with SQLiteStore(log) as store, store.snapshot() as frozen:
        count = sum(1 for _ in frozen.events())
    assert len([finding for finding in findings(log) if finding.law == "readable"]) == count > 0


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE unique_keys SET stream = {NO_UTF8} WHERE key LIKE 'grant:%welcome%'",
        "UPDATE unique_keys SET stream = x'00' WHERE key LIKE 'grant:%welcome%'",
        "UPDATE unique_keys SET value = x'ff' WHERE key LIKE 'grant:%welcome%'",
        "UPDATE unique_keys SET key = x'00' WHERE key LIKE 'grant:%welcome%'",
    ],
)
def test_a_key_of_another_type_is_found(statement: str, log: Path, by_hand: Callable[..., None]) -> None:
    """A unique key that leads nowhere is a key that is not kept."""
    by_hand(statement)
    assert {(finding.law, finding.stream) for finding in findings(log)} == {("keys_are_kept", "account:acme")}


@pytest.mark.parametrize("spoilt", [NO_UTF8, "x'ff'", "5"])
def test_a_document_of_another_type_is_found(spoilt: str, log: Path, by_hand: Callable[..., None]) -> None:
    """A report whose column holds something else is not what was recorded."""
    by_hand(f"UPDATE documents SET body = {spoilt} WHERE name = 'report:1'")
    assert {(finding.law, finding.version) for finding in findings(log)} == {("documents_match", 5)}


def test_a_head_whose_name_is_no_text_ends_no_page(log: Path, by_hand: Callable[..., None]) -> None:
    """Heads are read in pages by name: behind a name that is no UTF-8, at the end of a page, the others are read."""
    by_hand(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1998)"
        " INSERT INTO heads SELECT CASE WHEN n < 998 THEN printf('a%04d', n)"
        " WHEN n < 1000 THEN CAST(x'61ff' AS TEXT) || n ELSE printf('b%04d', n) END,"
        " 1, x'00', 1, '{}', NULL, 'account', NULL, 1 FROM n"
    )
    named = [finding.stream for finding in findings(log) if finding.words == "there is a head, but no event"]
    assert len(named) == len(set(named)) == 1998


def test_two_rows_swapped_are_found(log: Path, by_hand: Callable[..., None]) -> None:
    """The order of positions is part of what is checked, not only the versions."""
    by_hand(
        "CREATE TEMP TABLE swapped AS SELECT min(position) AS a, max(position) AS b FROM events"
        " WHERE stream = 'account:acme' AND version IN (2, 3)",
        "UPDATE events SET position = 1000000 WHERE position = (SELECT a FROM swapped)",
        "UPDATE events SET position = (SELECT a FROM swapped) WHERE position = (SELECT b FROM swapped)",
        "UPDATE events SET position = (SELECT b FROM swapped) WHERE position = 1000000",
    )
    places = {(finding.law, finding.stream, finding.version) for finding in findings(log)}
    assert ("gapless", "account:acme", 3) in places
    assert ("gapless", "account:acme", 2) in places


def test_every_law_has_something_that_breaks_it() -> None:
    """No law stands in the list that no forgery or edit here would be found by, but for the one about wrong folds."""
    tried = {law for law, _, _ in FORGERIES.values()} | {law for _, places in EDITS.values() for law, _ in places}
    assert tried | {stale_changes_nothing.__name__} == set(STATEMENTS)


class _WrittenMeanwhile:
    """A reader during whose reading somebody writes."""

    def __init__(self, reader: Reader, write: Callable[[], object]) -> None:
        self._reader = reader
        self._write = write

    def __getattr__(self, name: str) -> object:
        return getattr(self._reader, name)

    @contextmanager
    def snapshot(self) -> Iterator[Reader]:
        """Open the reader's snapshot, written beside like the reader."""
        with self._reader.snapshot() as frozen:
            yield cast(Reader, _WrittenMeanwhile(frozen, self._write))

    def events(self, stream: str | None = None, *, after: int = 0) -> Iterator[RecordedEvent]:
        """Yield the events; once they are read, somebody writes."""
        yield from self._reader.events(stream, after=after)
        self._write()


def test_verify_sees_one_point_in_time(log: Path) -> None:
    """A log that is written to while it is read is judged as it was when the reading began."""
    with SQLiteStore(log) as store:
        runs = Runs(store)
        written = cast(Reader, _WrittenMeanwhile(store, lambda: runs.grant("acme", 1)))
        assert list(verify(written)) == []
        assert runs.balance("acme").granted == 6
