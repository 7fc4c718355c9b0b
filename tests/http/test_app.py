"""The application as a whole: its routes, its health, its place in a host, its threads."""

import threading

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from research_fsm import InvalidInput, Runs
from research_fsm.http import create_app
from research_fsm.http.app import OPERATIONS
from research_fsm.requests import AttemptOutcome, DispatchRequest
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.scripted import ScriptedDispatcher
from tests.http.service import ADA, NOBODY, OWNER, PEOPLE, Service, problem


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/", "/deep-research/people", PEOPLE + "/", f"{PEOPLE}/a/b", "/api/healthz/", "/api//x"]
)
def test_unknown_path_is_not_found(service: Service, path: str) -> None:
    """404 as a problem; another slash is another path, and nobody is sent elsewhere."""
    problem(service.user.get(path, follow_redirects=False), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", f"{PEOPLE}/{NOBODY}/run", "POST"),
        ("PUT", PEOPLE, "GET, HEAD, POST"),
        ("PATCH", f"{PEOPLE}/{NOBODY}", "DELETE, GET, HEAD"),
        ("OPTIONS", "/api/healthz", "GET, HEAD"),
        ("DELETE", f"/api/deep-research/runs/{NOBODY}/claim", "POST"),
        ("BREW", f"{PEOPLE}/{NOBODY}/report", "GET, HEAD"),
    ],
)
def test_method_that_a_path_does_not_have(service: Service, method: str, path: str, allow: str) -> None:
    """405 with every method that the path has."""
    answer = service.user.request(method, path)
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == allow


def test_head_is_answered_like_get(service: Service) -> None:
    """HEAD gives the status of GET."""
    assert service.user.head(PEOPLE).status_code == 200
    assert service.user.head(f"{PEOPLE}/{NOBODY}").status_code == 404


def test_health_is_open_to_everybody(service: Service) -> None:
    """A probe needs no token."""
    answer = service.nobody.get("/api/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_health_looks_at_the_store(service: Service) -> None:
    """A store that cannot be read is not healthy."""
    service.store.close()
    problem(service.nobody.get("/api/healthz"), 503, "store_unavailable")


def test_answers_may_not_be_kept_on_the_way(service: Service) -> None:
    """Personal data is not cached by anybody in between."""
    assert service.user.get(PEOPLE).headers["cache-control"] == "no-store"


def test_operations_are_told_apart() -> None:
    """No two operations have the same method and path."""
    assert len({(operation.method, operation.path) for operation in OPERATIONS}) == len(OPERATIONS)


@pytest.mark.parametrize(("prefix", "path"), [("", "/deep-research/people"), ("/v2/x", "/v2/x/deep-research/people")])
def test_prefix_is_the_hosts_choice(service: Service, prefix: str, path: str) -> None:
    """The paths begin with whatever the host says, nothing included."""
    client = TestClient(create_app(service.runs, prefix=prefix), headers=dict(service.user.headers))
    assert client.get(path).json() == {"people": [], "cursor": None}
    problem(client.get(PEOPLE), 404, "not_found")


@pytest.mark.parametrize("prefix", ["api", "/", "/api/", "/{x}"])
def test_malformed_prefix_is_refused(service: Service, prefix: str) -> None:
    """A prefix that would match nothing, or everything, is a mistake of the host."""
    with pytest.raises(InvalidInput, match="prefix"):
        create_app(service.runs, prefix=prefix)


def test_application_can_be_mounted_in_a_host(service: Service) -> None:
    """Below a mount everything works, and the host's own routes and errors stay its own."""

    async def home(_: Request) -> PlainTextResponse:
        return PlainTextResponse("home")

    routes = [Route("/", home), Mount("/research", app=create_app(service.runs, prefix=""))]
    host = TestClient(Starlette(routes=routes), headers=dict(service.user.headers))
    people = "/research/deep-research/people"
    person_id = host.post(people, json=ADA).json()["person"]["id"]
    assert host.get(f"{people}/{person_id}").json()["person"]["status"] == "running"
    problem(host.post(f"{people}/{person_id}/run"), 409, "already_running")
    problem(host.get("/research/nowhere"), 404, "not_found")
    problem(host.put(people), 405, "method_not_allowed")
    assert host.get("/").text == "home"
    assert host.get("/nowhere").headers["content-type"].startswith("text/plain")


class _SlowEngine(ScriptedDispatcher):
    """An engine that answers nobody until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Semaphore(0)
        self.released = threading.Event()

    def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        self.asked.release()
        assert self.released.wait(30)
        return super().dispatch(request)


def test_slow_engine_keeps_nobody_else_waiting() -> None:
    """While more starts than there are threads wait for the engine, people and callbacks are answered."""
    engine = _SlowEngine()
    runs = Runs(MemoryStore(), engine)
    runs.grant(OWNER, 100)
    headers = {"Authorization": f"Bearer {runs.tokens.create(OWNER).secret}"}

    async def main() -> list[int]:
        statuses: list[int] = []
        transport = httpx2.ASGITransport(create_app(runs))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:

            async def create() -> None:
                statuses.append((await client.post(PEOPLE, json=ADA)).status_code)

            async with anyio.create_task_group() as group:
                for _ in range(80):
                    group.start_soon(create)
                for _ in range(64):
                    assert await anyio.to_thread.run_sync(engine.asked.acquire, True, 30)  # noqa: FBT003  # To wait.
                listed = await client.get(PEOPLE)
                engine.released.set()
            assert len(listed.json()["people"]) >= 64
        return statuses

    assert anyio.run(main) == [201] * 80
