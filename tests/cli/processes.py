"""The program as a process of its own: started, watched, ended."""

import subprocess
import time
from collections.abc import Callable

from tests.cli.conftest import PATIENCE_SECONDS, Program

_STEP_SECONDS = 0.02


def until(condition: Callable[[], object]) -> None:
    """Wait until something is seen."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(_STEP_SECONDS)


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Wait for a process, and return its exit code and what it said."""
    stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, stdout, stderr


def queued(program: Program) -> str:
    """Queue a run of somebody new, and return the person."""
    program("grant", "acme", 5)
    person_id = program.person()
    program("start", person_id)
    return person_id


def phase(program: Program, person_id: str) -> str:
    """Return where a person is."""
    return str(program.json("status", person_id)["phase"])
