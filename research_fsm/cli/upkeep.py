"""Operations: ``backup``, ``doctor``.

Floor 6. Decides nothing.
"""

import shlex

import click

from research_fsm.cli.engines import dispatcher_options, engine
from research_fsm.cli.exits import Exit
from research_fsm.cli.files import check_named
from research_fsm.cli.options import common_options
from research_fsm.cli.session import Session
from research_fsm.errors import InvalidInput
from research_fsm.stores.postgres_address import Place

__all__ = ["backup", "doctor"]


@click.command()
@click.argument("file")
@common_options
@click.pass_obj
def backup(session: Session, file: str) -> Exit:
    """Copy the store to the new FILE, as it is at one moment, while others go on using it.

    A database is copied by PostgreSQL's own pg_dump: this says how.
    """
    if session.on_server:
        raise InvalidInput("store", _dumped(Place.of(session.store), file))
    check_named(file)
    session.check_there()
    with session.file() as store:
        store.backup(file)
    session.show({"store": session.store, "backup": file}, lambda: f"{session.store} is copied to {file}")
    return Exit.DONE


def _dumped(place: Place, file: str) -> str:
    dump = shlex.join(["pg_dump", "--format=custom", f"--schema={place.schema}", f"--file={file}", place.bare])
    return f"a database is copied by PostgreSQL itself: {dump}; pg_restore brings it back, and the store goes on"


@click.command()
@click.option("--pipeline", metavar="MODULE:FUNCTION", help="See whether this can be imported, too.")
@dispatcher_options
@common_options
@click.pass_obj
def doctor(session: Session, pipeline: str | None, dispatcher: str, public_url: str | None) -> Exit:
    """Examine this machine, the store, and the engine if there is one, by reads that change nothing.

    Exit code 1 for a problem, 7 if the store cannot be opened.
    """
    from research_fsm.cli import examination, rendering

    checks = examination.examine(session, pipeline)
    try:
        with engine(dispatcher, public_url) as outside:
            checks += examination.ask(outside)
    except InvalidInput as error:
        checks.append(examination.Check("engine settings", "problem", str(error)))
    session.show(
        [{"check": one.name, "verdict": one.verdict, "words": one.words} for one in checks],
        lambda: rendering.examination([(one.name, one.verdict, one.words) for one in checks]),
    )
    problems = [one for one in checks if one.verdict == "problem"]
    if any(one.name == examination.STORE for one in problems):
        return Exit.STORE_ERROR
    return Exit.FINDINGS if problems else Exit.DONE
