"""What an audit remembers of each stream, in bounded memory: the latest at hand, the rest in a temporary file.

Floor 6, below `audit_beside`. Imports the driver of SQLite, whose database without a name is a file that the driver
makes when its own memory is full, and deletes by itself. It knows nothing of logs.
"""

import pickle
import sqlite3
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

__all__ = ["Remembered", "Scratch"]

V = TypeVar("V")

_PAGE = 500


class Scratch:
    """A temporary file for several mappings. Closing it deletes it."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -2000"):
            self.connection.execute(f"PRAGMA {pragma}")
        self._tables = 0

    def table(self) -> str:
        """Make a table, and return its name."""
        self._tables += 1
        name = f"remembered_{self._tables}"
        self.connection.execute(f"CREATE TABLE {name} (name BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")
        return name

    def close(self) -> None:
        """Delete the file."""
        self.connection.close()


class Remembered(Generic[V]):
    """Values by name. One that is got may be changed in place until the next one is got or put.

    Args:
        scratch: Where what is not at hand goes.
        at_hand: How many are kept in memory.
    """

    def __init__(self, scratch: Scratch, at_hand: int) -> None:
        self._connection = scratch.connection
        self._at_hand = at_hand
        self._hot: dict[str, V] = {}
        self._spilt = False
        table = scratch.table()
        # The statements are put together from the name that the scratch file gave.
        self._get = f"SELECT value FROM {table} WHERE name = ?"  # noqa: S608
        self._put = f"INSERT OR REPLACE INTO {table} VALUES (?, ?)"  # noqa: S608
        self._page = f"SELECT name, value FROM {table} WHERE name > ? ORDER BY name LIMIT {_PAGE}"  # noqa: S608

    def get(self, name: str) -> V | None:
        """Return the value of a name, if there is one; a spoilt row may name itself by what is no text."""
        if not isinstance(name, str):
            return None  # type: ignore[unreachable]  # Only to the type checker.
        value = self._hot.get(name)
        if value is None and self._spilt:
            row = self._connection.execute(self._get, (_key(name),)).fetchone()
            if row is not None:
                value = _value(row[0])
                self._keep(name, value)
        return value

    def put(self, name: str, value: V) -> V:
        """Remember a value under a name; return it."""
        self._keep(name, value)
        return value

    def items(self) -> Iterator[tuple[str, V]]:
        """Yield everything, by name. What is got meanwhile may be changed; what is yielded may be, but is forgotten."""
        if not self._spilt:
            yield from sorted(self._hot.items())
            return
        self._spill(len(self._hot))
        last = b""
        while page := self._connection.execute(self._page, (last,)).fetchall():
            yield from ((name.decode("utf-8", "surrogatepass"), _value(value)) for name, value in page)
            last = page[-1][0]

    def _keep(self, name: str, value: V) -> None:
        if name not in self._hot and len(self._hot) >= self._at_hand:
            self._spill(self._at_hand // 2 or 1)
        self._hot[name] = value

    def _spill(self, count: int) -> None:
        """Write down those that were put or fetched longest ago."""
        oldest = list(self._hot)[:count]
        rows = [(_key(name), pickle.dumps(self._hot.pop(name), pickle.HIGHEST_PROTOCOL)) for name in oldest]
        self._connection.execute("BEGIN")
        self._connection.executemany(self._put, rows)
        self._connection.execute("COMMIT")
        self._spilt = True


def _key(name: str) -> bytes:
    """Return a name as bytes, whatever is in it: a spoilt row's is no UTF-8."""
    return name.encode("utf-8", "surrogatepass")


def _value(data: bytes) -> Any:  # noqa: ANN401  # What was put is what comes out.
    return pickle.loads(data)  # noqa: S301 - it comes from a file of our own that nobody else can name.
