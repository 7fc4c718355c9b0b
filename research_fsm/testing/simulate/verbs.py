"""The verbs of a schedule: which there are, what may stand behind each, and what does it.

Floor 6. A part of `simulate`. A line that has no sense in the world it meets does nothing. So any line may be left out
of a schedule, and the rest still means what it meant.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from research_fsm.errors import InvalidInput
from research_fsm.testing.engine_words import Status
from research_fsm.testing.simulate import callers, surroundings
from research_fsm.testing.simulate.actors import PLANS, QUEUE_PLANS
from research_fsm.testing.simulate.rest import come_to_rest
from research_fsm.testing.simulate.words import Step
from research_fsm.testing.simulate.world import World

__all__ = ["check", "take"]


def take(world: World, step: Step) -> None:
    """Take one step.

    Raises:
        Broken: A law does not hold after it.
    """
    _VERBS[step[0]](world, *step[1:])


def check(step: Step) -> None:
    """Refuse a line that is none.

    Raises:
        InvalidInput: Its verb is not known, or it says too little, too much, or no number where one should be.
    """
    form = _FORMS.get(step[0] if step else "")
    if form is None or not form.fullmatch(" ".join(step[1:])):
        raise InvalidInput("schedule", f"there is no step {' '.join(step)[:100]!r}")


def _rest(world: World, how: str = "") -> None:
    come_to_rest(world, silent=how == "silent")


_VERBS: Mapping[str, Callable[..., None]] = MappingProxyType(
    {
        "add": callers.add,
        "again": surroundings.again,
        "age": callers.age,
        "arrive": surroundings.arrive,
        "crash": surroundings.crash,
        "create": callers.create,
        "drift": surroundings.drift,
        "end": surroundings.end,
        "erase": callers.erase,
        "go": surroundings.go,
        "grant": callers.grant,
        "jump": surroundings.jump,
        "recover": callers.recover,
        "repeat": callers.repeat,
        "rest": _rest,
        "restart": surroundings.restart,
        "revoke": callers.revoke,
        "start": callers.start,
        "take": callers.take,
        "wait": surroundings.wait,
        "work": surroundings.work,
    }
)

_WHO = r"[crwx]\d+ s\d+"
_ENGINE_RUN = r"run_\w+"
_FORMS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        verb: re.compile(form)
        for verb, form in {
            "add": rf"{_WHO} p\d+ \S+( url=\S+)?",
            "again": _ENGINE_RUN,
            "age": rf"{_WHO} p\d+",
            "arrive": r"\w+",
            "crash": r"s\d+",
            "create": rf"{_WHO} p\d+ \S+( key=\S+)?( url=\S+)?",
            "drift": r"s\d+ -?\d+",
            "end": rf"{_ENGINE_RUN} ({'|'.join(status for status in Status if status.final)})",
            "erase": rf"{_WHO} p\d+( as=\S+)?",
            "go": r"\w+( \S+)?",
            "grant": rf"{_WHO} \S+ \S+ \d+",
            "jump": r"s\d+ -?\d+",
            "recover": _WHO,
            "repeat": rf"{_WHO} c\d+",
            "rest": r"(silent)?",
            "restart": r"s\d+",
            "revoke": rf"{_WHO} \S+ \S+",
            "start": rf"{_WHO} p\d+( as=\S+)?( key=\S+)?( joined)?",
            "take": rf"{_WHO} ({'|'.join(QUEUE_PLANS)}) \d+",
            "wait": r"\d+",
            "work": rf"{_ENGINE_RUN} ({'|'.join(PLANS)})",
        }.items()
    }
)
"""What may stand behind each verb."""
