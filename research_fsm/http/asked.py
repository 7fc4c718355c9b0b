"""A request of somebody who was recognised: what every operation for users and partners is given.

Floor 8. Imports Starlette's requests and responses.
"""

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from research_fsm.async_runs import AsyncRuns
from research_fsm.http import bodies, problems
from research_fsm.http.callers import Caller

__all__ = ["Asked"]


@frozen
class Asked:
    """A request, with its body and who sent it."""

    runs: AsyncRuns
    caller: Caller
    request: Request
    body: bytes

    @property
    def person_id(self) -> str:
        """The person of the path."""
        return bodies.path_id(self.request, "person_id")

    async def refused(self, refusal: problems.HttpRefusal) -> Response:
        """Return the answer to a refusal."""
        return (await problems.refused_by(self.runs, refusal)).response()
