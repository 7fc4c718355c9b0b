"""A real server that dispatches to a fake Trigger.dev over sockets, and is killed while it does."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from research_fsm import Profile, Runs
from research_fsm.audit import verify
from research_fsm.lifecycle import Status as LifecycleStatus
from research_fsm.stores.memory import wall_clock
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.testing.engine import FakeEngine, Fault, Status
from research_fsm.testing.engine_http import serve
from tests.system.program import Server, calling, serving, until
from tests.system.recount import recount

OWNER = "acme"
OUTSIDE = (
    *("--dispatcher", "trigger", "--public-url", "http://127.0.0.1:9/api"),
    *("--attempt-lease", "500ms", "--poll-interval", "200ms", "--recover-every", "200ms"),
    *("--dispatch-deadline", "6s", "--queue-deadline", "6s", "--run-deadline", "6s", "--resend-window", "3s"),
)
FAULTS = (
    (Fault.ANSWER_LOST, Fault.NONE, Fault.REQUEST_LOST),
    (Fault.CREATED_THEN_500, Fault.GARBAGE, Fault.NONE, Fault.ANSWER_LOST),
    (Fault.OUT_OF_CREDITS, Fault.NONE, Fault.GATEWAY_TIMEOUT, Fault.RATE_LIMITED),
    (Fault.NO_ID, Fault.ANSWER_LOST, Fault.ANSWER_LOST),
)


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    """Serve a fake engine, and tell the processes of the test where it is."""
    made = FakeEngine(wall_clock)
    with serve(made) as url, mock.patch.dict(os.environ, TRIGGER_API_URL=url, TRIGGER_SECRET_KEY=made.secret_key):
        yield made


def callback(server: Server, sent: dict[str, Any], what: str, **body: object) -> int:
    """Call back as the engine's task does; return the status."""
    request = urllib.request.Request(  # The loopback.
        f"http://127.0.0.1:{server.port}/api/deep-research/runs/{sent['run_id']}/{what}",
        json.dumps({"run_no": sent["run_no"], **body}).encode(),
        {"Authorization": f"Bearer {sent['callback']['token']}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # The same.
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def work(engine: FakeEngine, server: Server) -> None:
    """Do what the engine's workers do: claim first, stop when stale, report."""
    for external_id in engine.waiting():
        sent = engine.begin(external_id)
        if callback(server, sent, "claim", external_run_id=external_id) == 200:
            callback(server, sent, "complete", external_run_id=external_id, content={"found": "much"})
        engine.end(external_id, Status.COMPLETED)


def test_a_server_killed_while_it_dispatches_loses_and_doubles_nothing(engine: FakeEngine, tmp_path: Path) -> None:
    """Answers are lost, late and wrong, and the server dies in the middle: all come to rest, and the money adds up."""
    path = tmp_path / "research.db"
    with SQLiteStore(path) as store:
        runs = Runs(store)
        runs.grant(OWNER, 100)
        token = runs.tokens.create(OWNER).secret
        for faults in FAULTS:
            people = [
                runs.add(OWNER, Profile(first_name="A", last_name="B", company="C")).accepted().person_id
                for _ in range(6)
            ]
            engine.script(*faults)
            with serving(path, *OUTSIDE) as server, calling(server, token, people, processes=2, threads=6) as callers:
                before = recount(path).runs
                callers.go()
                until(lambda before=before: recount(path).runs > before, "a run was started")  # type: ignore[misc]  # Bound.
                server.process.kill()
                callers.answers()
            engine.forget_script()
            with serving(path, *OUTSIDE) as server:
                until(lambda server=server: _at_rest(runs, engine, server), "nobody was running")  # type: ignore[misc]  # Bound.
            assert list(verify(store)) == []
        counted = recount(path)
        assert counted.problems == ()
        assert counted.holds == 0
        assert counted.charged == counted.ends["RunCompleted"]


def _at_rest(runs: Runs, engine: FakeEngine, server: Server) -> bool:
    """Work, and tell whether nobody is running any more."""
    work(engine, server)
    return all(one.status is not LifecycleStatus.RUNNING for one in runs.people(OWNER).people)
