"""Many worlds, in which no law is broken; and the same world wherever it is simulated."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from research_fsm import flows, requests
from research_fsm.errors import InvalidInput
from research_fsm.lifecycle import Phase, Trigger
from research_fsm.requests import Flow
from research_fsm.stores.sqlite import SQLiteStore
from research_fsm.testing.simulate import Coverage, lines, replay, simulate, steps
from research_fsm.testing.simulate.coverage import FAULTS, ROWS

SEEDS = 200


def test_no_world_breaks_a_law_and_together_they_reach_everything() -> None:
    """Every row of the lifecycle's table, every fault; nobody stays running, whatever happened."""
    coverage = Coverage()
    for seed in range(SEEDS):
        outcome = simulate(seed)
        outcome.check()
        coverage.add(outcome.coverage)
    assert list(coverage.missing()) == []
    assert coverage.worlds == SEEDS
    assert coverage.runs > SEEDS
    assert str(coverage).startswith(f"{len(ROWS)} of {len(ROWS)} rows of the lifecycle, {len(FAULTS)} of {len(FAULTS)}")


@pytest.mark.long
def test_no_world_breaks_a_law_for_a_long_time() -> None:
    """The same, for minutes."""
    for seed in range(SEEDS, 3_000):
        simulate(seed).check()


def test_a_schedule_is_text_and_leads_to_the_same_log() -> None:
    """To the last hash; the text may be read back, with remarks and blank lines in it."""
    for seed in range(12):
        outcome = simulate(seed)
        text = lines(outcome.schedule)
        assert steps(f"\n  {text}  # a remark\n\n") == outcome.schedule
        again = replay(text)
        assert (again.fingerprint, again.schedule) == (outcome.fingerprint, outcome.schedule)
        assert again.coverage == outcome.coverage


def test_a_world_is_the_same_in_every_process() -> None:
    """Whatever the order of hashes, and wherever the process is."""
    code = (
        "from research_fsm.testing.simulate import simulate; print([simulate(seed).fingerprint for seed in range(9)])"
    )
    told = {
        subprocess.run(  # noqa: S603  # Our own code.
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": zone},
        ).stdout
        for hash_seed, zone in (("0", "UTC"), ("1", "Asia/Tokyo"), ("4711", "America/Lima"))
    }
    assert told == {f"{[simulate(seed).fingerprint for seed in range(9)]}\n"}


def test_the_simulator_needs_no_test_framework() -> None:
    """Nor an HTTP client, nor a database of ours: it can be run wherever the library is."""
    heavy = "{'hypothesis', 'pytest', 'httpx2', 'psycopg', 'sqlite_utils', 'rich', 'asyncio'}"
    code = f"import sys, research_fsm.testing.simulate; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603  # Ours.
    assert done.stdout == "[]\n"


def test_a_world_on_sqlite_is_the_one_in_memory(tmp_path: Path) -> None:
    """The same decisions, the same events, the same hashes: two stores agree about a whole world."""
    for seed in range(6):
        place = tmp_path / f"{seed}.db"
        on_disk = simulate(seed, lambda clock, place=place: SQLiteStore(place, clock=clock))  # type: ignore[misc]  # Bound.
        on_disk.check()
        assert on_disk.fingerprint == simulate(seed).fingerprint
        assert on_disk.schedule == simulate(seed).schedule


def test_a_line_may_be_left_out() -> None:
    """What it named is not there, and the lines about it do nothing: the world goes on, and no law is broken."""
    first, *rest = simulate(7).schedule
    for left_out in range(0, len(rest), 5):
        replay((first, *rest[:left_out], *rest[left_out + 1 :])).check()


@pytest.mark.parametrize(
    "text",
    [
        "start c1 s1 p1",
        "world kind=sideways",
        "world servers=none",
        "world servers=0",
        "world colour=blue",
        "world kind=outside\nfly c1 s1",
        "world kind=outside\nwait",
        "world kind=outside\nwait soon",
    ],
)
def test_a_schedule_that_is_none_is_refused(text: str) -> None:
    """It says what is wrong with which line, before anything happens."""
    with pytest.raises(InvalidInput, match="schedule"):
        replay(text)


def test_whoever_goes_on_for_ever_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow that never ends, and a queue that is never empty, end the world and not the patience of whoever waits."""

    def endless(command: object, policy: object) -> Flow[None]:  # noqa: ARG001  # As the flow is called.
        while True:
            yield from requests.cancel("run_1")

    monkeypatch.setattr(flows, "erase", endless)
    schedule = """
        world kind=outside
        add c1 s1 p1 acme
        go c1
        erase c2 s1 p1
        rest
        """
    assert replay(schedule).wrong == ("way_out: c2 goes on for ever",)


def test_an_engine_that_never_begins_a_run_keeps_nobody() -> None:
    """A mistyped task looks like success to whoever asks; the queue's deadline ends it, and the credit comes back."""
    outcome = replay(
        """
        world kind=outside typo=1
        grant c1 s1 acme g1 1
        go c1
        create c2 s1 p1 acme
        go c2
        go c2
        go c2
        go c2
        work run_c2_1 complete
        rest
        """
    )
    outcome.check()
    assert (Phase.QUEUED, Trigger.FAIL_UNCLAIMED) in outcome.coverage.rows
    assert (Phase.QUEUED, Trigger.CLAIM) not in outcome.coverage.rows
