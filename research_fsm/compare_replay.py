"""Replay one stream under whichever version of this library is imported, and say what it makes of it, as plain JSON.

Floor 6. The one module that runs under two versions: here as a part of this one, and, started as a program, beside a
checkout of another, whose ``research_fsm`` it then imports. So it takes nothing for granted that another version may
lack, and turns whatever that raises into a finding. As a program it reads a stream's name, an event a line, and a line
that ends it, and answers a line; it is given events alone, never a store, a document or a secret. No stream is held in
memory, however long it is.
"""

import json
import sys
from collections.abc import Iterable
from typing import Any

import msgspec

__all__ = ["Line", "replay", "serve"]

Line = tuple[int, int, str, int, int, str, str, str]
"""An event as text: position, version, type, schema, time, data, meta, and the hash in hexadecimal."""

_NOBODY = "00000000-0000-0000-0000-000000000000"
_ENOUGH = 10**12


def replay(stream: str, lines: Iterable[Line]) -> dict[str, Any]:
    """Fold a stream, and ask the rules about what comes of it.

    Args:
        stream: Its name.
        lines: Its events, from the first on.

    Returns:
        For a person the `state`, the laws that are `broken`, what a `start` with enough credits is answered, and when
        recovery has its `next_look`; for an account the `state` and the laws. An `error` if it cannot be read.
    """
    from research_fsm.storage import RecordedEvent

    kind, _, name = stream.partition(":")
    try:
        history = (
            RecordedEvent(
                position, stream, version, type_, schema, at, data.encode(), meta.encode(), bytes.fromhex(hashed)
            )
            for position, version, type_, schema, at, data, meta, hashed in lines
        )
        return _person(name, history) if kind == "person" else _account(history)
    except Exception as error:  # noqa: BLE001  # Whatever another version raises is what it makes of the log.
        return {"error": f"{type(error).__name__}: {error}"}


def _person(person_id: str, history: Iterable[Any]) -> dict[str, Any]:
    from research_fsm import codec, decide
    from research_fsm import person as people
    from research_fsm.account import Account
    from research_fsm.commands import StartRun
    from research_fsm.policy import Policy

    state, broken, at = people.nobody(person_id), list[str](), 0
    for recorded in history:
        event, before, at = codec.decode_person_event(recorded), state, recorded.at
        state = people.evolve(state, event, at)
        broken += _broken("PERSON_LAWS", recorded.version, before, event, state)
    start = StartRun(person_id=person_id, run_id=_NOBODY, inside=True)
    answer = decide.start(start, state, Account(granted=_ENOUGH), at, Policy()).answer
    return {
        "state": _plain(state),
        "broken": broken,
        "start": {"answer": type(answer).__name__, **_plain(answer)},
        "next_look": decide.next_look(state, at, Policy()),
    }


def _account(history: Iterable[Any]) -> dict[str, Any]:
    from research_fsm import account as accounts
    from research_fsm import codec

    state, broken = accounts.EMPTY, list[str]()
    for recorded in history:
        event, before = codec.decode_account_event(recorded), state
        state = accounts.evolve(state, event)
        broken += _broken("ACCOUNT_LAWS", recorded.version, before, event, state)
    return {"state": {**_plain(state), "available": state.available}, "broken": broken}


def _broken(which: str, version: int, *step: object) -> list[str]:
    from research_fsm import laws

    found = ((law.__name__, law(*step)) for law in getattr(laws, which, ()))
    return [f"version {version}, {name}: {words}" for name, words in found if words is not None]


def _plain(value: object) -> Any:  # noqa: ANN401  # JSON can be anything.
    return msgspec.json.decode(msgspec.json.encode(value))


def serve() -> None:
    """Answer each line of standard input with a line: first where the library is, then a replay for each stream."""
    import research_fsm

    sys.stdout.write(json.dumps(str(research_fsm.__file__)) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        lines = iter(lambda: json.loads(sys.stdin.readline()), None)
        answer = replay(json.loads(line), lines)
        for _ in lines:
            pass  # The replay gave up before the end.
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
