"""The tables of the PostgreSQL store, its migrations, and what a role needs to be granted.

Floor 5. Imports the errors and its siblings. It never reads or writes an event.

Keys are compared byte by byte (``COLLATE "C"``), so that rows are locked in the same order whatever the database's
own collation is. JSON is kept as text: as the bytes that were hashed. Heads are updated all the time and are left room
on their pages for it.
"""

# ruff: noqa: S608  # Statements are put together from the constants of this module, and a schema's name that was checked.

import secrets
from types import MappingProxyType
from typing import Protocol

from research_fsm.errors import StoreDamaged, StoreForeign, StoreTooNew, StoreUnavailable
from research_fsm.stores.postgres_address import SCHEMA
from research_fsm.stores.postgres_statements import Dialect
from research_fsm.stores.postgres_wire import Wire

__all__ = [
    "APPEND_ONLY",
    "RIGHTS",
    "SCHEMA_VERSION",
    "Jobs",
    "grants",
    "migrate",
    "read_settings",
    "steps",
]

_KEY = 'text COLLATE "C"'

_TABLES = f"""
CREATE TABLE {{s}}.events (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream {_KEY} NOT NULL,
    version bigint NOT NULL,
    type text NOT NULL,
    schema bigint NOT NULL,
    at bigint NOT NULL,
    data text NOT NULL,
    meta text NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT events_stream_version UNIQUE (stream, version)
);
CREATE FUNCTION {{s}}.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is append-only: an event is never changed, and never deleted'
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER events_no_change BEFORE UPDATE OR DELETE ON {{s}}.events
    FOR EACH ROW EXECUTE FUNCTION {{s}}.refuse_change();
CREATE TRIGGER events_no_truncate BEFORE TRUNCATE ON {{s}}.events
    FOR EACH STATEMENT EXECUTE FUNCTION {{s}}.refuse_change();
ALTER TABLE {{s}}.events ENABLE ALWAYS TRIGGER events_no_change;
ALTER TABLE {{s}}.events ENABLE ALWAYS TRIGGER events_no_truncate;
CREATE FUNCTION {{s}}.must_be(moved bigint, expected bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    IF moved <> expected THEN
        RAISE EXCEPTION 'a head moved: % of % are at the version that was seen', moved, expected
            USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN moved;
END $$;
CREATE TABLE {{s}}.heads (
    stream {_KEY} PRIMARY KEY,
    version bigint NOT NULL,
    hash bytea NOT NULL,
    fold bigint NOT NULL,
    state text NOT NULL,
    link {_KEY},
    tag {_KEY} NOT NULL,
    due bigint,
    first bigint NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX heads_by_link ON {{s}}.heads (link, first) WHERE link IS NOT NULL;
CREATE INDEX heads_by_due ON {{s}}.heads (tag, due, stream) WHERE due IS NOT NULL;
CREATE TABLE {{s}}.documents (
    stream {_KEY} NOT NULL,
    name {_KEY} NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (stream, name)
);
CREATE TABLE {{s}}.unique_keys (
    key {_KEY} PRIMARY KEY,
    stream {_KEY} NOT NULL,
    value text NOT NULL,
    personal boolean NOT NULL
);
CREATE INDEX personal_keys ON {{s}}.unique_keys (stream) WHERE personal;
CREATE TABLE {{s}}.receipts (
    key {_KEY} PRIMARY KEY,
    stream {_KEY} NOT NULL,
    fingerprint text NOT NULL,
    answer text NOT NULL
);
CREATE INDEX fingerprints ON {{s}}.receipts (stream) WHERE fingerprint <> '';
CREATE TABLE {{s}}.queue (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id {_KEY} NOT NULL UNIQUE,
    stream {_KEY} NOT NULL,
    lease_until bigint
);
CREATE TABLE {{s}}.tokens (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token_id {_KEY} NOT NULL UNIQUE,
    owner {_KEY} NOT NULL,
    kind text NOT NULL,
    digest {_KEY} NOT NULL,
    created_at bigint NOT NULL,
    revoked_at bigint
);
CREATE INDEX tokens_by_digest ON {{s}}.tokens (digest);
CREATE TABLE {{s}}.settings (name {_KEY} PRIMARY KEY, value bytea NOT NULL)
"""

APPEND_ONLY = ("events_no_change", "events_no_truncate")
"""The triggers that stop even the owner of the tables from changing the log."""

_MIGRATIONS = (_TABLES,)

SCHEMA_VERSION = len(_MIGRATIONS)
"""What the setting ``schema`` says once every migration is applied."""

_SECRET_BYTES = 32

_FIND = """
SELECT to_regclass('{s}.settings') IS NOT NULL,
    EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('{s}'))
"""
# IF NOT EXISTS asks for the right to make schemas even where there is one.
_MAKE = "DO $$ BEGIN IF to_regnamespace('{s}') IS NULL THEN CREATE SCHEMA {s}; END IF; END $$"
_SETTINGS = "SELECT name, encode(value, 'hex') FROM {s}.settings"


class Jobs(Protocol):
    """Makes a job of every entry of the queue, for workers of another program, in the entry's own transaction."""

    def set_up(self, wire: Wire, dialect: Dialect) -> None:
        """See to it, once the tables are there, and raise one of our own errors if it cannot be."""
        ...


def migrate(wire: Wire, dialect: Dialect, *, create: bool) -> None:
    """Make the tables, or apply what is missing; of many that come at once, one does it.

    A role that may not is only stopped if there is something to do.

    Args:
        wire: The connection.
        dialect: Where the tables are.
        create: Whether to make them if there are none, and to apply what is missing.

    Raises:
        StoreUnavailable: There is something to do, and nothing is to be done.
        StoreTooNew: A later version of this library made them.
        StoreForeign: The schema is another program's.
        ServerSaid: It could not be done; nothing was.
        WireLost: The connection is gone; nothing was done, or all of it.
    """
    found = _version(wire, dialect)
    if found == SCHEMA_VERSION:
        return
    if not create:
        there, then = ("an older store", "it is migrated") if found else ("no store", "one is made")
        problem = f"there is {there} in the schema {dialect.schema}; open it for writing, and {then}"
        raise StoreUnavailable(wire.where, problem)
    lock = f"SELECT pg_advisory_xact_lock(hashtextextended('research_fsm {dialect.schema}', 0))"
    wire.run(f"BEGIN ISOLATION LEVEL READ COMMITTED; {lock}".encode())
    try:
        wire.run(";".join([*steps(dialect, _version(wire, dialect)), "COMMIT"]).encode())
    finally:
        if wire.in_transaction:
            wire.run(b"ROLLBACK")


def steps(dialect: Dialect, done: int = 0) -> list[str]:
    """Return the statements that make the tables, or what is missing of them.

    Args:
        dialect: Where the tables are.
        done: How many migrations were applied.
    """
    found = list(_MIGRATIONS[done:])
    if done == 0:
        secret = secrets.token_hex(_SECRET_BYTES)
        found.insert(0, _MAKE)
        found.append(f"INSERT INTO {{s}}.settings VALUES ('secret', decode('{secret}', 'hex'))")
    version = f"INSERT INTO {{s}}.settings VALUES ('schema', '{SCHEMA_VERSION}')"
    found.append(f"{version} ON CONFLICT (name) DO UPDATE SET value = excluded.value")
    return [dialect.text(step) for step in found]


def _version(wire: Wire, dialect: Dialect) -> int:
    """Return how many migrations were applied; 0 if there is nothing."""
    ((ours, anything),) = wire.run(dialect.text(_FIND).encode())[0]
    if ours != b"t":
        if anything == b"t":
            raise StoreForeign(wire.where, f"the schema {dialect.schema} is another program's; name another one")
        return 0
    rows = {row[0]: row[1] for row in wire.run(dialect.text(_SETTINGS).encode())[0]}
    version = int(bytes.fromhex((rows.get(b"schema") or b"").decode()) or b"0")
    if version > SCHEMA_VERSION:
        raise StoreTooNew(wire.where, f"it has schema {version}, this version knows {SCHEMA_VERSION}; upgrade")
    return version


def read_settings(wire: Wire, dialect: Dialect) -> bytes:
    """Return the store's secret.

    Raises:
        StoreDamaged: There is none.
        StoreUnavailable: There are no tables.
    """
    rows = {row[0]: row[1] for row in wire.run(dialect.text(_SETTINGS).encode())[0]}
    if b"schema" not in rows:
        raise StoreUnavailable(wire.where, "the store's tables are not there; open the store anew")
    secret = bytes.fromhex((rows.get(b"secret") or b"").decode())
    if len(secret) != _SECRET_BYTES:
        raise StoreDamaged(wire.where, "the store's secret is missing; restore a backup")
    return secret


RIGHTS = MappingProxyType(
    {
        "events": "SELECT, INSERT",
        "heads": "SELECT, INSERT, UPDATE",
        "receipts": "SELECT, INSERT, UPDATE",
        "documents": "SELECT, INSERT, DELETE",
        "unique_keys": "SELECT, INSERT, DELETE",
        "queue": "SELECT, INSERT, UPDATE, DELETE",
        "tokens": "SELECT, INSERT, UPDATE",
        "settings": "SELECT",
    }
)
"""What a role needs, by table."""


def grants(role: str, schema: str = SCHEMA) -> str:
    """Return what a role must be granted to run a store, and cannot misuse: to append to the log, never to change it.

    Args:
        role: The role's name.
        schema: The store's schema.
    """
    name = '"{}"'.format(role.replace('"', '""'))
    lines = [f"GRANT USAGE ON SCHEMA {Dialect(schema).schema} TO {name};"]
    lines += [f"GRANT {rights} ON {schema}.{table} TO {name};" for table, rights in RIGHTS.items()]
    return "\n".join(lines)
