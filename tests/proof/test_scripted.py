"""The scripted dispatcher does what its script says, and its engine what engines do."""

import doctest
import subprocess
import sys

import pytest

from research_fsm.commands import SightingState
from research_fsm.events import AttemptResult, PersonKind
from research_fsm.requests import DispatchRequest
from research_fsm.testing import Reply, ScriptedDispatcher, scripted

REQUEST = DispatchRequest("person", "run", 1, PersonKind.USER, "key")
OTHER = DispatchRequest("person", "run 2", 2, PersonKind.USER, "key 2")


def test_the_kit_is_imported_without_a_test_framework() -> None:
    """A host's tests may use the clock and the dispatcher without Hypothesis or pytest."""
    code = "import sys, research_fsm.testing; sys.exit(bool({'hypothesis', 'pytest'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603  # Our own code.


def test_the_example_of_the_dispatcher_runs() -> None:
    """What its documentation shows is what happens."""
    results = doctest.testmod(scripted)
    assert results.failed == 0
    assert results.attempted > 0


@pytest.mark.parametrize(
    ("reply", "result", "taken"),
    [
        (Reply.ACCEPTED, AttemptResult.ACCEPTED, 1),
        (Reply.REFUSED, AttemptResult.REFUSED, 0),
        (Reply.NOT_SENT, AttemptResult.NOT_SENT, 0),
        (Reply.TAKEN_UNANSWERED, AttemptResult.AMBIGUOUS, 1),
        (Reply.LOST, AttemptResult.AMBIGUOUS, 0),
    ],
)
def test_an_answer_and_what_the_engine_has_are_two_things(reply: Reply, result: AttemptResult, taken: int) -> None:
    """Each reply has its result, and leaves a run at the engine or none."""
    dispatcher = ScriptedDispatcher(reply)
    outcome = dispatcher.dispatch(REQUEST)
    assert outcome.result is result
    assert len(dispatcher.engine.runs) == len(dispatcher.look(REQUEST, ())) == taken
    assert dispatcher.requests == [REQUEST]


def test_a_dispatcher_may_raise_and_may_be_blind() -> None:
    """As a network does."""
    dispatcher = ScriptedDispatcher(then=Reply.RAISES)
    with pytest.raises(ConnectionError):
        dispatcher.dispatch(REQUEST)
    dispatcher.blind = True
    with pytest.raises(ConnectionError):
        dispatcher.look(REQUEST, ())


def test_a_key_is_remembered_until_it_is_forgotten() -> None:
    """A resend gives the same engine run; after the key's time, or once its run has failed, another one."""
    dispatcher = ScriptedDispatcher()
    first = dispatcher.dispatch(REQUEST).external_id
    assert dispatcher.dispatch(REQUEST).external_id == first
    dispatcher.engine.forget_keys()
    second = dispatcher.dispatch(REQUEST).external_id
    assert second is not None
    assert second != first
    dispatcher.engine.end(second)
    assert dispatcher.dispatch(REQUEST).external_id not in (first, second)


def test_the_engine_tells_what_became_of_its_runs() -> None:
    """By the tag of the run, the ones asked for first; a completed one with its output, or without."""
    dispatcher = ScriptedDispatcher()
    engine = dispatcher.engine
    first, other = engine.take(REQUEST), engine.take(OTHER)
    second = engine.replay(first)
    engine.complete(first, "found")
    engine.complete(second, with_output=False)
    seen = dispatcher.look(REQUEST, (second,))
    assert [one.external_id for one in seen] == [second, first]
    assert [one.state for one in seen] == [SightingState.COMPLETED] * 2
    assert seen[0].report is None
    assert seen[1].report == b'{"change_summary":null,"content":"found","id":"run"}'
    assert [one.external_id for one in dispatcher.look(OTHER, ())] == [other]


def test_a_cancellation_is_noted() -> None:
    """Also one of a run that the engine does not know."""
    dispatcher = ScriptedDispatcher()
    known = dispatcher.engine.take(REQUEST)
    dispatcher.cancel(known)
    dispatcher.cancel("unknown")
    assert dispatcher.cancelled == [known, "unknown"]
    assert dispatcher.engine.run(known).cancelled
