"""A service that is asked to stop finishes what it began: nobody's start is left half done."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from research_fsm import Runs
from research_fsm.http import app as app_
from research_fsm.http import create_app
from research_fsm.requests import AttemptOutcome, DispatchRequest
from research_fsm.stores.memory import MemoryStore
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.testing.scripted import ScriptedDispatcher
from tests.http.served import serving
from tests.http.service import ADA, OWNER, PEOPLE

PATIENCE_SECONDS = 60


class Thoughtful(ScriptedDispatcher):
    """An engine that answers when it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.released = threading.Event(), threading.Event()

    def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Think."""
        self.asked.set()
        assert self.released.wait(PATIENCE_SECONDS)
        return super().dispatch(request)


class Releasing(logging.Handler):
    """Releases an engine when the server says that it cancels what is under way."""

    def __init__(self, engine: Thoughtful) -> None:
        super().__init__()
        self._engine = engine

    def emit(self, record: logging.LogRecord) -> None:
        """Look at one line of the server's log."""
        if record.getMessage().startswith("Cancel 1 running task"):
            self._engine.released.set()


def last(path: Path) -> str:
    """Return the last thing that happened to anybody."""
    with SQLiteStore(path) as store:
        return [event.type for event in store.events() if event.stream.startswith("person:")][-1]


def test_a_request_under_way_is_answered(tmp_path: Path) -> None:
    """The engine thinks while the server is told to stop: the caller is told how it went, and the log says so."""
    path, engine = tmp_path / "research.db", Thoughtful()
    with ThreadPoolExecutor(1) as pool, serving(path, engine) as service, service.client() as client:
        service.runs.grant(OWNER, 1)
        answer = pool.submit(client.post, PEOPLE, json=ADA)
        assert engine.asked.wait(PATIENCE_SECONDS)
        service.server.should_exit = True
        engine.released.set()
        assert answer.result(PATIENCE_SECONDS).status_code == 201
    assert last(path) == "RunDispatched"


def test_what_was_begun_for_a_caller_who_was_cut_off_is_finished(tmp_path: Path) -> None:
    """The server waits no longer for the request, and the application waits for the run."""
    path, engine = tmp_path / "research.db", Thoughtful()
    log, releasing = logging.getLogger("uvicorn.error"), Releasing(engine)
    log.addHandler(releasing)
    with ThreadPoolExecutor(1) as pool, serving(path, engine, shutdown_seconds=0) as service:
        service.runs.grant(OWNER, 1)
        client = service.client()
        pool.submit(client.post, PEOPLE, json=ADA)
        assert engine.asked.wait(PATIENCE_SECONDS)
    log.removeHandler(releasing)
    client.close()
    assert engine.released.is_set()
    assert last(path) == "RunDispatched"


def test_an_engine_that_never_answers_does_not_keep_the_service(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is waited for so long and no longer; that recovery will settle it is logged."""
    monkeypatch.setattr(app_, "_SETTLE_SECONDS", 0.05)
    engine = Thoughtful()
    runs = Runs(MemoryStore(), engine)
    runs.grant(OWNER, 1)
    with TestClient(create_app(runs)) as client, caplog.at_level(logging.WARNING):
        assert client.portal is not None
        token = {"Authorization": f"Bearer {runs.tokens.create(OWNER).secret}"}
        answer = client.portal.start_task_soon(_posted, client.app, token)
        assert engine.asked.wait(PATIENCE_SECONDS)
        answer.cancel()
    assert "recovery settles" in caplog.text
    engine.released.set()


async def _posted(app: object, headers: dict[str, str]) -> None:
    import httpx2

    transport = httpx2.ASGITransport(app)  # type: ignore[arg-type]  # The client knows it as an ASGI application.
    async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        await client.post(PEOPLE, json=ADA)
