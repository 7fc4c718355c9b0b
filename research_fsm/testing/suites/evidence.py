"""What a dispatcher sees of an engine's runs, and what it asks the engine to stop.

Floor 6. Part of `research_fsm.testing.conformance`. Evidence is positive: what is seen counts, what is not seen says
nothing.
"""

from research_fsm import codec
from research_fsm.commands import Sighting, SightingState
from research_fsm.testing.scripted import Reply
from research_fsm.testing.suites.dispatching import Bench, DispatcherSuite, request_of
from research_fsm.testing.suites.expect import same

__all__ = ["EvidenceSuite"]

_REPORT = {"found": ["much", "ä"]}


class EvidenceSuite(DispatcherSuite):
    """`look` and `cancel`."""

    def test_a_run_is_found_that_nobody_told_us_of(self) -> None:
        """Its answer was lost, so its id is not known: it is found by what it was told."""
        with self.bench() as bench:
            bench.engine.script(Reply.TAKEN_UNANSWERED)
            bench.dispatch(request_of())
            same(bench.look(request_of()), (_alive(bench),))

    def test_a_run_is_found_by_its_id(self) -> None:
        """Once, also if it is found by what it was told as well."""
        with self.bench() as bench:
            external_id = bench.dispatch(request_of()).external_id or ""
            same(bench.look(request_of(), external_id), (_alive(bench),))

    def test_a_run_that_ended_with_a_report_brings_it(self) -> None:
        """A worker whose callback was lost has done its work all the same."""
        with self.bench() as bench:
            external_id = bench.dispatch(request_of()).external_id or ""
            bench.engine.complete(external_id, _REPORT, with_output=True)
            report = codec.encode_report(request_of().run_id, _REPORT, None)
            seen = Sighting(external_id=external_id, state=SightingState.COMPLETED, report=report)
            same(bench.look(request_of(), external_id), (seen,))

    def test_a_run_that_ended_well_without_a_report_brings_none(self) -> None:
        """A worker that was told to stop ends well, and did nothing: it must not be taken for one that reports."""
        with self.bench() as bench:
            external_id = bench.dispatch(request_of()).external_id or ""
            bench.engine.complete(external_id, _REPORT, with_output=False)
            seen = Sighting(external_id=external_id, state=SightingState.COMPLETED, report=None)
            same(bench.look(request_of(), external_id), (seen,))

    def test_a_run_that_crashed_is_seen_to_have_ended(self) -> None:
        """It is not alive, and it is not complete."""
        with self.bench() as bench:
            external_id = bench.dispatch(request_of()).external_id or ""
            bench.engine.end(external_id)
            same(bench.look(request_of(), external_id), (Sighting(external_id=external_id, state=SightingState.ENDED),))

    def test_a_run_that_was_repeated_by_hand_is_seen_too(self) -> None:
        """By who knows of neither: both are runs of this request, whichever claims."""
        with self.bench() as bench:
            external_id = bench.dispatch(request_of()).external_id or ""
            bench.engine.end(external_id)
            again = bench.engine.replay(external_id)
            seen = {one.external_id: one.state for one in bench.look(request_of())}
            same(seen, {external_id: SightingState.ENDED, again: SightingState.ALIVE})

    def test_another_run_is_no_evidence(self) -> None:
        """Neither somebody else's, nor one that is asked for by an id that belongs to another run."""
        with self.bench() as bench:
            other = bench.dispatch(request_of(2)).external_id or ""
            bench.engine.end(other)
            same(bench.look(request_of(1)), ())
            same(bench.look(request_of(1), other), ())

    def test_an_id_that_the_engine_does_not_know_is_no_evidence(self) -> None:
        """That it is not found does not say that it ended: the engine's list may lag."""
        with self.bench() as bench:
            external_id = bench.dispatch(request_of()).external_id or ""
            same([one for one in bench.look(request_of(2), f"{external_id}0") if one.external_id != external_id], [])

    def test_a_silent_engine_is_no_evidence(self) -> None:
        """Not that a run ended, not that it is alive."""
        with self.bench() as bench:
            external_id = bench.dispatch(request_of()).external_id or ""
            bench.engine.silence()
            same(bench.look(request_of(), external_id), ())
            same(bench.look(request_of()), ())

    def test_a_run_is_asked_to_stop(self) -> None:
        """That one, and no other."""
        with self.bench() as bench:
            bench.dispatch(request_of(1))
            external_id = bench.dispatch(request_of(2)).external_id or ""
            bench.cancel(external_id)
            same([run.cancelled for run in bench.engine.taken()], [False, True])

    def test_what_cannot_be_stopped_is_passed_over(self) -> None:
        """A run that is over, one that there never was, an engine that says nothing."""
        with self.bench() as bench:
            external_id = bench.dispatch(request_of()).external_id or ""
            bench.engine.complete(external_id, _REPORT, with_output=True)
            bench.cancel(external_id)
            bench.cancel(f"{external_id}0")
            same(len(bench.look(request_of(), external_id)), 1)
            bench.engine.silence()
            bench.cancel(external_id)


def _alive(bench: Bench) -> Sighting:
    (run,) = bench.engine.taken()
    return Sighting(external_id=run.external_id, state=SightingState.ALIVE)
