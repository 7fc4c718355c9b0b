"""Races without threads: Hypothesis chooses which of several suspended flows goes on, and which one dies.

Floor 6. Needs Hypothesis, from the extra ``research-fsm[testing]``. A flow is suspended at every yield, and that is
where a process may be killed, a caller overtaken, an answer be late. What a flow asks for may itself take several
steps: a dispatch leaves at one moment and is answered at another. `research_fsm.testing.race` has a whole world to
do this in.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeVar

from attrs import define
from hypothesis import note
from hypothesis import strategies as st

from research_fsm.requests import Flow, Request

__all__ = ["Choices", "Perform", "interleave"]

T = TypeVar("T")

Perform = Callable[[Request], Generator[None, None, Any]]
"""Does what a flow asks for: yields between two steps, returns what the flow is to receive."""

_GO_ON = 3
_BYTES_AT_ONCE = 64


class Choices:
    """Takes decisions from Hypothesis, many at a time, because one draw costs more than the step it decides about.

    The first option is the simplest one: failures are made small towards it. What was chosen is told with a failure.

    Args:
        data: What Hypothesis draws from, of ``st.data()``.
    """

    def __init__(self, data: st.DataObject) -> None:
        self._data = data
        self._bytes = bytearray()
        self._taken: list[str] = []

    def among(self, what: str, options: Sequence[T]) -> T:
        """Choose one of at most 256 options.

        Args:
            what: What is decided, for whoever reads the failure.
            options: The options; there is at least one.
        """
        if not self._bytes:
            drawn = self._data.draw(st.binary(min_size=_BYTES_AT_ONCE, max_size=_BYTES_AT_ONCE), label="choices")
            self._bytes.extend(reversed(drawn))
        chosen = options[self._bytes.pop() % len(options)]
        self._taken.append(f"{what}: {chosen}")
        return chosen

    def tell(self) -> None:
        """Note everything that was chosen: Hypothesis shows it with the smallest failure."""
        note("\n".join(self._taken))


@define
class _Task:
    """A flow, with the request that is being done for it."""

    flow: Flow[Any]
    doing: Generator[None, None, Any] | None = None

    def go_on(self, perform: Perform) -> None:
        """Take one step.

        Raises:
            StopIteration: The flow is done; its answer is the value.
        """
        if self.doing is None:
            self.doing = perform(next(self.flow))
            return
        try:
            next(self.doing)
        except StopIteration as done:
            self.doing = perform(self.flow.send(done.value))

    def die(self) -> None:
        """Leave everything as it is at this moment."""
        if self.doing is not None:
            self.doing.close()
        self.flow.close()


def interleave(
    choices: Choices,
    flows: dict[str, Flow[Any]],
    perform: Perform,
    *,
    moves: Mapping[str, Callable[[], None]] | None = None,
    after: Callable[[], None] = lambda: None,
    most: int = 60,
    crashes: bool = True,
) -> dict[str, Any]:
    """Let Hypothesis choose the order of everything, and stop after a number of steps or when nothing is left.

    Args:
        choices: Decides.
        flows: Fresh flows by name; a move may add to it while this is going on.
        perform: Does what a flow asks for.
        moves: What else may happen: time that passes, an engine that ends a run, another caller.
        after: Called after every step; checks what has to hold.
        most: Steps at most.
        crashes: Whether a flow may be dropped where it stands.

    Returns:
        What each flow that was done returned. The others were dropped: at the end everybody is killed.
    """
    tasks: dict[str, _Task] = {}
    answers: dict[str, Any] = {}
    moves = moves or {}
    for _ in range(most):
        tasks |= {name: _Task(flows.pop(name)) for name in list(flows)}
        options = [("go on", name) for name in tasks] * max(_GO_ON, _GO_ON * len(moves) // max(1, len(tasks)))
        options += [("move", name) for name in moves]
        options += [("crash", name) for name in tasks if crashes]
        if not options:
            break
        what, name = choices.among("next", options)
        match what:
            case "move":
                moves[name]()
            case "crash":
                tasks.pop(name).die()
            case _:
                try:
                    tasks[name].go_on(perform)
                except StopIteration as done:
                    answers[name] = done.value
                    del tasks[name]
        after()
    for task in tasks.values():
        task.die()
    return answers
