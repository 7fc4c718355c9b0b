"""A partner's people are found by their addresses: verify holds the keys against the profiles, and names no address."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from research_fsm import Profile, Runs, exported, imported
from research_fsm.audit import verify
from research_fsm.audit.addresses import keys_of_address
from research_fsm.events import PersonKind
from research_fsm.outcomes import AlreadyAdded
from research_fsm.person import Person
from research_fsm.storage import UniqueKey
from research_fsm.stores.memory import MemoryStore
from research_fsm.stores.sqlite import SQLiteStore

URL = "https://www.linkedin.com/in/{}"


class Partner:
    """A file with a partner's people, somebody erased among them, and a user's person of the same address."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with SQLiteStore(path) as store:
            runs = Runs(store)
            self.people = {name: _added(runs, name, PersonKind.PARTNER) for name in ("ada", "bob", "cy")}
            self.people["user"] = _added(runs, "ada", PersonKind.USER)
            runs.erase(self.people["cy"]).accepted()

    def stream(self, name: str) -> str:
        """Return the stream of somebody, or the name itself."""
        return f"person:{self.people[name]}" if name in self.people else name

    def edit(self, statement: str, *values: object) -> None:
        """Edit the file by hand."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(statement, values)

    def found(self) -> set[tuple[str, str]]:
        """Return the laws that are broken, each with whose stream it is."""
        names = {self.stream(name): name for name in self.people}
        with SQLiteStore(self.path) as store:
            found = list(verify(store))
        assert "linkedin.com" not in "\n".join(map(str, found))
        return {(one.law, names.get(one.stream, one.stream)) for one in found}


def _added(runs: Runs, name: str, kind: PersonKind) -> str:
    return runs.add("acme", Profile(linkedin_url=URL.format(name)), kind=kind).accepted().person_id


@pytest.fixture
def partner(tmp_path: Path) -> Partner:
    """One whose file is whole."""
    found = Partner(tmp_path / "log.db")
    assert found.found() == set()
    return found


def _key(name: str) -> str:
    return f"url:acme:{URL.format(name)}"


_MOVED = "UPDATE unique_keys SET stream = ? WHERE key = ?"
_INSERTED = "INSERT INTO unique_keys VALUES (?, ?, 'null', 1)"


def test_a_lost_address_is_found(partner: Partner) -> None:
    """A submission would add the person once more."""
    partner.edit("DELETE FROM unique_keys WHERE key = ?", _key("ada"))
    assert partner.found() == {("keys_are_kept", "ada")}


def test_an_address_that_leads_to_another_person_is_found(partner: Partner) -> None:
    """A submission would be answered with that person."""
    partner.edit(_MOVED, partner.stream("bob"), _key("ada"))
    assert partner.found() == {("keys_are_kept", "ada"), ("keys_are_kept", "bob")}


@pytest.mark.parametrize("name", ["cy", "user", "bob", "person:nobody", "account:acme"])
def test_an_address_that_no_profile_calls_for_is_found(partner: Partner, name: str) -> None:
    """Of somebody erased above all, of a user's person, one more of a partner's, and of nobody at all."""
    partner.edit(_INSERTED, _key("more"), partner.stream(name))
    assert partner.found() == {("keys_are_kept", name)}


def test_whoever_was_erased_has_no_address_even_with_a_profile(partner: Partner) -> None:
    """Both were put back as they had been; each is found for itself."""
    partner.edit(
        "INSERT INTO documents SELECT ?, name, body FROM documents WHERE stream = ?",
        *map(partner.stream, ("cy", "ada")),
    )
    partner.edit(_MOVED, partner.stream("cy"), _key("ada"))
    assert partner.found() == {("documents_match", "cy"), ("keys_are_kept", "ada"), ("keys_are_kept", "cy")}


@pytest.mark.parametrize("key", [b"\xff", b"url", 5, 2.5])
def test_a_name_of_another_type_is_found(partner: Partner, key: object) -> None:
    """SQLite keeps anything in any column."""
    partner.edit(_INSERTED, key, partner.stream("bob"))
    assert partner.found() == {("keys_are_kept", "bob")}


def test_a_stream_of_another_type_is_found(partner: Partner) -> None:
    """And shown as it is."""
    partner.edit(_INSERTED, _key("more"), b"\xff")
    assert partner.found() == {("keys_are_kept", "b'\\xff'")}


def test_an_address_that_would_outlive_its_person_is_found(partner: Partner) -> None:
    """An erasure takes the personal keys along, and no other."""
    partner.edit("UPDATE unique_keys SET personal = 0 WHERE key = ?", _key("ada"))
    assert partner.found() == {("keys_are_kept", "ada")}


def test_a_key_that_an_erasure_would_take_along_is_found(partner: Partner) -> None:
    """The key of a run is not personal: without it, the run would not be found any more."""
    with SQLiteStore(partner.path) as store:
        runs = Runs(store)
        runs.grant("acme", 1)
        run = runs.start(partner.people["bob"]).accepted()
    assert partner.found() == set()
    partner.edit("UPDATE unique_keys SET personal = 1 WHERE key = ?", f"run:{run.run_id}")
    assert partner.found() == {("keys_are_kept", "bob")}


@pytest.mark.parametrize("profile", [b"", b"\xff", b"[]", b"{}", b'{"linkedin_url":5}', b"[" * 10_000])
def test_a_profile_that_says_nothing_calls_for_no_key(profile: bytes) -> None:
    """Whatever it is, it is read without a failure."""
    partners = Person("ada", owner="acme", kind=PersonKind.PARTNER)
    assert keys_of_address(partners, profile) == ()


def test_a_profile_calls_for_the_key_of_its_address() -> None:
    """If the person is a partner's."""
    profile = b'{"linkedin_url":"x"}'
    key = UniqueKey("url:acme:x", "person:ada", personal=True)
    assert keys_of_address(Person("ada", owner="acme", kind=PersonKind.PARTNER), profile) == (key,)
    assert keys_of_address(Person("ada", owner="acme"), profile) == ()


def test_addresses_are_imported_with_the_documents(partner: Partner) -> None:
    """Who is there is found in the copy; a copy without documents knows no address, and none is asked for."""
    copies = list[MemoryStore]()

    def opening(clock: Callable[[], int]) -> MemoryStore:
        copies.append(MemoryStore(clock))
        return copies[-1]

    with SQLiteStore(partner.path) as store:
        for with_documents in (True, False):
            imported.load(exported.export(store, with_documents=with_documents), opening)
        keys = list(store.keys())
    whole, bare = copies
    assert list(whole.keys()) == keys
    assert list(verify(whole)) == []
    profile = Profile(linkedin_url=URL.format("ada"))
    assert Runs(whole).add("acme", profile, kind=PersonKind.PARTNER) == AlreadyAdded(partner.people["ada"])
    assert list(bare.keys()) == []
    assert list(verify(bare, imported=True)) == []
