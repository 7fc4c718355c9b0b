"""What the tests of the command line share: a store of their own, and the program called in this process."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from click.testing import CliRunner, Result

from research_fsm import Runs
from research_fsm.cli import cli
from research_fsm.events import AttemptResult
from research_fsm.requests import AttemptOutcome, DispatchRequest
from research_fsm.stores.sqlite import SQLiteStore

PATIENCE_SECONDS = 60.0
"""How long a test waits for what must come."""

Spawn = Callable[..., "subprocess.Popen[str]"]

PIPELINES = '''
"""Pipelines of the tests."""

import time
from pathlib import Path


def research(request):
    """Tell the profile again."""
    return {"profile": dict(request.profile)}


def patient(request):
    """Say that it is at work, and wait until it may go on."""
    Path("at-work").touch()
    while not Path("go").exists():
        time.sleep(0.01)
    return {"patient": True}


def broken(request):
    """Fail."""
    raise ValueError("the source is down")


not_callable = 5
'''


EVENT_MEMBERS = {"stream", "version", "position", "type", "schema", "at", "data", "meta", "hash"}


class Engine:
    """An outside engine that always gives the same result."""

    def __init__(self, result: AttemptResult) -> None:
        self._result = result

    def dispatch(self, _: DispatchRequest) -> AttemptOutcome:
        """Take nothing that could be proved."""
        return AttemptOutcome(result=self._result, reason="http_422")

    def look(self, _: DispatchRequest, __: tuple[str, ...]) -> tuple[Any, ...]:
        """Know of no run."""
        return ()

    def cancel(self, external_id: str) -> None:
        """Have nothing to cancel."""
        raise AssertionError(external_id)


@frozen
class Program:
    """The program, with a store that nobody else uses."""

    store: Path

    def __call__(self, *words: object, stdin: bytes | None = None, env: dict[str, str] | None = None) -> Result:
        """Call the program; an exception that it lets out is the test's."""
        given = ["--store", str(self.store), *map(str, words)]
        return CliRunner(env=env).invoke(cli, given, input=stdin, catch_exceptions=False, prog_name="research-fsm")

    def json(  # JSON can be anything.
        self, *words: object, code: int = 0, stdin: bytes | None = None, env: dict[str, str] | None = None
    ) -> Any:  # noqa: ANN401  # The same.
        """Call the program with ``--json``; return what standard output says."""
        result = self(*words, "--json", stdin=stdin, env=env)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def person(self, owner: str = "acme") -> str:
        """Add a person; return the id."""
        return str(self.json("add", owner, "--linkedin-url", "https://linkedin.com/in/ada")["id"])

    def complete(self) -> str:
        """Add a person and complete a run of them; return the id."""
        self("grant", "acme", 5)
        person_id = self.person()
        self("start", person_id)
        assert self("work", "--pipeline", "pipelines:research", "--drain").exit_code == 0
        return person_id

    @contextmanager
    def runs(self) -> Iterator[Runs]:
        """Open the store as an embedder does."""
        with SQLiteStore(self.store) as store:
            yield Runs(store)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The program, with a store that does not exist yet."""
    return Program(tmp_path / "research.db")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand in a directory that has a module of pipelines, and leave no trace in the interpreter."""
    (tmp_path / "pipelines.py").write_text(PIPELINES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if not name.partition(".")[0].startswith("research_fsm") and name in _made_here(tmp_path):
            del sys.modules[name]


def _made_here(folder: Path) -> set[str]:
    return {file.stem for file in folder.glob("*.py")}


@pytest.fixture
def spawn(program: Program, tmp_path: Path) -> Iterator[Spawn]:
    """Start the program as a process of its own; whatever still lives at the end of the test is killed."""
    spawned: list[tuple[subprocess.Popen[str], threading.Timer]] = []

    def start(*words: object) -> subprocess.Popen[str]:
        called = [sys.executable, "-m", "research_fsm", "--store", str(program.store), *map(str, words)]
        process = subprocess.Popen(  # noqa: S603  # Our own interpreter.
            called, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        watchdog = threading.Timer(PATIENCE_SECONDS, process.kill)  # So that no line is waited for without end.
        watchdog.daemon = True
        watchdog.start()
        spawned.append((process, watchdog))
        return process

    yield start
    for process, watchdog in spawned:
        watchdog.cancel()
        process.kill()
        process.communicate()
