"""Whole lives through a dispatcher: what callers are told, what they pay, and that nobody stays running.

Floor 6. Part of `research_fsm.testing.conformance`. The store is the one in memory, the rules are the real ones, and
`audit.verify` is asked at the end of every test.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from attrs import frozen

from research_fsm.lifecycle import Status
from research_fsm.outcomes import Claimed, Queued, RolledBack, StaleRun, Unresolved
from research_fsm.reads import PersonDetails, ReportDetails
from research_fsm.runs import Runs
from research_fsm.testing.scripted import Reply
from research_fsm.testing.suites.dispatching import Bench, DispatcherSuite
from research_fsm.testing.suites.expect import same, that, the
from research_fsm.testing.suites.service import added, check_whole

__all__ = ["HandedOverSuite"]

_REPORT = {"found": ["much"]}
_LOOKS = 60

_TOLD: tuple[tuple[Reply, type, tuple[int, int, int]], ...] = (
    (Reply.ACCEPTED, Queued, (0, 0, 1)),
    (Reply.REFUSED, RolledBack, (1, 0, 0)),
    (Reply.NOT_SENT, RolledBack, (1, 0, 0)),
    (Reply.TAKEN_UNANSWERED, Unresolved, (0, 1, 0)),
    (Reply.LOST, Unresolved, (0, 1, 0)),
)
"""What the caller of a start is told, and what is then available, held and charged."""


@frozen
class _Service:
    bench: Bench
    runs: Runs
    person_id: str

    def money(self) -> tuple[int, int, int]:
        """Return what is available, held and charged."""
        balance = self.runs.balance("acme")
        return balance.available, balance.held, balance.charged - balance.refunded

    def status(self) -> Status:
        """Return what the person is."""
        return the(PersonDetails, self.runs.person(self.person_id)).status

    def look(self, times: int = 1) -> None:
        """Let a lease pass and recovery look, so many times."""
        for _ in range(times):
            self.bench.clock.advance(self.runs.policy.attempt_lease)
            same(self.runs.recover().errors, ())


class HandedOverSuite(DispatcherSuite):
    """Never queued twice, never charged twice, never stuck, whatever the engine does."""

    @contextmanager
    def service(self, *replies: Reply) -> Iterator[_Service]:
        """Open a service with one person and one credit, and check the log in the end."""
        with self.bench() as bench:
            bench.engine.script(*replies)
            runs = Runs(bench.store, bench.dispatcher)
            yield _Service(bench, runs, added(runs))
            check_whole(bench.store)

    def test_the_caller_is_told_what_came_of_it(self) -> None:
        """Accepted is charged, what was not taken is rolled back and free, what nobody knows is neither."""
        for reply, told, money in _TOLD:
            with self.service(reply) as service:
                the(told, service.runs.start(service.person_id))
                same(service.money(), money)

    def test_a_lost_request_is_sent_again(self) -> None:
        """Once the lease is over: the engine has one run in the end, and it is charged once."""
        with self.service(Reply.LOST) as service:
            the(Unresolved, service.runs.start(service.person_id))
            service.look(2)
            same((len(service.bench.engine.taken()), service.money()), (1, (0, 0, 1)))

    def test_a_lost_answer_is_made_good(self) -> None:
        """By a look or by a second attempt: the engine has one run all the same, and it is charged once."""
        with self.service(Reply.TAKEN_UNANSWERED) as service:
            the(Unresolved, service.runs.start(service.person_id))
            service.look(2)
            same((len(service.bench.engine.taken()), service.money()), (1, (0, 0, 1)))

    def test_the_worker_reports(self) -> None:
        """It claims before the answer is known; a second run of its request is turned away; one credit is spent."""
        with self.service(Reply.TAKEN_UNANSWERED) as service:
            service.runs.start(service.person_id)
            (run,) = service.bench.engine.taken()
            the(Claimed, service.runs.claim(run.run_id, run.run_no, run.external_id))
            again = service.bench.engine.replay(run.external_id)
            the(StaleRun, service.runs.claim(run.run_id, run.run_no, again))
            service.runs.complete(run.run_id, run.run_no, run.external_id, _REPORT).accepted()
            same((service.status(), service.money()), (Status.COMPLETE, (0, 0, 1)))

    def test_a_report_whose_callback_was_lost_is_found(self) -> None:
        """Recovery sees it at the engine, and it reads as if it had been called back."""
        with self.service() as service:
            service.runs.start(service.person_id)
            (run,) = service.bench.engine.taken()
            service.runs.claim(run.run_id, run.run_no, run.external_id)
            service.bench.engine.complete(run.external_id, _REPORT, with_output=True)
            service.look(2)
            same(service.status(), Status.COMPLETE)
            same(the(ReportDetails, service.runs.report(service.person_id)).content, _REPORT)

    def test_a_worker_that_crashed_fails_its_run(self) -> None:
        """Executed, never finished: it failed, and the charge stays."""
        with self.service() as service:
            service.runs.start(service.person_id)
            (run,) = service.bench.engine.taken()
            service.runs.claim(run.run_id, run.run_no, run.external_id)
            service.bench.engine.end(run.external_id)
            service.look(2)
            same((service.status(), service.money()), (Status.FAILED, (0, 0, 1)))

    def test_an_erased_person_s_run_is_asked_to_stop(self) -> None:
        """What the engine may still do for them is told to it."""
        with self.service() as service:
            service.runs.start(service.person_id)
            service.runs.erase(service.person_id).accepted()
            same([run.cancelled for run in service.bench.engine.taken()], [True])

    def test_nobody_stays_running_when_the_engine_falls_silent(self) -> None:
        """Wherever it was: deadlines lead out, and the credits add up."""
        for reply, _, _ in _TOLD:
            with self.service(reply) as service:
                service.runs.start(service.person_id)
                service.bench.engine.silence()
                service.look(_LOOKS)
                that(service.status() is not Status.RUNNING, f"{reply}: the person is still running")
                same(service.money()[1], 0)
