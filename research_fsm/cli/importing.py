"""Reads people from a CSV file: every good line becomes a profile, every bad one a problem with its line number.

Floor 6. Knows files and columns and nothing of stores. Spreadsheets add a byte order mark, end lines their own way and
break lines inside a cell: the numbers are those an editor shows.
"""

import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from attrs import fields, frozen

from research_fsm.errors import InvalidInput
from research_fsm.profile import Profile

__all__ = ["BadLine", "GoodLine", "read_bytes", "read_people"]

_COLUMNS = tuple(field.name for field in fields(Profile))
_NAME = ("first_name", "last_name", "company")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@frozen
class GoodLine:
    """A person; `line` is where the record begins, counted from 1."""

    line: int
    profile: Profile


@frozen
class BadLine:
    """A record nobody could be made of.

    Args:
        line: Where it begins, counted from 1.
        field: The column, or ``line`` for the record as a whole.
        problem: What is wrong with it.
    """

    line: int
    field: str
    problem: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.field}: {self.problem}"


def read_bytes(name: str) -> bytes:
    """Return the content of a file, or of standard input if the name is ``-``."""
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def read_people(content: bytes) -> list[GoodLine | BadLine]:
    """Return the people of a CSV file, in its order; empty lines are passed over.

    Args:
        content: UTF-8, with or without a byte order mark. The first line names the columns.

    Raises:
        InvalidInput: The file as a whole cannot be read: it is empty, UTF-16, or its header is wrong.
    """
    if content.startswith(_UTF16):
        raise InvalidInput("file", "is UTF-16; save it as CSV in UTF-8")
    text = content.removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape")
    records = _records(text)
    header = next(records, None)
    if header is None:
        raise InvalidInput("file", f"is empty; the first line must be the header, such as {','.join(_COLUMNS[:4])}")
    if isinstance(header, BadLine):
        raise InvalidInput("file", f"has a header that cannot be read: {header.problem}")
    columns = _checked_columns(header.cells)
    return [one if isinstance(one, BadLine) else _person(one, columns) for one in records]


@frozen
class _Record:
    """One line of the table, which may be several lines of the file."""

    line: int
    last: int
    cells: list[str]

    def bad(self, field: str, problem: str) -> BadLine:
        """Say what is wrong with it."""
        return BadLine(self.line, field, problem + _spanned(self.line, self.last))


def _records(text: str) -> Iterator[_Record | BadLine]:
    """Yield each record with the line that it begins on; behind one that cannot be read, go on with the next line."""
    lines = list(io.StringIO(text, newline=""))
    begun = 0
    reader = csv.reader(lines, strict=True)
    while True:
        line = begun + reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            yield BadLine(line, "line", f"is no CSV: {error}{_spanned(line, begun + reader.line_num)}")
            begun = line
            reader = csv.reader(lines[begun:], strict=True)
            continue
        if any(cells):
            yield _Record(line, begun + reader.line_num, cells)


def _spanned(first: int, last: int) -> str:
    return "" if last <= first else f" (a quotation mark makes one record of lines {first} to {last})"


def _checked_columns(header: list[str]) -> list[str]:
    columns = [cell.lower() for cell in header]
    if len(columns) == 1 and (";" in columns[0] or "\t" in columns[0]):
        raise InvalidInput("file", "must separate its columns by commas, not by semicolons or tabs")
    unknown = [column for column in columns if column not in _COLUMNS]
    if unknown:
        known = ", ".join(_COLUMNS)
        raise InvalidInput(
            "file", f"has the unknown column {unknown[0][:100]!r}; the first line must name some of {known}"
        )
    twice = [column for column in columns if columns.count(column) > 1]
    if twice:
        raise InvalidInput("file", f"has the column {twice[0]!r} more than once")
    if "linkedin_url" not in columns and not set(_NAME) <= set(columns):
        missing = ", ".join(name for name in _NAME if name not in columns)
        raise InvalidInput("file", f"needs the column linkedin_url, or also {missing}")
    return columns


def _person(record: _Record, columns: list[str]) -> GoodLine | BadLine:
    cells = record.cells
    if len(cells) > len(columns):
        return record.bad("line", f"has {len(cells)} fields, the header has {len(columns)}")
    if any("\udc80" <= character <= "\udcff" for cell in cells for character in cell):
        return record.bad("line", "is not UTF-8; save the file as CSV in UTF-8")
    known = {column: cell for column, cell in zip(columns, cells, strict=False) if cell}
    try:
        return GoodLine(record.line, Profile(**known))
    except InvalidInput as error:
        return record.bad(error.field, error.problem)
