"""What the doctor looks at of a store in a PostgreSQL database: the server, the tables, and who stands in the way.

Floor 6. Looks and changes nothing: everything is asked in one transaction that may only read.
"""

# ruff: noqa: S608  # The schema is a name that was checked.

from collections.abc import Iterator
from typing import Any

import psycopg

from research_fsm.cli.examination import STORE, Check, Seen, of_schema, of_triggers
from research_fsm.cli.session import Session
from research_fsm.stores.postgres_address import Place
from research_fsm.stores.postgres_errors import ServerSaid, WireLost, failure
from research_fsm.stores.postgres_schema import APPEND_ONLY, RIGHTS, SCHEMA_VERSION
from research_fsm.stores.postgres_server import Address
from research_fsm.stores.postgres_statements import Dialect

__all__ = ["look"]

_TRIED = 16
_MANY = 0.8
_PATIENCE_SECONDS = 60

_SERVER = """
SELECT current_setting('server_version'), current_setting('server_version_num')::int / 10000, pg_is_in_recovery(),
    pg_backend_pid(), (SELECT count(*) FROM pg_stat_activity), current_setting('max_connections')::int,
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
"""
_OFF = "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name"
# Whom it may not see the server shows to a role as nobody.
_OPEN = f"""
SELECT * FROM (
    SELECT format('process %s (%s)', pid, application_name), extract(epoch FROM now() - xact_start)::int AS seconds
    FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    UNION ALL
    SELECT format('the prepared transaction %s', gid), extract(epoch FROM now() - prepared)::int
    FROM pg_prepared_xacts WHERE database = current_database()
) AS open WHERE seconds >= {_PATIENCE_SECONDS} ORDER BY seconds DESC LIMIT 1
"""
_STORE = "SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'settings' AND relnamespace = to_regnamespace('{s}'))"
_MAY_LOOK = "SELECT has_schema_privilege('{s}', 'USAGE')"
_MISSING = """
SELECT name || ' ' || kind FROM unnest(%s::text[], %s::text[]) AS needed(name, kind)
WHERE NOT has_table_privilege('{s}.' || name, kind)
"""
_VERSION = "SELECT convert_from(value, 'UTF8')::int FROM {s}.settings WHERE name = 'schema'"
_TRIGGERS = "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass('{s}.events') AND tgenabled = 'A'"
_LATEST = "SELECT max(at) FROM {s}.events"


def look(session: Session) -> Seen:
    """Look at a store in a database, and at its server.

    Raises:
        InvalidInput: Its address cannot be read.
        StoreError: The server cannot be reached, or lets nobody in.
    """
    place = Place.of(session.store)
    address, dialect = Address.of(session.store), Dialect(place.schema)
    try:
        with address.connect() as connection, connection.transaction():
            connection.prepare_threshold = None  # Behind a pooler, what is prepared is somebody else's.
            connection.execute("SET TRANSACTION READ ONLY")
            return _Looking(connection, dialect, place.shown).seen()
    except WireLost as error:
        raise failure(error, address.where) from error
    except psycopg.Error as error:
        said = ServerSaid(error.sqlstate or "08006", error.diag.message_primary or "the connection was lost")
        raise failure(said, address.where) from error


class _Looking:
    """One look, in one transaction."""

    def __init__(self, connection: "psycopg.Connection[Any]", dialect: Dialect, shown: str) -> None:
        self._connection = connection
        self._dialect = dialect
        self._shown = shown

    def seen(self) -> Seen:
        (facts,) = self._ask(_SERVER)
        checks = [*self._server(*facts[:-1])]
        now: int = facts[-1]
        if not self._ask(_STORE)[0][0]:
            words = f"{self._shown}: there is no store in the schema {self._dialect.schema}; `grant` or `add` makes one"
            return [*checks, Check(STORE, "problem", words)], None, now
        checks.append(Check(STORE, "ok", f"{self._shown} is a store"))
        rights = self._rights()
        checks.append(rights)
        if rights.verdict == "problem":
            return checks, None, now
        ((version,),) = self._ask(_VERSION)
        checks += [of_schema(version, SCHEMA_VERSION), self._append_only()]
        return checks, self._ask(_LATEST)[0][0], now

    def _ask(self, statement: str, *arguments: list[str]) -> list[tuple[Any, ...]]:
        text = self._dialect.text(statement).encode()
        return self._connection.execute(text, arguments or None).fetchall()

    def _server(self, version: str, major: int, standby: bool, process: int, used: int, most: int) -> Iterator[Check]:  # noqa: FBT001  # A row.
        tried = f"{version}; {_TRIED} is the oldest that this version was tried on"
        yield Check("server", "ok", version) if major >= _TRIED else Check("server", "warning", tried)
        if standby:
            yield Check("primary", "problem", "a standby answers, on which nothing can be written: name the primary")
        pooled = process != self._connection.info.backend_pid
        words = "one answers: statements are planned anew each time" if pooled else "none: statements are prepared"
        yield Check("pooler", "ok", words)
        off = " and ".join(name for (name,) in self._ask(_OFF))
        lost = f"{off} is off: what was committed may be lost or damaged when the power fails"
        yield Check("durability", "problem", lost) if off else Check("durability", "ok", "commits are flushed")
        words = f"{used} of {most} are in use"
        yield Check("connections", "warning" if used >= most * _MANY else "ok", words)
        kept = self._ask(_OPEN)
        words = "nobody keeps one open"
        if kept:
            ((who, seconds),) = kept
            words = f"{who} has kept one open for {seconds} s: what was deleted is not cleared away, readers may wait"
        yield Check("transactions", "warning" if kept else "ok", words)

    def _rights(self) -> Check:
        needed = [(table, kind) for table, kinds in RIGHTS.items() for kind in kinds.split(", ")]
        missing = [("the schema USAGE",)]
        if self._ask(_MAY_LOOK)[0][0]:
            missing = self._ask(_MISSING, [table for table, _ in needed], [kind for _, kind in needed])
        if missing:
            words = f"this role lacks {', '.join(one for (one,) in missing)}: see `grants` in the how-to on PostgreSQL"
            return Check("rights", "problem", words)
        return Check("rights", "ok", "this role may do what is needed")

    def _append_only(self) -> Check:
        there = {name for (name,) in self._ask(_TRIGGERS)}
        return of_triggers(there, APPEND_ONLY)
