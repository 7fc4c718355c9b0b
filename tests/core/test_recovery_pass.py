"""A recovery pass: bounded, in order of need, and nobody keeps the others waiting."""

from datetime import timedelta

import pytest

from research_fsm import Policy, RecoveryPass
from research_fsm.errors import LogUnreadable
from research_fsm.outcomes import Action, Queued, Unresolved
from research_fsm.policy import micros
from research_fsm.storage import Query, StreamWrite, Write
from research_fsm.testing.scenario import NOW
from tests.core.doors import ACCEPTED, AMBIGUOUS, House, inside, outside
from tests.core.examples import OWNER, X, alive


def actions(passed: RecoveryPass) -> list[str]:
    """Return what was done, in order."""
    assert passed.errors == ()
    return [str(one.action) for one in passed.recovered]


def poison(house: House, person_id: str) -> None:
    """Make a person's head unreadable, due as it was."""
    stream = f"person:{person_id}"
    head = house.store.read(Query(streams=(stream,))).heads[stream]
    write = StreamWrite(
        stream=stream,
        expected=head.version,
        events=(),
        state=b"{}",
        fold=head.fold,
        link=head.link,
        tag=head.tag,
        due=head.due,
    )
    house.store.transact(Query(), lambda _view, _now: Write(answer=None, streams=(write,)))


def running(house: House, number: int) -> list[str]:
    """Start so many people with answers that are lost."""
    house.granted(number)
    people = []
    for _ in range(number):
        house.engine.outcomes.append(AMBIGUOUS)
        person_id = house.added()
        assert isinstance(house.runs.start(person_id), Unresolved)
        house.clock.pass_(microseconds=1)
        people.append(person_id)
    return people


def complete(house: House, number: int) -> list[str]:
    """Let so many people have a report."""
    house.granted(number)
    people = []
    for _ in range(number):
        person_id = house.added()
        run = house.runs.start(person_id).accepted()
        house.runs.complete(run.run_id, 1, X, {})
        house.clock.pass_(microseconds=1)
        people.append(person_id)
    return people


def test_a_pass_over_nobody() -> None:
    """There is nothing to do."""
    assert inside().runs.recover() == RecoveryPass((), ())


def test_only_who_is_due_is_looked_at() -> None:
    """A sender has its lease for itself; at its end the run is due."""
    house = outside()
    (person_id,) = running(house, 1)
    house.clock.now = NOW + 30_000_000 - 1
    assert house.runs.recover() == RecoveryPass((), ())
    house.clock.now = NOW + 30_000_000
    house.engine.outcomes = [ACCEPTED]
    passed = house.runs.recover()
    assert actions(passed) == ["resent"]
    assert passed.recovered[0].person_id == person_id


def test_a_pass_that_waited_looks_again_later_and_not_at_once() -> None:
    """Waiting moves the next look by `poll_interval`, or polling would never end or never happen."""
    policy = Policy(max_attempts=1)
    house = outside(policy=policy)
    running(house, 1)
    house.clock.pass_(seconds=30)
    assert actions(house.runs.recover()) == ["waited"]
    assert house.runs.recover() == RecoveryPass((), ())
    house.clock.pass_(seconds=30)
    house.engine.sightings = (alive("engine-1"),)
    assert actions(house.runs.recover()) == ["adopted"]


def test_every_run_is_out_of_running_at_last() -> None:
    """Invariant 6: from dispatching, from queued and from executing, by passes alone."""
    house = outside(AMBIGUOUS, ACCEPTED, ACCEPTED)
    house.granted(3)
    ids = [house.added() for _ in range(3)]
    started = [house.runs.start(person_id) for person_id in ids]
    last = started[2]
    assert isinstance(last, Queued)
    house.runs.claim(last.run_id, 1, X)
    house.engine.outcomes = [AMBIGUOUS] * 10
    for _ in range(100):
        house.clock.pass_(seconds=30)
        house.runs.recover()
    found = [house.runs.person(person_id) for person_id in ids]
    assert [str(getattr(one, "status", None)) for one in found] == ["idle", "failed", "failed"]
    balance = house.runs.balance(OWNER)
    assert (balance.available, balance.held, balance.charged, balance.refunded) == (2, 0, 2, 1)


def test_an_error_on_one_person_does_not_stop_the_others() -> None:
    """It is reported with the person, and everybody else is looked at in the same pass."""
    house = outside()
    ids = running(house, 3)
    poison(house, ids[1])
    house.clock.pass_(minutes=10)
    passed = house.runs.recover()
    assert [one.person_id for one in passed.recovered] == [ids[0], ids[2]]
    ((person_id, error),) = passed.errors
    assert person_id == ids[1]
    assert isinstance(error, LogUnreadable)


def test_a_pass_is_bounded_and_the_next_one_goes_on() -> None:
    """Most overdue first; what did not fit is next."""
    house = outside(policy=Policy(recovery_batch=2))
    ids = running(house, 5)
    house.clock.pass_(minutes=10)
    looked = [[one.person_id for one in house.runs.recover().recovered] for _ in range(4)]
    assert looked == [ids[:2], ids[2:4], ids[4:], []]


def test_people_who_always_fail_do_not_starve_the_others() -> None:
    """As many of them as fit into a pass, and overdue for longer than anybody: the next pass goes behind them."""
    house = outside(policy=Policy(recovery_batch=2))
    ids = running(house, 4)
    poison(house, ids[0])
    poison(house, ids[1])
    house.clock.pass_(minutes=10)
    first, second, third = (house.runs.recover() for _ in range(3))
    assert [person_id for person_id, _ in first.errors] == ids[:2]
    assert [one.person_id for one in second.recovered] == ids[2:]
    assert [person_id for person_id, _ in third.errors] == ids[:2]


def test_a_pass_that_comes_to_the_end_begins_again_within_the_same_batch() -> None:
    """Nobody is looked at twice in one pass."""
    house = outside(policy=Policy(recovery_batch=2))
    ids = running(house, 3)
    for person_id in ids:
        poison(house, person_id)
    house.clock.pass_(minutes=10)
    looked = [[person_id for person_id, _ in house.runs.recover().errors] for _ in range(3)]
    assert looked == [[ids[0], ids[1]], [ids[2], ids[0]], [ids[1], ids[2]]]


def test_a_single_person_is_looked_at_once_per_pass() -> None:
    """Also when the cursor stands on them."""
    house = outside(policy=Policy(recovery_batch=1))
    (person_id,) = running(house, 1)
    poison(house, person_id)
    house.clock.pass_(minutes=10)
    assert [len(house.runs.recover().errors) for _ in range(3)] == [1, 1, 1]


# --- reports that grow old ---------------------------------------------------------------------------------------

DAY = timedelta(days=1)


def test_reports_are_marked_stale_by_their_age() -> None:
    """To the microsecond, and only where the policy has an age."""
    house = inside(Policy(stale_after=DAY))
    (person_id,) = complete(house, 1)
    house.clock.now = NOW + micros(DAY) - 1
    assert house.runs.recover() == RecoveryPass((), ())
    house.clock.now += 1
    assert actions(house.runs.recover()) == [str(Action.MARKED_STALE)]
    assert "ReportMarkedStale" in house.types(person_id)
    assert house.runs.recover() == RecoveryPass((), ())


def test_reports_stay_as_they_are_without_an_age() -> None:
    """Never is the default."""
    house = inside()
    complete(house, 1)
    house.clock.pass_(days=10_000)
    assert house.runs.recover() == RecoveryPass((), ())


def test_reports_that_cannot_be_aged_do_not_starve_the_others() -> None:
    """The same cursor as for running people, of its own."""
    house = inside(Policy(stale_after=DAY, recovery_batch=1))
    ids = complete(house, 2)
    poison(house, ids[0])
    house.clock.pass_(days=2)
    first, second = house.runs.recover(), house.runs.recover()
    assert [person_id for person_id, _ in first.errors] == [ids[0]]
    assert [one.person_id for one in second.recovered] == [ids[1]]


def test_a_report_that_was_renewed_meanwhile_is_left_alone() -> None:
    """The age is checked once more inside the transaction."""
    house = inside(Policy(stale_after=DAY))
    (person_id,) = complete(house, 1)
    old = house.store.due(("complete",), NOW + micros(DAY), after=None, limit=10)
    house.clock.pass_(days=1)
    house.runs.mark_stale(person_id)
    house.granted(1)
    run = house.runs.start(person_id).accepted()
    house.runs.complete(run.run_id, 2, X, {})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(house.store, "due", lambda *_args, **_kwargs: list(old))
        assert actions(house.runs.recover()) == ["nothing", "nothing"]
