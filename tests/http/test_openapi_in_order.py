"""The document in stories: questions that follow from answers, by its links, while the engine does its work.

Each story has a service of its own. Between two questions the engine takes, refuses or loses a run, and its worker
claims, completes or fails one, so that people are seen in every status.
"""

from itertools import cycle
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS
from starlette.types import Receive, Scope, Send

from research_fsm import PersonKind
from research_fsm.audit import verify
from research_fsm.requests import DispatchRequest
from research_fsm.testing.scripted import Reply
from tests.http.service import OWNER, Service

DOCUMENT = "/api/openapi.json"

CHECKED = (
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "use_after_free",
    "ensure_resource_availability",
)
"""What every answer is held against: the document, and that who was deleted is gone and who was created is there."""

REPLIES = (Reply.ACCEPTED, Reply.REFUSED, Reply.TAKEN_UNANSWERED)


class World:
    """A service, its callers' tokens, and an engine that does something now and then. Each begins like every other."""

    def __init__(self) -> None:
        self.service = Service(*REPLIES * 20, credits_=1)
        self.user = self.service.token()
        self.partner = self.service.token(OWNER, PersonKind.PARTNER)
        self._turns = cycle(("claim", "complete", None, "claim", "grant", "fail", None))
        self._ended: set[str] = set()

    def token_for(self, path: str) -> str:
        """Return what opens an operation, if anything does."""
        if "/runs/" in path:
            open_ = self._open()
            return open_.token if open_ is not None else "0" * 64
        return self.partner if "/v1/" in path else self.user

    def go_on(self) -> None:
        """Let the engine's worker, or whoever grants credits, do what their turn is."""
        sent, runs, turn = self._open(), self.service.runs, next(self._turns)
        if turn == "grant":
            runs.grant(OWNER, 1)
        elif sent is not None and turn == "claim":
            runs.claim(sent.run_id, sent.run_no, "x")
        elif sent is not None and turn == "complete":
            runs.complete(sent.run_id, sent.run_no, "x", {"found": True}, change_summary="more")
            self._ended.add(sent.run_id)
        elif sent is not None and turn == "fail":
            runs.fail(sent.run_id, sent.run_no, "x", "in vain")
            self._ended.add(sent.run_id)

    def _open(self) -> DispatchRequest | None:
        return next((sent for sent in self.service.dispatcher.requests if sent.run_id not in self._ended), None)


def told(stories: int, steps: int) -> tuple[int, set[tuple[str, int]]]:
    """Tell so many stories, and return how many questions were asked, and which answers each operation gave."""
    world, asked = World(), 0
    seen: set[tuple[str, int]] = set()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await world.service.app(scope, receive, send)

    document = schemathesis.openapi.from_asgi(DOCUMENT, app)
    checks = [CHECKS.get_one(name) for name in CHECKED]

    class Story(document.as_state_machine()):  # type: ignore[misc]  # Made by schemathesis at run time.
        def setup(self) -> None:
            nonlocal world
            world = World()

        def before_call(self, case: Any) -> None:  # noqa: ANN401  # schemathesis has no type for it that is stable.
            world.go_on()
            case.headers = {**(case.headers or {}), "Authorization": f"Bearer {world.token_for(case.path)}"}

        def after_call(self, response: Any, case: Any) -> None:  # noqa: ANN401  # The same.
            nonlocal asked
            asked += 1
            seen.add((case.operation.definition.raw["operationId"], response.status_code))
            assert response.status_code not in {500, 503}, response.text

        def validate_response(self, response: Any, case: Any, **_: object) -> None:  # noqa: ANN401  # The same.
            case.validate_response(response, checks=checks)

        def teardown(self) -> None:
            assert list(verify(world.service.store)) == []

    Story.run(
        settings=settings(
            max_examples=stories,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            derandomize=True,
            phases=[Phase.generate],
        )
    )
    return asked, seen


def test_a_few_stories_find_nothing() -> None:
    """What the links lead to is there, and every answer is as the document says."""
    asked, seen = told(20, 12)
    assert asked > 200
    assert {name for name, _ in seen} >= {"createPerson", "createResearch", "runPerson", "getReport", "deletePerson"}


LINKED = {
    *("createPerson", "listPeople", "getPerson", "deletePerson", "runPerson", "getReport", "markStale"),
    *("createResearch", "listResearch", "getResearch", "deleteResearch"),
}
"""What the links lead to, and what they begin with."""


@pytest.mark.long
def test_ten_thousand_questions_in_stories_find_nothing() -> None:
    """Nothing is found; and each of the operations was answered with a yes and with a no."""
    asked, seen = told(340, 30)
    assert asked >= 10_000
    assert {name for name, status in seen if status < 300} >= LINKED
    assert {name for name, status in seen if status >= 400} >= LINKED
