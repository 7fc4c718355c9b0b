"""Who is told what each command came to: for logs, spans and counters. Without an observer nothing of it happens.

Floor 4. Imports attrs and the words of the domain. What an observer is told is ids of ours, numbers, and the names of
answers and errors: no owner, no profile, no report, no text of an error. `logs` and `otel` are two observers.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Protocol, TypedDict, TypeVar

from attrs import field, frozen

from research_fsm.events import AttemptResult
from research_fsm.outcomes import Created, Recovered, Submitted
from research_fsm.requests import Dispatch, Ended, Flow, step

__all__ = ["Attempt", "Done", "Known", "Observer", "Watched", "watching"]

A = TypeVar("A")
T = TypeVar("T")

_log = logging.getLogger(__name__)


class Known(TypedDict, total=False):
    """What a caller says which command is about, once it was checked."""

    person_id: str
    run_id: str
    run_no: int


@frozen
class Done:
    """What a command came to.

    Args:
        command: The door: ``start``, ``claim``, …
        outcome: The answer's name: ``Queued``, ``AlreadyRunning``, …; of a create or a submit what its start came to,
            of recovery what it did; or the name of the error that was raised.
        raised: Whether it is an error.
        seconds: How long it took.
        person_id: The person, as far as the caller or the answer says.
        run_id: The run, likewise.
        run_no: Its number, likewise.
    """

    command: str
    outcome: str
    raised: bool
    seconds: float
    person_id: str | None
    run_id: str | None
    run_no: int | None


@frozen
class Attempt:
    """What one attempt to hand a run to an outside engine came to."""

    person_id: str
    run_id: str
    run_no: int
    result: AttemptResult


class Observer(Protocol):
    """Is told what happens. What it raises when it is told is logged and passed over."""

    def command(self, command: str) -> AbstractContextManager[Callable[[Done], None]]:
        """Surround a command; what is returned is called with what it came to, before the context ends."""
        ...

    def attempt(self, attempt: Attempt) -> None:
        """Hear of an attempt, in whichever thread or task it was made."""
        ...


@frozen
class Watched:
    """One command while it is carried out.

    Args:
        observers: Who is told.
        answers: What it was answered, once it was.
    """

    observers: Sequence[Observer]
    answers: list[object] = field(factory=list)

    def flow(self, flow: Flow[A]) -> Flow[A]:
        """Return the same flow, whose attempts are told."""
        request = step(flow, None)
        while not isinstance(request, Ended):
            received = yield request
            if isinstance(request, Dispatch):
                sent = request.request
                attempt = Attempt(sent.person_id, sent.run_id, sent.run_no, received.result)
                for observer in self.observers:
                    _tell(observer.attempt, attempt)
            request = step(flow, received)
        return request.answer

    def told(self, answer: A) -> A:
        """Return the answer, once it was noted."""
        self.answers.append(answer)
        return answer


@contextmanager
def watching(observers: Sequence[Observer], command: str, known: Known) -> Iterator[Watched]:
    """Watch one command.

    Args:
        observers: Who is told.
        command: Which.
        known: What it is about, as far as its caller says so.
    """
    watched, begun = Watched(observers), time.perf_counter()
    with ExitStack() as around:
        tell = [around.enter_context(observer.command(command)) for observer in observers]
        error = None
        try:
            yield watched
        except BaseException as raised:
            error = raised
            raise
        finally:
            answer = error if error is not None else watched.answers[0]
            done = Done(
                command=command,
                outcome=_outcome(answer),
                raised=error is not None,
                seconds=time.perf_counter() - begun,
                person_id=known.get("person_id", getattr(answer, "person_id", None)),
                run_id=known.get("run_id", _of(answer, "run_id")),
                run_no=known.get("run_no", _of(answer, "run_no")),
            )
            for one in tell:
                _tell(one, done)


def _tell(observer: Callable[[T], None], what: T) -> None:
    """Tell an observer. A run must not be left half done because of somebody who only listens."""
    try:
        observer(what)
    except Exception:  # noqa: BLE001  # Logged, whatever it is.
        _log.exception("an observer raised, and was passed over")


def _outcome(answer: object) -> str:
    match answer:
        case Created(start=start) | Submitted(start=start):
            return type(start).__name__
        case Recovered(action=action):
            return str(action)
        case _:
            return type(answer).__name__


def _of(answer: object, name: str) -> Any:  # noqa: ANN401  # By name.
    """Return a fact of an answer; of a create or a submit that of its start."""
    return getattr(getattr(answer, "start", answer), name, None)
