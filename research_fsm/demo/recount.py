"""Looks at the store's file with plain SQL: what is shown here is not this library's word for it.

Floor 6. Imports the standard library alone, and nothing of this package, on purpose: it opens the file read-only with
`sqlite3` and counts bare events, as any auditor could.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["TALLY", "Tally", "credits_of", "events_of", "leases", "tally"]

TALLY = "select type, count(*), sum(json_extract(data, '$.amount')) from events group by type"
"""The whole recount, to be typed into any SQL prompt."""


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


def tally(path: Path) -> Tally:
    """Count every event of the file by its type, and add up the credits that they name."""
    with _reading(path) as connection:
        rows = connection.execute(TALLY).fetchall()
    return Tally({name: count for name, count, _ in rows}, {name: amount for name, _, amount in rows if amount})


def events_of(path: Path, person_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the type and the data of each of a person's events, in order."""
    with _reading(path) as connection:
        rows = connection.execute(
            "select type, data from events where stream = ? order by version", (f"person:{person_id}",)
        ).fetchall()
    return [(name, json.loads(data)) for name, data in rows]


def credits_of(path: Path, person_id: str) -> list[str]:
    """Return the types of an account's events that name a person, in order."""
    with _reading(path) as connection:
        rows = connection.execute(
            "select type from events where stream like 'account:%' and json_extract(data, '$.person_id') = ? "
            "order by position",
            (person_id,),
        ).fetchall()
    return [name for (name,) in rows]


def leases(path: Path) -> dict[str, int | None]:
    """Return the entries of the embedded queue by person, each with the microsecond at which its lease is over."""
    with _reading(path) as connection:
        rows = connection.execute("select stream, lease_until from queue").fetchall()
    return {stream.removeprefix("person:"): lease_until for stream, lease_until in rows}


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)) as connection:
        yield connection
