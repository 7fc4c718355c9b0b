"""A connection to a PostgreSQL server and its mutex: one message out, all of its results back.

Floor 5. Imports the driver and the errors. It knows no table.

A message is several statements in one round trip, which the driver's own cursors cannot send without its pipeline,
and that costs more than a transaction does. So messages go out on the driver's low level, and are waited for here:
with a time limit, and so that an interrupt gets through. A connection on which anything unexpected happened is
closed and opened anew.

A connection belongs to the process that opened it: a child lets go of it without a word to the server.
"""

import ctypes
import os
import select
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import psycopg
from psycopg import pq

from research_fsm.errors import StoreClosed, StoreUnavailable
from research_fsm.stores.postgres_errors import ServerSaid, WireLost, failure
from research_fsm.stores.postgres_server import Address

__all__ = ["Carrier", "Row", "Server", "Wire", "receive", "settings"]

Row = tuple[bytes | None, ...]

Server = tuple[bytes, bytes]
"""Which server it is, and which of its histories: a standby that is promoted begins a new one."""

_GRACE_SECONDS = 15.0
"""How much longer than its statements may take a server is waited for."""

_GOOD = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK, pq.ExecStatus.EMPTY_QUERY)

_ENDING = ("08", "57P")
"""How the states begin that are a connection's last words: the server is shut down, or crashed."""


class Carrier(Protocol):
    """What carries messages: a connection of ours, or a host's."""

    where: str

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        ...

    def run(self, message: bytes) -> list[list[Row]]:
        """Send a message and return the rows of each of its statements."""
        ...

    def translated(self) -> AbstractContextManager[None]:
        """Turn what goes wrong into our own errors."""
        ...

    def close(self, why: str) -> None:
        """Refuse everything from now on."""
        ...


class Wire:
    """A connection that threads take turns on. It is opened when it is needed, and again after it was lost.

    Whoever greets says on it in `server` which server answers, if that can be told.

    Args:
        address: Where to.
        greet: Says the first words on each new connection: settings, and statements to prepare.
        longest: How long the server may take over one message, in seconds.
    """

    def __init__(self, address: Address, greet: "Callable[[Wire], None]", longest: float) -> None:
        self.where = address.where
        self.server: Server | None = None
        self.lock = threading.RLock()
        self._address = address
        self._greet = greet
        self._longest = longest + _GRACE_SECONDS
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self._closed: str | None = None
        self._over: str | None = None
        _WIRES.add(self)

    def get(self) -> pq.abc.PGconn:
        """Return the connection, opened if there is none; the caller holds the mutex.

        Raises:
            StoreClosed: It was closed.
            WireLost: It cannot be opened.
            ServerSaid: The server would not hear the first words.
        """
        if self._closed is not None:
            raise StoreClosed(self.where, self._closed)
        if self._connection is None:
            if self._over is not None:
                raise StoreUnavailable(self.where, f"its connection was lost; {self._over}")
            self._connection = self._address.connect()
            try:
                self._check_strings(self._connection.pgconn)
                self._greet(self)
            except BaseException:
                self.drop()
                raise
        return self._connection.pgconn

    def _check_strings(self, pgconn: pq.abc.PGconn) -> None:
        """See that a backslash means nothing in a text, as `postgres_statements` writes it."""
        if pgconn.parameter_status(b"standard_conforming_strings") != b"on":
            raise StoreUnavailable(self.where, "set standard_conforming_strings to on, as it is by default")

    def is_pooled(self) -> bool:
        """Return whether somebody stands between: the process that works for us is not the one we connected to."""
        process = self.get().backend_pid
        return self.run(b"SELECT pg_backend_pid()")[0] != [(b"%d" % process,)]

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, as far as can be told without asking."""
        connection = self._connection
        return connection is not None and connection.pgconn.transaction_status != pq.TransactionStatus.IDLE

    def run(self, message: bytes) -> list[list[Row]]:
        """Send a message and return the rows of each of its statements; the caller holds the mutex.

        Raises:
            ServerSaid: A statement was refused; those behind it were not begun.
            WireLost: The connection is gone.
            StoreError: It was closed, or cannot be used.
        """
        pgconn = self.get()
        try:
            return receive(pgconn, message, self._longest)
        except ServerSaid:
            raise
        except psycopg.Error as error:
            self.drop()
            raise WireLost.of(error) from error
        except BaseException:
            self.drop()  # An interrupt: what is still under way on it would be taken for the next answer.
            raise

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Hold the mutex, and turn what goes wrong into our own errors."""
        with self.lock:
            try:
                yield
            except (ServerSaid, WireLost) as error:
                raise failure(error, self.where) from error

    def drop(self) -> None:
        """Close the connection, whatever its state, to open another one later; the caller holds the mutex."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def settle(self, over: str) -> None:
        """Keep to the connection that is open: when it is lost, what was begun on it cannot be had again."""
        self._over = over

    def close(self, why: str) -> None:
        """Wait for whoever is inside, close the connection and refuse everything from now on."""
        with self.lock:
            self._closed = self._closed or why
            self.drop()

    def after_fork_in_child(self) -> None:
        """Let go of what belongs to the parent, without closing it."""
        self.lock = threading.RLock()
        if self._connection is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))  # It is never closed here, not even at exit.
            self._connection = None


def receive(pgconn: pq.abc.PGconn, message: bytes, longest: float) -> list[list[Row]]:
    """Send a message on a connection, and return the rows of each statement.

    Args:
        pgconn: The connection, with nothing under way on it.
        message: Statements, divided by semicolons.
        longest: For how many seconds to wait for the server.

    Raises:
        ServerSaid: A statement was refused.
        psycopg.Error: The connection is gone.
    """
    until = time.monotonic() + longest
    pgconn.send_query(message)
    while pgconn.flush():
        _wait(pgconn, select.POLLIN | select.POLLOUT, until)
        pgconn.consume_input()
    answers: list[list[Row]] = []
    refused: ServerSaid | None = None
    while True:
        while pgconn.is_busy():
            _wait(pgconn, select.POLLIN, until)
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            break
        if result.status in _GOOD:
            answers.append(_rows(result))
        else:
            refused = refused or _refusal(result, len(answers))
    if pgconn.status != pq.ConnStatus.OK or (
        refused is not None and refused.state[:2] in {"57", "08"} and refused.state != "57014"
    ):
        raise psycopg.OperationalError(refused.text if refused is not None else "the server closed the connection")
    if refused is not None:
        raise refused
    return answers


def _wait(pgconn: pq.abc.PGconn, events: int, until: float) -> None:
    poll = select.poll()
    poll.register(pgconn.socket, events)
    left = until - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise psycopg.OperationalError("the server did not answer in time")


def _rows(result: pq.abc.PGresult) -> list[Row]:
    value, columns = result.get_value, range(result.nfields)
    return [tuple([value(row, column) for column in columns]) for row in range(result.ntuples)]


def _refusal(result: pq.abc.PGresult, done: int) -> ServerSaid:
    def field(name: pq.DiagnosticField) -> str:
        return (result.error_field(name) or b"").decode(errors="replace")

    # Without the detail, which may quote a row.
    primary = field(pq.DiagnosticField.MESSAGE_PRIMARY) or "the server closed the connection"
    state = field(pq.DiagnosticField.SQLSTATE) or "08006"
    return ServerSaid(state, primary, field(pq.DiagnosticField.CONSTRAINT_NAME), done)


def settings(wait: float, word: str) -> bytes:
    """Return the settings of a connection, or of a transaction.

    A rule is pure and quick, and whoever keeps a transaction open longer than this is gone. A statement of ours finds
    its rows by a key: a plan made while the tables were small must not read all of them once they are large.
    """
    limit = max(1, round(wait * 1000))
    values = {
        "statement_timeout": limit + 5000,
        "lock_timeout": limit,
        "idle_in_transaction_session_timeout": limit + 10_000,
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "jit": "off",
    }
    if word == "SET":
        values["plan_cache_mode"] = "force_generic_plan"
    words = [f"{word} {name} = {value}" for name, value in values.items()]
    local = "false" if word == "SET" else "true"
    words.append(
        f"SELECT set_config('synchronous_commit', 'on', {local}) WHERE current_setting('synchronous_commit') = 'off'"
    )
    return ";".join([*words, ""]).encode()


_WIRES: "weakref.WeakSet[Wire]" = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for wire in list(_WIRES):
        wire.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
