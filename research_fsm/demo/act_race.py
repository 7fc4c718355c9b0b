"""Act 1: 64 callers in 4 processes fire at one person.

Floor 6. Starts the server and the clients, counts the answers, and asks the store itself what happened.
"""

import json
import queue
import sys
import time
from collections import Counter
from typing import Any

from research_fsm.demo import recount
from research_fsm.demo.processes import Child, DemoFailed, Heard
from research_fsm.demo.stage import Guest, Server, Stage, start_path

__all__ = ["race"]

_PROCESSES = 4
_CALLERS = 16
_SECONDS = 15.0
_START_SECONDS = 0.1  # From the word to the instant, so that the word reaches every process in time.
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
    screen.act(f"1  {_PROCESSES * _CALLERS} callers, one person")
    before = stage.available
    heard: Heard = queue.SimpleQueue()
    program = (sys.executable, "-m", "research_fsm.demo.caller")
    clients = [stage.processes.start(f"client-{n}", program, heard=heard) for n in range(1, _PROCESSES + 1)]
    server = stage.serve("server")
    screen.say(
        f"{len(stage.guests)} people, {before} credits. A server listens on http://127.0.0.1:{server.port} "
        f"(process {server.child.popen.pid})."
    )
    screen.say(
        f"{_PROCESSES} client processes with {_CALLERS} callers each ask it to research {guest.name}, "
        "at the same instant:"
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
    started = [name for name, _ in recount.events_of(stage.plain, guest.person_id)].count("RunStarted")
    stage.check("one_run_in_the_log", 1, started)
    return server


def _fired(stage: Stage, server: Server, clients: list[Child], heard: Heard, path: str) -> list[dict[str, Any]]:
    """Tell the clients what to do, give the word once all of them are ready, and show their answers."""
    for client in clients:
        order = {"host": "127.0.0.1", "port": server.port, "path": path, "token": server.token, "callers": _CALLERS}
        client.send(json.dumps(order))
    deadline = time.monotonic() + _SECONDS
    for _ in clients:
        client, line = _next(heard, deadline)
        if line != "ready":
            raise DemoFailed(f"{client.name} is not ready, it said {line!r}\n{client.output()}")
    waiting = {client.popen.pid: _CALLERS for client in clients}
    answers: list[dict[str, Any]] = []
    with stage.screen.race(waiting) as show:
        instant = time.time() + _START_SECONDS
        for client in clients:
            client.send(repr(instant))
        while any(waiting.values()):
            client, line = _next(heard, deadline)
            if line is not None:
                waiting[client.popen.pid] -= 1
                answers.append(json.loads(line))
                show(client.popen.pid, answers[-1])
            elif waiting[client.popen.pid]:
                raise DemoFailed(f"{client.name} ended before all of its callers were answered\n{client.output()}")
    return answers


def _next(heard: Heard, deadline: float) -> tuple[Child, str | None]:
    """Return the next line of a client."""
    try:
        return heard.get(timeout=max(0.0, deadline - time.monotonic()))
    except queue.Empty:
        raise DemoFailed(f"not every caller was answered within {_SECONDS:g} s") from None
