"""Many callers at once, in one process: exactly one wins, and one credit is spent."""

from collections import Counter
from collections.abc import Sequence

import anyio
import httpx2

from tests.http.service import ADA, PEOPLE, Service, log_of

CALLERS = 64


def at_once(service: Service, paths: Sequence[str], headers: dict[str, str] | None = None) -> Counter[int]:
    """Return how often which status was answered to POSTs that are all under way together."""

    async def main() -> Counter[int]:
        counted: Counter[int] = Counter()
        transport = httpx2.ASGITransport(service.app)
        everyone = {**service.user.headers, **(headers or {})}
        async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=everyone) as client:

            async def post(path: str) -> None:
                answer = await client.post(path, json=ADA)
                counted[answer.status_code] += 1

            async with anyio.create_task_group() as group:
                for path in paths:
                    group.start_soon(post, path)
        return counted

    return anyio.run(main)


def test_one_of_many_starts_wins(service: Service) -> None:
    """64 at once on one person: one 200, 63 times 409, one dispatch, one credit."""
    person_id = service.add()
    assert at_once(service, [f"{PEOPLE}/{person_id}/run"] * CALLERS) == {200: 1, 409: CALLERS - 1}
    assert (len(service.dispatcher.requests), service.available()) == (1, 9)


def test_no_start_wins_without_credits() -> None:
    """64 at once on a balance of zero: 64 times 402, nothing sent, nothing recorded."""
    service = Service(credits_=0)
    person_id = service.add()
    assert at_once(service, [f"{PEOPLE}/{person_id}/run"] * CALLERS) == {402: CALLERS}
    assert log_of(service) == ["PersonAdded"]


def test_one_credit_pays_for_one_of_many_people() -> None:
    """64 people at once on a balance of one: one is queued, nobody goes below zero."""
    service = Service(credits_=1)
    paths = [f"{PEOPLE}/{service.add()}/run" for _ in range(CALLERS)]
    assert at_once(service, paths) == {200: 1, 402: CALLERS - 1}
    assert (len(service.dispatcher.requests), service.available()) == (1, 0)


def test_same_key_from_many_callers_is_one_request(service: Service) -> None:
    """64 at once with one key: one run; whoever asks while it is under way is told to come back."""
    person_id = service.add()
    counted = at_once(service, [f"{PEOPLE}/{person_id}/run"] * CALLERS, {"Idempotency-Key": "k"})
    assert counted[200] >= 1
    assert counted[200] + counted[202] == CALLERS
    assert (len(service.dispatcher.requests), service.available()) == (1, 9)


def test_same_key_creates_one_person(service: Service) -> None:
    """64 creates at once with one key: one person, one run, one credit."""
    counted = at_once(service, [PEOPLE] * CALLERS, {"Idempotency-Key": "k"})
    assert counted[201] + counted[202] == CALLERS
    assert len(service.user.get(PEOPLE).json()["people"]) == 1
    assert (len(service.dispatcher.requests), service.available()) == (1, 9)
