"""The command line ``research-fsm``: what an operator types.

Floor 6. No rule lives here: everything goes through `Runs`, `Worker`, the HTTP application, the audit and the store.
Starting the program imports only what the one command needs, so this module names the commands and loads them when
they are called.
"""

import io
import sys
from importlib import import_module

import click

from research_fsm.cli.exits import Exit, epilog
from research_fsm.cli.options import program_options
from research_fsm.cli.session import Session
from research_fsm.errors import ResearchError

__all__ = ["cli", "main"]

_COMMANDS = {
    "Credits": {
        "grant": ("research_fsm.cli.credits:grant", "Add credits to an owner's account."),
        "revoke": ("research_fsm.cli.credits:revoke", "Take a grant back, whole."),
        "balance": ("research_fsm.cli.credits:balance", "Show an owner's credits."),
    },
    "People": {
        "add": ("research_fsm.cli.people:add", "Add a person, or the people of a CSV file."),
        "list": ("research_fsm.cli.people:list_people", "List an owner's people, newest first."),
        "status": ("research_fsm.cli.people:status", "Show a person."),
        "report": ("research_fsm.cli.people:report", "Show a person's latest report."),
        "history": ("research_fsm.cli.people:history", "Show everything that ever happened to a person."),
        "explain": ("research_fsm.cli.explaining:explain", "Say why a person is as they are, and what comes next."),
        "mark-stale": ("research_fsm.cli.people:mark_stale", "Make a complete person idle again."),
        "erase": ("research_fsm.cli.people:erase", "Delete a person's documents for good."),
    },
    "Runs": {
        "start": ("research_fsm.cli.running:start", "Start a run of a person."),
        "work": ("research_fsm.cli.running:work", "Work on queued runs with a pipeline."),
        "serve": ("research_fsm.cli.serving:serve", "Serve the HTTP interface."),
        "recover": ("research_fsm.cli.running:recover", "Look after runs that are overdue."),
    },
    "Operations": {
        "token": ("research_fsm.cli.tokens:token", "Make, list and revoke access tokens."),
        "verify": ("research_fsm.cli.auditing:verify", "Check that the whole log is intact and legal."),
        "checkpoint": ("research_fsm.cli.auditing:checkpoint", "State how far the log reaches, and prove it later."),
        "follow": ("research_fsm.cli.following:follow", "Print every event of the log, and those that come."),
        "export": ("research_fsm.cli.moving:export", "Write the log to a file, a line of JSON for each event."),
        "import-log": ("research_fsm.cli.moving:import_log", "Make a new store from an exported log."),
        "page": ("research_fsm.cli.showing:page", "Write a page that shows people, runs, credits and findings."),
        "compare": ("research_fsm.cli.comparing:compare", "Show what another version makes of the log."),
        "views": ("research_fsm.cli.showing:views", "Copy the store for plain SQL, with readable views."),
        "backup": ("research_fsm.cli.upkeep:backup", "Copy the store to a new file while it is in use."),
        "doctor": ("research_fsm.cli.upkeep:doctor", "Examine this machine and the store."),
        "simulate": ("research_fsm.cli.simulating:simulate", "Look for a world in which a promise does not hold."),
        "demo": ("research_fsm.demo:demo_command", "See the promises kept, in under half a minute."),
    },
}
_WHERE = {name: where for section in _COMMANDS.values() for name, (where, _) in section.items()}
_EXTRAS = {
    "anyio": "serve",
    "cryptography": "audit",
    "httpx2": "trigger",
    "psycopg": "postgres",
    "rich": "cli",
    "stamina": "trigger",
    "starlette": "serve",
    "uvicorn": "serve",
}


class _Program(click.Group):
    """Loads a command when it is called, and turns whatever comes out of it into an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature.
        return list(_WHERE)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature.
        if cmd_name not in _WHERE:
            return None
        module, _, attribute = _WHERE[cmd_name].partition(":")
        command = getattr(import_module(module), attribute)
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if "--json" in args:  # Also for a mistake in the words before it, which is noticed first.
            ctx.ensure_object(Session).as_json = True
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature.
        for title, section in _COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, words) for name, (_, words) in section.items()])

    def invoke(self, ctx: click.Context) -> None:
        session = ctx.ensure_object(Session)
        try:
            code = super().invoke(ctx)
        except ResearchError as error:
            code = session.error(error)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.ClickException as error:
            code = session.usage(error)
        except ModuleNotFoundError as error:
            if error.name not in _EXTRAS:
                raise
            words = f"this needs {error.name}: pip install 'research-fsm[{_EXTRAS[error.name]}]'"
            code = session.usage(click.UsageError(words))
        except KeyboardInterrupt:
            code = Exit.INTERRUPTED
        except OSError as error:
            code = _failed(error)
        ctx.exit(int(code))


def _failed(error: OSError) -> Exit:
    """Say what the operating system refused, and return how that ends the program."""
    Session().note(f"Error: {error.filename}: {error.strerror}" if error.filename else f"Error: {error}")
    return Exit.STORE_ERROR


@click.command(cls=_Program, epilog=epilog(), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="research-fsm", prog_name="research-fsm")
@program_options
def cli() -> None:
    """Deep research on people: never queued twice, never charged twice, never stuck, always explainable."""


def main() -> None:
    """Be the program ``research-fsm``."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        cli(prog_name="research-fsm")
    except OSError as error:  # ``--help`` and ``--version`` print before any command is looked at.
        sys.exit(int(_failed(error)))
