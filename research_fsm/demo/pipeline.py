"""The demonstration's research: looks somebody up in the file that ships with the package. No network.

Floor 6. A worker is given it as ``research_fsm.demo.pipeline:research``. It takes its time, as research does: the
seconds come from the environment, so that the demonstration can kill a worker that is certainly still at work.
"""

import os
import time
from typing import Any

from research_fsm.demo.people import source_of
from research_fsm.worker import ResearchRequest

__all__ = ["SECONDS", "research"]

SECONDS = "RESEARCH_FSM_DEMO_SECONDS"
"""The environment variable that says how long a piece of research takes, in seconds."""

_USUAL_SECONDS = 0.3
_STEP_SECONDS = 0.05


def research(request: ResearchRequest) -> dict[str, Any]:
    """Return what the package's file says about a person.

    Args:
        request: Whom to research. A worker that lost its lease is not kept waiting.

    Returns:
        The report's content: a summary, what the person is known for, and the source; the last two are None for
        somebody who is not in the file.
    """
    _take_time(request, float(os.environ.get(SECONDS, _USUAL_SECONDS)))
    profile = request.profile
    name = f"{profile.get('first_name', '')} {profile.get('last_name', '')}".strip() or profile["linkedin_url"]
    found = source_of(profile.get("first_name"), profile.get("last_name"))
    if found is None:
        return {"summary": f"Nothing is known of {name} here.", "known_for": None, "source": None}
    return {
        "summary": f"{name}, {profile['company']}, {found.known_for}.",
        "known_for": found.known_for,
        "source": found.url,
    }


def _take_time(request: ResearchRequest, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not request.stopped():
        time.sleep(_STEP_SECONDS)
