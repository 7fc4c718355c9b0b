"""The four acts in their order, and what is left of them at the end.

Floor 6. Opens the store, starts nothing by itself, and leaves no process running whatever happens.
"""

import os
import shlex
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from attrs import frozen

from research_fsm.demo import recount
from research_fsm.demo.act_crash import crash
from research_fsm.demo.act_log import explain
from research_fsm.demo.act_race import race
from research_fsm.demo.act_refusal import refuse
from research_fsm.demo.processes import DemoFailed, Processes
from research_fsm.demo.promises import Checks
from research_fsm.demo.screen import Screen
from research_fsm.demo.stage import OWNER, Guest, Stage
from research_fsm.errors import ResearchError
from research_fsm.runs import Runs
from research_fsm.stores.sqlite import SQLiteStore

__all__ = ["Ending", "play"]

_GRACE_SECONDS = 5.0
_CHECKOUT = Path(__file__).parents[2]


@frozen
class Ending:
    """How a demonstration went.

    Args:
        path: The store's file.
        folder: Where the logs of the children are.
        checks: What became of every promise.
        seconds: How long it took.
        failure: Why it could not go on, if it could not.
    """

    path: Path
    folder: Path
    checks: Checks
    seconds: float
    failure: str | None = None

    @property
    def held(self) -> bool:
        """Whether every promise held."""
        return self.failure is None and self.checks.all_held

    def as_json(self) -> dict[str, Any]:
        """Return the whole summary."""
        return {
            "held": self.held,
            "seconds": round(self.seconds, 1),
            "store": str(self.path),
            "failure": self.failure,
            "checks": [
                {
                    "name": check.name,
                    "statement": check.statement,
                    "reached": check.reached,
                    "held": check.held,
                    "expected": check.expected,
                    "seen": check.seen,
                }
                for check in self.checks
            ],
        }


def play(screen: Screen, path: Path, folder: Path) -> Ending:
    """Play the whole demonstration.

    Args:
        screen: Where it is shown.
        path: The store's file; there is none yet.
        folder: Where the logs of the children go.

    Returns:
        How it went. A promise that did not hold is no exception.
    """
    began, checks, failure = time.monotonic(), Checks(), None
    screen.title("research-fsm: never queued twice, never charged twice, never stuck, always explainable")
    screen.say(f"The store is {path}; the logs of its server and workers are in {folder}", "dim")
    try:
        with closing(SQLiteStore(str(path))) as store, Processes(folder) as processes:
            stage = Stage.build(screen, checks, processes, Runs(store), path)
            _acts(stage)
            processes.end(seconds=_GRACE_SECONDS)
            checks.equal("nothing_left_running", [], processes.left)
            wanted = stage.guests[0]
    except (DemoFailed, ResearchError) as error:
        failure = str(error)
    ending = Ending(path, folder, checks, time.monotonic() - began, failure)
    _end(screen, ending, None if failure else wanted)
    return ending


def _acts(stage: Stage) -> None:
    wanted, refused, *others = stage.guests
    server = race(stage, wanted)
    refuse(stage, refused)
    crash(stage, server, wanted, others[:8])
    explain(stage, wanted)


def _end(screen: Screen, ending: Ending, wanted: Guest | None) -> None:
    """Show every promise, and what to look at next."""
    screen.act("What was promised")
    screen.verdict(ending.checks)
    screen.say("")
    if ending.failure is not None:
        screen.say(f"It could not go on: {ending.failure}\n", "bold red")
    held = sum(check.held for check in ending.checks)
    total = len(list(ending.checks))
    style = "bold green" if ending.held else "bold red"
    screen.say(f"{held} of {total} promises held, in {ending.seconds:.1f} seconds.", style)
    if wanted is not None:
        _next_steps(screen, ending, wanted)


def _next_steps(screen: Screen, ending: Ending, wanted: Guest) -> None:
    prefix = "uv run " if "UV" in os.environ else ""
    file, folder = shlex.quote(str(ending.path)), shlex.quote(str(ending.folder))
    screen.say("\nLook for yourself:")
    screen.command(f"{prefix}research-fsm history {wanted.person_id} --store {file}", f"the history of {wanted.name}")
    screen.command(f"{prefix}research-fsm list {OWNER} --store {file}", "everybody")
    screen.command(f"{prefix}research-fsm verify --store {file}", "every law, once more")
    screen.command(f'{prefix}sqlite-utils query {file} "{recount.TALLY}" --table', "the recount, by plain SQL")
    screen.command(f"uvx datasette {file}", "the whole log, in a browser")
    if (_CHECKOUT / "docs").is_dir():
        screen.command(f"{prefix}pytest", "the proof: every interleaving, every crash, every store")
        screen.command(str(_CHECKOUT / "docs" / "explanation" / "protocol.md"), "why it holds")
    mine = "" if ending.path.parent == ending.folder else f" {file}"
    screen.command(f"rm -r {folder}{mine}", "when you have seen enough")
