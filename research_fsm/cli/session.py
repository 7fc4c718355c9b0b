"""What every command shares: which store, whether to print JSON, and the one way to print or to open.

Floor 6. Standard output carries results alone; notes, progress and refusals of the human kind go to standard error.
What words are about may have been written by anybody: no control character of theirs is printed, and no end of a line.
A reader that went away (``history X | head``) ends nothing: what was asked for is still done, and the exit code still
says how it went.
"""

import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click
from attrs import define

from research_fsm.cli import exits
from research_fsm.cli.exits import Answer, Exit
from research_fsm.errors import ResearchError, StoreUnavailable
from research_fsm.outcomes import Json, Refusal
from research_fsm.policy import Policy
from research_fsm.requests import Dispatcher
from research_fsm.runs import Runs
from research_fsm.stores.postgres_address import Place, is_url
from research_fsm.visible import visible, visible_json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from research_fsm.stores.postgres import PostgresStore
    from research_fsm.stores.sqlite import SQLiteStore

__all__ = ["ACTOR", "Session"]

ACTOR = "cli"
"""Who the log says asked, for what this program does."""

_TIMES = frozenset({"since", "retry_at"})


@define
class Session:
    """One invocation of the program.

    Args:
        store: The store: a file, or the address of a PostgreSQL database.
        as_json: Whether results are printed as JSON.
        wait: How long to wait for a lock that another process has on the store.
    """

    store: str = "research.db"
    as_json: bool = False
    wait: timedelta = timedelta(seconds=30)

    # --- the store ---

    @contextmanager
    def writing(self, policy: Policy | None = None, dispatcher: Dispatcher | None = None) -> Iterator[Runs]:
        """Open the store, making it if it is not there; who only looks opens it by `cli.evidence`.

        Args:
            policy: The settings.
            dispatcher: The outside engine; None for the embedded queue.
        """
        with self._database() if self.on_server else self.file() as store:
            yield Runs(store, dispatcher, policy=policy)

    @property
    def on_server(self) -> bool:
        """Whether the store is in a PostgreSQL database, and not in a file."""
        return is_url(self.store)

    @property
    def place(self) -> str:
        """Where the store is, to be shown to people: without the password that an address may have.

        Raises:
            InvalidInput: It is an address that cannot be read.
        """
        return Place.of(self.store).shown if self.on_server else self.store

    def check_there(self) -> None:
        """Check that there is a file, without opening it.

        Raises:
            StoreUnavailable: There is none, or it is empty.
        """
        place = Path(self.store)
        if not place.exists() or (place.is_file() and place.stat().st_size == 0):
            raise StoreUnavailable(
                self.store, "there is no store here; `grant` or `add` makes one, `--store` names another file"
            )

    def file(self) -> "SQLiteStore":
        """Open the store's file."""
        from research_fsm.stores.sqlite import SQLiteStore

        return SQLiteStore(self.store, busy_timeout=self.wait)

    def _database(self) -> "PostgresStore":
        from research_fsm.stores.postgres import PostgresStore

        return PostgresStore(self.store, wait=self.wait)

    # --- printing ---

    def show(self, value: Json, drawing: "Callable[[], str | tuple[str, ...] | RenderableType]") -> None:
        """Print a result: as JSON, or for people, in a line or some, or as it is drawn."""
        drawn = None if self.as_json else drawing()
        match drawn:
            case None:
                self.line(_as_json(value, indent=2))
            case str():
                self.line(visible(drawn))
            case tuple():
                self.line("\n".join(map(visible, drawn)))
            case _:
                from research_fsm.cli import rendering

                self.line(rendering.to_text(drawn, terminal=_is_terminal(), width=_width()))

    def show_lists(self, lists: Mapping[str, Iterable[Json]], drawing: "Callable[[], RenderableType]") -> None:
        """Print lists that may be longer than memory: item by item as JSON, or drawn, if need be in part."""
        if not self.as_json:
            self.show(None, drawing)
            return
        for line in _lines_of(lists):
            if not self.line(line):
                return  # Nobody reads the rest.

    def event(self, value: Json, words: str = "") -> None:
        """Print something as it happens: one line of JSON, or a note."""
        if self.as_json:
            self.row(value, words)
        else:
            self.note(words)

    def row(self, value: Json, words: str) -> bool:
        """Print one of many results: a line of JSON, or of words. Returns whether somebody still reads them."""
        return self.line(_as_json(value, indent=None) if self.as_json else visible(words))

    def answer(self, answer: Answer, **besides: Json) -> Exit:
        """Print the domain's answer, and return how it ends the program.

        Args:
            answer: The answer.
            besides: What else the JSON says.
        """
        verdict = exits.of_answer(answer)
        if self.as_json:
            word = "error" if isinstance(answer, Refusal) else "outcome"
            facts = attrs.asdict(answer)
            self.line(_as_json({word: verdict.name, **_times_to_text(facts), **besides}, indent=2))
        elif isinstance(answer, Refusal):
            self.note(str(answer))
        else:
            self.line(visible(str(answer)))
        return verdict.exit

    def error(self, error: ResearchError, **facts: Json) -> Exit:
        """Print an error of the library, and return how it ends the program.

        Args:
            error: The error.
            facts: What else the JSON says.
        """
        verdict = exits.of_error(error)
        if self.as_json:
            own = {name: value for name, value in vars(error).items() if isinstance(value, str)}
            self.line(_as_json({"error": verdict.name, **own, **facts}, indent=2))
        else:
            self.note(f"Error: {error}")
        return verdict.exit

    def usage(self, error: click.ClickException) -> Exit:
        """Print a mistake in how the program was called."""
        if self.as_json:
            self.line(_as_json({"error": "invalid_request", "problem": error.format_message()}, indent=2))
        else:
            shown = io.StringIO()
            error.show(shown)
            for line in shown.getvalue().splitlines():
                self.note(line)
        return Exit(error.exit_code) if error.exit_code in set(Exit) else Exit.USAGE

    def line(self, text: str | bytes) -> bool:
        """Print to standard output as it is, and return whether somebody still reads it.

        Bytes are printed whatever the terminal's encoding. A reader that went away is not told.
        """
        try:
            click.echo(text.removesuffix("\n") if isinstance(text, str) else text.removesuffix(b"\n"))
        except BrokenPipeError:
            _stop_printing()
            return False
        return True

    def note(self, text: str) -> None:
        """Print a line to standard error."""
        click.echo(visible(text), err=True)


def _times_to_text(facts: dict[str, Json]) -> dict[str, Json]:
    """Return an answer's facts with its times as RFC 3339."""
    from research_fsm import rfc3339

    return {
        name: rfc3339.format_time(value) if name in _TIMES and value is not None else value
        for name, value in facts.items()
    }


def _lines_of(lists: Mapping[str, Iterable[Json]]) -> Iterator[str]:
    """Yield the lines of a JSON object of lists."""
    yield "{"
    for left, (name, items) in zip(reversed(range(len(lists))), lists.items(), strict=True):
        opened, comma = f'  "{name}": [', "," if left else ""
        held: str | None = None
        for item in items:
            yield opened if held is None else f"{held},"
            held = "    " + _as_json(item, indent=2).replace("\n", "\n    ")
        if held is None:
            yield f"{opened}]{comma}"
        else:
            yield from (held, f"  ]{comma}")
    yield "}"


def _as_json(value: Json, indent: int | None) -> str:
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    return visible_json(json.dumps(value, ensure_ascii=encoding != "utf8", indent=indent))


def _is_terminal() -> bool:
    return _is_open() and sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def _width() -> int | None:
    """Return None for the terminal's own width; what is piped is never cut."""
    return None if _is_open() and sys.stdout.isatty() else 10_000


def _is_open() -> bool:
    """Tell whether there is a standard output: a shell can start a program without one."""
    return sys.stdout is not None


def _stop_printing() -> None:
    """Send everything that is still printed nowhere, so that the interpreter does not complain at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
