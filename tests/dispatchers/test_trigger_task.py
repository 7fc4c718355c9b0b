"""The tasks of the how-to: they compile against the vendor's SDK, and keep the protocol against the real interface.

Left out by default, because it installs the SDK and the compiler with npm. Skipped where that cannot be.
"""

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from research_fsm import Profile, Runs
from research_fsm.dispatchers.trigger_dev import TriggerDev
from research_fsm.http import create_app
from research_fsm.lifecycle import Status
from research_fsm.outcomes import PersonNotFound
from research_fsm.stores.memory import MemoryStore, wall_clock
from research_fsm.testing.engine import FakeEngine
from research_fsm.testing.engine import Status as EngineStatus
from research_fsm.testing.engine_http import transport
from tests.dispatchers.service import OWNER, settings
from tests.dispatchers.sockets import closed_port

pytestmark = pytest.mark.long

SOURCES = Path(__file__).parents[2] / "docs" / "how-to" / "trigger-dev"
PACKAGES = ("@trigger.dev/sdk@^4", "typescript@>=5", "@types/node@^20")
COMPILER = {
    "strict": True,
    "exactOptionalPropertyTypes": True,
    "noPropertyAccessFromIndexSignature": True,
    "noUncheckedIndexedAccess": True,
    "noUnusedLocals": True,
    "noUnusedParameters": True,
    "module": "nodenext",
    "target": "es2022",
    "lib": ["es2023"],
    "types": ["node"],
    "skipLibCheck": True,
    "outDir": "out",
}
DRIVER = """
import { readFileSync } from "node:fs";
import { work } from "./out/callbacks.js";
const { payload, externalId, fails } = JSON.parse(readFileSync(0, "utf8"));
const research = async (profile) => {
  if (fails) throw new Error("the sources are down");
  return { content: { about: profile.linkedin_url, by: externalId } };
};
try {
  const output = await work(payload, externalId, new AbortController().signal, research, [1, 1]);
  console.log(JSON.stringify({ output: output ?? null }));
} catch (error) {
  console.log(JSON.stringify({ threw: error.message }));
}
"""


def called(folder: Path, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Call a program in a folder."""
    return subprocess.run(words, cwd=folder, input=given, check=False, capture_output=True, text=True, timeout=180)  # noqa: S603  # npm, tsc and node.


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the SDK and the compiler beside the sources of the how-to, and compile them."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    folder = tmp_path_factory.mktemp("trigger")
    (folder / "package.json").write_text(json.dumps({"name": "tasks", "private": True, "type": "module"}))
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": COMPILER, "include": ["*.ts"]}))
    installed = called(folder, npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES)
    if installed.returncode:
        pytest.skip(f"npm cannot install the SDK: {installed.stderr.strip()[-200:]}")
    for source in SOURCES.glob("*.ts"):
        shutil.copy(source, folder)
    (folder / "driver.js").write_text(DRIVER)
    return folder


@pytest.fixture(scope="module")
def compiled(project: Path) -> Path:
    """Compile the tasks, in the strictest way."""
    done = called(project, str(project / "node_modules" / ".bin" / "tsc"), "-p", ".")
    assert done.returncode == 0, done.stdout
    return project


class Served:
    """The HTTP interface on a free port, over a store in memory and a fake engine."""

    def __init__(self, listening: socket.socket) -> None:
        self.engine = FakeEngine(wall_clock)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
        self.runs = Runs(MemoryStore(), TriggerDev(settings(public_url=url), transport=transport(self.engine)))
        self.runs.grant(OWNER, 3, grant_id="first")
        self.person_id = self.runs.add(OWNER, Profile(linkedin_url="linkedin.com/in/ada")).accepted().person_id
        self.runs.start(self.person_id).accepted()

    @property
    def status(self) -> Status:
        """Return how the person is."""
        found = self.runs.person(self.person_id)
        assert not isinstance(found, PersonNotFound)
        return found.status


@pytest.fixture
def served() -> Iterator[Served]:
    """Serve it while the test runs; a run is queued."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made = Served(listening)
        server = uvicorn.Server(uvicorn.Config(create_app(made.runs), log_config=None, lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield made
        finally:
            server.should_exit = True
            thread.join()


def worked(folder: Path, external_id: str, payload: Any, *, fails: bool = False) -> dict[str, Any]:  # noqa: ANN401  # JSON.
    """Let the compiled worker work on what the engine sends."""
    given = json.dumps({"payload": payload, "externalId": external_id, "fails": fails})
    done = called(folder, "node", "driver.js", given=given)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_tasks_compile_against_the_vendors_sdk(compiled: Path) -> None:
    """And nothing else is in the folder: what the how-to shows is what was compiled."""
    assert {path.stem for path in (compiled / "out").iterdir()} == {"callbacks", "deep-research"}


def test_a_worker_claims_researches_and_reports(compiled: Path, served: Served) -> None:
    """Its output is the report that it told; a replay of it stops and returns nothing."""
    sent = served.engine.begin("run_fake1")
    answer = worked(compiled, "run_fake1", sent)
    content = {"about": "https://www.linkedin.com/in/ada", "by": "run_fake1"}
    assert answer == {"output": {"run_id": sent["run_id"], "run_no": 1, "content": content}}
    assert served.status is Status.COMPLETE
    assert worked(compiled, "run_fake1", sent) == {"output": None}
    replay = served.engine.replay("run_fake1")
    assert worked(compiled, replay, served.engine.begin(replay)) == {"output": None}
    assert served.status is Status.COMPLETE


def test_a_second_engine_run_stops_while_the_first_works(compiled: Path, served: Served) -> None:
    """It is told no profile, and returns nothing."""
    sent = served.engine.begin("run_fake1")
    served.runs.claim(sent["run_id"], sent["run_no"], "run_fake1").accepted()
    replay = served.engine.replay("run_fake1")
    assert worked(compiled, replay, served.engine.begin(replay)) == {"output": None}
    assert served.status is Status.RUNNING


def test_a_worker_that_fails_says_so_and_throws(compiled: Path, served: Served) -> None:
    """The engine sees a run that failed, and the service knows it before."""
    sent = served.engine.begin("run_fake1")
    assert worked(compiled, "run_fake1", sent, fails=True) == {"threw": "the sources are down"}
    assert served.status is Status.FAILED


def test_a_token_of_another_run_opens_nothing(compiled: Path, served: Served) -> None:
    """The worker is rejected at once, and does no research."""
    sent = served.engine.begin("run_fake1")
    sent["callback"]["token"] = "0" * 64
    assert "claim was answered with HTTP 401" in worked(compiled, "run_fake1", sent)["threw"]
    assert served.status is Status.RUNNING


def test_a_worker_that_nobody_answers_does_not_begin(compiled: Path, served: Served) -> None:
    """Without a claim there is no work: the engine run fails, and recovery refunds."""
    sent = served.engine.begin("run_fake1")
    sent["callback"]["url"] = f"http://127.0.0.1:{closed_port()}/api/deep-research/runs/{sent['run_id']}"
    assert worked(compiled, "run_fake1", sent) == {"threw": "claim was not answered"}
    served.engine.end("run_fake1", EngineStatus.FAILED)
