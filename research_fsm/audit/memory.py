"""What an audit remembers, in bounded memory: the latest at hand, the rest in a temporary file.

Floor 6, a part of `audit`. Imports the driver of SQLite, whose database without a name is a file that the driver
makes when its own memory is full, and deletes by itself. It knows nothing of logs.
"""

import marshal
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, Generic, TypeVar

__all__ = ["Kept", "Lane", "Listed", "Remembered", "Scratch", "by_name"]

V = TypeVar("V")

_PAGE = 500

_NOTHING: tuple[None, Any] = (None, None)


class Scratch:
    """A temporary file for several tables. Closing it deletes it."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -2000"):
            self.connection.execute(f"PRAGMA {pragma}")
        self._tables = 0

    def table(self, columns: str) -> str:
        """Make a table, and return its name."""
        self._tables += 1
        name = f"remembered_{self._tables}"
        self.connection.execute(f"CREATE TABLE {name} {columns}")
        return name

    def write(self, statement: str, rows: Sequence[tuple[bytes, ...]]) -> None:
        """Write rows in one transaction."""
        self.connection.execute("BEGIN")
        self.connection.executemany(statement, rows)
        self.connection.execute("COMMIT")

    def close(self) -> None:
        """Delete the file."""
        self.connection.close()


class Remembered(dict[str, V]):
    """Values by name: looking one up fetches it from the scratch file, or makes it. It may be changed until `trim`.

    Args:
        scratch: Where what is not at hand goes.
        at_hand: How many are kept in memory.
        make: Makes the value of a name that is new.
        pack: Makes plain data of a value, if it is anything else: numbers, texts, bytes, None, and tuples of them.
        unpack: Makes the value of it again.
    """

    def __init__(
        self,
        scratch: Scratch,
        at_hand: int,
        make: Callable[[str], V],
        pack: Callable[[V], object] = lambda value: value,
        unpack: Callable[[Any], V] = lambda packed: packed,
    ) -> None:
        super().__init__()
        self._scratch = scratch
        self._at_hand = at_hand
        self._make = make
        self._pack = pack
        self._unpack = unpack
        self._spilt = False
        table = scratch.table("(name BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")
        # The statements are put together from the name that the scratch file gave.
        self._get = f"SELECT value FROM {table} WHERE name = ?"  # noqa: S608
        self._put = f"INSERT OR REPLACE INTO {table} VALUES (?, ?)"  # noqa: S608
        self._page = f"SELECT name, value FROM {table} WHERE name > ? ORDER BY name LIMIT {_PAGE}"  # noqa: S608

    def __missing__(self, name: str) -> V:
        row = self._scratch.connection.execute(self._get, (_key(name),)).fetchone() if self._spilt else None
        value = self[name] = self._make(name) if row is None else self._unpack(_value(row[0]))
        return value

    def trim(self) -> None:
        """Write down those that were fetched longest ago, if there are more than should be at hand."""
        if len(self) > self._at_hand:
            self._spill(len(self) - self._at_hand // 2)

    def everything(self) -> Iterator[tuple[str, V]]:
        """Yield all values, by name, byte by byte. Nothing is looked up meanwhile; a change is forgotten."""
        if not self._spilt:
            yield from sorted(self.items(), key=itemgetter(0))
            return
        self._spill(len(self))
        last = b""
        while page := self._scratch.connection.execute(self._page, (last,)).fetchall():
            yield from ((_name(key), self._unpack(_value(value))) for key, value in page)
            last = page[-1][0]

    def _spill(self, count: int) -> None:
        oldest = sorted(islice(self, count))
        self._scratch.write(self._put, [(_key(name), _bytes(self._pack(self.pop(name)))) for name in oldest])
        self._spilt = True


class Listed(Generic[V]):
    """Plain data that is read once, sorted by its names; one name may have several.

    Args:
        scratch: Where they are written to.
    """

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._new: list[tuple[bytes, bytes]] = []
        table = scratch.table("(name BLOB, value BLOB)")
        self._add = f"INSERT INTO {table} VALUES (?, ?)"  # noqa: S608 - as in Remembered.
        self._all = f"SELECT name, value FROM {table} ORDER BY name, rowid"  # noqa: S608 - as in Remembered.

    def add(self, name: str, value: V) -> None:
        """Put a value on the list."""
        self._new.append((_key(name), _bytes(value)))
        if len(self._new) >= _PAGE:
            self._write()

    def items(self) -> Iterator[tuple[str, V]]:
        """Yield everything, by name, byte by byte, and then in the order in which it was added."""
        self._write()
        yield from ((_name(key), _value(value)) for key, value in self._scratch.connection.execute(self._all))

    def _write(self) -> None:
        self._scratch.write(self._add, self._new)
        self._new = []


class Kept(Generic[V]):
    """Values that are read in the order in which they came, as often as is asked for, however many there are.

    Args:
        scratch: Where they are written to.
        pack: Makes plain data of a value.
        unpack: Makes the value of it again.
    """

    def __init__(self, scratch: Scratch, pack: Callable[[V], object], unpack: Callable[[Any], V]) -> None:
        self._scratch = scratch
        self._pack = pack
        self._unpack = unpack
        self._new: list[tuple[bytes]] = []
        self._count = 0
        table = scratch.table("(value BLOB)")
        self._add = f"INSERT INTO {table} VALUES (?)"  # noqa: S608 - as in Remembered.
        self._all = f"SELECT value FROM {table} ORDER BY rowid"  # noqa: S608 - as in Remembered.

    def append(self, value: V) -> None:
        """Put a value behind the others."""
        self._new.append((_bytes(self._pack(value)),))
        self._count += 1
        if len(self._new) >= _PAGE:
            self._write()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[V]:
        self._write()
        yield from (self._unpack(_value(row[0])) for row in self._scratch.connection.execute(self._all))

    def _write(self) -> None:
        self._scratch.write(self._add, self._new)
        self._new = []


class Lane(Generic[V]):
    """One of several sequences that are sorted by name, and read beside each other, a name at a time.

    Args:
        rows: By name.
    """

    def __init__(self, rows: Iterable[tuple[str, V]]) -> None:
        self._coming = iter(rows)
        self.name: str | None
        self._next: V
        self.name, self._next = next(self._coming, _NOTHING)

    def take(self, name: str) -> list[V]:
        """Return all that come next and have this name."""
        found = []
        while self.name == name:
            found.append(self._next)
            self.name, self._next = next(self._coming, _NOTHING)
        return found


def by_name(*lanes: Lane[Any]) -> Iterator[str]:
    """Yield each name that one of the lanes has, in order; whoever asks for the next has taken it from all of them."""
    while names := [lane.name for lane in lanes if lane.name is not None]:
        yield min(names)


def _key(name: str) -> bytes:
    """Return a name as bytes, whatever is in it: a spoilt row's is no UTF-8."""
    return name.encode("utf-8", "surrogatepass")


def _name(key: bytes) -> str:
    return key.decode("utf-8", "surrogatepass")


def _bytes(value: Any) -> bytes:  # noqa: ANN401  # As _value.
    return marshal.dumps(value)


def _value(data: bytes) -> Any:  # noqa: ANN401  # What was put is what comes out.
    return marshal.loads(data)  # noqa: S302 - it comes from a file of our own that nobody else can name.
