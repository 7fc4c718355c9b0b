"""A log leaves a store and comes into another hash for hash, and no half or edited file passes for one."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from research_fsm import Profile, Runs, checkpoints, exported, imported
from research_fsm.audit import asked, verify, verify_events
from research_fsm.errors import InvalidInput, LogUnreadable
from research_fsm.laws import STATEMENTS
from research_fsm.storage import Query, Reader, Store, View
from research_fsm.stores.memory import MemoryStore
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.testing.wrapped import Wrapped
from research_fsm.worker import Worker


@pytest.fixture
def store() -> Store:
    """A log with runs that are complete and that wait, an erased person, and a grant that was taken back."""
    runs = Runs(MemoryStore())
    runs.grant("acme", 10, grant_id="first")
    runs.grant("acme", 2, grant_id="second")
    runs.revoke("acme", "second")
    found = [runs.add("acme", Profile(linkedin_url=f"linkedin.com/in/{name}")).accepted() for name in ("ada", "bob")]
    for one in found:
        runs.start(one.person_id)
    worker = Worker(runs, lambda _: {"found": "☃"})
    assert worker.run_once()
    assert worker.run_once()
    runs.erase(found[1].person_id)
    runs.start(runs.add("acme", Profile(linkedin_url="linkedin.com/in/cy")).accepted().person_id)
    return runs.store


STORES: dict[str, Callable[[Path], Callable[[Callable[[], int]], Store]]] = {
    "memory": lambda _: MemoryStore,
    "sqlite": lambda folder: lambda clock: SQLiteStore(folder / "in.db", clock=clock),
}


@pytest.mark.parametrize("kind", STORES)
def test_a_whole_log_comes_back(store: Store, kind: str, tmp_path: Path) -> None:
    """Events, times and hashes are the same, the heads and keys are there, and an old checkpoint holds."""
    stated, opened = checkpoints.make(store), list[Store]()
    lines = list(exported.export(store, with_documents=True))

    def opening(clock: Callable[[], int]) -> Store:
        opened.append(STORES[kind](tmp_path)(clock))
        return opened[0]

    done = imported.load(lines, opening)
    (copy,) = opened
    assert (done.events, done.root) == (stated.events, stated.root)
    assert [(one.stream, one.version, one.at, one.hash) for one in copy.events()] == [
        (one.stream, one.version, one.at, one.hash) for one in store.events()
    ]
    assert list(verify(copy)) == []
    assert list(checkpoints.differences(copy, stated)) == []
    assert {head.stream: (head.state, head.tag) for head in copy.heads()} == {
        head.stream: (head.state, head.tag) for head in store.heads()
    }
    assert [one.run_id for one in copy.entries()] == [one.run_id for one in store.entries()]
    assert list(exported.events(exported.export(copy))) == list(copy.events())
    copy.close()


def test_a_copy_without_documents_is_held_to_none(store: Store) -> None:
    """Once it is said that the copy was imported; where documents came along, each of them is asked for."""
    copies = list[MemoryStore]()

    def opening(clock: Callable[[], int]) -> MemoryStore:
        copies.append(MemoryStore(clock))
        return copies[-1]

    imported.load(exported.export(store), opening)
    bare = copies[-1]
    assert {one.law for one in verify(bare)} == {"documents_match"}
    assert list(verify(bare, imported=True)) == []
    assert asked(bare, imported=True).keys() == STATEMENTS.keys() - {"documents_match"}
    assert asked(bare) == STATEMENTS

    lines = list(exported.export(store, with_documents=True))
    imported.load([one for one in lines if '"document":"profile"' not in one], opening)
    partial = copies[-1]
    assert asked(partial, imported=True) == STATEMENTS
    assert {one.law for one in verify(partial, imported=True)} == {"documents_match"}


def test_without_documents_nothing_personal_leaves(store: Store) -> None:
    """What is exported by default is the log, which holds no personal data; with documents it does."""
    assert "linkedin.com" not in "".join(exported.export(store))
    assert not [one for one in exported.read(exported.export(store)) if isinstance(one, exported.Document)]
    bodies = [
        one.body
        for one in exported.read(exported.export(store, with_documents=True))
        if isinstance(one, exported.Document)
    ]
    assert any(b"linkedin.com/in/ada" in body for body in bodies)
    assert not any(b"linkedin.com/in/bob" in body for body in bodies)


class Counting(Wrapped):
    """Counts how often a store is asked for what stands beside the log."""

    asked = 0

    def snapshot(self) -> AbstractContextManager[Reader]:
        """Stay here: nobody writes."""
        return nullcontext(self)

    def read(self, query: Query) -> View:
        """Count, and ask the store."""
        self.asked += 1
        return super().read(query)


def test_documents_are_asked_for_together(store: Store) -> None:
    """A server that is far away is not asked once for each person; not at all where nobody wants documents."""
    runs, counting = Runs(store), Counting(store)
    for number in range(60):
        runs.add("acme", Profile(linkedin_url=f"linkedin.com/in/{number}"))
    bodies = [
        one
        for one in exported.read(exported.export(counting, with_documents=True))
        if isinstance(one, exported.Document)
    ]
    assert len(bodies) == 2 * 62 + 1
    assert 1 <= counting.asked < 4
    list(exported.export(counting))
    assert counting.asked < 4


def test_an_exported_log_is_verified_as_it_is(store: Store) -> None:
    """The laws of the log alone are checked on a file, without a store."""
    assert list(verify_events(exported.events(exported.export(store)))) == []


def edited(lines: list[str], number: int, **facts: object) -> list[str]:
    """The lines, with some facts of one of them changed."""
    return [*lines[:number], json.dumps({**json.loads(lines[number]), **facts}) + "\n", *lines[number + 1 :]]


def test_an_edited_event_is_found_in_the_file(store: Store) -> None:
    """A grant that was made larger is not what its hash says: to verify, and to an import."""
    lines = list(exported.export(store))
    data = json.loads(json.loads(lines[1])["data"])
    forged = edited(lines, 1, data=json.dumps({**data, "amount": 99}, sort_keys=True, separators=(",", ":")))
    (finding, *_) = verify_events(exported.events(forged))
    assert (finding.law, finding.stream, finding.version) == ("chained", "account:acme", 1)
    with pytest.raises(LogUnreadable, match="account:acme version 1: is not the event that its hash says"):
        imported.load(forged, MemoryStore)


WRONG: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "nothing": (lambda _: [], "line 1: is missing: the file is empty"),
    "no format": (lambda lines: lines[1:], "line 1: should say"),
    "no end": (lambda lines: lines[:-1], "the file was cut off"),
    "an event less": (lambda lines: [*lines[:3], *lines[4:]], "are not all"),
    "two swapped": (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "or not the same"),
    "more after the end": (lambda lines: [*lines, lines[1]], "comes after the end"),
    "no JSON": (lambda lines: [lines[0], "{", *lines[1:]], "line 2: is not a JSON object"),
    "a list": (lambda lines: [lines[0], "[]", *lines[1:]], "line 2: is not a JSON object"),
    "depth": (lambda lines: [lines[0], "[" * 100_000, *lines[1:]], "line 2: is not a JSON object"),
    "a field less": (lambda lines: [lines[0], "{}", *lines[1:]], "line 2: should have position"),
    "a number as text": (lambda lines: edited(lines, 1, version="1"), "line 2: should have position"),
    "yes as a number": (lambda lines: edited(lines, 1, version=True), "line 2: should have position"),
    "half a pair": (lambda lines: edited(lines, 1, stream="\ud800"), "line 2: holds half of a surrogate pair"),
    "no hexadecimal": (lambda lines: edited(lines, 1, hash="zz"), "line 2: has a hash that is not hexadecimal"),
    "no base64": (
        lambda lines: [lines[0], '{"stream":"a","document":"b","body":"?"}', *lines[1:]],
        "line 2: has a body that is not base64",
    ),
    "no body": (lambda lines: [lines[0], '{"stream":"a","document":"b"}', *lines[1:]], "and its body"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_whole_export_is_refused(store: Store, wrong: str) -> None:
    """Whatever is missing, moved, added or of another form is named with its line, and is a finding of verify."""
    edit, words = WRONG[wrong]
    lines = edit(list(exported.export(store)))
    with pytest.raises(LogUnreadable, match=words):
        list(exported.read(lines))
    (finding,) = [one for one in verify_events(exported.events(lines)) if one.law == "readable"]
    assert finding.stream == "the file"
    assert re.search(words, finding.words)
    assert finding.words.endswith("; nothing behind it was looked at")


def test_a_document_before_the_first_event_is_refused(store: Store) -> None:
    """It would belong to nobody."""
    lines = list(exported.export(store))
    stray = '{"stream":"person:a","document":"profile","body":""}\n'
    with pytest.raises(LogUnreadable, match="stands before the first event"):
        imported.load([lines[0], stray, *lines[1:]], MemoryStore)


def test_many_transactions_are_committed_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens the store within a transaction of the database is asked for one now and then, in order."""
    monkeypatch.setattr(imported, "_TOGETHER_BYTES", 500)
    sizes = list[int]()

    @contextmanager
    def together(opened: MemoryStore, query: Query) -> Iterator[Store]:
        before = sum(1 for _ in opened.events())
        yield opened
        written = list(opened.events(after=before))
        assert {event.stream for event in written} == set(query.streams)
        sizes.append(before + len(written))

    done = imported.load(exported.export(store), MemoryStore, together=together)
    assert len(sizes) > 3
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == done.events


def test_two_logs_are_never_mixed(store: Store) -> None:
    """An import takes an empty store or none."""
    with pytest.raises(InvalidInput, match="must be empty"):
        imported.load(exported.export(store), lambda _: store)


def test_what_happened_at_one_time_keeps_its_order() -> None:
    """Streams that take turns within one microsecond, more often than one transaction holds, come back in turns."""
    runs = Runs(MemoryStore(lambda: 1))
    for number in range(300):
        runs.grant("acme", 1, grant_id=str(number))
        runs.grant("beta", 1, grant_id=str(number))
        runs.grant("beta", 1, grant_id=f"{number} again")
    stated = checkpoints.make(runs.store)
    assert imported.load(exported.export(runs.store), MemoryStore).root == stated.root
