"""Statements with their arguments, written as text: prepared on the server, or in full where that cannot be had.

Floor 5. Knows how a text, a number and a list are written in SQL, and no table.
"""

import re
from collections.abc import Sequence

from attrs import field, frozen

from research_fsm.errors import InvalidInput

__all__ = ["Argument", "Dialect", "Statement", "quoted"]

Argument = str | bytes | int | None | Sequence[str]

_PLACE = re.compile(r"\$([1-9])")
_SPECIAL = re.compile(r'(["\\])')
_ESCAPED = r"\\\1"
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,39}")


@frozen
class Statement:
    """A statement.

    Args:
        name: What it is prepared as.
        types: The types of its arguments, ``$1`` first.
        sql: Its text; ``{s}`` stands for the schema.
    """

    name: str
    types: tuple[str, ...]
    sql: str


@frozen
class Dialect:
    """How statements are called.

    Args:
        schema: The schema of the tables.
        prepares: Whether statements are prepared on each connection, which a pooler between may not allow.
    """

    schema: str = field()
    prepares: bool = True

    @schema.validator
    def _check_schema(self, _: object, value: object) -> None:
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise InvalidInput("schema", "must be a name of up to 40 lower-case letters, digits and underscores")

    def text(self, sql: str) -> str:
        """Return SQL with the schema in it."""
        return sql.replace("{s}", self.schema)

    def prepare(self, statements: Sequence[Statement]) -> bytes:
        """Return the message that prepares statements on a new connection."""
        if not self.prepares:
            return b""
        return b";".join(
            f"PREPARE rf_{one.name}{_listed(one.types)} AS {self.text(one.sql)}".encode() for one in statements
        )

    def call(self, statement: Statement, *arguments: Argument) -> bytes:
        """Return a statement with its arguments.

        Raises:
            InvalidInput: PostgreSQL cannot hold a text.
        """
        written = [_written(argument) for argument in arguments]
        if self.prepares:
            return b"EXECUTE rf_%b%b" % (statement.name.encode(), b"(%b)" % b", ".join(written) if written else b"")
        typed = [f"({value.decode()}::{name})" for value, name in zip(written, statement.types, strict=True)]
        # In one pass, so that a value which looks like a place is none.
        return _PLACE.sub(lambda place: typed[int(place[1]) - 1], self.text(statement.sql)).encode()


def _listed(types: tuple[str, ...]) -> str:
    return f"({', '.join(types)})" if types else ""


def quoted(text: str | bytes) -> bytes:
    """Return a text as it is written in SQL, where backslashes mean nothing, as the standard has it.

    Raises:
        InvalidInput: It holds a NUL, or is no Unicode.
    """
    raw = _encoded(text) if isinstance(text, str) else text
    if b"\0" in raw:
        raise InvalidInput("value", "PostgreSQL cannot hold a text with a NUL in it")
    return b"'%b'" % raw.replace(b"'", b"''")


def _written(argument: Argument) -> bytes:
    if argument is None:
        return b"NULL"
    if isinstance(argument, int):
        return b"%d" % argument
    if isinstance(argument, (str, bytes)):
        return quoted(argument)
    return quoted(f"{{{','.join(_element(one) for one in argument)}}}")


def _element(text: str) -> str:
    return f'"{_SPECIAL.sub(_ESCAPED, text)}"'


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("value", f"PostgreSQL cannot hold it ({error.reason}); use valid Unicode") from error
