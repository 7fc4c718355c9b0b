"""Act 3: the server and both workers are killed in the middle of things, and everything settles.

Floor 6. The workers that are killed do research that would take a minute, so that they are certainly at work; those
that come after them are quick.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from research_fsm.demo import recount
from research_fsm.demo.processes import Child, until
from research_fsm.demo.stage import Guest, Server, Stage, start_path
from research_fsm.lifecycle import Status

__all__ = ["crash"]

_WORKERS = 2
_EARLY = 2
_SLOW_SECONDS = 60.0
_QUICK_SECONDS = 0.3
_PATIENCE_SECONDS = 20.0
_MICROSECONDS = 1_000_000
_OK = 200
_COLUMNS = ("person", "status", "phase", "deliveries", "lease")


@frozen
class _Fallen:
    """What the kill left behind.

    Args:
        answered: The people whose callers had been told 200.
        in_store: Those of them whose run is in the store.
        hit: The people whose run was at work, with its deliveries until then.
    """

    answered: list[Guest]
    in_store: list[Guest]
    hit: dict[Guest, int]


def crash(stage: Stage, server: Server, running: Guest, guests: Sequence[Guest]) -> None:
    """Kill everything, start it again, and wait until every run has settled.

    Args:
        stage: What the acts share.
        server: The server of the first act.
        running: The person of the first act, who waits for a worker.
        guests: People to start: a few are queued before the kill, the others are asked for while it happens.
    """
    screen = stage.screen
    screen.act("3  kill -9 in the middle of things")
    everybody = [running, *guests]
    workers = [stage.work(f"worker-{number}", seconds=_SLOW_SECONDS) for number in range(1, _WORKERS + 1)]
    fallen = _killed(stage, server, workers, everybody)
    screen.say("This is what they left behind:\n")
    screen.table(_COLUMNS, _rows(stage, everybody))
    screen.say("")
    stage.check("killed_at_work", _WORKERS, len(fallen.hit))
    stage.check("nothing_was_lost", _names(fallen.answered), _names(fallen.in_store))
    screen.say("\nThey are started again, and every caller asks again with the same Idempotency-Key:\n")
    for number in range(1, _WORKERS + 1):
        stage.work(f"worker-{number}-again", seconds=_QUICK_SECONDS)
    again = stage.serve("server-again")
    told = {guest.name: again.ask("POST", start_path(guest), key=_key(guest))[0] for guest in guests}
    _settled(stage, again, everybody)
    screen.say("")
    _check_what_became_of_them(stage, told, fallen, everybody)


def _killed(stage: Stage, server: Server, workers: Sequence[Child], everybody: Sequence[Guest]) -> _Fallen:
    """Queue runs, wait until both workers are at work, and kill them and the server while more callers ask."""
    guests = everybody[1:]
    early, late = guests[:_EARLY], guests[_EARLY:]
    told = {guest: server.ask("POST", start_path(guest), key=_key(guest))[0] for guest in early}
    for worker in workers:
        until(
            "each worker should be at work",
            lambda: sum(_at_work(stage, guest) for guest in everybody) >= len(workers),
            seconds=_PATIENCE_SECONDS,
            child=worker,
        )
    stage.screen.say(
        f"{_WORKERS} workers, {len(early)} more runs are queued. While {len(late)} more callers ask, "
        f"kill -9 hits the server (process {server.child.popen.pid}) "
        f"and the workers (processes {', '.join(str(worker.popen.pid) for worker in workers)})."
    )
    _ask_and_kill(server, workers, late, told)
    answered = [guest for guest in guests if told.get(guest) == _OK]
    in_store = [guest for guest in guests if _count(stage, guest, "RunStarted")]
    stage.screen.say(
        f"{len(answered)} callers had been answered, {len(guests) - len(answered)} never were; "
        f"{len(in_store)} of their runs are in the store."
    )
    hit = {guest: _count(stage, guest, "RunClaimed") for guest in everybody if _at_work(stage, guest)}
    return _Fallen(answered, [guest for guest in in_store if guest in answered], hit)


def _ask_and_kill(server: Server, workers: Sequence[Child], late: Sequence[Guest], told: dict[Guest, int]) -> None:
    """Let callers ask, all at once, and kill everything as soon as the first of them is answered."""
    first, line = threading.Event(), threading.Barrier(len(late))

    def ask(guest: Guest) -> None:
        line.wait()
        told[guest] = server.ask("POST", start_path(guest), key=_key(guest))[0]
        first.set()

    callers = [threading.Thread(target=ask, args=(guest,), daemon=True) for guest in late]
    for caller in callers:
        caller.start()
    first.wait(_PATIENCE_SECONDS)
    for child in (server.child, *workers):
        child.kill()
    for caller in callers:
        caller.join(_PATIENCE_SECONDS)


def _settled(stage: Stage, server: Server, everybody: Sequence[Guest]) -> None:
    """Show how they settle."""
    with stage.screen.changing(_COLUMNS) as show:

        def look() -> bool:
            show(_rows(stage, everybody))
            return all(stage.person(guest).status is not Status.RUNNING for guest in everybody)

        until("every run should settle", look, seconds=_PATIENCE_SECONDS, child=server.child)


def _check_what_became_of_them(
    stage: Stage, told: Mapping[str, int], fallen: _Fallen, everybody: Sequence[Guest]
) -> None:
    stage.check("same_key_same_answer", dict.fromkeys(told, _OK), dict(told))
    statuses = {guest.name: str(stage.person(guest).status) for guest in everybody}
    stage.check("all_settled", {guest.name: "complete" for guest in everybody}, statuses)
    again = [guest for guest, before in fallen.hit.items() if _count(stage, guest, "RunClaimed") > before]
    stage.check("taken_over", _names(fallen.hit), _names(again))
    once = {"RunStarted": 1, "CreditsHeld": 1, "CreditsCharged": 1}
    odd = {}
    for guest in everybody:
        names = [name for name, _ in recount.events_of(stage.plain, guest.person_id)]
        names += recount.credits_of(stage.plain, guest.person_id)
        seen = {name: names.count(name) for name in once}
        if seen != once or "CreditsReleased" in names or "CreditsRefunded" in names:
            odd[guest.name] = seen
    stage.check("charged_once", {}, odd)


def _rows(stage: Stage, everybody: Sequence[Guest]) -> list[tuple[object, ...]]:
    leases, now = recount.leases(stage.plain), stage.runs.store.now()
    return [(guest.name, *_state(stage, guest), _lease(leases.get(guest.person_id), now)) for guest in everybody]


def _state(stage: Stage, guest: Guest) -> tuple[str, str, object]:
    person = stage.person(guest)
    phase = str(person.phase) if person.status is Status.RUNNING else ""
    return str(person.status), phase, _count(stage, guest, "RunClaimed") or ""


def _lease(until_micros: int | None, now: int) -> str:
    if until_micros is None:
        return ""
    left = (until_micros - now) / _MICROSECONDS
    return f"{left:.1f} s" if left > 0 else "over"


def _at_work(stage: Stage, guest: Guest) -> bool:
    names = [name for name, _ in recount.events_of(stage.plain, guest.person_id)]
    return names[-1] == "RunClaimed"


def _count(stage: Stage, guest: Guest, name: str) -> int:
    return [found for found, _ in recount.events_of(stage.plain, guest.person_id)].count(name)


def _names(guests: Iterable[Guest]) -> list[str]:
    return [guest.name for guest in guests]


def _key(guest: Guest) -> str:
    return f"demo-{guest.person_id}"
