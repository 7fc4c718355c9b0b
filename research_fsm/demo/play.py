"""The four acts in their order, and what is left of them at the end.

Floor 6. Opens the store, starts nothing by itself, and leaves no process running whatever happens.
"""

import os
import shlex
import time
from pathlib import Path
from typing import Any

from attrs import frozen

from research_fsm.demo.act_crash import crash
from research_fsm.demo.act_log import explain
from research_fsm.demo.act_race import race
from research_fsm.demo.act_refusal import refuse
from research_fsm.demo.place import Place
from research_fsm.demo.processes import DemoFailed, Processes
from research_fsm.demo.promises import Checks
from research_fsm.demo.recount import Plain
from research_fsm.demo.screen import Screen
from research_fsm.demo.stage import OWNER, Guest, Stage
from research_fsm.errors import ResearchError
from research_fsm.runs import Runs

__all__ = ["Ending", "play"]

_GRACE_SECONDS = 5.0
_CHECKOUT = Path(__file__).parents[2]


@frozen
class Ending:
    """How a demonstration went.

    Args:
        place: Where the store is.
        folder: Where the logs of the children are.
        checks: What became of every promise.
        seconds: How long it took.
        failure: Why it could not go on, if it could not.
    """

    place: Place
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
            "store": self.place.shown,
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


def play(screen: Screen, place: Place, folder: Path) -> Ending:
    """Play the whole demonstration.

    Args:
        screen: Where it is shown.
        place: Where the store goes; there is none yet.
        folder: Where the logs of the children go.

    Returns:
        How it went. A promise that did not hold is no exception.

    Raises:
        InvalidInput: There is something in that place.
        StoreError: The store could not be made.
    """
    began, checks, failure = time.monotonic(), Checks(), None
    screen.title("research-fsm: never queued twice, never charged twice, never stuck, always explainable")
    screen.say(f"The store is {place.shown}; the logs of its server and workers are in {folder}", "dim")
    with place.opened() as (store, plain):
        try:
            with Processes(folder) as processes:
                stage = Stage.build(screen, checks, processes, Runs(store), place, plain)
                _acts(stage)
                processes.end(seconds=_GRACE_SECONDS)
                checks.equal("nothing_left_running", [], processes.left)
                wanted = stage.guests[0]
        except (DemoFailed, ResearchError) as error:
            failure = str(error)
        ending = Ending(place, folder, checks, time.monotonic() - began, failure)
        _end(screen, ending, plain, None if failure else wanted)
    return ending


def _acts(stage: Stage) -> None:
    wanted, refused, *others = stage.guests
    server = race(stage, wanted)
    refuse(stage, refused)
    crash(stage, server, wanted, others[:8])
    explain(stage, wanted)


def _end(screen: Screen, ending: Ending, plain: Plain, wanted: Guest | None) -> None:
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
        _next_steps(screen, ending, plain, wanted)


def _next_steps(screen: Screen, ending: Ending, plain: Plain, wanted: Guest) -> None:
    prefix = "uv run " if "UV" in os.environ else ""
    place, store = ending.place, shlex.quote(ending.place.shown)
    screen.say("\nLook for yourself:")
    screen.command(f"{prefix}research-fsm history {wanted.person_id} --store {store}", f"the history of {wanted.name}")
    screen.command(f"{prefix}research-fsm list {OWNER} --store {store}", "everybody")
    screen.command(f"{prefix}research-fsm verify --store {store}", "every law, once more")
    screen.command(f"{prefix}research-fsm page --html demo.html --store {store}", "the whole store, in a browser")
    screen.command(f"{prefix}{place.query(plain.tally)}", "the recount, by plain SQL")
    if (_CHECKOUT / "docs").is_dir():
        screen.command(f"{prefix}pytest", "the proof: every interleaving, every crash, every store")
        screen.command(str(_CHECKOUT / "docs" / "explanation" / "protocol.md"), "why it holds")
    screen.command(place.removal(ending.folder), "when you have seen enough")
