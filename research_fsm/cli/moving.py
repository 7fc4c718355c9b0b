"""A log out of a store and into a new one: ``export`` and ``import-log``.

Floor 6. Decides nothing, and writes to no store but the new one.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from research_fsm.cli.evidence import counted, looking
from research_fsm.cli.exits import Exit
from research_fsm.cli.files import STANDARD, lines_of, new_file
from research_fsm.cli.options import common_options
from research_fsm.cli.session import Session
from research_fsm.errors import StoreBusy, StoreUnavailable
from research_fsm.storage import Query, Store

if TYPE_CHECKING:
    from research_fsm.imported import Imported

__all__ = ["export", "import_log"]


@click.command()
@click.argument("file")
@click.option("--with-documents", is_flag=True, help="Profiles and reports, too: personal data.")
@common_options
@click.pass_obj
def export(session: Session, file: str, with_documents: bool) -> Exit:  # noqa: FBT001  # click's signature.
    """Write the log, as it is at one moment, to the new FILE: a line of JSON for each event.

    With - for FILE, the lines are all that is written to standard output.
    """
    from research_fsm import exported

    with looking(session) as log:
        lines = (line.encode() for line in exported.export(log, with_documents=with_documents))
        if file == STANDARD:
            all(map(session.line, lines))  # Until nobody reads them any more.
            return Exit.DONE
        with new_file(file, 0o600) as out:
            out.writelines(counted(session, lines))
    session.show({"store": session.place, "export": file}, lambda: f"the log of {session.place} is in {file}")
    return Exit.DONE


@click.command("import-log")
@click.argument("file")
@common_options
@click.pass_obj
def import_log(session: Session, file: str) -> Exit:
    """Make a new store from an exported FILE: the same events with the same hashes in the same order.

    With - for FILE, the lines come from standard input.

    In a database the store is a schema, which must not exist yet: postgresql://user@host/database?schema=name. A file
    that was exported without documents makes a store that is verified with `verify --imported`.
    """
    with lines_of(file) as lines:
        into = _into_schema if session.on_server else _into_file
        done = into(session, counted(session, lines))
    facts = {"store": session.place, "events": done.events, "root": done.root.hex()}
    session.show(facts, lambda: f"{session.place} has {done.events} events; their root is {done.root.hex()}")
    return Exit.DONE


def _into_schema(session: Session, lines: Iterable[str]) -> "Imported":
    from research_fsm import imported
    from research_fsm.stores.postgres_new import NewStore, new_store

    with ExitStack() as stack:
        return imported.load(
            lines,
            lambda clock: stack.enter_context(new_store(session.store, clock, session.wait)),
            together=NewStore.together,
        )


def _into_file(session: Session, lines: Iterable[str]) -> "Imported":
    from research_fsm import imported
    from research_fsm.stores.sqlite import SQLiteStore

    @contextmanager
    def together(store: SQLiteStore, _: Query) -> Iterator[Store]:
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield store.joined(connection)
            connection.execute("COMMIT")

    with _new_file(session.store) as file, ExitStack() as stack:
        return imported.load(
            lines, lambda clock: stack.enter_context(SQLiteStore(file, clock=clock)), together=together
        )


@contextmanager
def _new_file(store: str) -> Iterator[str]:
    """Lend a file beside the one that is wanted, which gets its name once it is whole: half a log passes for one."""
    place = Path(store)
    _check_new(place)
    try:
        folder = TemporaryDirectory(prefix=f"{place.name}.", suffix=".part", dir=place.parent)
    except OSError as error:
        problem = f"{error.strerror}; name a file in a folder that exists and may be written"
        raise StoreUnavailable(store, problem) from error
    with folder as name:
        part, log = Path(name) / place.name, Path(name) / f"{place.name}-wal"
        yield str(part)
        if log.exists() and log.stat().st_size > 0:
            raise StoreBusy(str(part), "another program has opened it, and keeps a part of it in a file beside it")
        _check_new(place)
        part.rename(place)


def _check_new(place: Path) -> None:
    if place.exists():
        raise StoreUnavailable(str(place), "there is a file here already; name a new one")
