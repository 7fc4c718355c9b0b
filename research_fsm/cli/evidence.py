"""What the commands that only look have in common: a log that is only read, how far they are, files that replace none.

Floor 6. Decides nothing, and writes to no store.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import click

from research_fsm.cli.session import Session
from research_fsm.laws import Finding
from research_fsm.storage import Followed, Reader

__all__ = [
    "counted",
    "evidence",
    "following",
    "imported_option",
    "looking",
    "note_if_imported",
    "progress",
]

T = TypeVar("T")

imported_option = click.option(
    "--imported", is_flag=True, help="The store came of import-log: ask for nothing that the exported file had not."
)
"""Give a command a store to verify that was made of an exported log."""


@contextmanager
def evidence(session: Session) -> Iterator[Reader]:
    """Open the log at one moment, never to be written to; its rows may hold anything."""
    from research_fsm.stores import evidence as stored

    if not session.on_server:
        session.check_there()
    with stored.evidence(session.store, session.wait) as reader:
        yield reader


@contextmanager
def looking(session: Session) -> Iterator[Reader]:
    """Open the log at one moment, never to be written to, for a command that stops at a row that was spoilt."""
    from research_fsm.stores.typed import TypedReader

    with evidence(session) as reader:
        yield TypedReader(reader)


@contextmanager
def following(session: Session) -> Iterator[Followed]:
    """Open the log as it grows, never to be written to; its rows may hold anything."""
    from research_fsm.stores import evidence as stored

    if not session.on_server:
        session.check_there()
    with stored.followed(session.store, session.wait) as log:
        yield log


def counted(session: Session, items: Iterable[T]) -> Iterable[T]:
    """Show people at a terminal how far it is."""
    with progress(session) as step:
        for item in items:
            step(1)
            yield item


@contextmanager
def progress(session: Session, total: int | None = None) -> Iterator[Callable[[int], object]]:
    """Show people at a terminal a bar that a call moves on; others are shown nothing."""
    if session.as_json or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield partial(bar.advance, bar.add_task("", total=total))


def note_if_imported(session: Session, log: Reader, found: Iterable[Finding]) -> None:
    """Say so if a store looks as if it was made of an exported log, and is held to what such a log does not bring."""
    if any(one.law == "documents_match" for one in found) and next(log.documents(), None) is None:
        session.note("Not one document is here, as in a copy that import-log made: if it is one, say --imported.")
