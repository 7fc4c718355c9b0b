"""The tables of the SQLite store, its migrations, and whose database a file is.

Floor 5. Imports the driver, the errors, and sqlite-utils when there is something to migrate. It never reads or writes
an event.
"""

import secrets
import sqlite3

from research_fsm.errors import StoreDamaged, StoreForeign, StoreTooNew

__all__ = [
    "APPEND_ONLY",
    "APPLICATION_ID",
    "SCHEMA_VERSION",
    "foreign",
    "is_empty",
    "migrate",
    "needs_migration",
    "read_secret",
]

APPLICATION_ID = 0x7266736D
"""``rfsm`` in ASCII: says in the file's header whose file it is."""

_EVENTS = """
CREATE TABLE events (
    position INTEGER PRIMARY KEY AUTOINCREMENT CHECK (position > 0),
    stream TEXT NOT NULL,
    version INTEGER NOT NULL,
    type TEXT NOT NULL,
    schema INTEGER NOT NULL,
    at INTEGER NOT NULL,
    data TEXT NOT NULL,
    meta TEXT NOT NULL,
    hash BLOB NOT NULL,
    UNIQUE (stream, version)
)
"""

_HEADS = """
CREATE TABLE heads (
    stream TEXT PRIMARY KEY NOT NULL,
    version INTEGER NOT NULL,
    hash BLOB NOT NULL,
    fold INTEGER NOT NULL,
    state TEXT NOT NULL,
    link TEXT,
    tag TEXT NOT NULL,
    due INTEGER,
    first INTEGER NOT NULL
)
"""

_DOCUMENTS = """
CREATE TABLE documents (
    stream TEXT NOT NULL,
    name TEXT NOT NULL,
    body NOT NULL,
    PRIMARY KEY (stream, name)
)
"""

_KEYS = """
CREATE TABLE unique_keys (
    key TEXT PRIMARY KEY NOT NULL,
    stream TEXT NOT NULL,
    value TEXT NOT NULL,
    personal INTEGER NOT NULL
)
"""

_RECEIPTS = """
CREATE TABLE receipts (
    key TEXT PRIMARY KEY NOT NULL,
    stream TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    answer TEXT NOT NULL
)
"""

_QUEUE = """
CREATE TABLE queue (
    position INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL UNIQUE,
    stream TEXT NOT NULL,
    lease_until INTEGER
)
"""

_TOKENS = """
CREATE TABLE tokens (
    position INTEGER PRIMARY KEY,
    token_id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
)
"""

APPEND_ONLY = ("events_no_update", "events_no_delete", "events_no_replace")
"""The triggers that stop every client from changing the log."""

# A plain client replaces rows without firing the DELETE trigger, so the INSERT itself looks whether it would replace
# one. A position that SQLite is to choose is -1 here; the table's CHECK keeps everybody else from that number.
_APPEND_ONLY = (
    """
    CREATE TRIGGER events_no_update BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'the log is append-only: an event is never changed'); END
    """,
    """
    CREATE TRIGGER events_no_delete BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'the log is append-only: an event is never deleted'); END
    """,
    """
    CREATE TRIGGER events_no_replace BEFORE INSERT ON events
    WHEN NEW.position BETWEEN 0 AND (SELECT max(position) FROM events)
        OR EXISTS (SELECT 1 FROM events WHERE stream = NEW.stream AND version = NEW.version)
    BEGIN SELECT RAISE(ABORT, 'the log is append-only: an event is never replaced, a position never used again'); END
    """,
)

_MIGRATIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "log_heads_and_what_stands_beside_them",
        (
            _EVENTS,
            *_APPEND_ONLY,
            _HEADS,
            "CREATE INDEX heads_by_link ON heads (link, first) WHERE link IS NOT NULL",
            "CREATE INDEX heads_by_due ON heads (tag, due, stream) WHERE due IS NOT NULL",
            _DOCUMENTS,
            _KEYS,
            "CREATE INDEX personal_keys ON unique_keys (stream) WHERE personal",
            _RECEIPTS,
            "CREATE INDEX fingerprints ON receipts (stream) WHERE fingerprint <> ''",
            _QUEUE,
            _TOKENS,
            "CREATE INDEX tokens_by_digest ON tokens (digest)",
            "CREATE TABLE settings (name TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL)",
        ),
    ),
)

SCHEMA_VERSION = len(_MIGRATIONS)
"""The file's ``user_version`` once every migration is applied."""


def needs_migration(connection: sqlite3.Connection) -> bool:
    """Return whether a migration is missing."""
    return _pragma(connection, "user_version") < SCHEMA_VERSION


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Apply what is missing, in one transaction; of several processes that come at once, one does it.

    Raises:
        StoreError: Between the look and the lock it became somebody else's file, or a later version's.
        sqlite3.Error: It could not be done; nothing was.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        is_empty(connection, path)
        if needs_migration(connection):
            _apply(connection)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("INSERT OR IGNORE INTO settings VALUES ('secret', ?)", (secrets.token_bytes(32),))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _apply(connection: sqlite3.Connection) -> None:
    from sqlite_utils import Database, Migrations

    migrations = Migrations("research_fsm")

    def register(name: str, statements: tuple[str, ...]) -> None:
        @migrations(name=name)
        def _migration(database: Database) -> None:
            for statement in statements:
                database.conn.execute(statement)

    for name, statements in _MIGRATIONS:
        register(name, statements)
    migrations.apply(Database(connection, execute_plugins=False))


def is_empty(connection: sqlite3.Connection, path: str) -> bool:
    """Return whether a database has no tables, asked within a transaction.

    Raises:
        StoreForeign: It has another program's.
        StoreTooNew: It has those of a later version of this library.
        sqlite3.Error: It cannot be read.
    """
    owner, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
    if owner == APPLICATION_ID:
        if version > SCHEMA_VERSION:
            raise StoreTooNew(path, f"it has schema {version}, this version knows {SCHEMA_VERSION}; upgrade")
        return False
    if owner != 0 or connection.execute("SELECT EXISTS (SELECT 1 FROM sqlite_master)").fetchone()[0]:
        raise foreign(path)
    return True


def foreign(path: str) -> StoreForeign:
    """Return the error that says so."""
    return StoreForeign(path, "it belongs to another program; name another file")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def read_secret(connection: sqlite3.Connection, path: str) -> bytes:
    """Return the store's secret.

    Raises:
        StoreDamaged: There is none.
    """
    row = connection.execute("SELECT value FROM settings WHERE name = 'secret'").fetchone()
    if row is None or not isinstance(row[0], bytes) or len(row[0]) != 32:  # noqa: PLR2004 - said by storage.Store.
        raise StoreDamaged(path, "the store's secret is missing; keep this file for inspection and restore a backup")
    return row[0]
