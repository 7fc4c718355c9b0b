"""What a run costs, and whether so many can be paid for: two questions that change nothing.

Floor 8. Imports Starlette's requests and responses.
"""

from starlette.responses import Response

from research_fsm.http import answers, bodies, problems
from research_fsm.http.asked import Asked

__all__ = ["ACTION", "MOST", "config", "preview"]

ACTION = "deep_research"
"""The one thing that costs credits here."""

MOST = 1_000_000
"""Runs that one preview is about, at most."""


async def config(asked: Asked) -> Response:
    """Return the price list."""
    return answers.ok({"actions": [{"action": ACTION, "costPerUnit": asked.runs.policy.cost}]})


async def preview(asked: Asked) -> Response:
    """Return what so many runs would cost, and whether the balance suffices."""
    members = await bodies.parsed(bodies.json_object, asked.body)
    action, count = members.get("action"), members.get("count")
    if action != ACTION:
        raise problems.invalid("action", f"must be {ACTION}, the one thing that costs credits")
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST:
        raise problems.invalid("count", f"must be a whole number from 1 to {MOST}")
    balance = await asked.runs.balance(asked.caller.owner)
    total = count * asked.runs.policy.cost
    return answers.ok(
        {
            "action": action,
            "count": count,
            "costPerUnit": asked.runs.policy.cost,
            "totalCredits": total,
            "sufficient": balance.available >= total,
            "balance": balance.available,
        }
    )
