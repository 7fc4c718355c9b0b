"""Lives for the page to show: one person in each status, or a great many."""

from typing import Any

from research_fsm import Profile, transactions
from research_fsm.outcomes import Claimed
from research_fsm.storage import Query, StreamWrite, View, Write
from tests.explain.worlds import World

HOSTILE = "</script><script>alert(1)</script><!--&amp;'\""
"""A name, or an id of an engine run, that tries to become part of the page."""


def one_of_each() -> tuple[World, dict[str, str]]:
    """Return a world with a person in each status, by status; the running one is executing."""
    world = World()
    world.runs.grant("acme", 10, grant_id="welcome")
    people = {}
    for number, status in enumerate(("idle", "erased", "failed", "complete", "running")):
        world.later(minutes=1)
        profile = Profile(first_name="Person", last_name=f"Number {number}", company=HOSTILE)
        people[status] = world.runs.add("acme", profile, actor="ui").accepted().person_id
        if status != "idle":
            world.runs.start(people[status], actor="ui").accepted()
            world.later(seconds=5)
            taken = world.taken()
            world.later(seconds=20)
            _ended(world, status, taken)
    world.later(minutes=1)
    return world, people


def _ended(world: World, status: str, taken: Claimed) -> None:
    if status == "failed":
        world.runs.fail(taken.run_id, taken.run_no, taken.external_id, HOSTILE)
    elif status == "complete":
        world.runs.complete(taken.run_id, taken.run_no, taken.external_id, {"found": True})
    elif status == "erased":
        world.runs.erase(taken.person_id, actor="dpo")


def many(count: int) -> World:
    """Return a world of many people, every other one complete."""
    world = World()
    world.runs.grant("acme", count, grant_id="welcome")
    for number in range(count):
        world.later(seconds=1)
        profile = Profile(first_name="Person", last_name=str(number), company="Example")
        person_id = world.runs.add("acme", profile).accepted().person_id
        if number % 2:
            world.completed(person_id)
    return world


def spoil(world: World, stream: str, *, profile: bytes | None = None, **columns: Any) -> None:  # noqa: ANN401  # A row's.
    """Give a head other columns than its events make, and its person another profile."""

    def spoilt(view: View, _: int) -> Write[None]:
        head = view.heads[stream]
        kept: dict[str, Any] = {
            "state": head.state,
            "fold": head.fold,
            "link": head.link,
            "tag": head.tag,
            "due": head.due,
        }
        end = StreamWrite(stream=stream, expected=head.version, events=(), **(kept | columns))
        documents = {} if profile is None else {(stream, transactions.PROFILE): profile}
        return Write(answer=None, streams=(end,), documents=documents)

    world.store.transact(Query(streams=(stream,)), spoilt)
