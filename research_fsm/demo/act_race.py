"""Act 1: 64 callers in 4 processes fire at one person.

Floor 6. Starts the server and the clients, counts the answers, and asks the file itself what happened.
"""

import json
import queue
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from research_fsm.demo import recount
from research_fsm.demo.processes import Child, DemoFailed, Heard
from research_fsm.demo.stage import Guest, Server, Stage, start_path

__all__ = ["race"]

_PROCESSES = 4
_CALLERS = 16
_SECONDS = 15.0
_WHY = {
    "200 success": "won: queued, and the one credit is spent",
    "409 already_running": "the person is running already: nothing is queued, nothing is charged",
}


def race(stage: Stage, guest: Guest) -> Server:
    """Let them race for one person.

    Args:
        stage: What the acts share.
        guest: The person.

    Returns:
        The server, still listening.
    """
    screen = stage.screen
    screen.act(1, f"{_PROCESSES * _CALLERS} callers, one person")
    before = stage.available
    heard: Heard = queue.SimpleQueue()
    program = (sys.executable, "-m", "research_fsm.demo.caller")
    clients = [stage.processes.start(f"client-{n}", program, heard=heard) for n in range(1, _PROCESSES + 1)]
    server = stage.serve("server")
    screen.say(
        f"{len(stage.guests)} people, {before} credits. A server listens on http://127.0.0.1:{server.port} "
        f"(process {server.child.popen.pid}).\n{_PROCESSES} client processes with {_CALLERS} callers each "
        f"ask it to research {guest.name}, at the same instant:"
    )
    answers = _fired(stage, server, clients, heard, start_path(guest))
    counts = Counter(f"{answer['status']} {answer['code'] or 'success'}" for answer in answers)
    screen.table(
        ("answer", "callers", "why"),
        [(name, count, _WHY.get(name, "not what was promised")) for name, count in sorted(counts.items())],
    )
    screen.say("")
    won = counts.pop("200 success", 0)
    stage.check("one_winner", 1, won)
    stage.check("told_why", {"409 already_running": _PROCESSES * _CALLERS - 1}, dict(counts))
    stage.check("one_credit", before - 1, stage.available)
    started = [name for name, _ in recount.events_of(stage.path, guest.person_id)].count("RunStarted")
    stage.check("one_run_in_the_file", 1, started)
    return server


def _fired(stage: Stage, server: Server, clients: list[Child], heard: Heard, path: str) -> list[dict[str, Any]]:
    """Tell the clients what to do, give the word once all of them are ready, and show their answers."""
    for client in clients:
        order = {"host": "127.0.0.1", "port": server.port, "path": path, "token": server.token, "callers": _CALLERS}
        client.send(json.dumps(order))
    deadline = time.monotonic() + _SECONDS
    for client, line in _next(heard, len(clients), deadline):
        if line != "ready":
            raise DemoFailed(f"{client.name} is not ready, it said {line!r}\n{client.output()}")
    answers: list[dict[str, Any]] = []
    with stage.screen.race({client.popen.pid: _CALLERS for client in clients}) as board:
        for client in clients:
            client.send("go")
        for client, line in _next(heard, len(clients) * _CALLERS, deadline):
            if line is None:
                raise DemoFailed(f"{client.name} ended before all of its callers were answered\n{client.output()}")
            answers.append(json.loads(line))
            board.answered(client.popen.pid, answers[-1])
    return answers


def _next(heard: Heard, count: int, deadline: float) -> Iterator[tuple[Child, str | None]]:
    """Yield so many lines of the clients, as they come."""
    for number in range(count):
        try:
            yield heard.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise DemoFailed(f"{number} of {count} answers came within {_SECONDS:g} s") from None
