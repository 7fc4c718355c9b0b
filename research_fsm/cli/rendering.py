"""How results look to people: tables, a timeline, a progress bar.

Floor 6; the only module that imports rich. Text from outside is never read as markup, and none of its
control characters is drawn.
"""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from research_fsm.laws import STATEMENTS, Erased, Finding
from research_fsm.lifecycle import Status
from research_fsm.outcomes import Json
from research_fsm.reads import Balance, PersonDetails, ReportDetails
from research_fsm.rfc3339 import shown_time
from research_fsm.storage import RecordedEvent, Token
from research_fsm.timeline import credits_in_words, in_words, run_in_words
from research_fsm.visible import visible, visible_json

__all__ = [
    "balance",
    "examination",
    "findings",
    "history",
    "people",
    "person",
    "progress",
    "report",
    "to_text",
    "tokens",
]

_COLOURS = {Status.IDLE: "cyan", Status.RUNNING: "yellow", Status.COMPLETE: "green", Status.FAILED: "red"}
_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red"), "unknown": ("?", "yellow")}
_KEPT_WHOLE = frozenset({"person", "position", "reports", "run", "since", "status", "time", "token id"})
_FAILURES_FOR_A_HUMAN = 2
_ERASED_AT_MOST = 20
_FINDINGS_OF_A_LAW_AT_MOST = 1000


def to_text(drawing: RenderableType, *, terminal: bool, width: int | None) -> str:
    """Return a drawing as text.

    Args:
        drawing: What to draw.
        terminal: Whether colours may be used.
        width: Columns, or None for the terminal's own.
    """
    console = Console(
        file=io.StringIO(),
        force_terminal=terminal,
        no_color=not terminal,
        width=width,
        highlight=False,
        soft_wrap=not isinstance(drawing, Table),  # A table is fitted to the terminal, JSON is never broken.
        legacy_windows=False,
    )
    with console.capture() as captured:
        console.print(drawing)
    lines = captured.get().splitlines()
    return "\n".join(line if terminal else line.rstrip() for line in lines)


@contextmanager
def progress(words: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a progress bar on standard error while it is a terminal; yields what to call after each step."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(words, total=total)
        yield lambda: bar.advance(task)


def balance(found: Balance) -> RenderableType:
    """Draw an owner's credits."""
    table = _facts(found.owner)
    for name in ("available", "granted", "revoked", "held", "charged", "refunded"):
        table.add_row(name, _said(str(getattr(found, name)), justify="right"))
    return table


def people(found: Sequence[PersonDetails]) -> RenderableType:
    """Draw people, one a line."""
    if not found:
        return _said("nobody")
    table = _table("person", "status", "since", "run", "reports", "who")
    for one in found:
        cells = (shown_time(one.since), str(one.run_no or "-"), str(one.reports or "-"), _who(one.profile))
        table.add_row(_said(one.person_id), _status(one), *map(_said, cells))
    return table


def person(found: PersonDetails) -> RenderableType:
    """Draw a person."""
    table = _facts(found.person_id)
    table.add_row("who", _said(_who(found.profile)))
    table.add_row("owner", _said(f"{found.owner} ({found.kind})"))
    table.add_row("status", _status(found))
    table.add_row("since", _said(shown_time(found.since)))
    if found.run_id is not None:
        table.add_row("run", _said(f"{found.run_no} ({found.run_id})"))
    if found.deadline is not None and found.status is Status.RUNNING:
        table.add_row("deadline", _said(shown_time(found.deadline)))
    table.add_row("reports", _said(str(found.reports)))
    if found.reported_at is not None:
        table.add_row("latest report", _said(shown_time(found.reported_at)))
    if found.failures_in_a_row:
        words = "; for a human" if found.failures_in_a_row >= _FAILURES_FOR_A_HUMAN else ""
        table.add_row("failures in a row", _said(f"{found.failures_in_a_row}{words}"))
    if found.failure is not None:
        table.add_row("why it failed", _said(found.failure))
    table.add_row("added", _said(shown_time(found.added_at)))
    return table


def report(found: ReportDetails) -> RenderableType:
    """Draw a report: its content is free JSON."""
    parts = [_said(f"report {found.version} of {found.person_id}, {shown_time(found.generated_at)}", style="bold")]
    if found.change_summary is not None:
        parts += [_said("what is new:"), Text(_json(found.change_summary))]
    return Group(*parts, Text(_json(found.content)))


def history(found: Sequence[RecordedEvent]) -> RenderableType:
    """Draw a person's life as a timeline."""
    table = _table("position", "time", "what happened", "run", "credits")
    for event in found:
        words = (in_words(event), run_in_words(event), credits_in_words(event))
        table.add_row(*map(_said, (str(event.position), shown_time(event.at, digits=3), *words)))
    return table


def tokens(found: Sequence[Token]) -> RenderableType:
    """Draw access tokens, one a line."""
    if not found:
        return _said("no tokens")
    table = _table("token id", "owner", "kind", "created", "revoked")
    for one in found:
        revoked = "-" if one.revoked_at is None else shown_time(one.revoked_at)
        table.add_row(*map(_said, (one.token_id, one.owner, one.kind, shown_time(one.created_at), revoked)))
    return table


def findings(
    found: Iterable[Finding], laws: Mapping[str, str], erased: Iterable[Erased], *, to_the_end: bool = True
) -> RenderableType:
    """Draw every law that was looked at, kept or broken, with the first places where it is broken; and who was erased.

    What is not broken as far as a log could be read is not called kept.
    """
    broken, counts = dict[str, list[Text]](), Counter[str]()
    for one in found:
        counts[one.law] += 1
        if counts[one.law] <= _FINDINGS_OF_A_LAW_AT_MOST:
            place = one.stream if one.version is None else f"{one.stream} version {one.version}"
            broken.setdefault(one.law, []).append(_said(f"    {place}: {one.words}"))
    parts, whole = [], "ok" if to_the_end else "unknown"
    for law in dict.fromkeys((*laws, *broken)):
        parts += [_marked("problem" if law in broken else whole, law, laws.get(law, "")), *broken.get(law, ())]
        if counts[law] > _FINDINGS_OF_A_LAW_AT_MOST:
            parts.append(_said(f"    and {counts[law] - _FINDINGS_OF_A_LAW_AT_MOST:,} more: --json names them"))
    if not to_the_end:
        parts.append(_said("?: asked only of what could be read"))
    gone = 0
    for gone, person in enumerate(erased, 1):
        if gone <= _ERASED_AT_MOST:
            parts.append(_said(str(person)))
    if gone > _ERASED_AT_MOST:
        parts.append(_said(f"{gone - _ERASED_AT_MOST} more people were erased: --json names them"))
    kept = "the log keeps every law" if laws is STATEMENTS else "the log keeps each of these laws"
    total = counts.total()
    parts.append(_said(f"{total:,} finding{'' if total == 1 else 's'}" if total else kept))
    return Group(*parts)


def examination(checks: Sequence[tuple[str, str, str]]) -> RenderableType:
    """Draw what the doctor found: name, verdict and words of each check."""
    return Group(*(_marked(verdict, name, words) for name, verdict, words in checks))


# --- parts -------------------------------------------------------------------------------------------------------


def _said(text: str, style: str = "", justify: JustifyMethod | None = None) -> Text:
    """Draw what may have been written by anybody, on one line."""
    return Text(visible(text), style, justify=justify)


def _marked(verdict: str, name: str, words: str) -> Text:
    mark, colour = _MARKS[verdict]
    return Text.assemble((f"{mark} ", colour), (visible(name), "bold"), f": {visible(words)}" if words else "")


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold", no_wrap=title in _KEPT_WHOLE)
    return table


def _facts(title: str) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, title=_said(title, style="bold"), title_justify="left")
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    return table


def _status(found: PersonDetails) -> Text:
    phase = f" ({found.phase})" if found.status is Status.RUNNING else ""
    return _said(f"{found.status}{phase}", style=_COLOURS.get(found.status, ""))


def _who(profile: Mapping[str, Json]) -> str:
    name = " ".join(str(profile[part]) for part in ("first_name", "last_name") if part in profile)
    return ", ".join([part for part in (name, str(profile.get("company", ""))) if part]) or str(
        profile.get("linkedin_url", "")
    )


def _json(value: Json) -> str:
    return visible_json(json.dumps(value, ensure_ascii=False, indent=2))
