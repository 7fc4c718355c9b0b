"""What somebody would write by hand on PostgreSQL: a start is one call of a plpgsql function, prepared, autocommit.

It does the same work on the same tables: it looks for a receipt, locks both heads, checks status and credits, chains
the events by their hashes, moves the heads, and puts the unique key, the queue entry and the receipt. What it leaves
behind passes the library's own verification, and a test says so. It knows no other rule, and nothing but that case.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from queue import SimpleQueue
from typing import Any, Self
from uuid import uuid4

import psycopg
from psycopg_pool import AsyncConnectionPool, ConnectionPool

__all__ = ["PostgresByHand", "starting"]

_FUNCTIONS = r"""
CREATE FUNCTION chained(previous bytea, stream text, version bigint, type text, at bigint, data text, meta text)
RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT sha256(previous || convert_to(
        '["' || stream || '",' || version || ',"' || type || '",1,' || at || ',' || data || ',' || meta || ']', 'UTF8'))
$$;
CREATE FUNCTION start_by_hand(asked text, run text, request text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    request_digest text := encode(sha256(convert_to(request, 'UTF8')), 'hex');
    stream_asked text := 'person:' || asked;
    answered text;
    person record;
    account record;
    was jsonb;
    credits jsonb;
    now_us bigint;
    started text;
    dispatched text;
    spent text;
    of_run text;
    caused_held text;
    caused_charged text;
    first bytea;
    second bytea;
    held bytea;
    charged bytea;
BEGIN
    SELECT receipts.answer INTO answered FROM receipts WHERE receipts.key = request_digest;
    IF FOUND THEN
        RETURN answered;
    END IF;
    SELECT version, hash, state, link INTO person FROM heads WHERE stream = stream_asked FOR UPDATE;
    SELECT version, hash, state INTO account FROM heads WHERE stream = person.link FOR UPDATE;
    was := person.state::jsonb;
    credits := account.state::jsonb;
    IF was ->> 'phase' NOT IN ('idle', 'failed') THEN
        RETURN jsonb_build_array('AlreadyRunning', asked);
    END IF;
    IF (credits ->> 'granted')::bigint - (credits ->> 'revoked')::bigint - (credits ->> 'charged')::bigint
        + (credits ->> 'refunded')::bigint - (credits ->> 'held')::bigint < 1
    THEN
        RETURN jsonb_build_array('InsufficientCredits', asked);
    END IF;
    now_us := extract(epoch FROM clock_timestamp()) * 1000000;
    started := '{"cost":1,"deadline":null,"inside":true,"request_digest":"' || request_digest || '","run_id":"' || run
        || '","run_no":1}';
    dispatched := '{"deadline":null,"external_id":null,"run_no":1}';
    spent := '{"amount":1,"person_id":"' || asked || '","run_id":"' || run || '","run_no":1}';
    of_run := '{"actor":null,"causation_id":null,"correlation_id":"' || run || '"}';
    caused_held := '{"actor":null,"causation_id":"' || stream_asked || '@' || person.version + 1
        || '","correlation_id":"' || run || '"}';
    caused_charged := '{"actor":null,"causation_id":"' || stream_asked || '@' || person.version + 2
        || '","correlation_id":"' || run || '"}';
    first := chained(person.hash, stream_asked, person.version + 1, 'RunStarted', now_us, started, of_run);
    second := chained(first, stream_asked, person.version + 2, 'RunDispatched', now_us, dispatched, of_run);
    held := chained(account.hash, person.link, account.version + 1, 'CreditsHeld', now_us, spent, caused_held);
    charged := chained(held, person.link, account.version + 2, 'CreditsCharged', now_us, spent, caused_charged);
    INSERT INTO events (stream, version, type, schema, at, data, meta, hash) VALUES
        (stream_asked, person.version + 1, 'RunStarted', 1, now_us, started, of_run, first),
        (stream_asked, person.version + 2, 'RunDispatched', 1, now_us, dispatched, of_run, second),
        (person.link, account.version + 1, 'CreditsHeld', 1, now_us, spent, caused_held, held),
        (person.link, account.version + 2, 'CreditsCharged', 1, now_us, spent, caused_charged, charged);
    UPDATE heads SET version = person.version + 2, hash = second, tag = 'queued',
        state = (was || jsonb_build_object('phase', 'queued', 'since', now_us, 'run', jsonb_build_object(
            'run_id', run, 'run_no', 1, 'cost', 1, 'inside', true, 'request_digest', request_digest,
            'started_at', now_us, 'hold', 'charged', 'open_attempts', '[]'::jsonb, 'last_attempt', 0,
            'first_armed_at', NULL, 'lease_until', NULL, 'deadline', NULL, 'dispatched_as', NULL,
            'claimed_by', NULL, 'delivery', 0)))::text
    WHERE stream = stream_asked;
    UPDATE heads SET version = account.version + 2, hash = charged,
        state = (credits || jsonb_build_object('charged', (credits ->> 'charged')::bigint + 1))::text
    WHERE stream = person.link;
    INSERT INTO unique_keys (key, stream, value, personal) VALUES ('run:' || run, stream_asked, '1', false);
    INSERT INTO queue (run_id, stream) VALUES (run, stream_asked);
    answered := '["Queued",{"person_id":"' || asked || '","run_id":"' || run || '","run_no":1}]';
    INSERT INTO receipts (key, stream, fingerprint, answer)
        VALUES (request_digest, stream_asked, encode(sha256(convert_to(asked, 'UTF8')), 'hex'), answered);
    RETURN answered;
END $$
"""

_CALL = "SELECT start_by_hand(%s, %s, %s)"
_PATIENCE_SECONDS = 60.0


_OPTIONS = {"autocommit": True, "options": "-c search_path=research_fsm"}


class PostgresByHand:
    """Starts runs with a function of its own on a store's tables; only fit for measuring against.

    Args:
        address: A database with a store in it.
        callers: How many callers there are.
        connections: How many connections they have at most. Where that is fewer, `psycopg_pool` hands them out.
    """

    def __init__(self, address: str, callers: int, connections: int) -> None:
        pooled, connections = callers > connections, min(callers, connections)
        self._pool = ConnectionPool(
            address, min_size=connections, max_size=connections, kwargs=_OPTIONS, open=True, timeout=_PATIENCE_SECONDS
        )
        self._pool.wait(_PATIENCE_SECONDS)
        self._free: SimpleQueue[psycopg.Connection[tuple[str]]] = SimpleQueue()
        for _ in range(0 if pooled else connections):
            self._free.put(self._pool.getconn())
        self._lend = self._pool.connection if pooled else self._own

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while not self._free.empty():
            self._pool.putconn(self._free.get())
        self._pool.close()

    def prepare(self) -> None:
        """Make the functions."""
        with self._lend() as connection:
            connection.execute(_FUNCTIONS)

    def start(self, person_id: str) -> bool:
        """Start one person, in one call and one commit."""
        with self._lend() as connection:
            _check(connection.execute(_CALL, (person_id, str(uuid4()), person_id), prepare=True).fetchone())
        return True

    @contextmanager
    def _own(self) -> "Iterator[psycopg.Connection[tuple[str]]]":
        """Lend a connection to a caller who finds one free: more than a connection of its own would cost it."""
        connection = self._free.get()
        try:
            yield connection
        finally:
            self._free.put(connection)


@asynccontextmanager
async def starting(address: str, connections: int) -> "AsyncIterator[Callable[[str], Awaitable[None]]]":
    """Yield what starts one person for a caller who awaits, on connections that a pool hands out."""
    async with AsyncConnectionPool(
        address, min_size=connections, max_size=connections, kwargs=_OPTIONS, open=False, timeout=_PATIENCE_SECONDS
    ) as pool:
        await pool.wait(_PATIENCE_SECONDS)

        async def start(person_id: str) -> None:
            async with pool.connection() as connection:
                cursor = await connection.execute(_CALL, (person_id, str(uuid4()), person_id), prepare=True)
                _check(await cursor.fetchone())

        yield start


def _check(row: tuple[Any, ...] | None) -> None:
    if row is None or not row[0].startswith('["Queued"'):
        raise AssertionError(f"answered {row}")
