"""How the demonstration looks: headings, tables and the race as it happens.

Floor 6. The only module here that knows `rich`. On a terminal it draws; anywhere else it prints plain lines, with no
escape codes; told to be quiet it prints nothing. Nothing is wider than the terminal.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from research_fsm.demo.promises import Check, Checks
from research_fsm.demo.timeline import Line

__all__ = ["Screen"]

_WIDEST = 100


class _Console(Console):
    """Lets the command decide how it ends when whoever read along has gone; rich ends the program with 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Screen:
    """Where everything is shown.

    Args:
        quiet: Print nothing at all.
        console: Where to print; standard output by default.
    """

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self.console = console or _Console(quiet=quiet, highlight=False, emoji=False, soft_wrap=False)
        self.console.width = min(self.console.width, _WIDEST)
        unicode = self.console.encoding.lower().startswith("utf")
        self._good, self._bad, self._waiting = ("✓", "✗", "·") if unicode else ("+", "x", ".")

    def title(self, text: str) -> None:
        """Print the first line."""
        self._print(Text(text, "bold"))

    def act(self, text: str) -> None:
        """Begin an act."""
        self._print(Text(""))
        self._print(Rule(Text(text, "bold cyan"), align="left", style="cyan"))

    def say(self, text: str, style: str = "") -> None:
        """Print a paragraph."""
        self._print(Text(text, style))

    def command(self, text: str, why: str) -> None:
        """Print something to type, whole, so that it can be copied, and what it shows."""
        self._print(Text(f"  {why}", "dim"))
        self.console.print(Text(f"    {text}", "bold"), soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table."""
        self._print(_table(columns, rows))

    @contextmanager
    def changing(self, columns: Sequence[str]) -> Iterator[Callable[[Iterable[Sequence[object]]], None]]:
        """Show a table that changes: call what this gives with its rows. Anywhere but on a terminal, its last state."""
        with self._live() as show:
            yield lambda rows: show(_table(columns, rows))

    @contextmanager
    def race(self, processes: Mapping[int, int]) -> Iterator[Callable[[int, Mapping[str, Any]], None]]:
        """Show answers as they come in: call what this gives with the process id and the answer.

        Args:
            processes: How many callers each client process has, by process id.
        """
        answers: dict[int, list[bool | None]] = {pid: [None] * callers for pid, callers in processes.items()}
        with self._live() as show:
            show(self._board(answers))

            def answered(pid: int, answer: Mapping[str, Any]) -> None:
                answers[pid][answer["caller"]] = answer["status"] == 200  # noqa: PLR2004  # HTTP's own number.
                show(self._board(answers))
                if not self.console.is_terminal:
                    said = f"{answer['status']} {answer['code'] or 'success'}"
                    self.say(f"  {answer['milliseconds']:7.1f} ms  process {pid} caller {answer['caller']:2}  {said}")

            yield answered

    def check(self, check: Check) -> None:
        """Print one promise: held, or what was expected and seen."""
        grid = Table.grid(padding=(0, 1))
        grid.add_row(self._mark(check), Text(check.statement, "" if check.held else "red"))
        if check.reached and not check.held:
            grid.add_row("", Text(f"expected {check.expected!r}", "red"))
            grid.add_row("", Text(f"saw      {check.seen!r}", "red"))
        self._print(grid)

    def laws(self, statements: Mapping[str, str], broken: Mapping[str, Sequence[str]]) -> None:
        """Print every law, and under each what breaks it."""
        grid = Table.grid(padding=(0, 1))
        for name, statement in statements.items():
            held = name not in broken
            grid.add_row(
                Text(f" {self._good if held else self._bad}", "green" if held else "bold red"), name, statement
            )
            for words in broken.get(name, ()):
                grid.add_row("", "", Text(words, "red"))
        self._print(grid)

    def timeline(self, lines: Iterable[Line]) -> None:
        """Print a history."""
        grid = Table.grid(padding=(0, 2))
        for line in lines:
            style = "yellow" if line.is_credit else "cyan"
            grid.add_row(Text(f"  {line.seconds:7.3f} s"), Text(line.name, style), line.words)
        self._print(grid)

    def verdict(self, checks: Checks) -> None:
        """Print every promise in one table."""
        grid = Table.grid(padding=(0, 1))
        for check in checks:
            grid.add_row(self._mark(check), Text(check.name, "bold"), check.statement)
        self._print(grid)
        for check in checks:
            if check.reached and not check.held:
                self._print(Text(""))
                self.check(check)

    def _mark(self, check: Check) -> Text:
        if not check.reached:
            return Text(f" {self._waiting}", "dim")
        return Text(f" {self._good}", "green") if check.held else Text(f" {self._bad}", "bold red")

    def _board(self, answers: Mapping[int, Sequence[bool | None]]) -> RenderableType:
        """Return a row per client process, a mark per caller."""
        marks = {
            True: Text(self._good, "bold green"),
            False: Text(self._bad, "red"),
            None: Text(self._waiting, "dim"),
        }
        grid = Table.grid(padding=(0, 2))
        for pid, row in answers.items():
            grid.add_row(Text(f"  process {pid}"), Text(" ").join(marks[won] for won in row))
        return Padding(grid, (1, 0))

    @contextmanager
    def _live(self) -> Iterator[Callable[[RenderableType], None]]:
        """Show something that changes; anywhere but on a terminal, what it came to."""
        if self.console.is_terminal:
            with Live(console=self.console, auto_refresh=False) as live:
                yield lambda drawing: live.update(drawing, refresh=True)
            return
        last: list[RenderableType] = [""]

        def keep(drawing: RenderableType) -> None:
            last[0] = drawing

        try:
            yield keep
        finally:
            self._print(last[0])

    def _print(self, drawing: RenderableType) -> None:
        """Print; a line that is not for a terminal ends where its text ends."""
        if self.console.is_terminal or self.console.quiet:
            self.console.print(drawing)
            return
        with self.console.capture() as captured:
            self.console.print(drawing)
        for line in captured.get().splitlines():
            self.console.out(line.rstrip())


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    table = Table(box=None, padding=(0, 2), pad_edge=True, header_style="dim")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    return table
