"""Peers that do the same work, as their own pages show it, on either database: shown side by side.

There is nothing to reach. The same work is one start: nobody is started twice, a credit is spent only if there is one,
and the run waits for a worker. How each peer keeps it, and what it keeps, differs; the figures say what a service pays
for a start with each.
"""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from attrs import evolve
from dbos import DBOS, DBOSConfig, SQLAlchemyDatasource
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import text

from benchmarks.people import Starts
from benchmarks.rounds import Measured, Settings, paired
from research_fsm.stores.postgres import PostgresStore
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.testing.postgres import PostgresServer

__all__ = ["peers", "postgres_peers"]

_CREDITS = 10**9


class _Account(Aggregate):
    """Credits."""

    @event("Granted")
    def __init__(self, credits_: int) -> None:
        self.available = credits_

    @event("Charged")
    def charge(self, person_id: UUID, cost: int) -> None:
        """Spend credits."""
        if self.available < cost:
            raise ValueError(f"no credits for {person_id}")
        self.available -= cost


class _Person(Aggregate):
    """Somebody to research."""

    @event("Added")
    def __init__(self, owner: UUID) -> None:
        self.owner = owner
        self.status = "idle"

    @event("Started")
    def start(self) -> None:
        """Start a run."""
        if self.status == "running":
            raise ValueError("already running")
        self.status = "running"


class _Research(Application[UUID]):
    """Starts people."""

    def start(self, person_id: UUID) -> None:
        """Start one person, and charge their account, in one transaction."""
        person: Any = self.repository.get(person_id)
        account: Any = self.repository.get(person.owner)
        account.charge(person_id, 1)
        person.start()
        self.save(person, account)


def peers(settings: Settings) -> list[Measured]:
    """Show one caller's start with eventsourcing and with DBOS on SQLite."""
    settings, people = _few(settings)
    folder = Path(settings.folder)
    env = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(folder / "eventsourcing.db")}
    case = Starts(SQLiteStore(folder / "peers.db"), people)
    system, own = f"sqlite:///{folder / 'dbos.db'}", f"sqlite:///{folder / 'dbos-own.db'}"
    return _beside(case, _eventsourcing(env, people), _dbos(system, own), "SQLite", settings)


def postgres_peers(settings: Settings) -> list[Measured]:
    """Show the same on PostgreSQL, where each has a database of its own on one server."""
    settings, people = _few(settings)
    with PostgresServer() as server:
        where = conninfo_to_dict(server.new_database())
        env = {f"POSTGRES_{name.upper()}": str(where[name]) for name in ("dbname", "host", "port", "user")}
        env |= {"PERSISTENCE_MODULE": "eventsourcing.postgres", "POSTGRES_PASSWORD": "none is asked for"}
        case = Starts(PostgresStore(server.new_database()), people)
        system, own = (_for_sqlalchemy(server.new_database()) for _ in range(2))
        return _beside(case, _eventsourcing(env, people), _dbos(system, own), "PostgreSQL", settings)


def _few(settings: Settings) -> tuple[Settings, int]:
    """Return settings of fewer starts than elsewhere, as one of the peers is slow, and how many people that takes."""
    settings = evolve(settings, operations=-(-settings.operations // 4), rounds=min(settings.rounds, 5))
    return settings, 2 * (settings.rounds + 1) * settings.operations


def _for_sqlalchemy(address: str) -> str:
    return address.replace("postgresql://", "postgresql+psycopg://")


def _beside(
    case: Starts, eventsourcing: Callable[[int], None], dbos: Callable[[int], None], database: str, settings: Settings
) -> list[Measured]:
    try:
        return [
            paired(
                f"{database}, a start, 1 caller", f"the same with {name}, on {database}", case.start, start, settings
            )
            for name, start in (("eventsourcing", eventsourcing), ("DBOS", dbos))
        ]
    finally:
        case.close()
        DBOS.destroy(destroy_registry=True)


def _eventsourcing(env: Mapping[str, str], people: int) -> Callable[[int], None]:
    """Two aggregates, saved together; the account is kept in the library's cache, as its events would be replayed."""
    app = _Research(env={**env, "AGGREGATE_CACHE_MAXSIZE": "1000"})
    account = _Account(_CREDITS)
    everybody = [_Person(account.id) for _ in range(people)]
    app.save(account, *everybody)
    left = iter([person.id for person in everybody])

    def start(operations: int) -> None:
        for _ in range(operations):
            app.start(next(left))

    return start


def _dbos(system: str, own_url: str) -> Callable[[int], None]:
    """A workflow: a tracked transaction on tables of one's own charges and moves the person, then the run is enqueued.

    Nobody listens to the queue, as nobody works on the library's here.
    """
    os.environ["DBOS__APPVERSION"] = "benchmark"
    logging.getLogger("dbos").setLevel(logging.CRITICAL)
    config: DBOSConfig = {
        "name": "benchmark",
        "system_database_url": system,
        "log_level": "CRITICAL",
    }
    DBOS(config=config)
    own = SQLAlchemyDatasource.create(own_url)
    with own.engine.begin() as connection:
        connection.execute(text("CREATE TABLE accounts (owner TEXT PRIMARY KEY, available INTEGER)"))
        connection.execute(text("CREATE TABLE people (person_id TEXT PRIMARY KEY, status TEXT)"))
        connection.execute(text("INSERT INTO accounts VALUES ('acme', :credits)"), {"credits": _CREDITS})

    @own.transaction
    def charge(person_id: str) -> bool:
        session = own.sql_session()
        moved = session.execute(
            text("INSERT INTO people VALUES (:id, 'running') ON CONFLICT DO NOTHING"), {"id": person_id}
        )
        paid = session.execute(
            text("UPDATE accounts SET available = available - 1 WHERE owner = 'acme' AND available > 0")
        )
        if not (moved.rowcount and paid.rowcount):  # type: ignore[attr-defined]  # A cursor's, for these statements.
            raise ValueError(person_id)
        return True

    @DBOS.workflow()
    def research(person_id: str) -> str:
        return person_id

    @DBOS.workflow()
    def start_run(person_id: str) -> str:
        charge(person_id)
        return DBOS.enqueue_workflow("research", research, person_id).workflow_id

    DBOS.listen_queues([])
    DBOS.launch()
    DBOS.register_queue("research")

    def start(operations: int) -> None:
        for _ in range(operations):
            start_run(str(uuid4()))

    return start
