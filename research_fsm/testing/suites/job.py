"""The whole job on one store: starts, credits, workers, recovery, erasure, and many callers at once.

Floor 6. Part of `research_fsm.testing.conformance`. Drives the store through `Runs`, as an embedder does, and asks
`audit.verify` at the end of every test whether the log is whole.
"""

# Assertions and example numbers are what a suite is made of.
# ruff: noqa: S101, PLR2004

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import pytest

from research_fsm import audit
from research_fsm.errors import InvalidInput
from research_fsm.events import PersonKind
from research_fsm.lifecycle import Status
from research_fsm.outcomes import (
    AlreadyAdded,
    AlreadyRunning,
    Claimed,
    Completed,
    Created,
    Erased,
    InsufficientCredits,
    KeyReused,
    MarkedStale,
    PersonNotFound,
    Queued,
    QueueEmpty,
    RolledBack,
    StaleRun,
    Unresolved,
)
from research_fsm.profile import Profile
from research_fsm.reads import PersonDetails
from research_fsm.requests import Dispatcher
from research_fsm.runs import Runs
from research_fsm.storage import Store
from research_fsm.testing.clock import ManualClock
from research_fsm.testing.scripted import Reply, ScriptedDispatcher
from research_fsm.testing.suites.base import StoreSuite, contents

__all__ = ["JobSuite", "added", "at_once", "check_whole"]

A = TypeVar("A")

ADA = Profile(linkedin_url="https://www.linkedin.com/in/ada")
CALLERS = 8


class JobSuite(StoreSuite):
    """Never queued twice, never charged twice, never stuck, always explainable."""

    @contextmanager
    def service(self, dispatcher: Dispatcher | None = None) -> Iterator[tuple[Runs, ManualClock]]:
        """Open a store with the façade over it, and check the log in the end."""
        with self.opened() as (store, clock):
            yield Runs(store, dispatcher), clock
            check_whole(store)

    def test_a_run_from_the_grant_to_the_report(self) -> None:
        """Granted, added, started, taken, renewed, completed: one credit is spent and the report can be read."""
        with self.service() as (runs, _):
            person_id = added(runs, credits=2)
            assert isinstance(runs.start(person_id), Queued)
            claimed = runs.take()
            assert isinstance(claimed, Claimed)
            assert claimed.profile == {"linkedin_url": ADA.linkedin_url}
            runs.renew(claimed.run_id, claimed.run_no, claimed.external_id).accepted()
            done = runs.complete(claimed.run_id, claimed.run_no, claimed.external_id, {"found": ["ä"]})
            assert done == Completed(person_id, 1, 1)
            found = runs.report(person_id)
            assert not isinstance(found, PersonNotFound)
            assert found is not None
            assert found.content == {"found": ["ä"]}
            assert (runs.balance("acme").available, runs.balance("acme").charged) == (1, 1)
            assert _details(runs, person_id).status is Status.COMPLETE

    def test_a_second_start_is_refused_and_changes_nothing(self) -> None:
        """Status first, then credits: somebody who is running is running, whatever the balance is."""
        with self.service() as (runs, _):
            person_id = added(runs)
            assert isinstance(runs.start(person_id), Queued)
            before = contents(runs.store)
            assert isinstance(runs.start(person_id), AlreadyRunning)
            assert contents(runs.store) == before

    def test_a_start_without_credits_is_refused_and_changes_nothing(self) -> None:
        """The refusal names what is there and what is needed; another owner's person is nobody."""
        with self.service() as (runs, _):
            person_id = runs.add("acme", ADA).accepted().person_id
            before = contents(runs.store)
            assert runs.start(person_id) == InsufficientCredits("acme", 0, 1)
            assert runs.start(person_id, owner="other") == PersonNotFound(person_id)
            assert contents(runs.store) == before

    def test_a_request_key_is_answered_once(self) -> None:
        """The same request gets the same answer for ever, refusals too; another one under the key is refused."""
        with self.service() as (runs, _):
            person_id, other = added(runs, credits=9), added(runs)
            first = runs.start(person_id, owner="acme", key="k")
            before = contents(runs.store)
            assert runs.start(person_id, owner="acme", key="k") == first
            assert runs.start(other, owner="acme", key="k") == KeyReused("k")
            assert contents(runs.store) == before
            refused = runs.start(person_id, owner="acme", key="no")
            claimed = runs.take()
            assert isinstance(claimed, Claimed)
            runs.fail(claimed.run_id, claimed.run_no, claimed.external_id, "gone").accepted()
            assert runs.start(person_id, owner="acme", key="no") == refused
            assert _details(runs, person_id).status is Status.FAILED

    def test_a_person_is_created_and_started_at_once_or_not_at_all(self) -> None:
        """Without credits nobody is added; with a key a person is made once."""
        with self.service() as (runs, _):
            assert runs.create("acme", ADA) == InsufficientCredits("acme", 0, 1)
            assert runs.people("acme").people == ()
            runs.grant("acme", 5)
            made = runs.create("acme", ADA, kind=PersonKind.PARTNER, key="k")
            assert isinstance(made, Created)
            assert runs.create("acme", ADA, kind=PersonKind.PARTNER, key="k") == made
            assert runs.create("acme", ADA, kind=PersonKind.PARTNER) == AlreadyAdded(made.person_id)
            assert [one.person_id for one in runs.people("acme").people] == [made.person_id]

    def test_a_grant_counts_once(self) -> None:
        """Asked for again it changes nothing; it is taken back whole, once, and not below what is there."""
        with self.service() as (runs, _):
            for _again in range(2):
                runs.grant("acme", 3, grant_id="g").accepted()
            assert runs.balance("acme").available == 3
            for _again in range(2):
                runs.revoke("acme", "g").accepted()
            assert runs.balance("acme").available == 0
            runs.grant("acme", 3, grant_id="spent").accepted()
            runs.start(added(runs, credits=0)).accepted()
            assert runs.revoke("acme", "spent") == InsufficientCredits("acme", 2, 3)

    def test_names_with_colons_are_names_like_any_other(self) -> None:
        """An owner and a grant_id that read the same when put in a row are still different."""
        with self.service() as (runs, _):
            runs.grant("a", 3, grant_id="b:c").accepted()
            runs.grant("a:b", 5, grant_id="c").accepted()
            assert (runs.balance("a").available, runs.balance("a:b").available) == (3, 5)

    def test_the_dispatch_of_an_outside_engine(self) -> None:
        """Accepted is charged, refused is rolled back and free, lost is neither until the worker claims."""
        dispatcher = ScriptedDispatcher(Reply.REFUSED, Reply.TAKEN_UNANSWERED, Reply.ACCEPTED)
        with self.service(dispatcher) as (runs, _):
            person_id, other = added(runs), added(runs)
            assert isinstance(runs.start(person_id), RolledBack)
            assert runs.balance("acme").available == 2
            assert isinstance(runs.start(person_id), Unresolved)
            assert (runs.balance("acme").held, runs.balance("acme").charged) == (1, 0)
            assert isinstance(runs.start(other), Queued)
            (lost, _) = dispatcher.engine.runs
            assert isinstance(runs.claim(lost.request.run_id, 2, lost.external_id), Claimed)
            assert isinstance(runs.claim(lost.request.run_id, 2, "another"), StaleRun)
            assert isinstance(runs.complete(lost.request.run_id, 2, lost.external_id, "report"), Completed)
            assert (runs.balance("acme").held, runs.balance("acme").charged) == (0, 2)

    def test_nobody_stays_running(self) -> None:
        """A silent dispatch is resent, then rolled back; a silent worker's run fails; the credits add up."""
        dispatcher = ScriptedDispatcher(Reply.LOST, Reply.ACCEPTED, then=Reply.LOST)
        with self.service(dispatcher) as (runs, clock):
            silent, queued = added(runs), added(runs)
            runs.start(silent)
            runs.start(queued)
            for _look in range(60):
                clock.advance(runs.policy.attempt_lease)
                assert runs.recover().errors == ()
            assert {_details(runs, one).status for one in (silent, queued)} <= {Status.IDLE, Status.FAILED}
            assert (runs.balance("acme").available, runs.balance("acme").held) == (2, 0)

    def test_a_worker_that_is_gone_is_taken_over(self) -> None:
        """Not before its lease is over; then the slow one is stale, and in the end the run is given up."""
        with self.service() as (runs, clock):
            person_id = added(runs)
            runs.start(person_id)
            first = runs.take()
            assert isinstance(first, Claimed)
            assert isinstance(runs.take(), QueueEmpty)
            for _delivery in range(1, runs.policy.max_deliveries):
                clock.advance(runs.policy.worker_lease)
                assert isinstance(runs.take(), Claimed)
            assert isinstance(runs.complete(first.run_id, 1, first.external_id, "late"), StaleRun)
            clock.advance(runs.policy.worker_lease)
            runs.recover()
            assert _details(runs, person_id).status is Status.FAILED
            assert runs.balance("acme").charged == 1

    def test_an_erased_person_is_gone(self) -> None:
        """In every read, for every key; the log still verifies, and an open run's callbacks are stale."""
        with self.service() as (runs, _):
            person_id = added(runs)
            runs.start(person_id, owner="acme", key="k")
            claimed = runs.take()
            assert isinstance(claimed, Claimed)
            assert isinstance(runs.erase(person_id), Erased)
            assert isinstance(runs.person(person_id), PersonNotFound)
            assert isinstance(runs.start(person_id, owner="acme", key="k"), PersonNotFound)
            assert isinstance(runs.complete(claimed.run_id, 1, claimed.external_id, "late"), StaleRun)
            assert runs.people("acme").people == ()
            assert len(runs.history(person_id)) > 0

    def test_a_stale_report_is_refreshed(self) -> None:
        """Complete is not started again until the report is marked stale; it stays readable, the next one is 2."""
        with self.service() as (runs, _):
            person_id = added(runs, credits=2)
            for version in (1, 2):
                runs.start(person_id).accepted()
                claimed = runs.take()
                assert isinstance(claimed, Claimed)
                assert runs.complete(claimed.run_id, version, claimed.external_id, version) == Completed(
                    person_id, version, version
                )
                assert isinstance(runs.start(person_id), AlreadyRunning)
                assert isinstance(runs.mark_stale(person_id), MarkedStale)
                assert runs.report(person_id) is not None

    def test_bad_input_is_refused_before_anything_is_written(self) -> None:
        """By name, whatever it is: ids, amounts, content that is no JSON."""
        with self.service() as (runs, _):
            person_id = added(runs)
            runs.start(person_id).accepted()
            claimed = runs.take()
            assert isinstance(claimed, Claimed)
            before = contents(runs.store)
            attempts: list[Callable[[], object]] = [
                lambda: runs.start("no uuid"),
                lambda: runs.grant("acme", 0),
                lambda: runs.grant("", 1),
                lambda: runs.grant("acme\n", 1),
                lambda: runs.complete(claimed.run_id, 1, claimed.external_id, float("nan")),
                lambda: runs.complete(claimed.run_id, 1, claimed.external_id, "\ud800"),
                lambda: runs.claim(claimed.run_id, 0, "x"),
                lambda: runs.people("acme", limit=0),
            ]
            for attempt in attempts:
                with pytest.raises(InvalidInput):
                    attempt()
            assert contents(runs.store) == before

    def test_of_many_starts_at_once_exactly_one_wins(self) -> None:
        """Invariant 1: the others are told that the person is running, and one credit is held."""
        with self.service() as (runs, _):
            for _round in range(5):
                person_id = added(runs, credits=CALLERS)
                answers = at_once(CALLERS, partial(_started, runs, person_id))
                assert Counter(type(answer) for answer in answers) == {Queued: 1, AlreadyRunning: CALLERS - 1}
            assert runs.balance("acme").charged == 5

    def test_of_many_starts_with_one_key_all_get_the_same_answer(self) -> None:
        """A caller who repeats while the first request is still going is not told that it failed."""
        with self.service() as (runs, _):
            person_id = added(runs, credits=CALLERS)
            answers = at_once(CALLERS, lambda _: runs.start(person_id, owner="acme", key="k"))
            assert len(set(answers)) == 1
            assert isinstance(answers[0], Queued)

    def test_an_account_is_not_overdrawn_by_many_at_once(self) -> None:
        """Eight people, credits for three: three are queued, five are refused, nothing is left."""
        with self.service() as (runs, _):
            people = [added(runs, credits=0) for _ in range(CALLERS)]
            runs.grant("acme", 3)
            answers = at_once(CALLERS, lambda number: runs.start(people[number]))
            assert Counter(type(answer) for answer in answers) == {Queued: 3, InsufficientCredits: 5}
            assert runs.balance("acme").available == 0

    def test_many_workers_take_each_entry_once(self) -> None:
        """Six entries, eight workers: six have one each, two find the queue empty."""
        with self.service() as (runs, _):
            people = [added(runs) for _ in range(6)]
            for person_id in people:
                runs.start(person_id).accepted()
            taken = at_once(CALLERS, lambda _: runs.take())
            assert sorted(one.person_id for one in taken if isinstance(one, Claimed)) == sorted(people)
            assert sum(isinstance(one, QueueEmpty) for one in taken) == 2

    def test_a_partner_s_address_is_added_once_by_many_at_once(self) -> None:
        """The others are told who it is."""
        with self.service() as (runs, _):
            answers = at_once(CALLERS, lambda _: runs.add("acme", ADA, kind=PersonKind.PARTNER))
            assert len({answer.person_id for answer in answers}) == 1
            assert sum(isinstance(answer, AlreadyAdded) for answer in answers) == CALLERS - 1


def added(runs: Runs, *, owner: str = "acme", credits: int = 1) -> str:  # noqa: A002  # The word of the domain.
    """Add a person, with this many credits granted to their owner before."""
    if credits:
        runs.grant(owner, credits).accepted()
    return runs.add(owner, ADA).accepted().person_id


def at_once(callers: int, call: Callable[[int], A]) -> list[A]:
    """Let many threads call at the same moment, each with its number, and return what they got."""
    barrier = threading.Barrier(callers)

    def one(number: int) -> A:
        barrier.wait()
        return call(number)

    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(one, range(callers)))


def check_whole(store: Store) -> None:
    """Assert that the log breaks no law."""
    assert [str(finding) for finding in audit.verify(store)] == []


def _started(runs: Runs, person_id: str, _: int) -> object:
    return runs.start(person_id)


def _details(runs: Runs, person_id: str) -> PersonDetails:
    found = runs.person(person_id)
    assert isinstance(found, PersonDetails)
    return found
