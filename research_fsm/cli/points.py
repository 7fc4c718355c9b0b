"""``--at``, ``--version`` and ``--position``: the point of the past that a command is asked about.

Floor 9. Decides nothing.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from research_fsm.as_of import AtMoment, AtPosition, AtVersion, Point
from research_fsm.rfc3339 import parse_time

__all__ = ["point_from", "point_options"]

P = ParamSpec("P")
R = TypeVar("R")


def point_options(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command ``--at``, ``--version`` and ``--position``, of which one may be used."""
    at = click.option("--at", metavar="TIME", help="As it was at this time, such as 2026-11-03T10:00:00Z.")
    version = click.option("--version", type=click.IntRange(0), help="As it was after so many events of the stream.")
    position = click.option("--position", type=click.IntRange(0), help="As it was at this position of the log.")
    return at(version(position(command)))


def point_from(at: str | None, version: int | None, position: int | None) -> Point | None:
    """Return the point that was asked for; None for now."""
    if sum(one is not None for one in (at, version, position)) > 1:
        raise click.UsageError("--at, --version and --position each name a point: use one of them")
    if at is not None:
        return AtMoment(parse_time(at, "--at"))
    if version is not None:
        return AtVersion(version)
    return None if position is None else AtPosition(position)
