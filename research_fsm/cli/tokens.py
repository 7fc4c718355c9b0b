"""Access tokens of the HTTP interface: ``token create``, ``token list``, ``token revoke``.

Floor 6. Decides nothing. A new token is printed once, alone, so that a script can take it.
"""

import click

from research_fsm.cli import shapes
from research_fsm.cli.evidence import looking
from research_fsm.cli.exits import Exit, TokenNotFound
from research_fsm.cli.options import common_options
from research_fsm.cli.session import Session
from research_fsm.events import PersonKind

__all__ = ["token"]


@click.group()
def token() -> None:
    """Make, list and revoke access tokens of the HTTP interface."""


@token.command()
@click.argument("owner")
@click.option("--partner", is_flag=True, help="A partner's token, for the partner interface; without it a user's.")
@common_options
@click.pass_obj
def create(session: Session, owner: str, partner: bool) -> Exit:  # noqa: FBT001  # click's signature.
    """Make a token for OWNER and print it, once: only its digest is kept."""
    with session.writing() as runs:
        made = runs.tokens.create(owner, PersonKind.PARTNER if partner else PersonKind.USER)
    facts = {"token_id": made.token_id, "owner": made.owner, "kind": str(made.kind), "token": made.secret}
    session.show(facts, lambda: made.secret)
    return Exit.DONE


@token.command("list")
@click.argument("owner", required=False)
@common_options
@click.pass_obj
def list_tokens(session: Session, owner: str | None) -> Exit:
    """List OWNER's tokens, or everybody's, oldest first, revoked ones too; never a token itself."""
    from research_fsm.cli import rendering

    with looking(session) as log:
        found = log.tokens(owner)
    session.show([shapes.token(one) for one in found], lambda: rendering.tokens(found))
    return Exit.DONE


@token.command()
@click.argument("token_id")
@common_options
@click.pass_obj
def revoke(session: Session, token_id: str) -> Exit:
    """Revoke the token with this public id; it opens nothing from now on."""
    with session.writing() as runs:
        if all(one.token_id != token_id for one in runs.tokens.list()):
            return session.answer(TokenNotFound(token_id))
        revoked = runs.tokens.revoke(token_id)
    session.show(shapes.token(revoked), lambda: f"token {revoked.token_id} of {revoked.owner} is revoked")
    return Exit.DONE
