"""``explain``: why a person is as they are, or were, in plain sentences.

Floor 9. Decides nothing.
"""

import attrs
import click

from research_fsm.cli.evidence import looking
from research_fsm.cli.exits import Exit
from research_fsm.cli.options import common_options, person_argument
from research_fsm.cli.points import point_from, point_options
from research_fsm.cli.session import Session
from research_fsm.cli.settings import policy_from, policy_options
from research_fsm.explain_facts import Explanation, Look
from research_fsm.outcomes import Json, PersonNotFound
from research_fsm.rfc3339 import format_time

__all__ = ["explain"]

_TIMES = frozenset({"as_of", "at", "deadline", "since", "started_at"})


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
    with looking(session) as log:
        found = explaining.explain(log, person_id, point, policy=policy)
    if isinstance(found, PersonNotFound):
        return session.answer(found)
    session.show(_shape(found), lambda: found.sentences)
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
