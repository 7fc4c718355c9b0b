"""A client of the published API, replayed: whatever it asked there is answered here as the published pages say.

The conversations lie in `recorded/`, written down from those pages. An answer must have what is recorded; it may have
more. ``<uuid as person>`` is a UUID that is called so from then on, ``<person>`` is that one again; ``<time>``,
``<text>``, ``<text or null>`` and ``<json>`` are what they say.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from research_fsm import PersonKind
from research_fsm.http import openapi
from research_fsm.http.bodies import UUID_PATTERN
from research_fsm.testing.scripted import Reply
from tests.http.service import OTHER_OWNER, OWNER, Service

RECORDED = Path(__file__).parent / "recorded"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
CREDITS = 3


class Replay:
    """The service that a conversation is held with, and what was named in it."""

    def __init__(self) -> None:
        self.service = Service(credits_=CREDITS)
        self.names: dict[str, str] = {}
        tokens = {
            "user": self.service.token(),
            "partner": self.service.token(OWNER, PersonKind.PARTNER),
            "another user": self.service.token(OTHER_OWNER),
            "nobody": None,
        }
        self._clients: dict[str, TestClient] = {who: self.service.client(token) for who, token in tokens.items()}

    def answered(self, request: Mapping[str, Any]) -> Any:  # noqa: ANN401  # The client's response.
        """Ask what was asked."""
        path = re.sub(r"<(\w+)>", lambda found: self.names[found[1]], request["path"])
        client = self._clients[request["token"]]
        return client.request(request["method"], f"/api{path}", json=request.get("body"))

    def hold(self, recorded: Any, answered: Any) -> None:  # noqa: ANN401  # JSON.
        """Hold an answer against the recorded one."""
        match recorded:
            case dict():
                for name, value in recorded.items():
                    self.hold(value, answered[name])
            case list():
                assert len(answered) == len(recorded)
                for value, found in zip(recorded, answered, strict=True):
                    self.hold(value, found)
            case str() if recorded.startswith("<"):
                self._hold_kind(recorded.strip("<>"), answered)
            case _:
                assert answered == recorded

    def _hold_kind(self, kind: str, answered: Any) -> None:  # noqa: ANN401  # JSON.
        match kind.split():
            case ["uuid", *name]:
                assert re.fullmatch(UUID_PATTERN, answered)
                self.names |= dict.fromkeys(name[1:], answered)
            case ["time"]:
                assert TIME.fullmatch(answered)
            case ["text"]:
                assert isinstance(answered, str)
            case ["text", "or", "null"]:
                assert answered is None or isinstance(answered, str)
            case ["json"]:
                assert answered is not None
            case _:
                assert answered == self.names[kind]

    # --- what happened in between ------------------------------------------------------------------------------

    def the_research_ends(self) -> None:
        """The worker claims the last run and completes it."""
        sent = self.service.dispatcher.requests[-1]
        content = {"headline": "Countess of computing"}
        self.service.runs.claim(sent.run_id, sent.run_no, "x").accepted()
        self.service.runs.complete(sent.run_id, sent.run_no, "x", content, change_summary="a new title").accepted()

    def the_research_fails(self) -> None:
        """The worker claims the last run and fails it; the credit is spent."""
        sent = self.service.dispatcher.requests[-1]
        self.service.runs.claim(sent.run_id, sent.run_no, "x").accepted()
        self.service.runs.fail(sent.run_id, sent.run_no, "x", "the source was down").accepted()

    def the_report_grows_old(self) -> None:
        """The person is idle again."""
        self.service.runs.mark_stale(self.names["person"]).accepted()

    def the_engine_refuses_the_next_request(self) -> None:
        """The engine says no, once."""
        self.service.dispatcher.script(Reply.REFUSED)


@pytest.mark.parametrize("who", ["user", "partner"])
def test_a_recorded_client_is_answered_as_it_was(who: str) -> None:
    """Question by question: the status, and every member that the published pages name."""
    replay = Replay()
    for exchange in json.loads((RECORDED / f"{who}.json").read_text(encoding="utf-8")):
        if "meanwhile" in exchange:
            happens: Callable[[], None] = getattr(replay, exchange["meanwhile"].replace(" ", "_"))
            happens()
        answer = replay.answered(exchange["request"])
        assert answer.status_code == exchange["answer"]["status"], (exchange["says"], answer.text)
        replay.hold(exchange["answer"]["body"], answer.json())


def test_every_published_operation_was_asked() -> None:
    """What the published API has is in the conversations; what is ours alone need not be."""
    asked = set()
    for path in RECORDED.glob("*.json"):
        for exchange in json.loads(path.read_text(encoding="utf-8")):
            request = exchange["request"]
            asked.add((request["method"], re.sub(r"/(<\w+>|42)", "/{person_id}", request["path"])))
    ours = {"markStale", "getPerson", "claimRun", "completeRun", "failRun", "getHealth", "getDocument", "getPage"}
    assert asked == {key for key, described in openapi.DESCRIBED.items() if described.name not in ours}


def test_a_replay_sees_what_differs() -> None:
    """Another value, a member that is missing, a list that is longer, somebody else's id: each is seen."""
    replay = Replay()
    replay.hold({"id": "<uuid as person>"}, {"id": "00000000-0000-4000-8000-000000000001", "more": 1})
    differing: list[tuple[Any, Any]] = [
        ({"a": 1}, {"a": 2}),
        ({"a": None}, {}),
        ([], [1]),
        ("<person>", "00000000-0000-4000-8000-000000000002"),
        ("<uuid>", "1"),
        ("<time>", "2026-01-01"),
        ("<text>", None),
        ("<text or null>", 1),
        ("<json>", None),
    ]
    for recorded, answered in differing:
        with pytest.raises((AssertionError, KeyError)):
            replay.hold(recorded, answered)
