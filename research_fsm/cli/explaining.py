"""``explain``: why a person is as they are, or were, in plain sentences.

Floor 9. Decides nothing.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import attrs
import click

from research_fsm.as_of import AtMoment, AtPosition, AtVersion, Point
from research_fsm.cli.exits import Exit
from research_fsm.cli.session import Session, common_options, person_argument
from research_fsm.cli.settings import policy_from, policy_options
from research_fsm.explain_facts import Explanation, Look
from research_fsm.outcomes import Json, PersonNotFound
from research_fsm.rfc3339 import format_time, parse_time

__all__ = ["explain", "point_from", "point_options"]

P = ParamSpec("P")
R = TypeVar("R")

_TIMES = frozenset({"as_of", "at", "deadline", "since", "started_at"})


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


@click.command()
@person_argument
@point_options
@policy_options
@common_options
@click.pass_obj
def explain(
    session: Session, /, person_id: str, at: str | None, version: int | None, position: int | None, **settings: object
) -> Exit:
    """Explain PERSON: what the status is and why, what a start would be answered, what recovery does next.

    With --at, --version or --position, all of it as it was. The settings are in no log: name them if they are not the
    usual ones.
    """
    from research_fsm import explain as explaining

    policy = policy_from(settings)
    point = point_from(at, version, position)
    with session.looking() as runs:
        found = explaining.explain(runs.store, person_id, point, policy=policy)
    if isinstance(found, PersonNotFound):
        return session.answer(found)
    session.show(_shape(found), lambda: str(found))
    return Exit.DONE


def _shape(found: Explanation) -> Json:
    """Return an explanation as JSON, with its sentences."""
    facts = attrs.asdict(found, recurse=False)
    start, recovery = found.start, found.recovery
    facts["because"], facts["latest"] = _facts(attrs.asdict(found.because)), _facts(attrs.asdict(found.latest))
    facts["start"] = {
        "answer": type(start.answer).__name__,
        "balance": start.balance,
        "required": start.required,
        "run": None if start.holder is None else _facts(attrs.asdict(start.holder)),
    }
    facts["recovery"] = {
        "next": _look(recovery.next),
        "finally": _look(recovery.finally_),
        "overdue": recovery.overdue,
        "asks_engine": recovery.asks_engine,
    }
    return {**_facts(facts), "sentences": list(found.sentences)}


def _look(look: Look | None) -> Json:
    return None if look is None else _facts(attrs.asdict(look))


def _facts(facts: dict[str, Json]) -> dict[str, Json]:
    return {
        name: format_time(value) if name in _TIMES and isinstance(value, int) else value
        for name, value in facts.items()
    }
