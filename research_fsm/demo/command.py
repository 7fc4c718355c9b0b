"""The command ``research-fsm demo``.

Floor 6. Imports only click until it is called. Decides where the store goes, and turns how it went into an exit code:
0 if every promise held, 1 if one did not, 128 and the signal's number if somebody stopped it.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from research_fsm.demo.place import Place

__all__ = ["demo_command"]

_STOPPED = 128


@click.command("demo")
@click.option(
    "--store", metavar="STORE", help="Make it here, in a new file or a new schema; else in a temporary folder."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end, and nothing else.")
@click.pass_context
def demo_command(ctx: click.Context, store: str | None, as_json: bool) -> None:  # noqa: FBT001  # click's signature.
    """See the promises kept, in under half a minute.

    64 callers in 4 processes fire at one person, an engine refuses, a server and its workers are killed with kill -9;
    then the log is verified and recounted. Needs no network. With --store postgresql://user@host/database it all
    happens there, in a schema of its own, and it says how to drop that. The exit code is 0 only if every promise held.
    """
    from research_fsm.demo.place import File
    from research_fsm.demo.play import play
    from research_fsm.demo.screen import Screen
    from research_fsm.demo.signals import Stopped, stoppable
    from research_fsm.errors import ResearchError

    as_json = as_json or bool(getattr(ctx.obj, "as_json", False))
    named = _named(ctx, store)
    folder = Path(tempfile.mkdtemp(prefix="research-fsm-demo-"))
    try:
        with stoppable():
            ending = play(Screen(quiet=as_json), named or File(folder / "demo.db"), folder)
    except Stopped as stopped:
        shutil.rmtree(folder)
        click.echo(f"\nstopped by {stopped}; nothing is left running", err=True)
        ctx.exit(_STOPPED + stopped.signum)
    except BrokenPipeError:
        # Whoever read along has gone: no promise was broken, and there is nobody to tell.
        shutil.rmtree(folder)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        ctx.exit(_STOPPED + signal.SIGPIPE)
    except ResearchError:
        shutil.rmtree(folder)  # Nothing was begun.
        raise
    if as_json:
        click.echo(
            json.dumps(ending.as_json(), ensure_ascii=(sys.stdout.encoding or "ascii").lower() != "utf-8", indent=2)
        )
    ctx.exit(0 if ending.held else 1)


def _named(ctx: click.Context, store: str | None) -> "Place | None":
    """Return what was named on the command line; the environment's store is not for playing with."""
    above = ctx.parent
    if store is None and above is not None and above.get_parameter_source("store") is ParameterSource.COMMANDLINE:
        store = getattr(above.obj, "store", None)
    if store is None:
        return None
    from research_fsm.demo.place import Database, File
    from research_fsm.stores.postgres_address import is_url

    if is_url(store):
        return Database.of(store)
    path = Path(store).absolute()
    if path.exists():
        raise click.UsageError(f"{path} exists; the demonstration makes a store of its own, name a new file")
    if not path.parent.is_dir():
        raise click.UsageError(f"there is no folder {path.parent}")
    return File(path)
