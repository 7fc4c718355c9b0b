"""How the demonstration looks: headings, tables and the race as it happens.

Floor 6. The only module here that knows `rich`. On a terminal it draws; anywhere else it prints plain lines, with no
escape codes; told to be quiet it prints nothing. Nothing is wider than the terminal.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from research_fsm.demo.promises import Check, Checks
from research_fsm.demo.timeline import Line

__all__ = ["Race", "Screen"]

_WIDEST = 100


class Screen:
    """Where everything is shown.

    Args:
        quiet: Print nothing at all.
        console: Where to print; standard output by default.
    """

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self.console = console or Console(quiet=quiet, highlight=False, emoji=False, soft_wrap=False)
        self.console.width = min(self.console.width, _WIDEST)
        unicode = self.console.encoding.lower().startswith("utf")
        self._good, self._bad, self._waiting = ("✓", "✗", "·") if unicode else ("+", "x", ".")

    def title(self, text: str) -> None:
        """Print the first line."""
        self.console.print(Text(text, "bold"))

    def act(self, number: int, text: str) -> None:
        """Begin an act."""
        self.console.print()
        self.console.print(Rule(Text(f"{number}  {text}", "bold cyan"), align="left", style="cyan"))

    def say(self, text: str, style: str = "") -> None:
        """Print a paragraph; a path in it is never broken."""
        self.console.print(Text(text, style))

    def command(self, text: str, why: str) -> None:
        """Print something to type, whole, so that it can be copied, and what it shows."""
        self.console.print(Text(f"  {why}", "dim"))
        self.console.print(Text(f"    {text}", "bold"), soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table."""
        self.console.print(_table(columns, rows))

    @contextmanager
    def changing(self, columns: Sequence[str]) -> Iterator["_Changing"]:
        """Show a table that changes; anywhere but on a terminal, its last state."""
        with Live(console=self.console, auto_refresh=False) as live:
            yield _Changing(live, columns)

    @contextmanager
    def race(self, processes: Mapping[int, int]) -> Iterator["Race"]:
        """Show answers as they come in.

        Args:
            processes: The callers of each client process, by process id.
        """
        with Live(console=self.console, auto_refresh=False) as live:
            yield Race(live, processes, {True: self._good, False: self._bad, None: self._waiting})

    def check(self, check: Check) -> None:
        """Print one promise: held, or what was expected and seen."""
        grid = Table.grid(padding=(0, 1))
        grid.add_row(self._mark(check), Text(check.statement, "" if check.held else "red"))
        if check.reached and not check.held:
            grid.add_row("", Text(f"expected {check.expected!r}", "red"))
            grid.add_row("", Text(f"saw      {check.seen!r}", "red"))
        self.console.print(grid)

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
        self.console.print(grid)

    def timeline(self, lines: Iterable[Line]) -> None:
        """Print a history."""
        grid = Table.grid(padding=(0, 2))
        for line in lines:
            style = "yellow" if line.is_credit else "cyan"
            grid.add_row(Text(f"  {line.seconds:7.3f} s"), Text(line.name, style), line.words)
        self.console.print(grid)

    def verdict(self, checks: Checks) -> None:
        """Print every promise in one table."""
        grid = Table.grid(padding=(0, 1))
        for check in checks:
            grid.add_row(self._mark(check), Text(check.name, "bold"), check.statement)
        self.console.print(grid)
        for check in checks:
            if check.reached and not check.held:
                self.console.print()
                self.check(check)

    def _mark(self, check: Check) -> Text:
        if not check.reached:
            return Text(f" {self._waiting}", "dim")
        return Text(f" {self._good}", "green") if check.held else Text(f" {self._bad}", "bold red")


class _Changing:
    """A table that changes."""

    def __init__(self, live: Live, columns: Sequence[str]) -> None:
        self._live = live
        self._columns = columns

    def show(self, rows: Iterable[Sequence[object]]) -> None:
        """Show these rows from now on."""
        self._live.update(_table(self._columns, rows), refresh=True)


class Race:
    """The board of a race: a row per client process, a mark per caller."""

    def __init__(self, live: Live, processes: Mapping[int, int], marks: Mapping[bool | None, str]) -> None:
        self._live = live
        self._marks = marks
        self._answers: dict[int, list[bool | None]] = {pid: [None] * callers for pid, callers in processes.items()}
        self._draw()

    def answered(self, pid: int, answer: Mapping[str, Any]) -> None:
        """Show an answer: who was answered, how, and after how long."""
        won = answer["status"] == 200  # noqa: PLR2004  # HTTP's own number.
        self._answers[pid][answer["caller"]] = won
        self._draw()
        console = self._live.console
        if not console.is_terminal:
            words = f"{answer['status']} {answer['code'] or 'success'}"
            who = f"process {pid} caller {answer['caller']:2}"
            console.print(Text(f"  {answer['milliseconds']:7.1f} ms  {who}  {words}"))

    def _draw(self) -> None:
        grid = Table.grid(padding=(0, 2))
        styles = {True: "bold green", False: "red", None: "dim"}
        for pid, answers in self._answers.items():
            row = Text(" ").join(Text(self._marks[won], styles[won]) for won in answers)
            grid.add_row(Text(f"  process {pid}"), row)
        self._live.update(Padding(grid, (1, 0)), refresh=True)


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    table = Table(box=None, padding=(0, 2), pad_edge=True, header_style="dim")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    return table
