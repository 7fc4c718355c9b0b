"""A reader for whoever looks: it yields no row whose columns hold another type than a store promises.

Floor 5. Imports the words of the store's contract. Only an audit reads without it, because it lists what is wrong.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from attrs import evolve

from research_fsm.columns import checked, printable
from research_fsm.errors import LogUnreadable
from research_fsm.storage import Head, Query, QueueEntry, Reader, Receipt, RecordedEvent, Token, UniqueKey, View

__all__ = ["TypedReader"]


class TypedReader:
    """What `storage.Reader` promises, of a reader that may yield anything.

    Every method raises `LogUnreadable` for a row that was edited by hand; it names the row and the column.

    Args:
        reader: The other one.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def now(self) -> int:
        """Return the store's time in microseconds UTC."""
        return self._reader.now()

    @contextmanager
    def snapshot(self) -> Iterator["TypedReader"]:
        """Open a reader that sees one point in time."""
        with self._reader.snapshot() as frozen:
            yield TypedReader(frozen)

    def read(self, query: Query) -> View:
        """Load what a query names."""
        view = self._reader.read(query)
        for rows in (view.heads, view.keys, view.receipts):
            for row in rows.values():
                checked(row)
        if view.entry is not None:
            checked(view.entry)
        for (stream, name), body in view.documents.items():
            _check_document(stream, name, body)
        return evolve(view, history=lambda stream: map(checked, view.history(stream)))

    def events(self, stream: str | None = None, *, after: int = 0) -> Iterator[RecordedEvent]:
        """Yield events in order: of one stream by version, or of the whole log by position."""
        return map(checked, self._reader.events(stream, after=after))

    def heads(self) -> Iterator[Head]:
        """Yield every head, by stream."""
        return map(checked, self._reader.heads())

    def linked(self, link: str, *, before: int | None = None, limit: int = 100) -> list[Head]:
        """Return heads that link to a stream, newest first."""
        return [checked(head) for head in self._reader.linked(link, before=before, limit=limit)]

    def due(self, tags: tuple[str, ...], until: int, *, after: tuple[int, str] | None, limit: int) -> list[Head]:
        """Return heads that somebody has to look at, most overdue first."""
        return [checked(head) for head in self._reader.due(tags, until, after=after, limit=limit)]

    def documents(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield every document as its stream, its name and its body."""
        for document in self._reader.documents():
            _check_document(*document)
            yield document

    def keys(self) -> Iterator[UniqueKey]:
        """Yield every unique key, in order."""
        return map(checked, self._reader.keys())

    def receipts(self) -> Iterator[Receipt]:
        """Yield every receipt, by key."""
        return map(checked, self._reader.receipts())

    def entries(self) -> Iterator[QueueEntry]:
        """Yield every queue entry, first come first."""
        return map(checked, self._reader.entries())

    def tokens(self, owner: str | None = None) -> list[Token]:
        """Return an owner's access tokens, or everybody's, oldest first."""
        return [checked(token) for token in self._reader.tokens(owner)]

    def token(self, digest: str) -> Token | None:
        """Return the access token with this digest."""
        found = self._reader.token(digest)
        return None if found is None else checked(found)


def _check_document(stream: object, name: object, body: object) -> None:
    if not (isinstance(stream, str) and isinstance(name, str) and isinstance(body, bytes)):
        what = f"the document {printable(name)} of {printable(stream)}"
        raise LogUnreadable(what, "a column has another type than it should; `verify` lists what is wrong")
