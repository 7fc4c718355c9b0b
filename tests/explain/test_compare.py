"""Two versions and one log: what differs is found, where it begins to is named, and nothing else is touched."""

import shutil
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

import research_fsm
from research_fsm import codec
from research_fsm.account import Account
from research_fsm.compare import Change, Difference, ThisVersion, checkout, compare
from research_fsm.compare_replay import Line, replay
from research_fsm.errors import InvalidInput
from research_fsm.events import CreditsGranted, Meta
from research_fsm.outcomes import Json
from research_fsm.storage import Query, Reader, RecordedEvent, Store, StreamWrite, Write
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.testing.wrapped import Wrapped
from tests.cli.conftest import Program, elsewhere, program
from tests.explain.worlds import World

__all__ = ["elsewhere", "program"]

Checkout = Callable[..., Path]


ANOTHER_EVOLVE = """
import attrs
_evolve = evolve
def evolve(person, event, at):
    after = _evolve(person, event, at)
    return attrs.evolve(after, reports=after.reports + 1) if type(event).__name__ == "RunCompleted" else after
"""
ANOTHER_RULE = """
_allows = allows
def allows(phase, trigger):
    return trigger is Trigger.START or _allows(phase, trigger)
"""
ANOTHER_CODEC = """
_decode = decode_person_event
def decode_person_event(recorded):
    if recorded.type == "RunStarted":
        raise LogUnreadable("RunStarted", "is not known")
    return _decode(recorded)
"""
ANOTHER_ACCOUNT = """
import attrs
_evolve = evolve
def evolve(account, event):
    after = _evolve(account, event)
    return attrs.evolve(after, charged=2 * after.charged)
"""


@pytest.fixture
def other(tmp_path: Path) -> Checkout:
    """Return what makes a checkout of this version in which a module ends with some more source text."""

    def made(module: str = "__init__.py", more: str = "") -> Path:
        folder = tmp_path / "other"
        shutil.copytree(Path(research_fsm.__file__).parent, folder / "research_fsm")
        with (folder / "research_fsm" / module).open("a", encoding="utf-8") as source:
            source.write(more)
        return folder

    return made


def _world() -> tuple[World, str]:
    """Return a world with a person who failed once, and then had a report."""
    world = World()
    ada = world.person(having=2)
    world.runs.start(ada)
    taken = world.taken()
    world.runs.fail(taken.run_id, taken.run_no, taken.external_id)
    world.completed(ada)
    return world, ada


def _differences(world: World, folder: Path) -> list[Difference]:
    with checkout(str(folder)) as theirs:
        return list(compare(world.store, theirs))


def test_a_version_agrees_with_itself(other: Checkout) -> None:
    """Also in a process of its own: what is compared is the library, not where it runs."""
    world, _ = _world()
    assert _differences(world, other()) == []
    assert list(compare(world.store, ThisVersion())) == []


def test_another_evolve_is_found_where_it_begins_to_differ(other: Checkout) -> None:
    """The person, the field with both values, and the event that parts the two."""
    world, ada = _world()
    folder = other("person.py", ANOTHER_EVOLVE)
    (found,) = _differences(world, folder)
    completed = next(event for event in world.store.events(f"person:{ada}") if event.type == "RunCompleted")
    assert (found.stream, found.version, found.type) == (f"person:{ada}", completed.version, "RunCompleted")
    assert found.changes == (Change("state.reports", 1, 2),)
    assert str(found).splitlines()[1] == "    state.reports: 1 here, 2 there"


def test_another_rule_is_found_though_the_state_is_the_same(other: Checkout) -> None:
    """A start that would be answered otherwise."""
    world, _ = _world()
    folder = other("lifecycle.py", ANOTHER_RULE)
    (found,) = _differences(world, folder)
    assert found.changes[0] == Change("start.answer", "AlreadyRunning", "Queued")
    assert all(change.path.startswith("start.") for change in found.changes)


def test_an_event_that_the_other_version_cannot_read_is_an_error_there(other: Checkout) -> None:
    """The others go on: it is one more thing that differs."""
    world, ada = _world()
    folder = other("codec.py", ANOTHER_CODEC)
    found = {one.stream: one for one in _differences(world, folder)}
    changes = {change.path: change for change in found[f"person:{ada}"].changes}
    assert "error" in changes
    assert changes["error"].ours is None
    assert changes["error"].theirs == "LogUnreadable: RunStarted: is not known"


def test_the_other_version_sees_events_and_no_store(other: Checkout) -> None:
    """It is sent the log's lines; with the store's file closed to it, it answers all the same."""
    world, ada = _world()
    asked: list[tuple[str, int]] = []

    class Noting:
        def replay(self, stream: str, lines: Iterable[Line]) -> Json:
            sent = list(lines)
            asked.append((stream, len(sent)))
            return replay(stream, sent)

    assert list(compare(world.store, Noting())) == []
    assert asked == [(head.stream, head.version) for head in world.store.heads()]
    assert f"person:{ada}" in {stream for stream, _ in asked}
    assert other().is_dir()


class Read(Wrapped):
    """Notes which streams are read."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.streams = list[str | None]()

    def snapshot(self) -> AbstractContextManager[Reader]:
        """Stay here: nobody writes."""
        return nullcontext(self)

    def events(self, stream: str | None = None, *, after: int = 0) -> Iterator[RecordedEvent]:
        """Note it, and read."""
        self.streams.append(stream)
        return super().events(stream, after=after)


def test_a_short_stream_is_read_once() -> None:
    """A server that is far away is asked once for each person, and not once for each version."""
    world, _ = _world()
    reading = Read(world.store)
    assert list(compare(reading, ThisVersion())) == []
    assert reading.streams == [head.stream for head in world.store.heads()]


def test_a_long_stream_takes_no_more_memory(other: Checkout, tmp_path: Path) -> None:
    """An account of eight thousand events is sent to the other version without being held here."""

    def peak(grants: int) -> int:
        with SQLiteStore(tmp_path / f"{grants}.db") as store, checkout(str(folder)) as theirs:
            for first in range(0, grants, 100):
                _granted(store, first)
            tracemalloc.start()
            assert list(compare(store, theirs)) == []
            size = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return size

    folder = other()
    assert peak(8000) < 1.5 * peak(2000)


def _granted(store: SQLiteStore, first: int) -> None:
    """Write a hundred grants in one transaction."""
    events = tuple(codec.encode_event(CreditsGranted(str(first + number), 1), Meta()) for number in range(100))
    stream = "account:acme"
    state = codec.encode(Account(granted=first + 100))
    write = StreamWrite(
        stream=stream, expected=first, events=events, state=state, fold=codec.FOLD, link=None, tag="account", due=None
    )
    store.transact(Query(streams=(stream,)), lambda _, __: Write(answer=None, streams=(write,)))


def test_a_law_that_is_broken_is_part_of_what_is_compared() -> None:
    """An illegal event is named with its version, and never ends the replay."""
    world, ada = _world()
    lines: list[Line] = [
        (one.position, one.version, one.type, one.schema, one.at, one.data.decode(), one.meta.decode(), one.hash.hex())
        for one in world.store.events(f"person:{ada}")
    ]
    assert replay(f"person:{ada}", lines)["broken"] == []
    without = [line for line in lines if line[2] != "RunFailed"]
    assert any("one_open_run" in words for words in replay(f"person:{ada}", without)["broken"])


def test_what_is_no_checkout_is_refused(tmp_path: Path, other: Checkout) -> None:
    """A folder without the library, or one whose library cannot be imported."""
    with pytest.raises(InvalidInput, match="checkout"), checkout(str(tmp_path)):
        raise AssertionError
    broken = other()
    (broken / "research_fsm" / "__init__.py").write_text("raise SystemExit")
    with pytest.raises(InvalidInput, match="ended"), checkout(str(broken)):
        raise AssertionError


def test_the_command_shows_what_differs(program: Program, other: Checkout) -> None:
    """Exit code 1 and every stream, or 0 and a sentence; as JSON, an array."""
    program.complete()
    folder = other("account.py", ANOTHER_ACCOUNT)
    found = program("compare", "--with", folder)
    assert found.exit_code == 1
    assert "account:acme: they part at version 3, CreditsCharged" in found.stdout
    (shown,) = program.json("compare", "--with", folder, code=1)
    assert shown["changes"][0] == {"path": "state.charged", "ours": 1, "theirs": 2}
    assert program("compare", "--with", "nowhere").exit_code == 2


def test_the_command_takes_an_interpretation_of_your_own(program: Program, tmp_path: Path) -> None:
    """A module in the present folder, and an object in it that replays."""
    person_id = program.person()
    (tmp_path / "mine.py").write_text(
        "class Blind:\n    @staticmethod\n    def replay(stream, lines):\n        return {}\n"
    )
    found = program("compare", "--with", "mine:Blind")
    assert found.exit_code == 1
    assert f"person:{person_id}" in found.stdout
    assert program("compare", "--with", "mine:Nobody").exit_code == 2
    assert program("compare", "--with", "json:dumps").exit_code == 2


def test_another_version_that_ends_half_way_is_an_error(other: Checkout) -> None:
    """Whatever ends it: no difference is made up."""
    world, _ = _world()
    folder = other("codec.py", "\nimport os\nos._exit(3)\n")
    with checkout(str(folder)) as theirs:
        for _ in range(2):
            with pytest.raises(InvalidInput, match="ended without an answer"):
                list(compare(world.store, theirs))
