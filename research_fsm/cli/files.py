"""Files that a command writes or reads: new ones that replace none, and ``-`` for standard output or input.

Floor 6. Decides nothing, and knows no store.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

from research_fsm.errors import InvalidInput

__all__ = ["STANDARD", "check_named", "lines_of", "new_file"]

STANDARD = "-"
"""What names standard output, or input, in place of a file."""


def check_named(file: str) -> None:
    """Refuse standard output for what cannot be written there."""
    if file == STANDARD:
        raise InvalidInput("file", "standard output is no place for it; name a file")


@contextmanager
def new_file(file: str, mode: int) -> Iterator[BinaryIO]:
    """Open a new file to write; one that is there is never replaced, and one that was not written whole is not left."""
    check_named(file)
    try:
        number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise InvalidInput("file", f"{file} is there already; name a new one") from None
    try:
        with os.fdopen(number, "wb") as out:
            yield out
    except BaseException:
        Path(file).unlink(missing_ok=True)
        raise


@contextmanager
def lines_of(file: str) -> Iterator[Iterable[str]]:
    """Open an exported file, or standard input, whatever bytes are in it."""
    with ExitStack() as stack:
        source = sys.stdin.buffer if file == STANDARD else stack.enter_context(Path(file).open("rb"))
        lines = TextIOWrapper(source, encoding="utf-8", errors="surrogateescape", newline="\n")
        stack.callback(lines.detach)  # Or it would close standard input.
        yield lines
