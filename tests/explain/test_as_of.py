"""Time travel: a state of then is what looking then would have said."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from attrs import evolve

from research_fsm import Profile, Runs, as_of, reads, transactions
from research_fsm.as_of import AtMoment, AtPosition, AtVersion, ReportErased
from research_fsm.errors import InvalidInput, LogUnreadable
from research_fsm.lifecycle import Phase
from research_fsm.outcomes import Claimed, PersonNotFound
from research_fsm.person import Person
from research_fsm.reads import PersonDetails, ReportDetails
from research_fsm.rfc3339 import format_time
from research_fsm.storage import Query, View, Write
from research_fsm.stores.memory import MemoryStore
from tests.explain.worlds import START, World


def _present(store: MemoryStore, person_id: str) -> Person:
    return transactions.person_in(store.read(Query(streams=(transactions.person_stream(person_id),))), person_id)


def test_every_state_of_then_is_what_was_stored_then() -> None:
    """After each step of a life the present is noted; later, each is found again by its moment and by its version."""
    world = World()
    ada = world.person(having=2)
    noted = [(world.now, _present(world.store, ada), world.runs.balance("acme").available)]
    steps: list[Callable[[], object]] = [
        lambda: world.runs.start(ada),
        world.taken,
        lambda: world.runs.complete(*_run(world, ada), "found"),
        lambda: world.runs.mark_stale(ada),
        lambda: world.runs.start(ada),
        lambda: world.runs.erase(ada),
    ]
    for step in steps:
        world.later(seconds=1)
        step()
        noted.append((world.now, _present(world.store, ada), world.runs.balance("acme").available))
    assert len({person.phase for _, person, _ in noted}) == 5
    versions = []
    for moment, person, available in noted:
        then = as_of.person(world.store, ada, AtMoment(moment))
        assert then.state == person
        assert as_of.person(world.store, ada, AtVersion(then.version)).state == person
        assert as_of.account(world.store, "acme", AtMoment(moment)).state.available == available
        versions.append(then.version)
    assert all(before < after for before, after in pairwise(versions))
    assert as_of.person(world.store, ada).state == noted[-1][1]


def _run(world: World, person_id: str) -> tuple[str, int, str]:
    run = _present(world.store, person_id).run
    assert run is not None
    assert run.claimed_by is not None
    return run.run_id, run.run_no, run.claimed_by


def test_a_moment_is_inclusive_and_before_the_first_event_there_was_nobody() -> None:
    """The microsecond of an event belongs to what is after it."""
    world = World()
    ada = world.person()
    assert as_of.person(world.store, ada, AtMoment(START)).state.phase is Phase.IDLE
    before = as_of.person(world.store, ada, AtMoment(START - 1))
    assert (before.state.phase, before.version, before.last) == (Phase.NONE, 0, None)
    assert as_of.person(world.store, ada, AtVersion(0)).state.phase is Phase.NONE
    assert as_of.account(world.store, "acme", AtMoment(START - 1)).state.available == 0


def test_a_position_is_one_of_the_whole_log() -> None:
    """A person and an account are read at the same position, whatever their versions are."""
    world = World()
    ada = world.person()
    world.runs.start(ada)
    by_type = {event.type: event.position for event in world.store.events()}
    held, charged = AtPosition(by_type["CreditsHeld"]), AtPosition(by_type["CreditsCharged"])
    assert as_of.account(world.store, "acme", held).state.held == 1
    assert as_of.account(world.store, "acme", charged).state.held == 0
    assert as_of.person(world.store, ada, AtPosition(by_type["RunStarted"])).state.phase is Phase.DISPATCHING


def test_each_report_is_found_as_of_its_time() -> None:
    """Documents of all versions are kept: the first report is still readable after the second."""
    world = World()
    ada = world.person(having=2)
    assert as_of.report(world.store, ada, AtMoment(world.now)) is None
    world.completed(ada, "first")
    first = world.now
    world.later(days=1)
    world.runs.mark_stale(ada)
    world.completed(ada, "second")
    found = as_of.report(world.store, ada, AtMoment(first))
    assert isinstance(found, ReportDetails)
    assert (found.content, found.version, found.generated_at) == ("first", 1, first)
    assert as_of.report(world.store, ada) == reads.report(world.store, ada)
    assert as_of.report(world.store, ada, owner="other") == PersonNotFound(ada)


def test_a_person_is_shown_as_they_were() -> None:
    """What `reads.person` showed then, an erased person's too, whose profile alone is gone; others' are not found."""
    world = World()
    ada = world.person(having=2)
    shown = reads.person(world.store, ada)
    assert isinstance(shown, PersonDetails)
    then = AtMoment(world.now)
    world.later(seconds=1)
    world.completed(ada)
    assert as_of.details(world.store, ada, then) == shown
    assert as_of.details(world.store, ada) == reads.person(world.store, ada) != shown
    assert as_of.details(world.store, ada, then, owner="somebody else") == PersonNotFound(ada)
    world.later(seconds=1)
    world.runs.erase(ada)
    assert as_of.details(world.store, ada, then) == evolve(shown, profile={})
    assert as_of.details(world.store, ada) == PersonNotFound(ada)


def test_an_erased_report_is_said_to_be_erased_and_by_whom() -> None:
    """Of a time before the erasure the log still knows that there was a report; what it said is gone."""
    world = World()
    ada = world.person()
    world.completed(ada)
    reported = world.now
    erased = world.later(hours=1)
    world.runs.erase(ada, actor="dpo")
    found = as_of.report(world.store, ada, AtMoment(reported))
    assert found == ReportErased(ada, 1, reported, erased, "dpo")
    assert str(found) == f"report 1 of person {ada} was erased on {format_time(erased)} by dpo"
    assert as_of.report(world.store, ada) == PersonNotFound(ada)


def test_a_report_that_is_missing_without_an_erasure_is_damage() -> None:
    """It is not passed off as erased."""
    world = World()
    ada = world.person()
    world.completed(ada)
    stream = transactions.person_stream(ada)

    def rule(_: View, __: int) -> Write[None]:
        return Write(answer=None, forgotten=(stream,))

    world.store.transact(Query(), rule)
    with pytest.raises(LogUnreadable, match="report:1"):
        as_of.report(world.store, ada)


@pytest.mark.parametrize("point", [AtVersion, AtPosition, AtMoment])
@pytest.mark.parametrize("value", [-1, True, "1", None])
def test_a_point_is_a_whole_number(point: type[AtVersion | AtPosition | AtMoment], value: object) -> None:
    """Nothing else names one."""
    with pytest.raises(InvalidInput):
        point(value)  # type: ignore[arg-type]  # That is the test.


def test_the_present_is_the_point_that_is_not_named() -> None:
    """It is what reading the heads says."""
    world = World()
    ada = world.person()
    world.completed(ada)
    details = reads.person(world.store, ada)
    assert isinstance(details, PersonDetails)
    assert as_of.person(world.store, ada).state.since == details.since
    assert as_of.account(world.store, "acme").state.available == reads.balance(world.store, "acme").available


def test_a_place_behind_the_end_is_refused() -> None:
    """A mistyped number is not answered with the present: neither of a person nor of an account."""
    runs = Runs(MemoryStore())
    runs.grant("acme", 2)
    ada = runs.add("acme", Profile(first_name="Ada", last_name="Lovelace", company="Example")).accepted().person_id
    log = runs.store
    assert as_of.person(log, ada, AtVersion(1)).version == 1
    assert as_of.person(log, ada, AtPosition(2)).version == 1
    with pytest.raises(InvalidInput, match="the stream ends with 1, before 2"):
        as_of.person(log, ada, AtVersion(2))
    for look in (lambda: as_of.person(log, ada, AtPosition(3)), lambda: as_of.balance(log, "acme", AtPosition(3))):
        with pytest.raises(InvalidInput, match="the log ends before 3"):
            look()
    with pytest.raises(InvalidInput, match="the stream ends with 1, before 9"):
        as_of.balance(log, "acme", AtVersion(9))
    assert as_of.balance(log, "nobody", AtVersion(9)).available == 0


def test_the_future_is_not_known() -> None:
    """A time that has not come is refused like every point behind the end, for a person, a report and an account."""
    world = World()
    ada = world.person()
    come, soon = AtMoment(world.now), AtMoment(world.now + 1)
    assert as_of.person(world.store, ada, come).version == 1
    for look in (
        lambda: as_of.details(world.store, ada, soon),
        lambda: as_of.report(world.store, ada, soon),
        lambda: as_of.balance(world.store, "acme", soon),
    ):
        with pytest.raises(InvalidInput, match="future"):
            look()


def test_a_failure_is_shown_in_the_words_it_was_told_in() -> None:
    """Of the latest run alone, while it is failed, and until the person is erased."""
    runs = Runs(MemoryStore())
    runs.grant("acme", 2)
    ada = runs.add("acme", Profile(first_name="Ada", last_name="Lovelace", company="Example")).accepted().person_id
    runs.start(ada).accepted()
    taken = runs.take()
    assert isinstance(taken, Claimed)
    runs.fail(taken.run_id, taken.run_no, taken.external_id, "the source is down").accepted()
    found, version = runs.person(ada), as_of.person(runs.store, ada).version
    assert isinstance(found, PersonDetails)
    assert found.failure == "the source is down"
    assert "the source" not in repr(found)
    runs.start(ada).accepted()
    now, then = runs.person(ada), as_of.details(runs.store, ada, AtVersion(version))
    assert isinstance(now, PersonDetails)
    assert isinstance(then, PersonDetails)
    assert (now.failure, then.failure) == (None, "the source is down")
