"""One client process of the race: opens its connections, waits for the word, and fires them all at once.

A program of its own, ``python -m research_fsm.demo.caller``. Speaks HTTP by the standard library alone and knows
nothing of this library. It reads one line of JSON from standard input, says ``ready`` once every connection is open,
waits for a second line, which says at what time to fire, and prints one line of JSON per answer, as it comes in.
"""

import json
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException
from typing import Any

__all__ = ["call", "main"]

_TIMEOUT_SECONDS = 20.0


def call(
    connection: HTTPConnection, method: str, path: str, *, token: str, key: str | None = None
) -> tuple[int, dict[str, Any]]:
    """Send one request over an open connection, without a retry.

    Args:
        connection: Where to; opened if it is not open.
        method: The HTTP method.
        path: The path.
        token: The access token.
        key: The ``Idempotency-Key``, if there is one.

    Returns:
        The status and the JSON object of the answer; status 0, with the reason as `code`, if none came.
    """
    headers = {"Authorization": f"Bearer {token}"} | ({} if key is None else {"Idempotency-Key": key})
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    except (OSError, HTTPException, ValueError) as error:
        return 0, {"code": type(error).__name__}


def main() -> None:
    """Take part in the race as standard input says: host, port, path, token and the number of callers."""
    order = json.loads(sys.stdin.readline())
    connections = [
        HTTPConnection(order["host"], order["port"], timeout=_TIMEOUT_SECONDS) for _ in range(order["callers"])
    ]
    for connection in connections:
        connection.connect()
    line, speaking = threading.Barrier(len(connections) + 1), threading.Lock()
    at = 0.0

    def fire(caller: int, connection: HTTPConnection) -> None:
        line.wait()
        status, answer = call(connection, "POST", order["path"], token=order["token"])
        milliseconds = (time.time() - at) * 1000
        said = {"caller": caller, "status": status, "code": answer.get("code"), "milliseconds": round(milliseconds, 1)}
        with speaking:
            _say(json.dumps(said))

    callers = [threading.Thread(target=fire, args=pair, daemon=True) for pair in enumerate(connections)]
    for caller in callers:
        caller.start()
    _say("ready")
    word = sys.stdin.readline()
    if not word:
        return  # Whoever ordered the race is gone.
    at = float(word)
    time.sleep(max(0.0, at - time.time()))  # Processes share the wall clock, and nothing else.
    line.wait()
    for caller in callers:
        caller.join()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
