"""The program as processes: a server, workers, and callers that fire at the same moment."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from attrs import frozen

__all__ = [
    "LEASES",
    "Callers",
    "Server",
    "calling",
    "fire",
    "killed_in_the_end",
    "serving",
    "started",
    "until",
    "working",
]

LEASES = ("--worker-lease", "1s", "--renew-every", "300ms")
A = TypeVar("A", str, bytes)

_LONGEST_SECONDS = 60

_CALLER = """
import http.client, json, sys, threading
host, port, token, threads = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
paths, answers, go = sys.argv[5:], [], threading.Barrier(threads + 1)
def call(path):
    connection = http.client.HTTPConnection(host, port, timeout=30)
    connection.connect()
    go.wait()
    try:
        connection.request("POST", path, headers={"Authorization": "Bearer " + token})
        answers.append(connection.getresponse().status)
    except (OSError, http.client.HTTPException):
        answers.append(0)
    connection.close()
callers = [threading.Thread(target=call, args=(paths[number % len(paths)],)) for number in range(threads)]
for caller in callers: caller.start()
print("ready", flush=True)
sys.stdin.readline()
go.wait()
for caller in callers: caller.join()
print(json.dumps(answers))
"""


@frozen
class Server:
    """A server that listens."""

    process: "subprocess.Popen[str]"
    port: int

    def path(self, person_id: str) -> str:
        """Return where a person's run is started."""
        return f"/api/deep-research/people/{person_id}/run"


@contextmanager
def killed_in_the_end(process: "subprocess.Popen[A]") -> Iterator["subprocess.Popen[A]"]:
    """Kill a process when the block is left, also if it is stopped."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def started(path: Path, *arguments: str, folder: Path | None = None) -> Iterator["subprocess.Popen[str]"]:
    """Run a command of the program while the block runs; it is killed when the block is left."""
    process = subprocess.Popen(  # noqa: S603  # The program itself.
        [sys.executable, "-m", "research_fsm", "--store", str(path), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=folder or path.parent,
        env={**os.environ, "PYTHONPATH": str(folder or path.parent)},
    )
    with killed_in_the_end(process):
        yield process


@contextmanager
def serving(path: Path, *arguments: str) -> Iterator[Server]:
    """Serve a store on a free port while the block runs."""
    with started(path, "--json", "serve", "--port", "0", *arguments) as process:
        if process.stdout is None:
            raise AssertionError("the server has no standard output")
        facts = json.loads(process.stdout.readline())
        yield Server(process, facts["port"])


@contextmanager
def working(path: Path, pipeline: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a worker while the block runs."""
    with started(path, "work", "--pipeline", pipeline, *arguments) as process:
        yield process


@frozen
class Callers:
    """Callers of several processes that are connected, and wait."""

    processes: tuple["subprocess.Popen[str]", ...]

    def go(self) -> None:
        """Let them all fire."""
        for process in self.processes:
            if process.stdin is None:
                raise AssertionError("a caller has no standard input")
            process.stdin.write("go\n")
            process.stdin.flush()

    def answers(self) -> Counter[int]:
        """Wait for every answer, and count them by status; 0 is a connection that broke."""
        printed = [process.communicate(timeout=_LONGEST_SECONDS)[0] for process in self.processes]
        return Counter(status for answers in printed for status in json.loads(answers))


@contextmanager
def calling(
    server: Server, token: str, people: list[str], *, processes: int = 4, threads: int = 16
) -> Iterator[Callers]:
    """Make callers who will each start one of these people, in turn, at the same moment."""
    command = [sys.executable, "-c", _CALLER, "127.0.0.1", str(server.port), token, str(threads)]
    command += [server.path(person_id) for person_id in people]
    made = Callers(
        tuple(
            subprocess.Popen(  # noqa: S603  # The callers above.
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for _ in range(processes)
        )
    )
    try:
        for process in made.processes:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise AssertionError("a caller did not get ready")
        yield made
    finally:
        for process in made.processes:
            process.kill()
            process.communicate()


def fire(server: Server, token: str, people: list[str]) -> Counter[int]:
    """Return how often which status came back to 64 callers in 4 processes who fire at the same moment."""
    with calling(server, token, people) as made:
        made.go()
        return made.answers()


def until(condition: Callable[[], bool], what: str) -> None:
    """Poll until a condition holds; fail with `what` if it does not within a minute."""
    deadline = time.monotonic() + _LONGEST_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"it never came true that {what}")
        time.sleep(0.02)
