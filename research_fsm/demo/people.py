"""The dozen people of the demonstration: a file that ships with the package, and where each line comes from.

Floor 6. Imports `profile` alone and opens nothing but two files of its own folder.

`people.csv` has the columns that ``research-fsm add OWNER --from FILE`` reads. `people_sources.csv` says for each of
them what they are known for, in words of our own, and cites the article that names the organisation. They are
public figures of computing who have died; nobody's LinkedIn address is made up.
"""

import csv
from importlib import resources

from attrs import frozen

from research_fsm.profile import Profile

__all__ = ["Source", "shipped", "source_of"]


@frozen
class Source:
    """What is known of somebody, and where that can be read."""

    known_for: str
    url: str


def shipped() -> tuple[Profile, ...]:
    """Return the people of the file that ships with the package, in its order."""
    return tuple(Profile(**{name: value or None for name, value in row.items()}) for row in _rows("people.csv"))


def source_of(first_name: str | None, last_name: str | None) -> Source | None:
    """Return what the package knows of somebody; None for everybody who is not in its file."""
    for row in _rows("people_sources.csv"):
        if (row["first_name"], row["last_name"]) == (first_name, last_name):
            return Source(row["known_for"], row["source"])
    return None


def _rows(name: str) -> list[dict[str, str]]:
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
