"""Tells what happened in a simulated world: for whoever reads a failure, and as a test to paste.

Floor 6. A part of `simulate`. The story is told by living through the schedule once more.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from research_fsm import commands as c
from research_fsm.requests import Cancel, Dispatch, Look, Read, Transact
from research_fsm.testing.engine_words import Fault
from research_fsm.testing.simulate import transcript
from research_fsm.testing.simulate.actors import Actor
from research_fsm.testing.simulate.life import Outcome, replay
from research_fsm.testing.simulate.words import Fate, Step, lines
from research_fsm.testing.simulate.world import World

__all__ = ["as_test", "story"]

_ID = re.compile(r"(?:person:)?00000000-0000-4000-8000-([01])0*(\d+)")
_SECOND = 1_000_000


def story(outcome: Outcome) -> str:
    """Return what happened, step by step, and if something is wrong at its end, what, and a test to paste.

    Args:
        outcome: What came of a world.
    """
    told: list[str] = []
    begun: list[int] = []

    def listen(world: World, step: Step) -> None:
        begun[:] = begun or [world.now]
        world.tell = lambda words: told.append(f"             {_named(words)}")
        seconds = (world.now - begun[0]) // _SECOND
        told.append(f"{seconds:>6} s    {_in_words(world, step)}")

    again = replay(outcome.schedule, outcome.make_store, listen)
    wrong = [f"   WRONG     {_named(words)}" for words in again.wrong or outcome.wrong]
    heading = "a schedule" if outcome.seed is None else f"seed {outcome.seed}"
    happened = "\n".join([*told, *wrong])
    tale = f"{heading}: {' '.join(outcome.schedule[0])}\n\n{happened}\n"
    return f"{tale}\nAs a test:\n\n{as_test(outcome)}" if outcome.wrong else tale


def as_test(outcome: Outcome) -> str:
    """Return a test that fails as long as the law does not hold."""
    seed = "" if outcome.seed is None else f"_seed_{outcome.seed}"
    name = re.sub(r"\W+", "_", f"law_{outcome.law.lower() or 'none'}{seed}")
    schedule = "\n".join(f"        {line}" for line in lines(outcome.schedule).splitlines())
    says = _named(outcome.wrong[0]).replace("\\", "").replace('"', "'")[:90] if outcome.wrong else "Every law holds"
    return (
        "from research_fsm.testing.simulate import replay\n\n\n"
        f"def test_{name}() -> None:\n"
        f'    """{says}."""\n'
        f'    replay(\n        """\n{schedule}\n        """\n    ).check()\n'
    )


def _named(words: str) -> str:
    """Call people and runs by the names of the schedule."""
    return _ID.sub(lambda found: f"p{found[2]}" if found[1] == "1" else f"the run of c{found[2]}", words)


def _in_words(world: World, step: Step) -> str:
    verb, *rest = step
    if verb == "go":
        actor = world.actors.get(rest[0])
        return f"{rest[0]} is not there" if actor is None else f"{rest[0]} {_next_of(actor, *rest[1:])}"
    tell = _WORDS.get(verb)
    return " ".join(step) if tell is None else tell(*rest)


def _next_of(actor: Actor, fate: str = Fate.DONE) -> str:
    """Say what somebody does next, and how it goes."""
    match actor.wanted:
        case Transact():
            command = transcript.next_command(actor)
            what = _COMMANDS.get(type(command), "commits the person and the start")
        case Dispatch() if actor.held is None:
            what = "sends the request to the engine"
        case Dispatch():
            return f"hears from the engine: {actor.held.result}"
        case Look() if actor.held is None:
            what = "asks the engine"
        case Look():
            seen = ", ".join(f"{one.external_id} {one.state}" for one in actor.held)
            return f"hears what the engine has: {seen or 'nothing'}"
        case Cancel(external_id=external_id):
            what = f"asks the engine to cancel {external_id}"
        case Read() | None:
            what = "looks at the store"
    return what if fate == Fate.DONE else f"{what}, and: {_FATES.get(fate, fate)}"


_COMMANDS: Mapping[type[Any], str] = MappingProxyType(
    {
        c.AddPerson: "commits the new person",
        c.ArmAttempt: "commits that an attempt may be sent",
        c.ClaimRun: "claims the run",
        c.CompleteRun: "reports",
        c.ErasePerson: "commits the erasure",
        c.FailRun: "reports that it failed",
        c.GrantCredits: "commits the grant",
        c.MarkStale: "commits that the report is stale",
        c.RecordAnswer: "commits what the attempt came to",
        c.RecoverRun: "commits the one thing that is due",
        c.RenewLease: "renews its lease",
        c.RevokeCredits: "commits the revocation",
        c.StartRun: "commits the start",
        c.TakeEntry: "takes an entry",
    }
)
"""What each transaction does."""

_FATES: Mapping[str, str] = MappingProxyType(
    {
        Fate.BUSY: "the commit fails, nothing is written",
        Fate.UNKNOWN: "the commit is done, its acknowledgement is lost",
        Fate.DECIDED_TWICE: "the rule is decided twice",
        Fate.LOST: "the message is lost",
        Fate.UNANSWERED: "it arrives, its answer is lost",
        Fate.DOUBLED: "it arrives, and a copy is still under way",
        Fate.BLIND: "nothing is seen",
        Fate.LAGGING: "the list lags",
        Fate.RAISES: "the dispatcher raises",
        Fault.REQUEST_LOST: "the request is lost, or late",
        Fault.ANSWER_LOST: "the engine takes it, the answer is lost",
        Fault.SLOW: "the engine takes it, the answer comes too late",
        Fault.GARBAGE: "the engine takes it, the answer is unreadable",
        Fault.NO_ID: "the engine takes it, the answer has no id",
        Fault.CREATED_THEN_500: "the engine makes a run that it never queues: 500",
        Fault.GATEWAY_TIMEOUT: "the engine takes it: 504",
        Fault.TWICE: "it is delivered twice",
        Fault.UNREACHABLE: "the engine cannot be reached",
        Fault.UNAUTHORIZED: "the engine refuses it: 401",
        Fault.OUT_OF_CREDITS: "the engine refuses it: 422",
        Fault.RATE_LIMITED: "the engine refuses it: 429",
        Fault.MOVED: "the engine refuses it: 308",
        Fault.UNAVAILABLE: "the engine takes nothing: 503",
        Fault.CONFLICT: "the engine takes nothing: 409",
    }
)

_WORDS: Mapping[str, Callable[..., str]] = MappingProxyType(
    {
        "add": lambda name, server, person, owner: f"{name} asks {server} to add {person} of {owner}",
        "again": lambda run: f"somebody repeats the engine run {run} in the dashboard",
        "age": lambda name, server, person: f"{name} asks {server} to mark the report of {person} stale",
        "arrive": lambda name: f"{name}, a message that was thought lost, arrives",
        "crash": lambda server: f"{server} crashes, with everybody on it",
        "create": lambda name, server, *rest: f"{name} asks {server} to add and start {' '.join(rest)}",
        "drift": lambda server, percent: f"the clock of {server} begins to be {percent} % too fast",
        "end": lambda run, status: f"the engine run {run} ends as {status}, without a word",
        "erase": lambda name, server, *rest: f"{name} asks {server} to erase {' '.join(rest)}",
        "grant": lambda name, server, owner, grant, amount: (
            f"{name} asks {server} to grant {owner} {amount} credits ({grant})"
        ),
        "jump": lambda server, seconds: f"the clock of {server} jumps by {seconds} s",
        "recover": lambda name, server: f"{name}, a recovery pass, begins on {server}",
        "repeat": lambda name, server, earlier: f"{name} asks {server} for what {earlier} asked for, again",
        "rest": lambda *how: f"every fault stops{'; the engine is silent' if how else ''}",
        "restart": lambda server: f"{server} is up again",
        "revoke": lambda name, server, owner, grant: f"{name} asks {server} to take {grant} back from {owner}",
        "start": lambda name, server, *rest: f"{name} asks {server} to start {' '.join(rest)}",
        "take": lambda name, server, plan, renewals: (
            f"{name}, a worker, comes to {server}; it will: {plan}, after {renewals} renewals"
        ),
        "wait": lambda seconds: f"{seconds} seconds pass",
        "work": lambda run, plan: f"the engine run {run} begins; it will: {plan}",
    }
)
