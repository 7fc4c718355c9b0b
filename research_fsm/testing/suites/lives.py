"""Whole lives on one store: starts, credits, workers, recovery, erasure.

Floor 6. Part of `research_fsm.testing.conformance`.
"""

# Example numbers are what a suite is made of.

from collections.abc import Callable

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
from research_fsm.reads import PersonDetails, ReportDetails
from research_fsm.runs import Runs
from research_fsm.testing.scripted import Reply, ScriptedDispatcher
from research_fsm.testing.suites.base import contents
from research_fsm.testing.suites.expect import raises, same, that, the
from research_fsm.testing.suites.service import ADA, ServiceSuite, added

__all__ = ["LivesSuite"]


class LivesSuite(ServiceSuite):
    """Never queued twice, never charged twice, never stuck, always explainable."""

    def test_a_run_from_the_grant_to_the_report(self) -> None:
        """Granted, added, started, taken, renewed, completed: one credit is spent and the report can be read."""
        with self.service() as (runs, _):
            person_id = added(runs, credits=2)
            the(Queued, runs.start(person_id))
            claimed = the(Claimed, runs.take())
            same(claimed.profile, {"linkedin_url": ADA.linkedin_url})
            runs.renew(claimed.run_id, claimed.run_no, claimed.external_id).accepted()
            done = runs.complete(claimed.run_id, claimed.run_no, claimed.external_id, {"found": ["ä"]})
            same(done, Completed(person_id, 1, 1))
            found = the(ReportDetails, runs.report(person_id))
            same(found.content, {"found": ["ä"]})
            same((runs.balance("acme").available, runs.balance("acme").charged), (1, 1))
            same(_details(runs, person_id).status, Status.COMPLETE)

    def test_a_second_start_is_refused_and_changes_nothing(self) -> None:
        """Status first, then credits: somebody who is running is running, whatever the balance is."""
        with self.service() as (runs, _):
            person_id = added(runs)
            the(Queued, runs.start(person_id))
            before = contents(runs.store)
            the(AlreadyRunning, runs.start(person_id))
            same(contents(runs.store), before)

    def test_a_start_without_credits_is_refused_and_changes_nothing(self) -> None:
        """The refusal names what is there and what is needed; another owner's person is nobody."""
        with self.service() as (runs, _):
            person_id = runs.add("acme", ADA).accepted().person_id
            before = contents(runs.store)
            same(runs.start(person_id), InsufficientCredits("acme", 0, 1))
            same(runs.start(person_id, owner="other"), PersonNotFound(person_id))
            same(contents(runs.store), before)

    def test_a_request_key_is_answered_once(self) -> None:
        """The same request gets the same answer for ever, refusals too; another one under the key is refused."""
        with self.service() as (runs, _):
            person_id, other = added(runs, credits=9), added(runs)
            first = runs.start(person_id, owner="acme", key="k")
            before = contents(runs.store)
            same(runs.start(person_id, owner="acme", key="k"), first)
            same(runs.start(other, owner="acme", key="k"), KeyReused("k"))
            same(contents(runs.store), before)
            refused = runs.start(person_id, owner="acme", key="no")
            claimed = the(Claimed, runs.take())
            runs.fail(claimed.run_id, claimed.run_no, claimed.external_id, "gone").accepted()
            same(runs.start(person_id, owner="acme", key="no"), refused)
            same(_details(runs, person_id).status, Status.FAILED)

    def test_a_person_is_created_and_started_at_once_or_not_at_all(self) -> None:
        """Without credits nobody is added; with a key a person is made once."""
        with self.service() as (runs, _):
            same(runs.create("acme", ADA), InsufficientCredits("acme", 0, 1))
            same(runs.people("acme").people, ())
            runs.grant("acme", 5)
            made = the(Created, runs.create("acme", ADA, kind=PersonKind.PARTNER, key="k"))
            same(runs.create("acme", ADA, kind=PersonKind.PARTNER, key="k"), made)
            same(runs.create("acme", ADA, kind=PersonKind.PARTNER), AlreadyAdded(made.person_id))
            same([one.person_id for one in runs.people("acme").people], [made.person_id])

    def test_a_grant_counts_once(self) -> None:
        """Asked for again it changes nothing; it is taken back whole, once, and not below what is there."""
        with self.service() as (runs, _):
            for _again in range(2):
                runs.grant("acme", 3, grant_id="g").accepted()
            same(runs.balance("acme").available, 3)
            for _again in range(2):
                runs.revoke("acme", "g").accepted()
            same(runs.balance("acme").available, 0)
            runs.grant("acme", 3, grant_id="spent").accepted()
            runs.start(added(runs, credits=0)).accepted()
            same(runs.revoke("acme", "spent"), InsufficientCredits("acme", 2, 3))

    def test_names_with_colons_are_names_like_any_other(self) -> None:
        """An owner and a grant_id that read the same when put in a row are still different."""
        with self.service() as (runs, _):
            runs.grant("a", 3, grant_id="b:c").accepted()
            runs.grant("a:b", 5, grant_id="c").accepted()
            same((runs.balance("a").available, runs.balance("a:b").available), (3, 5))

    def test_the_dispatch_of_an_outside_engine(self) -> None:
        """Accepted is charged, refused is rolled back and free, lost is neither until the worker claims."""
        dispatcher = ScriptedDispatcher(Reply.REFUSED, Reply.TAKEN_UNANSWERED, Reply.ACCEPTED)
        with self.service(dispatcher) as (runs, _):
            person_id, other = added(runs), added(runs)
            the(RolledBack, runs.start(person_id))
            same(runs.balance("acme").available, 2)
            the(Unresolved, runs.start(person_id))
            same((runs.balance("acme").held, runs.balance("acme").charged), (1, 0))
            the(Queued, runs.start(other))
            (lost, _) = dispatcher.engine.runs
            the(Claimed, runs.claim(lost.request.run_id, 2, lost.external_id))
            the(StaleRun, runs.claim(lost.request.run_id, 2, "another"))
            the(Completed, runs.complete(lost.request.run_id, 2, lost.external_id, "report"))
            same((runs.balance("acme").held, runs.balance("acme").charged), (0, 2))

    def test_nobody_stays_running(self) -> None:
        """A silent dispatch is resent, then rolled back; a silent worker's run fails; the credits add up."""
        dispatcher = ScriptedDispatcher(Reply.LOST, Reply.ACCEPTED, then=Reply.LOST)
        with self.service(dispatcher) as (runs, clock):
            silent, queued = added(runs), added(runs)
            runs.start(silent)
            runs.start(queued)
            for _look in range(60):
                clock.advance(runs.policy.attempt_lease)
                same(runs.recover().errors, ())
            that(
                {_details(runs, one).status for one in (silent, queued)} <= {Status.IDLE, Status.FAILED},
                "somebody stays running",
            )
            same((runs.balance("acme").available, runs.balance("acme").held), (2, 0))

    def test_a_worker_that_is_gone_is_taken_over(self) -> None:
        """Not before its lease is over; then the slow one is stale, and in the end the run is given up."""
        with self.service() as (runs, clock):
            person_id = added(runs)
            runs.start(person_id)
            first = the(Claimed, runs.take())
            the(QueueEmpty, runs.take())
            for _delivery in range(1, runs.policy.max_deliveries):
                clock.advance(runs.policy.worker_lease)
                the(Claimed, runs.take())
            the(StaleRun, runs.complete(first.run_id, 1, first.external_id, "late"))
            clock.advance(runs.policy.worker_lease)
            runs.recover()
            same(_details(runs, person_id).status, Status.FAILED)
            same(runs.balance("acme").charged, 1)

    def test_an_entry_is_taken_by_its_run(self) -> None:
        """Whichever is next; not while somebody has it, nor once its run is over; and taken over like any other."""
        with self.service() as (runs, clock):
            first, second = added(runs), added(runs)
            runs.start(first).accepted()
            run_id = runs.start(second).accepted().run_id
            taken = the(Claimed, runs.take(run_id))
            same((taken.person_id, taken.profile), (second, {"linkedin_url": ADA.linkedin_url}))
            the(QueueEmpty, runs.take(run_id))
            clock.advance(runs.policy.worker_lease)
            again = the(Claimed, runs.take(run_id))
            the(StaleRun, runs.complete(run_id, 1, taken.external_id, "late"))
            the(Completed, runs.complete(run_id, 1, again.external_id, "done"))
            the(QueueEmpty, runs.take(run_id))
            same(the(Claimed, runs.take()).person_id, first)

    def test_an_erased_person_is_gone(self) -> None:
        """In every read, for every key; the log still verifies, and an open run's callbacks are stale."""
        with self.service() as (runs, _):
            person_id = added(runs)
            runs.start(person_id, owner="acme", key="k")
            claimed = the(Claimed, runs.take())
            the(Erased, runs.erase(person_id))
            the(PersonNotFound, runs.person(person_id))
            the(PersonNotFound, runs.start(person_id, owner="acme", key="k"))
            the(StaleRun, runs.complete(claimed.run_id, 1, claimed.external_id, "late"))
            same(runs.people("acme").people, ())
            that(len(runs.history(person_id)) > 0, "the log of somebody who was erased is gone")

    def test_a_stale_report_is_refreshed(self) -> None:
        """Complete is not started again until the report is marked stale; it stays readable, the next one is 2."""
        with self.service() as (runs, _):
            person_id = added(runs, credits=2)
            for version in (1, 2):
                runs.start(person_id).accepted()
                claimed = the(Claimed, runs.take())
                same(
                    runs.complete(claimed.run_id, version, claimed.external_id, version),
                    Completed(person_id, version, version),
                )
                the(AlreadyRunning, runs.start(person_id))
                the(MarkedStale, runs.mark_stale(person_id))
                the(ReportDetails, runs.report(person_id))

    def test_bad_input_is_refused_before_anything_is_written(self) -> None:
        """By name, whatever it is: ids, amounts, content that is no JSON."""
        with self.service() as (runs, _):
            person_id = added(runs)
            runs.start(person_id).accepted()
            claimed = the(Claimed, runs.take())
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
                with raises(InvalidInput):
                    attempt()
            same(contents(runs.store), before)


def _details(runs: Runs, person_id: str) -> PersonDetails:
    return the(PersonDetails, runs.person(person_id))
