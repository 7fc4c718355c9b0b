"""Emptying a write-ahead log of what was erased, however long it takes until that can be done.

Floor 5. Imports the driver alone. It knows one row of the settings, and nobody who was erased.

Deleted text is overwritten where it stood, but the log still has the pages as they were until it is emptied, and that
is refused while somebody reads from it. So an erasure leaves a mark, in its own transaction, which stays until the log
was emptied after it: whichever process finds the mark does that, also when the one that erased has long ended.
"""

import sqlite3

__all__ = ["is_marked", "left_in", "mark", "wipe"]

# Each mark is another one: who empties the log takes away the mark that was seen before, and never a later erasure's.
_MARK = """
INSERT INTO settings (name, value) VALUES ('unwiped', randomblob(16))
ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""

_MARKED = "SELECT value FROM settings WHERE name = 'unwiped'"

_UNMARK = "DELETE FROM settings WHERE name = 'unwiped' AND value = ?"


def mark(connection: sqlite3.Connection) -> None:
    """Note, in the transaction that forgets something, that the write-ahead log has to be emptied after it."""
    connection.execute(_MARK)


def is_marked(connection: sqlite3.Connection) -> bool:
    """Tell whether something that was erased may still be in the write-ahead log."""
    return connection.execute(_MARKED).fetchone() is not None


def left_in(path: str) -> str:
    """Say of a file that something is left in it, and what to do."""
    return (
        f"what was erased is still in the bytes of {path} or {path}-wal, because somebody was reading; "
        "once nobody does, `recover`, or `serve` by itself, overwrites it"
    )


def wipe(connection: sqlite3.Connection) -> bool:
    """Empty the write-ahead log if there is a mark, and take the mark away; return whether nothing is left to do.

    Args:
        connection: One that writes, with no transaction open. How long it waits for readers, it keeps writers waiting.

    Raises:
        sqlite3.Error: It could not be done; the mark is still there.
    """
    found = connection.execute(_MARKED).fetchone()
    if found is None:
        return True
    if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        return False
    connection.execute(_UNMARK, found)
    return True
