"""Events, states and answers to JSON and back, under names of our own.

Floor 3, pure; the only user of msgspec. The canonical form has sorted keys, no spaces, no NaN, UTF-8: what is hashed
is written once and stored as it was hashed. An event's name is never a class path, its schema number rises when its
form changes, and an upcaster turns each past form into the next. Every past form lies in ``tests/golden`` and folds.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, get_args

import attrs
import msgspec

from research_fsm import account as accounts
from research_fsm import person as people
from research_fsm.account import Account
from research_fsm.errors import InvalidInput, LogUnreadable
from research_fsm.events import AccountEvent, Event, Meta, PersonEvent
from research_fsm.outcomes import AlreadyAdded, Json, StartAnswer
from research_fsm.person import Person
from research_fsm.storage import Head, NewEvent, RecordedEvent

__all__ = [
    "FOLD",
    "SCHEMAS",
    "UPCASTERS",
    "canonical",
    "checked_upcasters",
    "decode_account",
    "decode_account_event",
    "decode_answer",
    "decode_create_answer",
    "decode_event",
    "decode_meta",
    "decode_person",
    "decode_person_event",
    "digest",
    "encode",
    "encode_answer",
    "encode_event",
    "encode_report",
    "fold_account",
    "fold_person",
    "parse",
    "parse_account",
    "parse_person",
]

FOLD = 2
"""The version of the folds. A head that an older one made is rebuilt from the log."""

SCHEMAS: Mapping[str, int] = MappingProxyType({cls.__name__: 1 for cls in get_args(Event)} | {"RunStarted": 2})
"""Every event's name, and the schema that is written today."""

Upcaster = Callable[[dict[str, Json]], dict[str, Json]]
"""Turns the data of one schema of an event into the next; pure, no I/O."""


def _request_named_digest(data: dict[str, Json]) -> dict[str, Json]:
    """The first logs called the digest of a request key `request`, the later ones of the same schema as today."""
    return {("request_digest" if name == "request" else name): value for name, value in data.items()}


UPCASTERS: Mapping[tuple[str, int], Upcaster] = MappingProxyType({("RunStarted", 1): _request_named_digest})
"""By event name and the schema it starts from."""

T = TypeVar("T")

_EVENTS: Mapping[str, type[Any]] = MappingProxyType({cls.__name__: cls for cls in get_args(Event)})
_OF_START: Mapping[str, type[Any]] = MappingProxyType({cls.__name__: cls for cls in get_args(StartAnswer)})
_OF_CREATE: Mapping[str, type[Any]] = MappingProxyType({**_OF_START, AlreadyAdded.__name__: AlreadyAdded})
_DEEPEST = 100

_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_decode_person = msgspec.json.Decoder(Person).decode
_decode_account = msgspec.json.Decoder(Account).decode
_decode_meta = msgspec.json.Decoder(Meta).decode
_DECODE_EVENT: Mapping[str, Callable[[bytes], Any]] = MappingProxyType(
    {name: msgspec.json.Decoder(cls).decode for name, cls in _EVENTS.items()}
)


def checked_upcasters(
    upcasters: Mapping[tuple[str, int], Upcaster], schemas: Mapping[str, int] = SCHEMAS
) -> Mapping[tuple[str, int], Upcaster]:
    """Refuse a chain of upcasters with a gap, or one that nothing leads to, when the library is imported.

    Raises:
        LogUnreadable: Some past schema of an event could not be read.
    """
    needed = {(name, schema) for name, latest in schemas.items() for schema in range(1, latest)}
    for name, schema in sorted(needed ^ set(upcasters)):
        verb = "is missing" if (name, schema) in needed else "leads nowhere"
        raise LogUnreadable(f"{name} schema {schema}", f"the upcaster to schema {schema + 1} {verb}")
    return upcasters


checked_upcasters(UPCASTERS)


# --- JSON --------------------------------------------------------------------------------------------------------


def encode(value: object) -> bytes:
    """Return the canonical JSON of a value of ours: no floats, nothing that could surprise."""
    return _encode_sorted(value)


def canonical(field: str, value: Json) -> bytes:
    """Return the canonical JSON of a value from outside.

    Args:
        field: What to call it in an error.
        value: Plain JSON data.

    Raises:
        InvalidInput: It is no JSON: NaN, a lone surrogate, a key that is no string, another type, too deep.
    """
    _check_json(field, value, depth=0)
    try:
        return _encode_sorted(value)
    except UnicodeEncodeError:
        raise InvalidInput(field, "must not contain half a surrogate pair: it has no UTF-8") from None
    except (TypeError, ValueError) as error:
        raise InvalidInput(field, f"must be plain JSON data: {error}") from None


def _check_json(field: str, value: object, depth: int) -> None:
    match value:
        case None | bool() | int() | str():
            return
        case float():
            if not math.isfinite(value):
                raise InvalidInput(field, f"must be JSON, which has no {value}")
        case _ if depth >= _DEEPEST:
            raise InvalidInput(field, f"must be nested at most {_DEEPEST} deep")
        case list() | tuple():
            for item in value:
                _check_json(field, item, depth + 1)
        case dict():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise InvalidInput(field, f"must be JSON, whose keys are strings, not {type(key).__name__}")
                _check_json(field, item, depth + 1)
        case _:
            raise InvalidInput(field, f"must be plain JSON data, not {type(value).__name__}")


def parse(data: bytes) -> Json:
    """Return the value of stored JSON.

    Raises:
        LogUnreadable: It is no JSON.
    """
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LogUnreadable("stored JSON", str(error)) from None


def digest(salt: bytes, document: bytes) -> str:
    """Return the salted digest by which an event names a document: SHA-256(salt ‖ document), in hexadecimal."""
    return hashlib.sha256(salt + document).hexdigest()


def encode_report(run_id: str, content: Json, change_summary: Json) -> bytes:
    """Return a report as it is stored; its id is its run's.

    Raises:
        InvalidInput: The content or the summary is no JSON.
    """
    return canonical("content", {"change_summary": change_summary, "content": content, "id": run_id})


# --- events ------------------------------------------------------------------------------------------------------


def encode_event(event: Event, meta: Meta) -> NewEvent:
    """Return an event as it will be hashed and stored."""
    name = type(event).__name__
    return NewEvent(name, SCHEMAS[name], _encode_sorted(event), _encode_sorted(meta))


def decode_event(recorded: NewEvent | RecordedEvent) -> Event:
    """Return the event that was stored, in today's form.

    Raises:
        LogUnreadable: The name or the schema is unknown, or the data is not exactly what this library writes.
    """
    event: Event | None = _decode_written_today(recorded)
    return _decode_any(recorded) if event is None else event


def _decode_written_today(recorded: NewEvent | RecordedEvent) -> Any:  # noqa: ANN401  # As in _convert.
    """Return an event that is the same again when it is encoded, as nearly all are; None for any other, or for none."""
    if recorded.schema != SCHEMAS.get(recorded.type):
        return None
    try:
        event = _DECODE_EVENT[recorded.type](recorded.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return event if _encode_sorted(event) == recorded.data else None


def _decode_any(recorded: NewEvent | RecordedEvent) -> Event:
    what = f"{recorded.type} schema {recorded.schema}"
    cls, latest = _EVENTS.get(recorded.type), SCHEMAS.get(recorded.type, 0)
    if cls is None or not 1 <= recorded.schema <= latest:
        raise LogUnreadable(what, "is not known to this version; a later one may have written it")
    data = parse(recorded.data)
    if not isinstance(data, dict) or _encode_sorted(data) != recorded.data:
        raise LogUnreadable(what, "the data is not canonical JSON of an object")
    for schema in range(recorded.schema, latest):
        data = UPCASTERS[recorded.type, schema](data)
    event: Event = _convert(what, data, cls)
    return event


def fold_person(person_id: str, history: Iterable[RecordedEvent]) -> Person:
    """Return the person that a stream's events make, from the first one on."""
    return people.fold(people.nobody(person_id), ((decode_person_event(event), event.at) for event in history))


def fold_account(history: Iterable[RecordedEvent]) -> Account:
    """Return the account that a stream's events make, from the first one on."""
    return accounts.fold(accounts.EMPTY, (decode_account_event(event) for event in history))


def decode_person_event(recorded: RecordedEvent) -> PersonEvent:
    """Return an event of a person's stream.

    Raises:
        LogUnreadable: It cannot be read, or belongs to no person.
    """
    event = decode_event(recorded)
    if isinstance(event, PersonEvent):
        return event
    raise LogUnreadable(f"{recorded.stream} version {recorded.version}", f"{recorded.type} happens to accounts")


def decode_account_event(recorded: RecordedEvent) -> AccountEvent:
    """Return an event of an account's stream.

    Raises:
        LogUnreadable: It cannot be read, or belongs to no account.
    """
    event = decode_event(recorded)
    if isinstance(event, PersonEvent):
        raise LogUnreadable(f"{recorded.stream} version {recorded.version}", f"{recorded.type} happens to people")
    return event


def _convert(what: str, data: dict[str, Json], cls: type[Any]) -> Any:  # noqa: ANN401  # The class is known when the program runs.
    """Convert strictly: msgspec itself passes over keys that an attrs class does not have."""
    extra = data.keys() - {field.name for field in attrs.fields(cls)}
    if extra:
        raise LogUnreadable(what, f"has the unknown field {min(extra)!r}")
    try:
        return msgspec.convert(data, cls)
    except msgspec.ValidationError as error:
        raise LogUnreadable(what, str(error)) from None


def decode_meta(data: bytes) -> Meta:
    """Return who caused an event and what it belongs to.

    Raises:
        LogUnreadable: The data is not exactly what this library writes.
    """
    meta = _decoded("meta", _decode_meta, data)
    if _encode_sorted(meta) != data:
        raise LogUnreadable("meta", "the data is not canonical JSON of what an event's meta has")
    return meta


# --- states and answers ------------------------------------------------------------------------------------------


def decode_person(head: Head) -> Person:
    """Return the folded state of a person's head."""
    return parse_person(head.stream, head.state)


def decode_account(head: Head) -> Account:
    """Return the folded state of an account's head."""
    return parse_account(head.stream, head.state)


def parse_person(what: str, state: bytes) -> Person:
    """Return a person's folded state that was encoded; `what` it is of, an error says."""
    return _decoded(what, _decode_person, state)


def parse_account(what: str, state: bytes) -> Account:
    """Return an account's folded state that was encoded; `what` it is of, an error says."""
    return _decoded(what, _decode_account, state)


def _decoded(what: str, decode: Callable[[bytes], T], data: bytes) -> T:
    try:
        return decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LogUnreadable(what, str(error)) from None


def encode_answer(answer: StartAnswer | AlreadyAdded) -> bytes:
    """Return an answer as a receipt keeps it."""
    return _encode_sorted([type(answer).__name__, answer])


def decode_answer(data: bytes) -> StartAnswer:
    """Return the answer of a start that a receipt keeps.

    Raises:
        LogUnreadable: It is none that this version writes.
    """
    answer: StartAnswer = _decode_answer(data, _OF_START)
    return answer


def decode_create_answer(data: bytes) -> StartAnswer | AlreadyAdded:
    """Return the answer of a create that a receipt keeps: what its start came to, or who was there already.

    Raises:
        LogUnreadable: It is none that this version writes.
    """
    answer: StartAnswer | AlreadyAdded = _decode_answer(data, _OF_CREATE)
    return answer


def _decode_answer(data: bytes, known: Mapping[str, type[Any]]) -> Any:  # noqa: ANN401  # One of the known.
    match parse(data):
        case [str(name), dict(fields)] if name in known:
            return _convert(f"receipt {name}", fields, known[name])
        case _:
            raise LogUnreadable("receipt", "holds no answer that this version knows")
