"""Options and arguments that many commands have: which store, JSON or not, which person, who asks.

Floor 6. Decides nothing.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import ParamSpec, TypeVar

import click

from research_fsm.cli.session import Session
from research_fsm.cli.settings import DURATION
from research_fsm.commands import checked_uuid

__all__ = ["asked_by", "common_options", "person_argument", "program_options"]

P = ParamSpec("P")
R = TypeVar("R")


def _set_store(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.ensure_object(Session).store = value


def _set_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001  # click's signature.
    if value:
        ctx.ensure_object(Session).as_json = True


def _set_wait(ctx: click.Context, _: click.Parameter, value: timedelta | None) -> None:
    if value is not None:
        ctx.ensure_object(Session).wait = value


def _common(envvar: str | None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that adds ``--store``, ``--wait`` and ``--json``.

    The variable is read for the program as a whole and not again for the command, or it would win over a ``--store``
    that stands before the command's name.
    """
    as_json = click.option(
        "--json", is_flag=True, expose_value=False, is_eager=True, callback=_set_json, help="Print JSON."
    )
    store = click.option(
        "--store",
        metavar="STORE",
        envvar=envvar,
        expose_value=False,
        is_eager=True,
        callback=_set_store,
        help="A file, or postgresql://user@host/app?schema=name.  [default: $RESEARCH_FSM_STORE, else research.db]",
    )
    wait = click.option(
        "--wait",
        type=DURATION,
        expose_value=False,
        is_eager=True,
        callback=_set_wait,
        help="How long to wait for a store that is busy.  [default: 30s]",
    )
    return lambda command: store(wait(as_json(command)))


def _checked_person(_: click.Context, __: click.Parameter, value: str) -> str:
    """Refuse a malformed id before a store is opened, in the words of whoever would refuse it later."""
    return checked_uuid("person_id", value)


person_argument = click.argument("person_id", metavar="PERSON", callback=_checked_person)
"""Give a command a person to be about."""

asked_by = click.option("--owner", help="Who asks: another owner's person is not found.")
"""Give a command somebody who asks."""

common_options = _common(None)
"""Give a command ``--store``, ``--wait`` and ``--json``."""

program_options = _common("RESEARCH_FSM_STORE")
"""Give the program the same, to stand before the command's name."""
