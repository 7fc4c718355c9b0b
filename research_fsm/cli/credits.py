"""Credits: ``grant``, ``revoke``, ``balance``.

Floor 6. Decides nothing.
"""

import click

from research_fsm import as_of, reads
from research_fsm.cli import shapes
from research_fsm.cli.evidence import looking
from research_fsm.cli.exits import Exit
from research_fsm.cli.options import common_options
from research_fsm.cli.points import point_from, point_options
from research_fsm.cli.session import ACTOR, Session

__all__ = ["balance", "grant", "revoke"]


@click.command()
@click.argument("owner")
@click.argument("amount", type=click.INT)
@click.option("--grant-id", help="Names the grant, so that granting it again changes nothing.")
@common_options
@click.pass_obj
def grant(session: Session, owner: str, amount: int, grant_id: str | None) -> Exit:
    """Add AMOUNT credits to OWNER's account; with a --grant-id, once, however often this is repeated."""
    with session.writing() as runs:
        return session.answer(runs.grant(owner, amount, grant_id=grant_id, actor=ACTOR))


@click.command()
@click.argument("owner")
@click.argument("grant_id")
@common_options
@click.pass_obj
def revoke(session: Session, owner: str, grant_id: str) -> Exit:
    """Take the grant GRANT_ID back from OWNER: whole, once, and never below what is available."""
    with session.writing() as runs:
        return session.answer(runs.revoke(owner, grant_id, actor=ACTOR))


@click.command()
@click.argument("owner")
@point_options
@common_options
@click.pass_obj
def balance(session: Session, owner: str, at: str | None, version: int | None, position: int | None) -> Exit:
    """Show OWNER's credits: available = granted - revoked - charged + refunded - held.

    With --at, --version (of the account) or --position, as they were.
    """
    from research_fsm.cli import rendering

    point = point_from(at, version, position)
    with looking(session) as log:
        found = reads.balance(log, owner) if point is None else as_of.balance(log, owner, point)
    session.show(shapes.balance(found), lambda: rendering.balance(found))
    return Exit.DONE
