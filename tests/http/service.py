"""One service in memory: a store whose clock stands still, an engine that answers by a script, and its callers."""

from typing import Any

from starlette.applications import Starlette
from starlette.testclient import TestClient

from research_fsm import PersonKind, Profile, Runs
from research_fsm.http import create_app
from research_fsm.requests import DispatchRequest
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.scripted import Reply, ScriptedDispatcher

NOW = 1_767_225_600_000_000
NOW_TEXT = "2026-01-01T00:00:00.000000Z"
OWNER, OTHER_OWNER = "acme", "zeta"
PEOPLE = "/api/deep-research/people"
RUNS = "/api/deep-research/runs"
NOBODY = "00000000-0000-4000-8000-00000000dead"
ADA = {"linkedinUrl": "https://www.linkedin.com/in/ada"}


class Service:
    """A service with an outside engine, and with some credits.

    Args:
        script: How the engine answers the first requests.
        credits_: What the owner has.
        retry_at: What the engine says with a refusal about when to come back.
        inside: Whether there is no engine, but the embedded queue.
    """

    def __init__(self, *script: Reply, credits_: int = 10, retry_at: int | None = None, inside: bool = False) -> None:
        self.now = NOW
        self.store = MemoryStore(lambda: self.now)
        self.dispatcher = ScriptedDispatcher(*script, retry_at=retry_at)
        self.runs = Runs(self.store, None if inside else self.dispatcher)
        self.app: Starlette = create_app(self.runs)
        if credits_:
            self.runs.grant(OWNER, credits_, grant_id="first")
        self.user = self.client(self.token())
        self.nobody = self.client(None)

    def token(self, owner: str = OWNER, kind: PersonKind = PersonKind.USER) -> str:
        """Return the secret of a new access token."""
        return self.runs.tokens.create(owner, kind).secret

    def client(self, token: str | None) -> TestClient:
        """Return a client that presents a token."""
        return TestClient(self.app, headers={} if token is None else {"Authorization": f"Bearer {token}"})

    def add(self, owner: str = OWNER) -> str:
        """Add an idle person, and return the id."""
        return self.runs.add(owner, Profile(linkedin_url="linkedin.com/in/ada")).accepted().person_id

    def start(self, person_id: str) -> DispatchRequest:
        """Start a run, and return what the engine was sent."""
        self.runs.start(person_id).accepted()
        return self.dispatcher.requests[-1]

    def complete(self, person_id: str, content: Any = None) -> None:  # noqa: ANN401  # A report is free JSON.
        """Run a person to the end."""
        sent = self.start(person_id)
        self.runs.complete(sent.run_id, sent.run_no, "x", content).accepted()

    def available(self, owner: str = OWNER) -> int:
        """Return an owner's available credits."""
        return self.runs.balance(owner).available

    def worker(self, sent: DispatchRequest) -> TestClient:
        """Return a client that presents a run's callback token."""
        return self.client(sent.token)


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:  # noqa: ANN401  # Either client's response.
    """Return the members of a problem, once it is seen to be a proper one."""
    members: dict[str, Any] = answer.json()
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (members["status"], members["code"]) == (status, code)
    assert members["type"] == f"urn:research-fsm:problem:{code}"
    assert members["title"]
    assert members["detail"]
    assert answer.headers["cache-control"] == "no-store"
    return {name: value for name, value in members.items() if name not in {"type", "title", "status", "detail", "code"}}


def log_of(service: Service) -> list[str]:
    """Return the names of everything that was recorded."""
    return [event.type for event in service.store.events()]
