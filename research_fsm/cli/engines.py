"""Which dispatcher a command hands runs to: the embedded queue, or an engine behind a network.

Floor 6. Decides nothing. An engine's client is imported when it is asked for, so that its extra stays one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from research_fsm.policy import Policy

if TYPE_CHECKING:
    from research_fsm.dispatchers.trigger_dev import TriggerDev

__all__ = ["TRIGGER", "dispatcher_options", "engine"]

P = ParamSpec("P")
R = TypeVar("R")

EMBEDDED, TRIGGER = "embedded", "trigger"


def dispatcher_options(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command ``--dispatcher`` and ``--public-url``."""
    dispatcher = click.option(
        "--dispatcher",
        type=click.Choice([EMBEDDED, TRIGGER]),
        default=EMBEDDED,
        show_default=True,
        envvar="RESEARCH_FSM_DISPATCHER",
        show_envvar=True,
        help="Who gets the runs: the embedded queue, or Trigger.dev, whose key is in TRIGGER_SECRET_KEY.",
    )
    public_url = click.option(
        "--public-url",
        metavar="URL",
        envvar="RESEARCH_FSM_PUBLIC_URL",
        show_envvar=True,
        help="Where the engine's tasks call back: the HTTP interface with its prefix, https://host/api.",
    )
    return dispatcher(public_url(command))


@contextmanager
def engine(dispatcher: str, public_url: str | None, policy: Policy | None = None) -> "Iterator[TriggerDev | None]":
    """Open the engine that was asked for; None stands for the embedded queue.

    Args:
        dispatcher: ``embedded`` or ``trigger``.
        public_url: Where the engine's tasks call back.
        policy: The settings: a run expires in the engine's queue when nobody waits for it any longer.

    Raises:
        click.UsageError: The address is missing.
        InvalidInput: The key or an address cannot work.
    """
    if dispatcher == EMBEDDED:
        yield None
        return
    if public_url is None:
        raise click.UsageError("--dispatcher trigger needs --public-url: where the engine's tasks call back")
    from research_fsm.dispatchers.trigger_dev import TriggerDev

    queue_ttl = (policy or Policy()).queue_deadline
    with TriggerDev.from_environment(public_url=public_url, queue_ttl=queue_ttl) as opened:
        yield opened
