"""Which type each column of a store's rows has, and what is wrong with a row that holds another one.

Floor 0. Pure. SQLite, for one, keeps any value in any column, so a file that was edited by hand may yield anything.
"""

from collections.abc import Iterator
from itertools import product
from operator import attrgetter
from typing import Any, TypeVar, get_args

from attrs import fields

from research_fsm.errors import LogUnreadable
from research_fsm.storage import Head, QueueEntry, Receipt, RecordedEvent, Token, UniqueKey

__all__ = ["Row", "checked", "mistyped", "printable", "well_typed"]

Row = RecordedEvent | Head | UniqueKey | Receipt | QueueEntry | Token
"""What a reader yields, column by column."""

R = TypeVar("R", bound=Row)

_COLUMNS: dict[type, tuple[tuple[str, Any], ...]] = {
    row: tuple((column.name, column.type) for column in fields(row)) for row in get_args(Row)
}
"""Looked up once, as it is asked for every row."""

_VALUES_OF = {row: attrgetter(*(name for name, _ in columns)) for row, columns in _COLUMNS.items()}

_TYPES = {
    row: frozenset(product(*(get_args(kind) or (kind,) for _, kind in columns))) for row, columns in _COLUMNS.items()
}

_NAMED_BY = {
    RecordedEvent: ("the row {}", "position"),
    Head: ("the head of {}", "stream"),
    UniqueKey: ("the unique key {}", "key"),
    Receipt: ("the receipt {}", "key"),
    QueueEntry: ("the queue's entry for run {}", "run_id"),
    Token: ("the token {}", "token_id"),
}


def well_typed(row: Row) -> bool:
    """Tell whether each column of a row holds exactly the type that it should; `mistyped` says which does not."""
    kind = type(row)
    return tuple(map(type, _VALUES_OF[kind](row))) in _TYPES[kind]


def mistyped(row: Row) -> Iterator[tuple[str, str]]:
    """Yield the columns of a row that hold another type than a store promises, each with what is to be said of it."""
    for name, kind in _COLUMNS[type(row)]:
        value = getattr(row, name)
        if not isinstance(value, kind):
            yield name, f"{name} is {printable(value)} of type {type(value).__name__}"


def checked(row: R) -> R:
    """Return a row whose columns have their types.

    Raises:
        LogUnreadable: One has not.
    """
    if well_typed(row):
        return row
    words, name = _NAMED_BY[type(row)]
    spoilt = ", ".join(said for _, said in mistyped(row))
    raise LogUnreadable(words.format(printable(getattr(row, name))), f"{spoilt}; `verify` lists what is wrong")


def printable(value: object) -> str:
    """Return a text, or how anything else looks, cut short."""
    return value if isinstance(value, str) else repr(value)[:80]
