"""``compare``: what another version of this library makes of the same log.

Floor 9. Decides nothing.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import click

from research_fsm.cli.evidence import looking
from research_fsm.cli.exits import Exit
from research_fsm.cli.options import common_options
from research_fsm.cli.session import Session
from research_fsm.compare import Interpretation, checkout
from research_fsm.compare import compare as differences

__all__ = ["compare"]


@click.command()
@click.option(
    "--with",
    "other",
    metavar="FOLDER|MODULE:OBJECT",
    required=True,
    help="A checkout of another version, or an Interpretation of your own.",
)
@common_options
@click.pass_obj
def compare(session: Session, other: str) -> Exit:
    """Replay the log here and under another version, and show each stream that differs: the review of a change.

    A FOLDER is a checkout of this library, such as `git worktree add` makes of an older commit. Its code is run, in a
    process of its own, on events alone: it never opens the store. Exit code 1 if anything differs.
    """
    with looking(session) as log, _named(other) as theirs:
        found = list(differences(log, theirs))
    words = tuple(line for one in found for line in one.lines)
    session.show([attrs.asdict(one) for one in found], lambda: words or "the versions agree")
    return Exit.FINDINGS if found else Exit.DONE


@contextmanager
def _named(other: str) -> Iterator[Interpretation]:
    if Path(other).is_dir() or ":" not in other:
        with checkout(other) as theirs:
            yield theirs
        return
    module, _, name = other.partition(":")
    sys.path.insert(0, "")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise click.UsageError(f"{other}: {error}") from error
    finally:
        sys.path.remove("")
    if not callable(getattr(found, "replay", None)):
        raise click.UsageError(f"{other} has no method replay(stream, lines)")
    yield found
