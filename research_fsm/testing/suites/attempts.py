"""One attempt of a dispatcher: its four results, and that nothing is concluded from silence.

Floor 6. Part of `research_fsm.testing.conformance`.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from research_fsm.events import AttemptResult, PersonKind
from research_fsm.testing.scripted import Reply
from research_fsm.testing.suites.base import at_once
from research_fsm.testing.suites.dispatching import DispatcherSuite, request_of
from research_fsm.testing.suites.expect import same, that
from research_fsm.tokens import callback_token

__all__ = ["AttemptsSuite"]

_AT_ONCE = 8
_TRIES = (Reply.ACCEPTED, Reply.REFUSED, Reply.NOT_SENT, Reply.TAKEN_UNANSWERED, Reply.LOST)


class AttemptsSuite(DispatcherSuite):
    """`dispatch` sends one request, once, and says what it knows."""

    def test_an_accepted_attempt_names_the_engine_s_run(self) -> None:
        """The engine has one run, whose worker is told the run, its number and the token of its callbacks."""
        with self.bench() as bench:
            request = request_of(3)
            outcome = bench.dispatch(request)
            (run,) = bench.engine.taken()
            same((outcome.result, outcome.external_id), (AttemptResult.ACCEPTED, run.external_id))
            same((run.run_id, run.run_no), (request.run_id, request.run_no))
            same(run.token == callback_token(bench.store.secret, request.run_id, request.run_no), True)  # noqa: FBT003  # A secret is not shown.

    def test_a_refused_attempt_left_nothing(self) -> None:
        """The engine said no: it has nothing of this run, and the run is rolled back on this word."""
        with self.bench() as bench:
            bench.engine.script(Reply.REFUSED)
            same(bench.dispatch(request_of()).result, AttemptResult.REFUSED)
            same(list(bench.engine.taken()), [])

    def test_an_attempt_that_was_not_sent_is_said_to_be(self) -> None:
        """Provably no byte left: no connection was made."""
        with self.bench() as bench:
            bench.engine.script(Reply.NOT_SENT)
            same(bench.dispatch(request_of()).result, AttemptResult.NOT_SENT)
            same(list(bench.engine.taken()), [])

    def test_an_attempt_whose_answer_is_lost_is_ambiguous(self) -> None:
        """The engine has the run: to say that it was refused would give the credit back for work that is done."""
        with self.bench() as bench:
            bench.engine.script(Reply.TAKEN_UNANSWERED)
            same(bench.dispatch(request_of()).result, AttemptResult.AMBIGUOUS)
            same(len(bench.engine.taken()), 1)

    def test_an_attempt_that_is_lost_is_ambiguous(self) -> None:
        """The engine has nothing, but who asked cannot know it: a late request may still arrive."""
        with self.bench() as bench:
            bench.engine.script(Reply.LOST)
            same(bench.dispatch(request_of()).result, AttemptResult.AMBIGUOUS)
            same(list(bench.engine.taken()), [])

    def test_a_silent_engine_is_ambiguous(self) -> None:
        """However long nothing is heard of it."""
        with self.bench() as bench:
            bench.engine.silence()
            same(bench.dispatch(request_of()).result, AttemptResult.AMBIGUOUS)

    def test_one_attempt_is_one_request(self) -> None:
        """However it goes: no retry, no redirect, nothing underneath that sends it again."""
        for reply in _TRIES:
            with self.bench() as bench:
                bench.engine.script(reply)
                bench.dispatch(request_of())
                that(bench.engine.sent() <= 1, f"{reply}: one attempt sent {bench.engine.sent()} requests")

    def test_a_request_that_is_sent_again_is_the_same_run(self) -> None:
        """Its key is the same for every attempt, so an engine that has the run answers with it."""
        with self.bench() as bench:
            bench.engine.script(Reply.TAKEN_UNANSWERED)
            request = request_of()
            bench.dispatch(request)
            outcome = bench.dispatch(request)
            same([run.external_id for run in bench.engine.taken()], [outcome.external_id])

    def test_runs_of_different_keys_are_different_runs(self) -> None:
        """Also for one kind of person, and for both."""
        with self.bench() as bench:
            requests = [request_of(1), request_of(2), request_of(3, kind=PersonKind.PARTNER)]
            ids = [bench.dispatch(request).external_id for request in requests]
            same([run.external_id for run in bench.engine.taken()], ids)
            same([run.run_id for run in bench.engine.taken()], [request.run_id for request in requests])

    def test_many_may_dispatch_at_once(self) -> None:
        """Each is answered with its own run."""
        with self.bench() as bench:
            requests = [request_of(number) for number in range(1, _AT_ONCE + 1)]
            ids = at_once(_AT_ONCE, lambda number: bench.dispatch(requests[number]).external_id)
            whose = {run.external_id: run.run_id for run in bench.engine.taken()}
            same([whose.get(external_id or "") for external_id in ids], [request.run_id for request in requests])

    def test_the_token_is_told_to_the_engine_alone(self) -> None:
        """Whatever goes wrong, no log and no reason carries what opens the callbacks of a run."""
        for reply in _TRIES:
            with self.bench() as bench, _logged() as logged:
                bench.engine.script(reply)
                token = callback_token(bench.store.secret, request_of().run_id, request_of().run_no)
                said = [repr(bench.dispatch(request_of())), *logged]
                that(not any(token in words for words in said), f"{reply}: the callback token is said aloud")


@contextmanager
def _logged() -> Iterator[list[str]]:
    """Give everything that is logged as long as the block lasts."""
    said = list[str]()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(self.format(record))

    handler, root = Handler(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield said
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
