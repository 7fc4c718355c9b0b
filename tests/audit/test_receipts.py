"""Receipts held against the log: every answer that the rules keep is right, and what else one may say is found."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from research_fsm import Profile, Runs, codec, exported, imported
from research_fsm.audit import verify
from research_fsm.commands import RequestKey
from research_fsm.events import PersonKind
from research_fsm.outcomes import (
    AlreadyAdded,
    AlreadyRunning,
    InsufficientCredits,
    KeyReused,
    PersonNotFound,
    Queued,
    RolledBack,
    StartAnswer,
    Unresolved,
)
from research_fsm.storage import Query, Receipt, Write
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.clock import ManualClock
from research_fsm.testing.scripted import Reply, ScriptedDispatcher

NOBODY = "00000000-0000-4000-8000-000000000000"


class Outside:
    """A store whose runs an outside engine gets, and answers by a script."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.dispatcher = ScriptedDispatcher(retry_at=7)
        self.runs = Runs(self.store, self.dispatcher)
        self.runs.grant("acme", 10, grant_id="welcome")

    def added(self, name: str = "ada") -> str:
        """Add a person of acme's."""
        return self.runs.add("acme", Profile(linkedin_url=f"linkedin.com/in/{name}")).accepted().person_id

    def started(self, *script: Reply) -> tuple[str, object]:
        """Start somebody new under the key k, and return who and the answer."""
        self.dispatcher.script(*script)
        person_id = self.added()
        return person_id, self.runs.start(person_id, key="k")

    def person_id(self) -> str:
        """Return who was added last."""
        return self.store.linked("account:acme", limit=1)[0].stream.removeprefix("person:")

    def kept(self) -> list[object]:
        """Return what the receipts say, first that of the run, if it has one."""
        rows = sorted(self.store.receipts(), key=lambda one: not one.key.startswith("run:"))
        return [codec.decode_create_answer(one.answer) for one in rows]

    def found(self) -> list[str]:
        """Return what verify says is wrong."""
        found = list(verify(self.store))
        assert {one.law for one in found} <= {"keys_are_kept"}
        return [one.words for one in found]

    def write(self, *receipts: Receipt, **settled: bytes) -> None:
        """Write receipts past the rules."""
        write = Write(answer=None, receipts=receipts, settled=settled)
        self.store.transact(Query(), lambda _view, _now: write)


@pytest.fixture
def outside() -> Outside:
    """A new one."""
    return Outside()


def _confirmed(outside: Outside) -> object:
    return outside.started()[1]


def _open(outside: Outside) -> object:
    return outside.started(Reply.LOST)[1]


def _refused(outside: Outside) -> object:
    return outside.started(Reply.REFUSED)[1]


def _not_sent(outside: Outside) -> object:
    return outside.started(Reply.NOT_SENT)[1]


def _given_up(outside: Outside) -> object:
    person_id, answer = outside.started(Reply.LOST)
    assert isinstance(answer, Unresolved)
    outside.dispatcher.script(*[Reply.LOST] * 9)
    outside.clock.advance(timedelta(days=2))
    outside.runs.recover()
    return RolledBack(person_id, answer.run_id, 1, "dispatch_deadline")


def _found(outside: Outside) -> object:
    person_id, answer = outside.started(Reply.TAKEN_UNANSWERED)
    assert isinstance(answer, Unresolved)
    outside.clock.advance(timedelta(hours=1))
    outside.runs.recover()
    return Queued(person_id, answer.run_id, 1)


def _claimed(outside: Outside) -> object:
    person_id, answer = outside.started(Reply.TAKEN_UNANSWERED)
    assert isinstance(answer, Unresolved)
    outside.runs.claim(answer.run_id, 1, "run_1").accepted()
    return Queued(person_id, answer.run_id, 1)


def _failed_at_once(outside: Outside) -> object:
    person_id, answer = outside.started(Reply.TAKEN_UNANSWERED)
    assert isinstance(answer, Unresolved)
    outside.runs.fail(answer.run_id, 1, "run_1", "no").accepted()
    return Queued(person_id, answer.run_id, 1)


def _erased_meanwhile(outside: Outside) -> object:
    person_id, _ = outside.started(Reply.LOST)
    outside.runs.erase(person_id).accepted()
    return PersonNotFound(person_id)


def _erased_later(outside: Outside) -> object:
    person_id, answer = outside.started()
    outside.runs.erase(person_id).accepted()
    return answer


STORIES: dict[str, Callable[[Outside], object]] = {
    story.__name__.strip("_").replace("_", " "): story
    for story in (
        _confirmed,
        _open,
        _refused,
        _not_sent,
        _given_up,
        _found,
        _claimed,
        _failed_at_once,
        _erased_meanwhile,
        _erased_later,
    )
}
"""Ways that a start goes, each with what its receipts say in the end."""


@pytest.mark.parametrize("story", STORIES)
def test_what_the_receipts_of_a_start_say_the_log_says_too(outside: Outside, story: str) -> None:
    """However it was settled: under the run's id and under the request key, before and after a later run."""
    expected = STORIES[story](outside)
    assert outside.kept() == [expected, expected]
    assert outside.found() == []
    for _ in range(2):
        outside.clock.advance(timedelta(days=2))
        outside.runs.recover()
        outside.runs.start(outside.person_id())
        assert outside.found() == []


@pytest.mark.parametrize("story", STORIES)
def test_any_other_answer_is_found(outside: Outside, story: str) -> None:
    """Under the run's id and under the key, each of which is asked about alone."""
    expected = STORIES[story](outside)
    run_id = next(one.key for one in outside.store.receipts() if one.key.startswith("run:")).removeprefix("run:")
    person_id = outside.person_id()
    others: list[StartAnswer] = [
        Queued(person_id, run_id, 1),
        Unresolved(person_id, run_id, 1),
        RolledBack(person_id, run_id, 1, "refused", 7),
        RolledBack(person_id, run_id, 1, "not_sent"),
        RolledBack(person_id, run_id, 1, "dispatch_deadline"),
        PersonNotFound(person_id),
        Queued(person_id, run_id, 77),
        Queued(person_id, NOBODY, 1),
        Queued(NOBODY, run_id, 1),
        AlreadyRunning(person_id, "running", 1, 1),
    ]
    for receipt in list(outside.store.receipts()):
        for other in others:
            outside.write(**{receipt.key: codec.encode_answer(other)})
            assert bool(outside.found()) == (other != expected), other
        outside.write(**{receipt.key: receipt.answer})
        assert outside.found() == []


def test_receipts_of_refusals_are_those_of_no_run(outside: Outside) -> None:
    """Of somebody who runs already, of credits that do not suffice, also for somebody new, and of nobody."""
    runs = outside.runs
    person_id = outside.added()
    runs.start(person_id).accepted()
    partners = runs.add("acme", Profile(linkedin_url="linkedin.com/in/p"), kind=PersonKind.PARTNER).accepted().person_id
    answers = [
        runs.start(person_id, key="1"),
        runs.start(person_id, owner="beta", key="2"),
        runs.start(NOBODY, key="3"),
        runs.create("beta", Profile(linkedin_url="linkedin.com/in/new"), key="4"),
        runs.create("acme", Profile(linkedin_url="linkedin.com/in/p"), kind=PersonKind.PARTNER, key="5"),
    ]
    assert [type(one) for one in answers] == [
        AlreadyRunning,
        PersonNotFound,
        PersonNotFound,
        InsufficientCredits,
        AlreadyAdded,
    ]
    assert len(list(outside.store.receipts())) == len(answers) + 1
    assert outside.found() == []
    for one in (person_id, partners):
        runs.erase(one).accepted()
        assert isinstance(runs.start(one, key=f"after {one}"), PersonNotFound)
    assert any(one.fingerprint for one in outside.store.receipts())
    assert outside.found() == []


def test_a_refusal_that_nobody_can_have_been_answered_is_found(outside: Outside) -> None:
    """It is about somebody else, or a run that never was; or it stands where a run's answer belongs."""
    person_id = outside.added()
    stream = f"person:{person_id}"
    outside.runs.start(person_id).accepted()
    wrong: list[tuple[str, StartAnswer | AlreadyAdded]] = [
        (stream, AlreadyRunning(person_id, "running", 2, 1)),
        (stream, AlreadyRunning(NOBODY, "running", 1, 1)),
        (stream, PersonNotFound(NOBODY)),
        (stream, InsufficientCredits("beta", 0, 1)),
        (stream, KeyReused("k")),
        (f"person:{NOBODY}", AlreadyRunning(NOBODY, "running", 1, 1)),
        (f"person:{NOBODY}", AlreadyAdded(NOBODY)),
        (f"person:{NOBODY}", Queued(NOBODY, NOBODY, 1)),
    ]
    for number, (about, answer) in enumerate(wrong, 1):
        outside.write(Receipt(f"{number}", about, "", codec.encode_answer(answer)))
        assert len(outside.found()) == number, answer
    outside.write(Receipt(f"run:{NOBODY}", f"person:{NOBODY}", "", codec.encode_answer(PersonNotFound(NOBODY))))
    assert len(outside.found()) == len(wrong) + 1


def test_an_imported_log_starts_no_run_again(outside: Outside) -> None:
    """Receipts are made of the events: a key that started a run is refused, because what was asked is not known."""
    person_id, answer = outside.started(Reply.REFUSED)
    assert isinstance(answer, RolledBack)
    again = outside.runs.start(person_id, key="k2").accepted()
    waits = outside.added("bob")
    outside.dispatcher.script(Reply.LOST)
    outside.runs.start(waits).accepted()
    opened = list[MemoryStore]()

    def opening(clock: Callable[[], int]) -> MemoryStore:
        opened.append(MemoryStore(clock))
        return opened[0]

    imported.load(exported.export(outside.store, with_documents=True), opening)
    (copy,) = opened
    kept = {one.key: codec.decode_answer(one.answer) for one in copy.receipts()}
    assert kept.keys() == {one.key for one in outside.store.receipts()}
    assert kept[RequestKey.of(None, "k", "start", person_id).digest] == RolledBack(
        person_id, answer.run_id, 1, "refused"
    )
    assert kept[RequestKey.of(None, "k2", "start", person_id).digest] == again
    assert list(verify(copy)) == []
    events = len(list(copy.events()))
    assert isinstance(Runs(copy, outside.dispatcher).start(person_id, key="k"), KeyReused)
    assert len(list(copy.events())) == events
