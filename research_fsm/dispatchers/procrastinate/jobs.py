"""Makes a job of procrastinate's of every entry of the queue, in the entry's own transaction.

Floor 6. Writes SQL, and does not import procrastinate. A trigger does it, on the server: so a job comes with every
start, whichever process asks for it and in whose transaction, a host's included, and a batch of starts is one insert.
It acts in the name of whoever set it up, so that a role that may start runs need not be let into procrastinate.

A job has no ``lock`` and no ``queueing_lock``. The entry's lease already sees to it that one worker has it at a time,
and a lock would be held by the job of a worker that died.
"""

import hashlib
import re

from attrs import Attribute, field, frozen

from research_fsm.errors import InvalidInput, StoreUnavailable
from research_fsm.stores.postgres_statements import Dialect, quoted
from research_fsm.stores.postgres_wire import Wire

__all__ = ["Procrastinate"]

_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,100}")
"""Of the 128 characters of procrastinate's, so that there is room for what the name of recovery's task ends with."""

_MOST = 2**31 - 2
"""The highest priority, with room for recovery's."""

_FIND = """
SELECT to_regclass('{p}.procrastinate_jobs') IS NOT NULL,
    EXISTS (SELECT FROM pg_proc
        WHERE pronamespace = to_regnamespace('{p}') AND proname = 'procrastinate_defer_jobs_v1'),
    (SELECT obj_description(oid, 'pg_trigger') FROM pg_trigger
        WHERE tgrelid = '{s}.queue'::regclass AND tgname = 'queue_jobs' AND tgenabled <> 'D')
"""

# Deferring nothing shows whether whoever sets it up may defer.
_SET_UP = """
SET LOCAL search_path = pg_catalog, {p}, pg_temp;
SELECT procrastinate_defer_jobs_v1('{}');
CREATE OR REPLACE FUNCTION {s}.defer_jobs() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, {p}, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM added) THEN
        PERFORM procrastinate_defer_jobs_v1(ARRAY(
            SELECT ROW({queue}, {task}, {priority}, NULL, NULL,
                jsonb_build_object('run_id', run_id), NULL)::procrastinate_job_to_defer_v1
            FROM added ORDER BY position));
    END IF;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION {s}.defer_jobs() FROM PUBLIC;
DROP TRIGGER IF EXISTS queue_jobs ON {s}.queue;
CREATE TRIGGER queue_jobs AFTER INSERT ON {s}.queue REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION {s}.defer_jobs()
"""


def _name(_: object, attribute: "Attribute[str]", value: object) -> None:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InvalidInput(attribute.name, "must be 1 to 100 letters, digits and any of _ . : / -")


def _priority(_: object, attribute: "Attribute[int]", value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not -_MOST <= value <= _MOST:
        raise InvalidInput(attribute.name, "must be an integer of 32 bits")


@frozen(kw_only=True)
class Procrastinate:
    """How the jobs are called, in which queue they are, and how urgent they are.

    Hand it to the store, ``PostgresStore(…, jobs=…)``, and to `add_tasks`. It stays in the database: of two that
    differ, the one that was used last holds for all, for what is started from then on.

    Args:
        queue: Procrastinate's queue.
        priority: Procrastinate's priority: jobs with a higher number go first.
        task: The name of the task; two stores in one database need two.
        schema: The schema of procrastinate's tables.
    """

    queue: str = field(default="research_fsm", validator=_name)
    priority: int = field(default=0, validator=_priority)
    task: str = field(default="research_fsm.research", validator=_name)
    schema: str = field(default="public")

    @schema.validator
    def _check_schema(self, _: object, value: str) -> None:
        Dialect(value)

    def set_up(self, wire: Wire, dialect: Dialect) -> None:
        """Let every new entry of a store's queue be a job too. A role that may not is only stopped if none is yet.

        Raises:
            StoreUnavailable: Procrastinate's tables are not in this database, or are those of another version.
            ServerSaid: It could not be done; nothing was.
        """
        words = self._in(_SET_UP, dialect)
        # What was set up is known again by its own words. Of many that come at once, one sets it up.
        digest = hashlib.sha256(words.encode()).hexdigest()
        comment = self._in(f"COMMENT ON TRIGGER queue_jobs ON {{s}}.queue IS '{digest}'", dialect)
        lock = f"SELECT pg_advisory_xact_lock(hashtextextended('research_fsm {dialect.schema}', 0))"
        try:
            wire.run(f"BEGIN ISOLATION LEVEL READ COMMITTED;{lock}".encode())
            if self._found(wire, dialect) != digest:
                wire.run(f"{words};{comment};COMMIT".encode())
        finally:
            if wire.in_transaction:
                wire.run(b"ROLLBACK")

    def _found(self, wire: Wire, dialect: Dialect) -> str:
        """Return the digest of what is set up, or nothing."""
        ((tables, defers, digest),) = wire.run(self._in(_FIND, dialect).encode())[0]
        apply = "with procrastinate 3.2 or later, `procrastinate --app=… schema --apply` makes them"
        if tables != b"t":
            problem = f"procrastinate's tables are not in the schema {self.schema} of this database; {apply}"
            raise StoreUnavailable(wire.where, problem)
        if defers != b"t":
            problem = f"procrastinate's tables in the schema {self.schema} are those of another version; {apply}"
            raise StoreUnavailable(wire.where, f"{problem}, and its migrations bring older ones up to date")
        return (digest or b"").decode()

    def _in(self, sql: str, dialect: Dialect) -> str:
        for place, value in {
            "{p}": self.schema,
            "{s}": dialect.schema,
            "{priority}": str(self.priority),
            "{queue}": quoted(self.queue).decode(),
            "{task}": quoted(self.task).decode(),
        }.items():
            sql = sql.replace(place, value)
        return sql
