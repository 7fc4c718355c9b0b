"""Looks at the store with plain SQL: what is shown here is not this library's word for it.

Floor 6. Imports nothing of this package, on purpose: it opens the file read-only with `sqlite3`, or asks the database
with the driver, and counts bare events, as any auditor could.
"""

# ruff: noqa: S608  # Statements are put together from the words of this module, and a schema's name that was checked.

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from psycopg import Connection

__all__ = ["TALLY", "Plain", "Tally", "credits_of", "events_of", "in_database", "in_file", "leases", "tally"]

TALLY = "select type, count(*), sum({amount}) from {events} group by type"
"""The whole recount, to be typed into any SQL prompt once the names of its prompt are in it."""


class Plain(NamedTuple):
    """Whom plain SQL is asked of, and what things are called there.

    Args:
        rows: Returns the rows of a statement; a ``?`` in it stands for a value.
        tables: What stands before a table's name.
        number: How a number in an event's data is written, and ``{}`` is its name.
        text: The same for a text.
    """

    rows: Callable[[str, tuple[str, ...]], list[tuple[Any, ...]]]
    tables: str
    number: str
    text: str

    @property
    def tally(self) -> str:
        """The whole recount, as it is typed here."""
        return TALLY.format(amount=self.number.format("amount"), events=f"{self.tables}events")


class Tally(NamedTuple):
    """What the bare events add up to; a type that never happened counts 0."""

    events: dict[str, int]
    credits: dict[str, int]

    @property
    def held(self) -> int:
        """The credits that open runs hold."""
        return self._sum("CreditsHeld") - self._sum("CreditsCharged") - self._sum("CreditsReleased")

    @property
    def available(self) -> int:
        """The credits that are left, by the definition and not by anybody's running total."""
        gained = self._sum("CreditsGranted") - self._sum("CreditsRevoked") + self._sum("CreditsRefunded")
        return gained - self._sum("CreditsCharged") - self.held

    def _sum(self, name: str) -> int:
        return self.credits.get(name, 0)


def in_file(path: Path) -> Plain:
    """Ask a file, which is opened anew for each question and cannot be written to."""
    uri = f"{path.absolute().as_uri()}?mode=ro"

    def rows(statement: str, values: tuple[str, ...]) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(uri, uri=True, timeout=5.0)) as connection:
            return connection.execute(statement, values).fetchall()

    return Plain(rows, "", "json_extract(data, '$.{}')", "json_extract(data, '$.{}')")


def in_database(connection: "Connection[Any]", schema: str) -> Plain:
    """Ask a database, over a connection that commits by itself."""

    def rows(statement: str, values: tuple[str, ...]) -> list[tuple[Any, ...]]:
        return connection.execute(statement.replace("?", "%s").encode(), values).fetchall()

    return Plain(rows, f"{schema}.", "(data::jsonb -> '{}')::bigint", "data::jsonb ->> '{}'")


def tally(plain: Plain) -> Tally:
    """Count every event by its type, and add up the credits that they name."""
    rows = plain.rows(plain.tally, ())
    return Tally({name: count for name, count, _ in rows}, {name: int(amount) for name, _, amount in rows if amount})


def events_of(plain: Plain, person_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the type and the data of each of a person's events, in order."""
    statement = f"select type, data from {plain.tables}events where stream = ? order by version"
    return [(name, json.loads(data)) for name, data in plain.rows(statement, (f"person:{person_id}",))]


def credits_of(plain: Plain, person_id: str) -> list[str]:
    """Return the types of an account's events that name a person, in order."""
    about = plain.text.format("person_id")
    statement = (
        f"select type from {plain.tables}events where substr(stream, 1, 8) = 'account:' and {about} = ? "
        "order by position"
    )
    return [name for (name,) in plain.rows(statement, (person_id,))]


def leases(plain: Plain) -> dict[str, int | None]:
    """Return the entries of the embedded queue by person, each with the microsecond at which its lease is over."""
    rows = plain.rows(f"select stream, lease_until from {plain.tables}queue", ())
    return {stream.removeprefix("person:"): lease_until for stream, lease_until in rows}
