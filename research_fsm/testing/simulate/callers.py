"""Who begins something in a simulated world: callers, recovery passes, workers of the embedded queue.

Floor 6. A part of `simulate`. A line that names a server that is down does nothing, but that what was asked for can be
asked again of another.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from research_fsm import codec, flows, requests, transactions
from research_fsm.commands import (
    AddPerson,
    ErasePerson,
    GrantCredits,
    MarkStale,
    RequestKey,
    RevokeCredits,
    StartRun,
)
from research_fsm.events import PersonKind
from research_fsm.lifecycle import RUNNING, Phase
from research_fsm.policy import micros
from research_fsm.requests import Flow
from research_fsm.testing.simulate.actors import Actor, in_queue, joining, recovering
from research_fsm.testing.simulate.world import World
from research_fsm.testing.steps import Command, transaction_of

__all__ = [
    "add",
    "age",
    "create",
    "erase",
    "grant",
    "once",
    "person_id_of",
    "recover",
    "repeat",
    "revoke",
    "start",
    "take",
]

_RUNNING = tuple(map(str, RUNNING))
_COMPLETE = (str(Phase.COMPLETE),)
_MOST_LOOKED_AT = 9
_REPEATED = 900_000
"""People of repeated creates are numbered from here, so that nobody is met twice."""


@lru_cache
def person_id_of(name: str) -> str:
    """Return the id of somebody by their name in a schedule, such as p1."""
    return f"00000000-0000-4000-8000-1{name[1:]:0>11}"


def _run_id(name: str) -> str:
    """Return the id of the run that a caller starts, if they do."""
    return f"00000000-0000-4000-8000-0{name[1:]:0>11}"


def once(actor: Actor, command: Command, world: World) -> Flow[Any]:
    """Ask for one transaction."""
    actor.command = command
    return (yield from requests.transact(*transaction_of(command, world.policy)))


def _calls(
    world: World, name: str, server: str, about: str, make: Callable[[Actor], Flow[Any]], key: RequestKey | None = None
) -> None:
    """Let somebody ask a server for something, and remember what, so that it can be asked again."""
    world.asked[name] = (about, make, key)
    if world.is_up(server) and name not in world.actors:
        actor = Actor(name, server, about, caller=True, key=key)
        world.witness.is_asked(key)
        world.begin(actor, make(actor))


def _key(of: str, owner: str | None, key: str) -> RequestKey | None:
    return RequestKey.of(owner, key, of) if key else None


def _options(words: tuple[str, ...]) -> dict[str, str]:
    return dict(word.partition("=")[::2] for word in words)


def _adding(person_id: str, owner: str, url: str | None) -> AddPerson:
    """Return what adds somebody; whoever has an address is a partner's, who has each address once."""
    kind, address, profile = PersonKind.USER, None, b"{}"
    if url is not None:
        kind, address = PersonKind.PARTNER, f"https://www.linkedin.com/in/{url}"
        profile = codec.encode({"linkedin_url": address})
    return AddPerson(person_id=person_id, owner=owner, kind=kind, profile=profile, linkedin_url=address, salt="s")


def add(world: World, name: str, server: str, person: str, owner: str, *words: str) -> None:
    """Let somebody ask for a person to be added."""
    command = _adding(person_id_of(person), owner, _options(words).get("url"))
    if person not in world.people and world.is_up(server):
        world.people.append(person)
        actor = Actor(name, server, command.person_id, caller=True, adding=command)
        world.begin(actor, once(actor, command, world))


def grant(world: World, name: str, server: str, owner: str, grant_id: str, amount: str) -> None:
    """Let somebody ask for credits."""
    command = GrantCredits(owner=owner, grant_id=grant_id, amount=int(amount))
    _calls(world, name, server, "", lambda actor: once(actor, command, world))


def revoke(world: World, name: str, server: str, owner: str, grant_id: str) -> None:
    """Let somebody ask for a grant to be taken back."""
    command = RevokeCredits(owner=owner, grant_id=grant_id)
    _calls(world, name, server, "", lambda actor: once(actor, command, world))


def start(world: World, name: str, server: str, person: str, *words: str) -> None:
    """Let somebody ask for a run; inside a host's transaction if it is joined."""
    person_id, options, sends = person_id_of(person), _options(words), world.setting.sends(server)
    owner, joined = options.get("as"), "joined" in options and sends
    key = _key(person_id, owner, options.get("key", ""))

    def make(actor: Actor) -> Flow[Any]:
        actor.command = command = StartRun(
            person_id=person_id, run_id=_run_id(actor.name), owner=owner, key=key, inside=not sends, joined=joined
        )
        return joining(actor, command, world.policy) if joined else flows.start(command, world.policy)

    _calls(world, name, server, person_id, make, key)


def create(world: World, name: str, server: str, person: str, owner: str, *words: str) -> None:
    """Let somebody ask for a person and a run of theirs at once."""
    options = _options(words)
    key = _key(f"create {person}", owner, options.get("key", ""))
    sends = world.setting.sends(server)
    if person not in world.people:
        world.people.append(person)

    def make(actor: Actor) -> Flow[Any]:
        # Whoever repeats a create without knowing what came of it brings a new person; the key keeps it to one.
        fresh = f"p{_REPEATED + int(actor.name[1:])}"
        person_id = person_id_of(person if actor.name == name else fresh)
        actor.adding = adding = _adding(person_id, owner, options.get("url"))
        starting = StartRun(person_id=person_id, run_id=_run_id(actor.name), owner=owner, key=key, inside=not sends)
        return flows.create(adding, starting, world.policy)

    _calls(world, name, server, person_id_of(person), make, key)


def erase(world: World, name: str, server: str, person: str, *words: str) -> None:
    """Let somebody ask for a person to be erased."""
    command = ErasePerson(person_id=person_id_of(person), owner=_options(words).get("as"))

    def make(actor: Actor) -> Flow[Any]:
        actor.command = command
        return flows.erase(command, world.policy)

    _calls(world, name, server, command.person_id, make)


def age(world: World, name: str, server: str, person: str) -> None:
    """Let somebody ask for a report to be marked stale."""
    command = MarkStale(person_id=person_id_of(person))
    _calls(world, name, server, command.person_id, lambda actor: once(actor, command, world))


def repeat(world: World, name: str, server: str, earlier: str) -> None:
    """Let somebody ask for what somebody else has asked for, with the same key."""
    if earlier in world.asked and name not in world.asked:
        about, make, key = world.asked[earlier]
        _calls(world, name, server, about, make, key)
        world.coverage.faults["repeat"] += 1


def recover(world: World, name: str, server: str) -> None:
    """Let a recovery pass begin, over everybody who is overdue by the server's clock."""
    if not world.is_up(server) or name in world.actors:
        return
    actor, now = Actor(name, server, sends=world.setting.sends(server)), world.clock(server)
    heads = world.disk.due(_RUNNING, now, after=None, limit=_MOST_LOOKED_AT)
    if world.policy.stale_after is not None:
        old = now - micros(world.policy.stale_after)
        heads += world.disk.due(_COMPLETE, old, after=None, limit=_MOST_LOOKED_AT)
    people = [transactions.person_id_of(head.stream) for head in heads]
    world.begin(actor, recovering(actor, people, world.policy))


def take(world: World, name: str, server: str, plan: str, renewals: str) -> None:
    """Let a worker of the embedded queue begin."""
    if world.is_up(server) and name not in world.actors:
        actor = Actor(name, server)
        world.begin(actor, in_queue(actor, plan, int(renewals), lambda: world.clock(server), world.policy))
