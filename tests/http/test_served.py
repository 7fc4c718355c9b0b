"""Clients that race over sockets, and a whole life over the wire."""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from research_fsm.testing.scripted import ScriptedDispatcher
from tests.http.served import CALLERS, Served, serving
from tests.http.service import ADA, OWNER, PEOPLE, RUNS, problem


@pytest.fixture
def dispatcher() -> ScriptedDispatcher:
    """Return an engine that takes everything."""
    return ScriptedDispatcher()


@pytest.fixture
def served(tmp_path: Path, dispatcher: ScriptedDispatcher) -> Iterator[Served]:
    """Serve a fresh store with ten credits until the test is over."""
    with serving(tmp_path / "research.db", dispatcher) as service:
        service.runs.grant(OWNER, 10)
        yield service


def at_once(call: Callable[[int], int]) -> Counter[int]:
    """Return how often which status came back to callers that begin together."""
    start = threading.Barrier(CALLERS)

    def one(number: int) -> int:
        start.wait(60)
        return call(number)

    with ThreadPoolExecutor(CALLERS) as pool:
        return Counter(pool.map(one, range(CALLERS)))


def test_one_of_many_clients_wins(served: Served, dispatcher: ScriptedDispatcher) -> None:
    """64 clients at once on one person: one 200, 63 times 409, one dispatch, one credit."""
    url = f"{PEOPLE}/{served.add()}/run"
    with served.client() as client:
        assert at_once(lambda _: client.post(url).status_code) == {200: 1, 409: CALLERS - 1}
    assert len(dispatcher.requests) == 1
    assert served.runs.balance(OWNER).charged == 1


def test_credits_are_spent_to_the_last_and_no_further(served: Served) -> None:
    """64 people at once on ten credits: ten are queued, and the balance is zero."""
    urls = [f"{PEOPLE}/{served.add()}/run" for _ in range(CALLERS)]
    with served.client() as client:
        assert at_once(lambda number: client.post(urls[number]).status_code) == {200: 10, 402: CALLERS - 10}
    assert served.runs.balance(OWNER).available == 0


def test_whole_life_over_the_wire(served: Served, dispatcher: ScriptedDispatcher) -> None:
    """Created, claimed, reported, read, marked stale, run again, deleted."""
    with served.client() as client, served.client() as worker:
        person_id = client.post(PEOPLE, json=ADA).json()["person"]["id"]
        sent = dispatcher.requests[0]
        worker.headers["Authorization"] = f"Bearer {sent.token}"
        run = {"run_no": sent.run_no, "external_run_id": "run_1"}
        claimed = worker.post(f"{RUNS}/{sent.run_id}/claim", json=run).json()
        assert claimed["profile"] == {"linkedin_url": "https://www.linkedin.com/in/ada"}
        done = worker.post(f"{RUNS}/{sent.run_id}/complete", json=run | {"content": {"headline": "Countess"}})
        assert done.json() == {"success": True}
        assert client.get(f"{PEOPLE}/{person_id}/report").json()["report"]["content"] == {"headline": "Countess"}
        assert client.post(f"{PEOPLE}/{person_id}/mark-stale").status_code == 200
        assert client.post(f"{PEOPLE}/{person_id}/run").status_code == 200
        assert client.delete(f"{PEOPLE}/{person_id}").status_code == 200
        problem(client.get(f"{PEOPLE}/{person_id}"), 404, "not_found")


def test_answer_is_the_same_after_a_restart(tmp_path: Path) -> None:
    """A request that is repeated with its key is answered again, and not done again, by a service that came later."""
    dispatcher, headers, texts = ScriptedDispatcher(), {"Idempotency-Key": "k"}, []
    for _ in range(2):
        with serving(tmp_path / "research.db", dispatcher) as service, service.client() as client:
            service.runs.grant(OWNER, 10, grant_id="once")
            texts.append(client.post(PEOPLE, json=ADA, headers=headers).raise_for_status().text)
            assert service.runs.balance(OWNER).available == 9
    assert texts[0] == texts[1]
    assert len(dispatcher.requests) == 1


def test_endless_upload_is_refused(served: Served) -> None:
    """A client that streams without an end is told 413, and the service goes on."""

    def endless() -> Iterator[bytes]:
        for _ in range(1600):
            yield b"x" * 65_536

    with served.client() as client:
        headers = {"Content-Type": "application/json"}
        problem(client.post(PEOPLE, content=endless(), headers=headers), 413, "payload_too_large")
        assert client.get("/api/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize(
    "header", [b"Authorization: Bearer \xff\xfe", b"Authorization: Bearer rfsm_\xc3\xa9", b"Authorization: \xe9"]
)
def test_header_bytes_beyond_ascii_let_nobody_in(served: Served, header: bytes) -> None:
    """Whatever bytes a header has: 401, as raw on the wire as a socket can be."""
    with socket.create_connection(served.address, timeout=60) as raw, raw.makefile("rb") as answer:
        raw.sendall(b"GET %b HTTP/1.1\r\nHost: x\r\n%b\r\nConnection: close\r\n\r\n" % (PEOPLE.encode(), header))
        status = answer.readline()
    assert status == b"HTTP/1.1 401 Unauthorized\r\n"
