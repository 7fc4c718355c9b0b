"""A service in a process of its own, to which many submit one address at once: ``python -m tests.http.submitting``.

It says when it is ready, begins when a line comes in, and says what was answered, as JSON.
"""

import json
import sys
from collections import Counter

import anyio
import httpx2

from research_fsm import Runs
from research_fsm.http import create_app
from research_fsm.storage import Store
from research_fsm.stores.postgres import PostgresStore
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.testing.scripted import ScriptedDispatcher

RESEARCH = "/api/v1/research"
ADA = {"first_name": "Ada", "last_name": "Lovelace", "linkedin_url": "https://www.linkedin.com/in/ada"}


def opened(address: str) -> Store:
    """Open a store, a server's or a file's."""
    return PostgresStore(address) if address.startswith("postgresql:") else SQLiteStore(address)


async def submitted(store: Store, token: str, callers: int) -> dict[str, object]:
    """Return how often which status was answered, with whom, and how many runs the engine was sent."""
    engine, statuses, people = ScriptedDispatcher(), Counter[str](), set[str]()
    transport = httpx2.ASGITransport(create_app(Runs(store, engine)))
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:

        async def post() -> None:
            answer = await client.post(RESEARCH, json=ADA)
            statuses[str(answer.status_code)] += 1
            people.add(answer.json()["person"]["id"])

        async with anyio.create_task_group() as group:
            for _ in range(callers):
                group.start_soon(post)
    return {"statuses": statuses, "people": sorted(people), "sent": len(engine.requests)}


if __name__ == "__main__":
    _, place, secret, number = sys.argv
    found = opened(place)
    print("ready", flush=True)  # noqa: T201  # What the test waits for.
    sys.stdin.readline()
    print(json.dumps(anyio.run(submitted, found, secret, int(number))))  # noqa: T201  # What the test reads.
    found.close()
