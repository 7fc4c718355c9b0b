"""Looking for a world in which a promise does not hold: ``simulate``.

Floor 6. Decides nothing: it counts, draws and prints what `research_fsm.testing.simulate` finds.
"""

import itertools
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from research_fsm.cli.exits import Exit
from research_fsm.cli.options import common_options
from research_fsm.cli.session import Session
from research_fsm.outcomes import Json
from research_fsm.stores.postgres_address import Place

if TYPE_CHECKING:
    from rich.table import Table

    from research_fsm.storage import Store
    from research_fsm.testing.simulate import Campaign, Outcome

__all__ = ["simulate"]

_SEEDS = 1_000
_SECONDS_PER_MINUTE = 60.0


@click.command()
@click.option("--seeds", type=click.IntRange(min=1), help="How many worlds.  [default: 1000; with --minutes, no end]")
@click.option("--seed", type=click.IntRange(min=0), help="The first world. Alone, it is the only one, told as a story.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Begin no world after so many minutes.")
@click.option(
    "--on",
    type=click.Choice(["memory", "sqlite", "postgres"]),
    default="memory",
    help="Which store.  [default: memory]",
)
@common_options
@click.pass_obj
def simulate(session: Session, seeds: int | None, seed: int | None, minutes: float | None, on: str) -> Exit:
    """Look for a world in which a promise does not hold: callers, crashes, lost messages, wrong clocks, by the seed.

    Nothing outside of this process is touched, but --on postgres: then each world is a schema of its own in the
    database that --store names, and is dropped when it is over. A world that breaks a law is made small and told as a
    story, with a test to paste; the exit code is 1 then. The same seed is the same world everywhere.
    """
    from research_fsm.testing.simulate import Campaign

    alone = seed is not None and seeds is None and minutes is None
    count = 1 if alone else seeds if seeds is not None or minutes is not None else _SEEDS
    seconds = None if minutes is None else minutes * _SECONDS_PER_MINUTE
    with _stores(on, session) as make_store:
        campaign, interrupted = Campaign(make_store), False
        try:
            with _progress(count, seconds, campaign, shown=not alone) as told:
                campaign.go(_seeds(seed or 0, count), seconds=seconds, told=told)
        except KeyboardInterrupt:
            interrupted = True
        _show(session, campaign)
        if alone and campaign.failed is None and not session.as_json:
            _tell(session, seed or 0, make_store)
    if campaign.failed is not None:
        return Exit.FINDINGS
    return Exit.INTERRUPTED if interrupted else Exit.DONE


def _seeds(first: int, count: int | None) -> Iterable[int]:
    return itertools.count(first) if count is None else range(first, first + count)


@contextmanager
def _stores(on: str, session: Session) -> "Iterator[Callable[[Callable[[], int]], Store]]":
    """Give a maker of empty stores; files are in a folder that goes again, and so does each schema."""
    numbers = itertools.count(1)
    if on == "memory":
        from research_fsm.stores.memory import MemoryStore

        yield MemoryStore
    elif on == "sqlite":
        from research_fsm.stores.sqlite import SQLiteStore

        with tempfile.TemporaryDirectory(prefix="research-fsm-simulate-") as folder:
            yield lambda clock: SQLiteStore(Path(folder) / f"{next(numbers)}.db", clock=clock)
    else:
        if not session.on_server:
            raise click.UsageError("--on postgres makes schemas and drops them: --store postgresql://… says where")
        from research_fsm.stores.postgres import PostgresStore
        from research_fsm.stores.postgres_new import new_schema

        place, name = Place.of(session.store), f"research_fsm_simulate_{secrets.token_hex(4)}"
        with ExitStack() as world:

            def make_store(clock: Callable[[], int]) -> "Store":
                world.close()  # The world before this one is over.
                address = place.within(f"{name}_{next(numbers)}")
                world.enter_context(new_schema(address, session.wait.total_seconds(), kept=False))
                return PostgresStore(address, clock=clock)

            yield make_store


# --- showing -----------------------------------------------------------------------------------------------------


@contextmanager
def _progress(
    count: int | None, seconds: float | None, campaign: "Campaign", *, shown: bool
) -> Iterator[Callable[[int], None]]:
    """Show how far it is, on a terminal; elsewhere nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as bar:
        by_time = seconds is not None and count is None
        task = bar.add_task("worlds", total=seconds if by_time else count)

        def told(_: int) -> None:
            if bar.disable:
                return
            words = f"{campaign.coverage.worlds:,} worlds, {campaign.runs_per_second:,.0f} runs/s, {campaign.coverage}"
            done = campaign.seconds if by_time else campaign.coverage.worlds
            bar.update(task, completed=int(done), description=words)

        yield told


def _show(session: Session, campaign: "Campaign") -> None:
    """Print what was reached, and the story of what went wrong."""
    from research_fsm.testing.simulate import shrink

    small = None if campaign.failed is None else shrink(campaign.failed)
    if session.as_json:
        session.show(_as_json(campaign, small), lambda: "")
        return
    if campaign.coverage.worlds > 1:
        session.show(None, lambda: _table(campaign))
    session.line(_summary(campaign))
    if small is not None:
        from research_fsm.testing.simulate import story

        session.line(f"\n{story(small)}")


def _tell(session: Session, seed: int, make_store: "Callable[[Callable[[], int]], Store]") -> None:
    from research_fsm.testing import simulate as simulator

    session.line(f"\n{simulator.story(simulator.simulate(seed, make_store))}")


def _summary(campaign: "Campaign") -> str:
    coverage = campaign.coverage
    verdict = "every law held" if campaign.failed is None else f"a law does not hold: seed {campaign.failed.seed}"
    missing = list(coverage.missing())
    counted = f"{coverage.worlds:,} worlds, {coverage.runs:,} runs, {coverage.steps:,} steps"
    speed = f"{campaign.seconds:.1f} s ({campaign.runs_per_second:,.0f} runs/s)"
    lines = [f"{counted} in {speed}: {verdict}", f"reached: {coverage}"]
    if missing and coverage.worlds > 1:
        lines.append(f"not reached: {', '.join(missing)}")
    return "\n".join(lines)


def _table(campaign: "Campaign") -> "Table":
    """Draw which rows of the lifecycle were reached, and under how many of the faults."""
    from rich.table import Table

    from research_fsm.testing.simulate.coverage import FAULTS, ROWS

    table = Table(title="what was reached", title_justify="left")
    for name in ("while", "trigger", "times", f"under so many of {len(FAULTS)} faults"):
        table.add_column(name, justify="left" if name in ("while", "trigger") else "right")
    for phase, trigger in sorted(ROWS):
        times = campaign.coverage.times(phase, trigger)
        table.add_row(str(phase), str(trigger), f"{times:,}", str(len(campaign.coverage.under(phase, trigger))))
    return table


def _as_json(campaign: "Campaign", small: "Outcome | None") -> Json:
    from research_fsm.testing.simulate import lines, story
    from research_fsm.testing.simulate.coverage import ROWS

    coverage = campaign.coverage
    rows = [
        {"phase": str(phase), "trigger": str(trigger), "times": coverage.times(phase, trigger)}
        | {"faults": list(coverage.under(phase, trigger))}
        for phase, trigger in sorted(ROWS)
    ]
    failure = None
    if small is not None:
        failure = {
            "seed": small.seed,
            "law": small.law,
            "wrong": list(small.wrong),
            "schedule": lines(small.schedule).splitlines(),
            "story": story(small),
        }
    return {
        "worlds": coverage.worlds,
        "runs": coverage.runs,
        "steps": coverage.steps,
        "seconds": round(campaign.seconds, 3),
        "rows": rows,
        "faults": {fault: coverage.faults[fault] for fault in sorted(coverage.faults)},
        "missing": list(coverage.missing()),
        "failure": failure,
    }
