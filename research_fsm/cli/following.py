"""``follow``: the log as it grows, a line for each event.

Floor 9. Decides nothing.
"""

from contextlib import closing
from datetime import timedelta

import click

from research_fsm.cli import shapes
from research_fsm.cli.evidence import following
from research_fsm.cli.exits import Exit
from research_fsm.cli.options import common_options
from research_fsm.cli.session import Session
from research_fsm.cli.settings import DURATION, DURATION_OR_ZERO
from research_fsm.columns import checked
from research_fsm.feed import PATIENCE
from research_fsm.feed import follow as followed
from research_fsm.rfc3339 import format_time
from research_fsm.timeline import in_words

__all__ = ["follow"]


@click.command()
@click.option("--after", type=click.IntRange(0), default=0, metavar="POSITION", help="Begin behind this position.")
@click.option(
    "--quiet-for", type=DURATION_OR_ZERO, help="End when nothing came for so long; 0s: at the end.  [default: never]"
)
@click.option("--patience", type=DURATION, help="How long to wait for a transaction in the way.  [default: 1m]")
@common_options
@click.pass_obj
def follow(session: Session, after: int, quiet_for: timedelta | None, patience: timedelta | None) -> Exit:
    """Print every event of the log, in order and once, and then those that come.

    Each line begins with the event's position: with --after it goes on from there. It ends when whoever reads the
    lines goes away.
    """
    patient = PATIENCE if patience is None else patience
    with (
        following(session) as log,
        closing(followed(log, after=after, wait=quiet_for, patience=patient)) as events,
    ):
        for event in map(checked, events):
            words = f"{event.position}  {format_time(event.at)}  {event.stream}  {in_words(event)}"
            if not session.row(shapes.event(event), words):
                break
    return Exit.DONE
