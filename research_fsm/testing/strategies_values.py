"""Hypothesis strategies for plain values, field by field: events, answers, rows; a part of `strategies`.

Floor 6. Needs Hypothesis, from the extra ``research-fsm[testing]``. A field's name says what it holds, its type the
rest. That a value can be made does not say that any history leads to it: states and logs of people are drawn from
histories, in `strategies`.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs
from hypothesis import strategies as st

from research_fsm import events, outcomes, reads, storage
from research_fsm.profile import Profile
from research_fsm.testing.strategies_texts import documents, json_values, names, profiles, uuids

__all__ = ["VALUES", "moments", "value"]

_HIGHEST_RUN_NO = 2**31
_YEAR_9999 = 253_370_764_800_000_000


def moments() -> st.SearchStrategy[int]:
    """Times that RFC 3339 has a name for, in microseconds UTC."""
    return st.integers(0, _YEAR_9999 - 1)


_hexadecimal = st.text("0123456789abcdef", min_size=64, max_size=64)
_small = st.integers(0, 9)
_credits = st.integers(0, 10**12)

_BY_NAME: Mapping[str, st.SearchStrategy[Any]] = MappingProxyType(
    {
        "amount": st.integers(1, 10**12),
        "attempt": st.integers(1, 9),
        "causation_id": uuids().map(lambda person_id: f"person:{person_id}@1"),
        "content": json_values(),
        "correlation_id": uuids(),
        "change_summary": json_values(),
        "delivery": _small,
        "digest": _hexadecimal,
        "dispatch_key": _hexadecimal,
        "failures_in_a_row": _small,
        "first": st.integers(1, 2**53),
        "fold": st.just(1),
        "hash": st.binary(min_size=32, max_size=32),
        "position": st.integers(1, 2**53),
        "person_id": uuids(),
        "profile": profiles().map(Profile.known),
        "report_id": uuids(),
        "report_version": st.integers(1, 99),
        "reports": _small,
        "run_id": uuids(),
        "run_no": st.integers(1, _HIGHEST_RUN_NO),
        "schema": st.just(1),
        "stream": uuids().map(lambda person_id: f"person:{person_id}"),
        "version": st.integers(1, 2**31),
    }
)
"""What a field holds that has this name."""

_DIGESTS = ("_digest", "fingerprint")
_CREDITS = ("balance", "required", "cost", "granted", "revoked", "held", "charged", "refunded", "available")


def _plain(name: str, of: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401  # A type, or a form of typing.
    """Return what a field of this name and this plain type holds."""
    if isinstance(of, type) and issubclass(of, StrEnum):
        return st.sampled_from(of)
    if name in _BY_NAME:
        return _BY_NAME[name]
    if of is bool:
        return st.booleans()
    if of is int:
        return _credits if name in _CREDITS else moments()
    if of is bytes:
        return documents()
    if of is str:
        return _hexadecimal if name.endswith(_DIGESTS) else names()
    if isinstance(of, type) and attrs.has(of):
        return value(of)
    return json_values()


def _of(name: str, of: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401  # As above.
    origin, parts = get_origin(of), get_args(of)
    if of is NoneType:
        return st.none()
    if origin in (Union, UnionType):
        return st.one_of([_of(name, part) for part in parts])
    if origin is tuple:
        return st.lists(_of(name, parts[0]), max_size=3).map(tuple)
    return _plain(name, of)


def value(of: type[Any]) -> st.SearchStrategy[Any]:
    """Return the values of a class of plain fields."""
    hints = get_type_hints(of)
    return st.builds(of, **{field.name: _of(field.name, hints[field.name]) for field in attrs.fields(of)})


_MODULES = (events, outcomes, reads)
_ROWS = (
    storage.Head,
    storage.NewEvent,
    storage.Query,
    storage.QueueEntry,
    storage.Receipt,
    storage.RecordedEvent,
    storage.StreamWrite,
    storage.Token,
    storage.UniqueKey,
)

VALUES: tuple[type[Any], ...] = (
    *(
        found
        for module in _MODULES
        for found in (getattr(module, name) for name in module.__all__)
        if isinstance(found, type) and attrs.has(found)
    ),
    *_ROWS,
)
"""Every class whose values are made here."""
