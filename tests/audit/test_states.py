"""The first look at a log: what columns and heads alone can show is found, and nothing is found in a whole log."""

# ruff: noqa: S608 - the statements are edits by hand, put together from the constants of this module.

import itertools
from pathlib import Path

import pytest
from hypothesis import given

from research_fsm.audit import states
from research_fsm.audit.states import LAWS, TRIGGERS, verify_states
from research_fsm.events import PersonEvent
from research_fsm.laws import STATEMENTS
from research_fsm.lifecycle import Phase, allows, dest, trigger_of
from research_fsm.stores.sqlite import SQLiteStore
from tests.audit.test_tampered import TAMPERED, Forger, forger, whole
from tests.core.test_properties import PERSON_EVENTS, PERSON_EVENTS_OF

__all__ = ["forger", "whole"]  # The fixtures that this module takes over.

FOUND = {
    "a type",
    "a version",
    "an event less",
    "the first less",
    "another stream",
    "another order",
    "a report less",
    "a start less",
    "a start while running",
    "a person added twice",
    "an erasure undone",
    "a run after the erasure",
    "an attempt after the end",
    "an account's event of a person",
    "a head's version",
    "a head's hash",
    "a head's tag",
    "an account's tag",
    "a head less",
}
"""What is found; the other edits are in payloads, in hashes that would have to be computed, or beside the log."""


@pytest.fixture(autouse=True, params=[(25_000, 1000), (1, 1)], ids=["at hand", "in the file"])
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remember much, and so little that the scratch file remembers almost everything."""
    at_hand, page = request.param
    monkeypatch.setattr(states, "_AT_HAND", at_hand)
    monkeypatch.setattr(states, "_PAGE", page)


def test_nothing_is_found_in_a_whole_log(whole: tuple[Path, dict[str, str]]) -> None:
    """The rules wrote it; and each event was counted."""
    steps = list[int]()
    with SQLiteStore(whole[0]) as store:
        assert list(verify_states(store, steps.append)) == []
        assert sum(steps) == sum(1 for _ in store.events())


@pytest.mark.parametrize("edit", sorted(TAMPERED))
def test_what_it_finds_and_what_it_leaves_to_the_whole_check(
    forger: Forger,
    edit: str,
    tmp_path: Path,
) -> None:
    """The documentation says which: what is missing, doubled, out of order or not allowed, and heads elsewhere."""
    TAMPERED[edit][0](forger)
    with SQLiteStore(tmp_path / "log.db") as store:
        found = list(verify_states(store))
    assert bool(found) == (edit in FOUND), "\n".join(map(str, found))
    assert {one.law for one in found} <= LAWS.keys() <= STATEMENTS.keys()


SPOILT = {
    f"{table}.{column} = {value}": f"UPDATE {table} SET {column} = {value} WHERE rowid = 2"
    for table, columns in {
        "events": ("stream", "version", "type"),
        "heads": ("stream", "version", "tag"),
    }.items()
    for column, value in itertools.product(columns, ("x'00'", "CAST(x'ff41' AS TEXT)"))
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_column_of_another_type_is_found(forger: Forger, name: str, tmp_path: Path) -> None:
    """Whatever a row holds, it is named and the rest is read."""
    forger.sql.execute(SPOILT[name])
    with SQLiteStore(tmp_path / "log.db") as store:
        assert list(verify_states(store))


@given(PERSON_EVENTS)
def test_a_name_leads_where_the_event_would(event: PersonEvent) -> None:
    """In each phase the name of an event allows what one of its triggers does, and at most one of them is allowed."""
    triggers = TRIGGERS[type(event).__name__]
    assert trigger_of(event) in triggers
    for phase in Phase:
        reached = {dest(phase, trigger) for trigger in triggers if allows(phase, trigger)}
        assert len(reached) <= 1
        if allows(phase, trigger_of(event)):
            assert reached == {dest(phase, trigger_of(event))}


def test_each_event_of_a_person_has_its_triggers() -> None:
    """A new event has its line."""
    assert {cls.__name__ for cls in PERSON_EVENTS_OF} == TRIGGERS.keys()
