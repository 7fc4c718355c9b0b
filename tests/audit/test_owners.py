"""What a verification found, sorted by owner: each is shown what is theirs, and nothing of the others."""

from collections import Counter
from pathlib import Path

import pytest

from research_fsm.audit import owners, verify
from research_fsm.audit.owners import Seen, verify_for_owners
from research_fsm.laws import STATEMENTS
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.stores.sqlite_evidence import evidence
from tests.audit.test_evidence import WAIT
from tests.audit.test_tampered import ACME, BETA, TAMPERED, Forger, forger, whole

__all__ = ["forger", "whole"]  # The fixtures that this module takes over.

OWNERS = {"acme": (ACME, "ada", "bob", "cy"), "beta": (BETA, "dee")}


def test_a_whole_log_has_no_findings_up_to_its_last_position(whole: tuple[Path, dict[str, str]]) -> None:
    """With the time of the store at which it was looked at."""
    with SQLiteStore(whole[0]) as store:
        before = store.now()
        found = verify_for_owners(store)
        assert before <= found.at <= store.now()
        position = [event.position for event in store.events()][-1]
    assert found.seen_by("acme") == Seen(found.at, position, 0, (), 0)


@pytest.mark.parametrize("edit", TAMPERED)
def test_nobody_learns_of_what_is_another_owners(forger: Forger, edit: str, tmp_path: Path) -> None:
    """Whatever was edited: each finding is counted once, and what an owner is shown names nothing of the other's."""
    TAMPERED[edit][0](forger)
    with SQLiteStore(tmp_path / "log.db") as store:
        found, total = verify_for_owners(store), len(list(verify(store)))
    seen = {owner: found.seen_by(owner) for owner in OWNERS}
    assert all(one.own + one.others == total for one in seen.values())
    assert sum(one.own for one in seen.values()) <= total
    for owner, others in (("acme", "beta"), ("beta", "acme")):
        names = {forger.people.get(name, name) for name in OWNERS[others]} | {others}
        shown = "\n".join(map(str, seen[owner].findings))
        assert not [name for name in names if name in shown], shown


AMBIGUOUS = {"another owner", "a head's link"}
"""Edits after which what says whose it is names two owners."""

NOBODYS = {"another stream", "a document of nobody", "a refusal of nobody's"}
"""Edits of what is no owner's."""


@pytest.mark.parametrize("edit", sorted(TAMPERED.keys() - AMBIGUOUS - NOBODYS))
def test_an_owner_is_shown_what_is_theirs(forger: Forger, edit: str, tmp_path: Path) -> None:
    """The law that is broken and where; also of somebody without a head, or whose first event cannot be read."""
    tamper, law, name = TAMPERED[edit]
    tamper(forger)
    with SQLiteStore(tmp_path / "log.db") as store:
        found = verify_for_owners(store)
    (owner,) = (owner for owner, names in OWNERS.items() if name in names)
    assert (law, forger.stream(name)) in {(one.law, one.stream) for one in found.seen_by(owner).findings}


@pytest.mark.parametrize("edit", sorted(AMBIGUOUS))
def test_what_two_owners_may_claim_is_shown_to_neither(forger: Forger, edit: str, tmp_path: Path) -> None:
    """It is counted."""
    TAMPERED[edit][0](forger)
    with SQLiteStore(tmp_path / "log.db") as store:
        found = verify_for_owners(store)
    ada = forger.stream("ada")
    assert ada not in {one.stream for owner in OWNERS for one in found.seen_by(owner).findings}
    assert found.total > sum(found.counts.values())


def test_words_are_kept_where_a_law_looks_at_one_stream(forger: Forger, tmp_path: Path) -> None:
    """Where it takes others, the law says what it promises."""
    forger.change("ada", "PersonAdded", hide=False, profile_digest="0")
    forger.append(ACME, "CreditsHeld", person_id=forger.people["dee"], run_id=forger.people["dee"], run_no=1, amount=1)
    with SQLiteStore(tmp_path / "log.db") as store:
        found = verify_for_owners(store).seen_by("acme")
    words = {one.law: one.words for one in found.findings}
    assert words["chained"] == "the hash is not that of this event after the previous one"
    assert words["credits_follow_runs"] == f"not kept: {STATEMENTS['credits_follow_runs']}"


def test_a_row_of_other_types_ends_nothing(forger: Forger, tmp_path: Path) -> None:
    """SQLite keeps anything in any column: a link that is no text names no owner, and the log still does."""
    forger.head("ada", "link = x'ff'")
    forger.sql.execute("UPDATE events SET data = x'ff' WHERE stream = ? AND version = 1", (forger.stream("dee"),))
    with evidence(tmp_path / "log.db", WAIT) as log:
        found = verify_for_owners(log)
    assert forger.stream("ada") in {one.stream for one in found.seen_by("acme").findings}
    assert forger.stream("dee") in {one.stream for one in found.seen_by("beta").findings}


def test_of_very_many_findings_the_first_are_kept(
    forger: Forger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each owner; all of them are counted."""
    monkeypatch.setattr(owners, "_KEPT", 2)
    forger.sql.execute("UPDATE events SET hash = zeroblob(32)")
    with SQLiteStore(tmp_path / "log.db") as store:
        found = verify_for_owners(store)
        expected = Counter(one.law for one in verify(store))
    assert {owner: len(kept) for owner, kept in found.findings.items()} == {"acme": 2, "beta": 2}
    assert found.total == expected.total() == sum(found.counts.values())
