"""Every past form of every event still reads and folds; the hashes of a whole history are recomputed by hand.

A file of ``tests/golden`` holds one event in one schema, exactly as it was stored, what it is in today's form, the
events that it came after, and what it changed in the folded state. Files are added; what was stored is never changed.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from research_fsm import account as accounts
from research_fsm import codec
from research_fsm import person as people
from research_fsm.events import Event, Meta, PersonEvent
from research_fsm.storage import NewEvent, RecordedEvent, first_hash, next_hash
from research_fsm.testing.scenario import NOW, PERSON_ID

GOLDEN = Path(__file__).parent.parent / "golden"
EVENTS = sorted(path.name.removesuffix(".json") for path in GOLDEN.glob("*.*.json"))


def load(name: str) -> Any:  # noqa: ANN401  # JSON.
    """Return what a file of the corpus holds."""
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


def decoded(name: str, schema: int, data: str) -> Event:
    """Decode an event as it was stored."""
    return codec.decode_event(NewEvent(name, schema, data.encode(), b"{}"))


def state_before_and_after(history: list[Event], event: Event) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fold an event's history at `NOW` and the event a microsecond later; return both states as JSON."""
    states: tuple[object, object]
    if isinstance(event, PersonEvent):
        own = [(one, NOW) for one in history if isinstance(one, PersonEvent)]
        person = people.fold(people.nobody(PERSON_ID), own)
        states = (person, people.evolve(person, event, NOW + 1))
    else:
        account = accounts.fold(accounts.EMPTY, [one for one in history if not isinstance(one, PersonEvent)])
        states = (account, accounts.evolve(account, event))
    before, after = (json.loads(codec.encode(state)) for state in states)
    return before, after


def test_every_schema_of_every_event_has_its_file() -> None:
    """Whoever raises a schema number adds the file of the new form; that of the old form stays."""
    expected = {f"{name}.{schema}" for name, latest in codec.SCHEMAS.items() for schema in range(1, latest + 1)}
    assert set(EVENTS) == expected


@pytest.mark.parametrize("file", EVENTS)
def test_a_past_form_is_read_in_todays_form(file: str) -> None:
    """What it is called, and every field."""
    golden = load(file)
    assert file == f"{golden['name']}.{golden['schema']}"
    assert repr(decoded(golden["name"], golden["schema"], golden["data"])) == golden["event"]


@pytest.mark.parametrize("file", EVENTS)
def test_todays_form_is_written_as_the_same_bytes(file: str) -> None:
    """An event of today's schema encodes to exactly what was stored, or its hash would be another."""
    golden = load(file)
    event = decoded(golden["name"], golden["schema"], golden["data"])
    if golden["schema"] == codec.SCHEMAS[golden["name"]]:
        assert codec.encode_event(event, Meta()).data.decode() == golden["data"]


@pytest.mark.parametrize("file", EVENTS)
def test_a_past_form_folds_to_what_it_always_meant(file: str) -> None:
    """Exactly the fields that are written down change, and to these values."""
    golden = load(file)
    history = [decoded(one["name"], one.get("schema", 1), one["data"]) for one in golden["after"]]
    event = decoded(golden["name"], golden["schema"], golden["data"])
    before, after = state_before_and_after(history, event)
    changed = {name: value for name, value in after.items() if value != before[name]}
    if before.get("run") and "run" in changed:
        changed["run"] = {name: value for name, value in after["run"].items() if value != before["run"][name]}
    assert changed == golden["changes"]


# --- a whole history ---------------------------------------------------------------------------------------------

HISTORY = load("history")


def test_hashes_are_what_anybody_can_compute() -> None:
    """SHA-256(previous ‖ canonical JSON of [stream, version, type, schema, at, data, meta]), with hashlib and json."""
    last: dict[str, bytes] = {}
    for row in HISTORY["events"]:
        stream = row["stream"]
        previous = last.get(stream, hashlib.sha256(b"research_fsm:1:" + stream.encode()).digest())
        fields = [row[name] for name in ("stream", "version", "type", "schema", "at")]
        whole = [*fields, json.loads(row["data"]), json.loads(row["meta"])]
        text = json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        last[stream] = hashlib.sha256(previous + text.encode()).digest()
        assert last[stream].hex() == row["hash"], f"{stream} version {row['version']}"


def test_hashes_are_what_the_library_computes() -> None:
    """The same vector through `first_hash` and `next_hash`."""
    last: dict[str, bytes] = {}
    for row in HISTORY["events"]:
        previous = last.get(row["stream"], first_hash(row["stream"]))
        event = NewEvent(row["type"], row["schema"], row["data"].encode(), row["meta"].encode())
        last[row["stream"]] = next_hash(previous, row["stream"], row["version"], event, row["at"])
        assert last[row["stream"]].hex() == row["hash"]


@pytest.mark.parametrize("field", ["stream", "version", "type", "schema", "at", "data", "meta"])
def test_a_hash_covers_every_field(field: str) -> None:
    """Whatever is edited, the hash is another."""
    row = HISTORY["events"][0]
    edited = {**row, field: row[field] + (1 if isinstance(row[field], int) else " ")}
    hashes = set()
    for one in (row, edited):
        event = NewEvent(one["type"], one["schema"], one["data"].encode(), one["meta"].encode())
        hashes.add(next_hash(first_hash("s"), one["stream"], one["version"], event, one["at"]))
    assert len(hashes) == 2


def test_a_hash_covers_the_past() -> None:
    """The same event behind another previous hash has another hash; and so has the first of another stream."""
    event = NewEvent("PersonErased", 1, b"{}", b"{}")
    assert next_hash(b"a" * 32, "s", 1, event, 0) != next_hash(b"b" * 32, "s", 1, event, 0)
    assert first_hash("a") != first_hash("b")


def test_the_whole_history_folds_to_its_heads() -> None:
    """Invariant 7: folding the log from the beginning gives exactly the heads."""
    for stream, head in HISTORY["heads"].items():
        rows = [row for row in HISTORY["events"] if row["stream"] == stream]
        recorded = [
            RecordedEvent(
                position=position,
                stream=stream,
                version=row["version"],
                type=row["type"],
                schema=row["schema"],
                at=row["at"],
                data=row["data"].encode(),
                meta=row["meta"].encode(),
                hash=bytes.fromhex(row["hash"]),
            )
            for position, row in enumerate(rows, 1)
        ]
        person_id = stream.removeprefix("person:")
        folded = codec.fold_person(person_id, recorded) if person_id != stream else codec.fold_account(recorded)
        assert {name: json.loads(codec.encode(folded))[name] for name in head} == head
