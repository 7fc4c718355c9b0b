"""Where a demonstration keeps its store: in a new file, or in a new schema of a database.

Floor 6. Imports a driver when its kind of store is opened. Never touches what was there before.
"""

import secrets
import shlex
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from attrs import field, frozen

from research_fsm.demo import recount
from research_fsm.demo.recount import Plain
from research_fsm.storage import Store
from research_fsm.stores import postgres_address

__all__ = ["Database", "File", "Place"]

_WAIT_SECONDS = 30.0


class Place(Protocol):
    """Where the store is."""

    @property
    def shown(self) -> str:
        """What people are shown, and can name the store by."""
        ...

    @property
    def words(self) -> tuple[str, ...]:
        """What names the store to a program, in its arguments."""
        ...

    @property
    def environment(self) -> Mapping[str, str]:
        """What names it in its environment: others of the machine may read an argument."""
        ...

    def opened(self) -> AbstractContextManager[tuple[Store, Plain]]:
        """Make the store, and somebody to ask with plain SQL; nothing of it is left if something is raised.

        Raises:
            InvalidInput: There is something already.
            StoreError: It could not be made.
        """
        ...

    def query(self, plain: str) -> str:
        """Return the command that asks it with plain SQL."""
        ...

    def removal(self, folder: Path) -> str:
        """Return the command that removes it, and the folder of the logs."""
        ...


@frozen
class File:
    """A new file.

    Args:
        path: Where; there is none yet.
    """

    path: Path

    @property
    def shown(self) -> str:
        """The file."""
        return str(self.path)

    @property
    def words(self) -> tuple[str, ...]:
        """The option."""
        return ("--store", str(self.path))

    @property
    def environment(self) -> Mapping[str, str]:
        """Nothing."""
        return {}

    @contextmanager
    def opened(self) -> Iterator[tuple[Store, Plain]]:
        """Make the store. A file stays where it was named; a temporary folder is its owner's to remove."""
        from research_fsm.stores.sqlite import SQLiteStore

        with SQLiteStore(str(self.path)) as store:
            yield store, recount.in_file(self.path)

    def query(self, plain: str) -> str:
        """Return the command that asks the file."""
        return f'sqlite-utils query {shlex.quote(self.shown)} "{plain}" --table'

    def removal(self, folder: Path) -> str:
        """Return the command that removes the file and the folder."""
        own = () if self.path.parent == folder else (self.shown,)
        return shlex.join(["rm", "-r", str(folder), *own])


@frozen
class Database:
    """A new schema of a database.

    Args:
        address: The store's; it may hold a password.
    """

    address: str = field(repr=False)

    @classmethod
    def of(cls, address: str) -> "Database":
        """Choose the schema, if the address names none.

        Raises:
            InvalidInput: It is no address.
        """
        place = postgres_address.Place.of(address)
        own = place.schema != postgres_address.SCHEMA
        return cls(place.within(place.schema if own else f"research_fsm_demo_{secrets.token_hex(4)}"))

    @property
    def _place(self) -> postgres_address.Place:
        return postgres_address.Place.of(self.address)

    @property
    def shown(self) -> str:
        """The address, without what is secret."""
        return self._place.shown

    @property
    def words(self) -> tuple[str, ...]:
        """Nothing: an address may hold a password."""
        return ()

    @property
    def environment(self) -> Mapping[str, str]:
        """The variable."""
        return {"RESEARCH_FSM_STORE": self.address}

    @contextmanager
    def opened(self) -> Iterator[tuple[Store, Plain]]:
        """Make the schema, and the store in it."""
        import psycopg

        from research_fsm.stores.postgres import PostgresStore
        from research_fsm.stores.postgres_new import new_schema

        place = self._place
        with (
            new_schema(self.address, _WAIT_SECONDS),
            PostgresStore(self.address) as store,
            psycopg.connect(place.conninfo, autocommit=True, prepare_threshold=None) as connection,
        ):
            yield store, recount.in_database(connection, place.schema)

    def query(self, plain: str) -> str:
        """Return the command that asks the database."""
        return f'psql {shlex.quote(self._place.bare)} -c "{plain}"'

    def removal(self, folder: Path) -> str:
        """Return the commands that drop the schema and remove the folder."""
        return f"{self.query(f'drop schema {self._place.schema} cascade')} && rm -r {shlex.quote(str(folder))}"
