"""Finds every moment at which a process can die, what is on disk then, and who mends it by when: by dying there.

Each story is lived with the real flows on the memory store, once for every number of things it may still do before its
process is gone. Then others come, second by second, until somebody has moved the person on. Nothing here says what they
do: it is looked up in what they did. A store that is killed in the middle of a commit is another matter, which
`research_fsm.testing.simulate` tries: a commit is whole, or it never was.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

from attrs import define, field, frozen

from research_fsm import Profile, Runs
from research_fsm.commands import Sighting
from research_fsm.lifecycle import Status
from research_fsm.outcomes import Claimed
from research_fsm.person import Hold, Person
from research_fsm.requests import AttemptOutcome, DispatchRequest
from research_fsm.storage import Query, Rule
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing import ManualClock, Reply, ScriptedDispatcher
from research_fsm.transactions import person_in, person_stream

__all__ = ["STORIES", "Story", "Window", "windows"]

A = TypeVar("A")

_PATIENCE_SECONDS = 15 * 60
_SECOND = timedelta(seconds=1)


class Died(BaseException):
    """The process is gone; nothing in it can catch this."""


@frozen
class Window:
    """A moment between two things that a process does.

    Args:
        done: What was the last thing done; empty if nothing was.
        on_disk: Where the person and the credit are.
        mended: Who moves the person on, and when, if all is well but for this crash.
        alone: The same, if nothing is heard of the engine, or of any other worker, ever again.
    """

    done: str
    on_disk: str
    mended: str
    alone: str


@frozen
class Story:
    """Something that happens in several steps.

    Args:
        title: What happens.
        lived: Does it.
        prepared: Does what comes before it, which is not part of it.
        inside: Whether the hand-over is the embedded queue.
        reply: How the engine takes the first request.
        by_engine: Whether the engine's worker is the one who lives it, so that it dies with its process.
    """

    title: str
    lived: Callable[["World"], object]
    prepared: Callable[["World"], object] = lambda _: None
    inside: bool = False
    reply: Reply = Reply.ACCEPTED
    by_engine: bool = False


class Store(MemoryStore):
    """A store whose process dies instead of writing, when its time has come."""

    def __init__(self, world: "World") -> None:
        super().__init__(world.clock)
        self._world = world

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Write, and note which events were written."""
        self._world.spend()
        before = self._world.events()
        answer = super().transact(query, rule)
        self._world.done.append("commits " + (", ".join(self._world.events()[len(before) :]) or "nothing"))
        return answer


class Dispatcher(ScriptedDispatcher):
    """An engine that answers alike until it is told otherwise, asked by processes that may die."""

    def __init__(self, world: "World", reply: Reply) -> None:
        super().__init__()
        self._world = world
        self.reply = reply

    def dispatch(self, request: DispatchRequest) -> AttemptOutcome:
        """Send one request."""
        self._world.spend()
        self.script(self.reply)
        outcome = super().dispatch(request)
        self._world.done.append(f"the engine is asked: {_HEARD[outcome.result]}")
        return outcome

    def look(self, request: DispatchRequest, external_ids: tuple[str, ...]) -> tuple[Sighting, ...]:
        """Tell what there is, unless nothing is heard of the engine any more."""
        return () if self.blind else super().look(request, external_ids)

    def cancel(self, external_id: str) -> None:
        """Ask the engine to stop."""
        self._world.spend()
        super().cancel(external_id)
        self._world.done.append("the engine is asked to stop")


_HEARD = {"accepted": "it has the run", "refused": "it refuses", "ambiguous": "no answer"}


@define
class World:
    """One person, an account with a credit, a store, an engine; and how much this process may still do."""

    story: Story
    left: float = float("inf")
    done: list[str] = field(factory=list)
    clock: ManualClock = field(factory=ManualClock)
    store: Store = field(init=False)
    engine: Dispatcher = field(init=False)
    runs: Runs = field(init=False)
    person_id: str = field(init=False, default="")

    def __attrs_post_init__(self) -> None:
        self.store = Store(self)
        self.engine = Dispatcher(self, self.story.reply)
        self.runs = self.process()
        self.runs.grant("acme", 1)
        self.person_id = self.runs.add("acme", Profile(linkedin_url="linkedin.com/in/ada")).accepted().person_id
        self.story.prepared(self)
        self.done.clear()

    def process(self) -> Runs:
        """Start a process."""
        return Runs(self.store, None if self.story.inside else self.engine)

    def spend(self) -> None:
        """Do one thing more, or die."""
        if self.left <= 0:
            raise Died
        self.left -= 1

    def events(self) -> list[str]:
        """Name what happened to the person and the credit."""
        return [event.type for event in self.runs.history(self.person_id)] if self.person_id else []

    def person(self) -> Person:
        """Return the person, from what is on disk."""
        return person_in(self.store.read(Query(streams=(person_stream(self.person_id),))), self.person_id)

    def state(self) -> str:
        """Say where the person and the credit are."""
        person = self.person()
        if person.run is None:
            return str(person.phase)
        delivery = f" (delivery {person.run.delivery})" if person.run.delivery > 1 else ""
        credit = "held" if person.run.hold is Hold.OPEN else person.run.hold
        return f"{person.phase}{delivery}, {credit}"


def windows(story: Story) -> list[Window]:
    """Return every window of a story, the one before its first step included."""
    whole = World(story)
    whole.story.lived(whole)
    found = []
    for number in range(len(whole.done) + 1):
        done = whole.done[number - 1] if number else ""
        died, alone = _died(story, number), _died(story, number)
        found.append(Window(done, died.state(), _mended(died, alone=False), _mended(alone, alone=True)))
    return found


def _died(story: Story, steps: int) -> World:
    """Live a story until its process dies, so many steps into it."""
    world = World(story)
    world.left = steps
    with suppress(Died):
        story.lived(world)
    world.left = float("inf")
    if story.by_engine:
        for run in world.engine.engine.runs:
            world.engine.engine.end(run.external_id)
    return world


def _mended(world: World, *, alone: bool) -> str:
    """Let others come, second by second, until the person was moved on; say who did it, and when."""
    before = world.person()
    if before.run is None:
        return "nothing was begun"
    if before.status is not Status.RUNNING:
        return "nothing is open"
    if alone:
        world.engine.blind, world.engine.reply = True, Reply.LOST
    elif world.engine.reply is not Reply.REFUSED:
        world.engine.reply = Reply.ACCEPTED
    runs = world.process()
    moved = (before.phase, before.run.claimed_by)
    for seconds in range(_PATIENCE_SECONDS):
        for who, come in _OTHERS.items():
            if alone and who == "a worker":
                continue
            come(world, runs)
            after = world.person()
            if after.run is None or (after.phase, after.run.claimed_by) != moved:
                return f"{who}, {_when(seconds)}: {world.state()}"
        world.clock.advance(_SECOND)
    return "waits for a worker"


def _works(world: World, runs: Runs) -> None:
    """Let a worker come: of the embedded queue, or of the engine, if it has a run that is alive."""
    if world.story.inside:
        runs.take()
        return
    for run in world.engine.engine.runs:
        if str(run.state) == "alive":
            runs.claim(run.request.run_id, run.request.run_no, run.external_id)


_OTHERS: dict[str, Callable[[World, Runs], object]] = {"a worker": _works, "recovery": lambda _, runs: runs.recover()}


def _when(seconds: int) -> str:
    if seconds == 0:
        return "at once"
    return f"after {seconds} s" if seconds < 120 else f"after {seconds // 60} min"  # noqa: PLR2004  # Two minutes.


# --- the stories ---------------------------------------------------------------------------------------------------


def _start(world: World) -> object:
    return world.runs.start(world.person_id)


def _start_joined(world: World) -> object:
    host = world.process()
    host._doors.joined = True  # noqa: SLF001  # What `Runs.joined` sets, on a store of the host's transaction.
    return world.runs.dispatch(host.start(world.person_id).accepted().run_id)


def _engine_works(world: World) -> object:
    run = world.engine.engine.runs[0]
    sent, external_id = run.request, run.external_id
    world.runs.claim(sent.run_id, sent.run_no, external_id)
    return world.runs.complete(sent.run_id, sent.run_no, external_id, {})


def _queue_works(world: World) -> object:
    taken = world.runs.take()
    if isinstance(taken, Claimed):
        world.runs.complete(taken.run_id, taken.run_no, taken.external_id, {})
    return taken


def _resend(world: World) -> object:
    return world.runs.recover()


def _start_then_wait(world: World) -> None:
    world.runs.start(world.person_id)
    world.clock.advance(world.runs.policy.attempt_lease)


def _erase(world: World) -> object:
    return world.runs.erase(world.person_id)


STORIES = (
    Story("A start, with an engine outside", _start),
    Story("A start whose answer is lost", _start, reply=Reply.TAKEN_UNANSWERED),
    Story("A start that the engine refuses", _start, reply=Reply.REFUSED),
    Story("A start in the host's own transaction, and its dispatch after the commit", _start_joined),
    Story("A recovery pass that sends a request again which was lost", _resend, _start_then_wait, reply=Reply.LOST),
    Story("The engine's worker: its claim, the research, its report", _engine_works, _start, by_engine=True),
    Story("A start, with the embedded queue", _start, inside=True),
    Story("A worker of the embedded queue: it takes, does the research, reports", _queue_works, _start, inside=True),
    Story("An erasure during a run", _erase, _start),
)
