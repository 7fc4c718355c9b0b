"""``serve`` as a process: it listens, works, recovers, is observed, and finishes what it began."""

import json
import signal
import socket
import sqlite3
import threading
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from research_fsm.stores.memory import wall_clock
from research_fsm.testing.engine import FakeEngine, FakeRequest, FakeResponse
from research_fsm.testing.engine_http import serve
from tests.cli.conftest import PATIENCE_SECONDS, Program, Spawn
from tests.cli.processes import ended, phase, queued, until


def _ask(url: str, token: str, method: str = "GET") -> tuple[int, Any]:
    request = Request(url, method=method, headers={"Authorization": f"Bearer {token}"})  # noqa: S310  # Our own server.
    try:
        with urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310  # Our own server.
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_serve_works_recovers_and_stops(program: Program, spawn: Spawn) -> None:
    """Port 0 is answered with the port that was given; a run is worked on; SIGTERM ends it with 0."""
    program("grant", "acme", 5)
    person_id = program.person()
    token = program.json("token", "create", "acme")["token"]
    server = spawn("serve", "--port", 0, "--pipeline", "pipelines:research", "--json")
    assert server.stdout is not None
    listening = json.loads(server.stdout.readline())
    assert listening.keys() == {"url", "host", "port", "workers"}
    assert listening["url"] == f"http://127.0.0.1:{listening['port']}"
    assert (listening["workers"], listening["port"] > 0) == (1, True)
    people = f"{listening['url']}/api/deep-research/people"
    assert _ask(f"{people}/{person_id}/run", token, "POST") == (200, {"success": True})
    until(lambda: _ask(f"{people}/{person_id}/report", token)[1]["report"] is not None)
    assert _ask(f"{people}/{person_id}/run", token, "POST")[0] == 409
    server.terminate()
    code, stdout, stderr = ended(server)
    assert (code, stdout) == (0, "")
    assert "Traceback" not in stderr
    assert program.json("verify")["findings"] == []


def test_serve_says_its_url_and_that_no_worker_is_built_in(spawn: Spawn) -> None:
    """On standard error: a line each; runs wait in the queue."""
    server = spawn("serve", "--port", 0)
    assert server.stderr is not None
    assert "no worker is built in without --pipeline" in server.stderr.readline()
    words = server.stderr.readline().split()
    assert words[:2] == ["listening", "on"]
    assert _ask(f"{words[2]}/api/healthz", "") == (200, {"status": "ok"})
    server.send_signal(signal.SIGINT)
    assert ended(server) == (0, "", "")


def test_serve_recovers_in_the_background(program: Program, spawn: Spawn) -> None:
    """A run whose worker vanished, and whose deliveries are used up, is failed without anybody asking."""
    person_id = queued(program)
    with program.runs() as runs:
        runs.take()
    with sqlite3.connect(program.store) as edited:
        edited.execute("UPDATE queue SET lease_until = 0")
        edited.execute("UPDATE heads SET due = 0 WHERE stream = ?", (f"person:{person_id}",))
    edited.close()
    server = spawn("serve", "--port", 0, "--recover-every", "10ms", "--max-deliveries", 1)
    until(lambda: phase(program, person_id) == "failed")
    server.terminate()
    code, _, stderr = ended(server)
    assert code == 0
    assert "failed" in stderr


class Thinking(FakeEngine):
    """An engine that takes its time over each request."""

    def __init__(self) -> None:
        super().__init__(wall_clock)
        self.asked, self.allowed = threading.Event(), threading.Event()

    def handle(self, request: FakeRequest) -> FakeResponse:
        """Answer when it is allowed to."""
        self.asked.set()
        assert self.allowed.wait(PATIENCE_SECONDS)
        return super().handle(request)


@pytest.mark.parametrize("leaves", [False, True])
def test_serve_finishes_a_start_that_the_engine_thinks_about(
    program: Program, spawn: Spawn, monkeypatch: pytest.MonkeyPatch, *, leaves: bool
) -> None:
    """SIGTERM comes while the engine has not answered yet: the caller is answered, or, if gone, the log knows of it."""
    program("grant", "acme", 5)
    person_id = program.person()
    token = program.json("token", "create", "acme")["token"]
    engine = Thinking()
    with serve(engine) as url:
        monkeypatch.setenv("TRIGGER_API_URL", url)
        monkeypatch.setenv("TRIGGER_SECRET_KEY", engine.secret_key)
        outside = ("--dispatcher", "trigger", "--public-url", "https://research.example/api")
        server = spawn("serve", "--port", 0, "--json", *outside)
        assert server.stdout is not None
        port = json.loads(server.stdout.readline())["port"]
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as caller:
            head = (
                f"POST /api/deep-research/people/{person_id}/run HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}"
            )
            caller.sendall(f"{head}\r\n\r\n".encode())
            assert engine.asked.wait(PATIENCE_SECONDS)
            if leaves:
                caller.close()
            server.terminate()
            engine.allowed.set()
            assert leaves or caller.recv(65_536).startswith(b"HTTP/1.1 200 ")
        assert ended(server)[0] == 0
    assert len(engine.runs) == 1
    assert phase(program, person_id) == "queued"
    assert program.json("verify")["findings"] == []


def test_what_is_served_is_observed(program: Program, spawn: Spawn) -> None:
    """With a line for each command of the interface and of the worker; spans go nowhere by themselves."""
    program("grant", "acme", 5)
    person_id = program.person()
    token = program.json("token", "create", "acme")["token"]
    observed = ("--observe", "logs", "--observe", "otel")
    server = spawn("serve", "--port", 0, "--pipeline", "pipelines:research", "--json", *observed)
    assert server.stdout is not None
    people = f"{json.loads(server.stdout.readline())['url']}/api/deep-research/people"
    assert _ask(f"{people}/{person_id}/run", token, "POST") == (200, {"success": True})
    until(lambda: _ask(f"{people}/{person_id}/report", token)[1]["report"] is not None)
    server.terminate()
    code, _, stderr = ended(server)
    assert code == 0
    assert f"start: Queued, person {person_id}, run 1" in stderr
    assert f"take: Claimed, person {person_id}, run 1" in stderr
    assert "complete: Completed" in stderr
    assert token not in stderr


def test_a_port_that_is_taken_is_bad_usage(program: Program) -> None:
    """The message names it, and no store is made."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = program("serve", "--port", port)
    assert result.exit_code == 2
    assert f"cannot listen on 127.0.0.1, port {port}" in result.stderr
    assert not program.store.exists()
