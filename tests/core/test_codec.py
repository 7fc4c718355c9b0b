"""Events, states and answers to JSON and back: strictly, or not at all."""

from enum import IntEnum
from types import MappingProxyType

import attrs
import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from research_fsm import codec
from research_fsm.errors import InvalidInput, LogUnreadable
from research_fsm.events import CreditsGranted, CreditsHeld, Meta, PersonErased
from research_fsm.outcomes import Json, Queued, RolledBack
from research_fsm.storage import Head, NewEvent, RecordedEvent
from research_fsm.testing.scenario import PERSON_ID
from research_fsm.testing.scenario import given as scenario
from tests.core.examples import EXECUTING, RUN


def stored(data: bytes, name: str = "CreditsGranted", schema: int = 1) -> NewEvent:
    """Return an event as a store hands it over."""
    return NewEvent(name, schema, data, b"{}")


def recorded(name: str, data: bytes, stream: str) -> RecordedEvent:
    """Return an event as a store hands it over, with its place."""
    return RecordedEvent(1, stream, 1, name, 1, 0, data, b"{}", b"")


def head(state: bytes) -> Head:
    """Return a head with this state."""
    return Head("person:x", 1, b"", codec.FOLD, state, None, "idle", None, 1)


# --- strictness --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'{"amount":1,"extra":1,"grant_id":"g"}', "has the unknown field 'extra'"),
        (b'{"amount":1}', "missing required field `grant_id`"),
        (b'{"amount":"1","grant_id":"g"}', "Expected `int`, got `str`"),
        (b'{"amount":1.0,"grant_id":"g"}', "Expected `int`, got `float`"),
        (b'{"amount":1.5,"grant_id":"g"}', "Expected `int`, got `float`"),
        (b'{"amount":true,"grant_id":"g"}', "Expected `int`, got `bool`"),
        (b'{"amount":null,"grant_id":"g"}', "Expected `int`, got `null`"),
        (b'{"amount":1,"grant_id":7}', "Expected `str`, got `int`"),
        (b'{"amount":NaN,"grant_id":"g"}', "JSON is malformed"),
        (b'{"amount":1,"amount":1,"grant_id":"g"}', "not canonical JSON"),
        (b'{"amount":1,"amount":2,"grant_id":"g"}', "not canonical JSON"),
        (b'{"grant_id":"g","amount":1}', "not canonical JSON"),
        (b'{"amount": 1,"grant_id":"g"}', "not canonical JSON"),
        (b'{"amount":1,"grant_id":"\\u0067"}', "not canonical JSON"),
        (b'{"amount":1,"grant_id":"g"}\n', "not canonical JSON"),
        (b'["g",1]', "not canonical JSON of an object"),
        (b"null", "not canonical JSON of an object"),
        (b'{"amount":1,"grant_id":"\xff"}', "utf-8"),
        (b'{"amount":1,"grant_id":"\\ud800"}', "stored JSON"),
        (b'{"amount":1', "truncated"),
        (b"", "truncated"),
        pytest.param(b"[" * 100_000, "recursion", id="deep"),
    ],
)
def test_an_event_is_read_exactly_as_it_is_written_or_not_at_all(data: bytes, problem: str) -> None:
    """An unknown field, a duplicate key, another type, another spelling: the log was edited, or is not ours."""
    with pytest.raises(LogUnreadable, match=problem):
        codec.decode_event(stored(data))


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("Unheard", 1),
        ("", 1),
        ("Meta", 1),
        ("research_fsm.events.CreditsGranted", 1),
        ("CreditsGranted", 0),
        ("CreditsGranted", -1),
        ("CreditsGranted", 2),
    ],
)
def test_an_unknown_name_or_schema_is_refused(name: str, schema: int) -> None:
    """A later version may have written it; the error names what was found."""
    with pytest.raises(LogUnreadable, match="is not known to this version") as raised:
        codec.decode_event(stored(b'{"amount":1,"grant_id":"g"}', name, schema))
    assert raised.value.what == f"{name} schema {schema}"


def test_an_event_in_the_wrong_kind_of_stream_is_refused() -> None:
    """Accounts are granted credits, people are not, and the error names the place."""
    grant, erasure = b'{"amount":1,"grant_id":"g"}', b'{"hold":null}'
    with pytest.raises(LogUnreadable, match="person:x version 1: CreditsGranted happens to accounts"):
        codec.decode_person_event(recorded("CreditsGranted", grant, "person:x"))
    with pytest.raises(LogUnreadable, match="account:x version 1: PersonErased happens to people"):
        codec.decode_account_event(recorded("PersonErased", erasure, "account:x"))
    assert codec.decode_person_event(recorded("PersonErased", erasure, "person:x")) == PersonErased(None)
    assert codec.decode_account_event(recorded("CreditsGranted", grant, "account:x")) == CreditsGranted("g", 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'["Queued"]',
        b'["Unheard",{}]',
        b'["PersonErased",{"hold":null}]',
        b'["Queued",{"person_id":"p","run_id":"r","run_no":1,"extra":1}]',
        b'["Queued",{"person_id":"p","run_id":"r","run_no":true}]',
        b'["Queued",[]]',
    ],
)
def test_a_receipt_holds_an_answer_of_a_start_or_nothing(data: bytes) -> None:
    """Whatever else is found was not written by us."""
    with pytest.raises(LogUnreadable):
        codec.decode_answer(data)


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{}", b'{"person_id":1}', b"\xff", b'{"person_id":"\xff"}'])
def test_a_head_that_cannot_be_read_is_named(data: bytes) -> None:
    """The error says whose head it is."""
    with pytest.raises(LogUnreadable, match="person:x"):
        codec.decode_person(head(data))


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b'{"actor":1}'])
def test_meta_that_cannot_be_read_is_refused(data: bytes) -> None:
    """It is part of the log."""
    with pytest.raises(LogUnreadable, match="meta"):
        codec.decode_meta(data)


def test_an_account_that_cannot_be_read_is_refused() -> None:
    """A balance is never guessed."""
    with pytest.raises(LogUnreadable):
        codec.decode_account(head(b'{"granted":"1"}'))


def test_meta_is_read_as_it_was_written() -> None:
    """Actor, correlation and causation."""
    meta = Meta("actor", RUN, "person:x@1")
    assert codec.decode_meta(codec.encode_event(PersonErased(None), meta).meta) == meta


def test_a_receipt_is_read_as_it_was_written() -> None:
    """Also an answer with a field that has a default."""
    for answer in (Queued(PERSON_ID, RUN, 1), RolledBack(PERSON_ID, RUN, 1, "refused"), RolledBack("", "", 1, "", 5)):
        assert codec.decode_answer(codec.encode_answer(answer)) == answer


def test_a_person_is_read_as_they_were_written() -> None:
    """Every field of a person in the middle of a run."""
    person = scenario(*EXECUTING).person
    assert codec.decode_person(head(codec.encode(person))) == person


# --- upcasters ---------------------------------------------------------------------------------------------------


def test_upcasters_lead_from_every_past_schema_to_todays(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event of schema 1 is read in the form of schema 3, step by step; today's is written."""

    @frozen
    class CreditsGranted3:
        grant_id: str
        amount: int
        note: str

    def with_note(data: dict[str, Json]) -> dict[str, Json]:
        return {**data, "note": ""}

    def in_capitals(data: dict[str, Json]) -> dict[str, Json]:
        return {**data, "note": data["note"].upper() or "NONE"}

    schemas = MappingProxyType({**codec.SCHEMAS, "CreditsGranted": 3})
    upcasters = MappingProxyType(
        {**codec.UPCASTERS, ("CreditsGranted", 1): with_note, ("CreditsGranted", 2): in_capitals}
    )
    monkeypatch.setattr(codec, "SCHEMAS", schemas)
    monkeypatch.setattr(codec, "UPCASTERS", codec.checked_upcasters(upcasters, schemas))
    monkeypatch.setattr(codec, "_EVENTS", {**codec._EVENTS, "CreditsGranted": CreditsGranted3})
    first = codec.decode_event(stored(b'{"amount":1,"grant_id":"g"}'))
    assert attrs.asdict(first) == {"grant_id": "g", "amount": 1, "note": "NONE"}
    second = codec.decode_event(stored(b'{"amount":1,"grant_id":"g","note":"x"}', schema=2))
    assert attrs.asdict(second)["note"] == "X"
    third = codec.decode_event(stored(b'{"amount":1,"grant_id":"g","note":"x"}', schema=3))
    assert attrs.asdict(third)["note"] == "x"
    assert codec.encode_event(CreditsGranted("g", 1), Meta()).schema == 3
    with pytest.raises(LogUnreadable, match="CreditsGranted schema 4"):
        codec.decode_event(stored(b"{}", schema=4))


def test_what_an_upcaster_makes_is_checked_like_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistaken upcaster is found when the event is read."""
    monkeypatch.setattr(codec, "SCHEMAS", {**codec.SCHEMAS, "CreditsGranted": 2})
    monkeypatch.setattr(codec, "UPCASTERS", {("CreditsGranted", 1): lambda data: {**data, "extra": 1}})
    with pytest.raises(LogUnreadable, match="unknown field 'extra'"):
        codec.decode_event(stored(b'{"amount":1,"grant_id":"g"}'))


def test_a_gap_in_the_upcasters_is_found_at_import() -> None:
    """Not at the replay of a log, years later."""

    def same(data: dict[str, Json]) -> dict[str, Json]:
        return data

    with pytest.raises(LogUnreadable, match="A schema 1: the upcaster to schema 2 is missing"):
        codec.checked_upcasters({}, {"A": 2})
    with pytest.raises(LogUnreadable, match="A schema 2: the upcaster to schema 3 is missing"):
        codec.checked_upcasters({("A", 1): same}, {"A": 3})
    with pytest.raises(LogUnreadable, match="A schema 1: the upcaster to schema 2 leads nowhere"):
        codec.checked_upcasters({("A", 1): same}, {"A": 1})
    with pytest.raises(LogUnreadable, match="B schema 1: the upcaster to schema 2 leads nowhere"):
        codec.checked_upcasters({("A", 1): same, ("B", 1): same}, {"A": 2})
    assert codec.checked_upcasters({("A", 1): same}, {"A": 2}) == {("A", 1): same}


# --- values from outside -----------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@given(JSON)
def test_json_is_read_as_it_was_written(value: Json) -> None:
    """Keys are sorted and nothing is lost."""
    written = codec.canonical("content", value)
    assert codec.parse(written) == value
    assert codec.canonical("content", codec.parse(written)) == written


class Word(str):
    """A string of somebody's own, as a scraper returns them."""

    __slots__ = ()


class Number(int):
    """A number of somebody's own."""


class Size(IntEnum):
    """A fixed list of numbers."""

    BIG = 10


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (float("nan"), "has no nan"),
        ([float("inf")], "has no inf"),
        ({"x": {1, 2}}, "must be plain JSON data, not set"),
        (b"bytes", "must be plain JSON data, not bytes"),
        ({1: "x"}, "whose keys are strings, not int"),
        ({"x": [{None: 1}]}, "whose keys are strings, not NoneType"),
        ("\ud800", "half a surrogate pair"),
        ({"\udfff": 1}, "half a surrogate pair"),
        (object(), "must be plain JSON data, not object"),
        (Word("ada"), "must be plain JSON data"),
        ([Number(3)], "must be plain JSON data"),
    ],
)
def test_what_is_no_json_is_refused(value: object, problem: str) -> None:
    """The error names the field and says what is wrong."""
    with pytest.raises(InvalidInput, match=problem) as raised:
        codec.canonical("content", value)
    assert raised.value.field == "content"


def nested(depth: int) -> Json:
    """Return lists in lists."""
    value: Json = 1
    for _ in range(depth):
        value = [value]
    return value


def test_json_is_nested_at_most_a_hundred_deep() -> None:
    """A value that contains itself is found out, too."""
    assert codec.parse(codec.canonical("content", nested(100))) == nested(100)
    with pytest.raises(InvalidInput, match="at most 100 deep"):
        codec.canonical("content", nested(101))
    circle: list[Json] = []
    circle.append(circle)
    with pytest.raises(InvalidInput, match="at most 100 deep"):
        codec.canonical("content", circle)


def test_the_canonical_form_is_one() -> None:
    """Sorted keys, no spaces, UTF-8; a tuple is a list."""
    assert codec.canonical("x", {"b": (1, 2.5), "a": "é", "": None}) == '{"":null,"a":"é","b":[1,2.5]}'.encode()
    assert codec.canonical("x", [2**70, -(2**70), Size.BIG]) == b"[1180591620717411303424,-1180591620717411303424,10]"


def test_a_report_names_its_run() -> None:
    """What is stored says which run found it out."""
    assert codec.encode_report("r", {"b": 1}, None) == b'{"change_summary":null,"content":{"b":1},"id":"r"}'
    with pytest.raises(InvalidInput):
        codec.encode_report("r", {"b": float("nan")}, None)


def test_a_digest_is_salted() -> None:
    """The same document of two people has two digests."""
    assert codec.digest(b"a", b"document") != codec.digest(b"b", b"document")
    assert codec.digest(b"a", b"document") == codec.digest(b"a", b"document")


def test_stored_json_that_is_none_is_refused() -> None:
    """Whoever edited a document is told so, also if it is nested beyond reason."""
    for data in (b"", b"{", b"\xff", b"[" * 100_000):
        with pytest.raises(LogUnreadable, match="stored JSON"):
            codec.parse(data)


def test_an_events_name_is_no_class_path() -> None:
    """The log outlives every module."""
    event = codec.encode_event(CreditsHeld(PERSON_ID, RUN, 1, 2), Meta())
    assert (event.type, event.schema) == ("CreditsHeld", 1)
    assert event.data == f'{{"amount":2,"person_id":"{PERSON_ID}","run_id":"{RUN}","run_no":1}}'.encode()
