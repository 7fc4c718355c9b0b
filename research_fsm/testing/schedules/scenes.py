"""Every scene of two and of three that is explored: where a life stands, who is at work, and what befalls them.

Floor 6. A part of `schedules`.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations_with_replacement
from types import MappingProxyType

from attrs import frozen

from research_fsm.testing.schedules.scene import Scene

__all__ = ["INSIDE", "OUTSIDE", "Situation", "scenes"]


@frozen
class Situation:
    """What lives are like with one kind of queue.

    Args:
        beginnings: Lines that lead to where a life stands, by name.
        actors: Who may be at work: lines that begin something, with ``NAME`` for a name of their own.
        befalls: What may happen beside them, each once, at any moment.
    """

    beginnings: Mapping[str, str]
    actors: tuple[str, ...]
    befalls: tuple[str, ...]


def _lives(kind: str, **further: str) -> Mapping[str, str]:
    added = "grant c1 s1 acme g1 2\ngo c1\nadd c2 s1 p1 acme\ngo c2\n"
    world = f"world kind={kind} attempts=2\n{added}"
    return MappingProxyType({"idle": world, **{name: world + lines for name, lines in further.items()}})


_SENT = "start c3 s1 p1\ngo c3\ngo c3\ngo c3\ngo c3\n"
_TAKEN = "start c3 s1 p1\ngo c3\ntake w3 s1 {} 0\ngo w3\n"

OUTSIDE = Situation(
    _lives(
        "outside",
        dispatching="start c3 s1 p1\ngo c3\ncrash s1\nrestart s1\nwait 10\n",
        queued=_SENT,
        executing=f"{_SENT}work run_c3_1 hang\ngo run_c3_1\n",
        complete=f"{_SENT}work run_c3_1 complete\ngo run_c3_1\ngo run_c3_1\n",
        failed=f"{_SENT}work run_c3_1 fail\ngo run_c3_1\ngo run_c3_1\n",
    ),
    (
        "start NAME s1 p1",
        "start NAME s1 p1 as=acme key=k",
        "start NAME s1 p1 joined",
        "work * complete",
        "work * fail",
        "recover NAME s1",
        "erase NAME s1 p1",
        "age NAME s1 p1",
    ),
    ("wait 31", "arrive *", "again *"),
)
"""Runs that are handed to an engine."""

INSIDE = Situation(
    _lives(
        "inside",
        queued="start c3 s1 p1\ngo c3\n",
        executing=_TAKEN.format("stop"),
        complete=f"{_TAKEN.format('complete')}go w3\n",
        failed=f"{_TAKEN.format('fail')}go w3\n",
    ),
    (
        "start NAME s1 p1",
        "start NAME s1 p1 as=acme key=k",
        "take NAME s1 complete 1",
        "take NAME s1 fail 0",
        "take NAME s1 twice 0",
        "take NAME s1 reclaim 0",
        "recover NAME s1",
        "erase NAME s1 p1",
        "age NAME s1 p1",
    ),
    ("wait 10", "wait 31"),
)
"""Runs that wait in the embedded queue: another worker takes over what one was too slow for."""


def scenes(situation: Situation, actors: int) -> Iterator[tuple[str, Scene, tuple[str, ...]]]:
    """Yield every group of so many actors, in each place where a life may stand: its name, the scene, and its cast."""
    for name, beginning in situation.beginnings.items():
        scene = Scene(beginning)
        for group in combinations_with_replacement(range(len(situation.actors)), actors):
            cast = tuple(_called(situation, kind, group[:place].count(kind)) for place, kind in enumerate(group))
            yield f"{name}: {', '.join(cast)}", scene, (*cast, *situation.befalls)


def _called(situation: Situation, kind: int, before: int) -> str:
    """Give somebody the name that they have in every group: so what they do is met again, and known."""
    line = situation.actors[kind]
    letter = {"take": "w", "recover": "r"}.get(line.partition(" ")[0], "c")
    return line.replace("NAME", f"{letter}{10 * (kind + 1) + before}")
