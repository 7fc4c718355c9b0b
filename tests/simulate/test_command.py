"""The command ``simulate``: how it counts, what it prints, how it ends."""

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from research_fsm.cli import cli
from research_fsm.testing.simulate import replay, simulate
from research_fsm.testing.simulate.coverage import ROWS
from tests.simulate.mistakes import Make


def call(*words: str) -> Result:
    """Call the program in this process."""
    return CliRunner().invoke(cli, ["simulate", *words], catch_exceptions=False, prog_name="research-fsm")


def test_many_worlds_are_counted_and_what_they_reached_is_shown() -> None:
    """As a table, a line that counts, and a line on what is missing."""
    result = call("--seeds", "4")
    assert result.exit_code == 0
    assert "4 worlds" in result.stdout
    assert "every law held" in result.stdout
    assert "mark_stale" in result.stdout
    assert "reached: " in result.stdout
    assert "not reached: " in result.stdout


def test_json_says_the_same() -> None:
    """Row by row, with the faults."""
    told = json.loads(call("--seeds", "3", "--seed", "5", "--json").stdout)
    outcomes = [simulate(seed) for seed in (5, 6, 7)]
    assert told["worlds"] == 3
    assert told["runs"] == sum(outcome.coverage.runs for outcome in outcomes)
    assert told["failure"] is None
    assert len(told["rows"]) == len(ROWS)


def test_one_seed_is_told_as_a_story() -> None:
    """Every step, in words; nothing is wrong, so there is no test to paste."""
    result = call("--seed", "5")
    assert result.exit_code == 0
    assert "seed 5: world kind=" in result.stdout
    assert "asks s1 to grant acme" in result.stdout
    assert "As a test" not in result.stdout


def test_sqlite_is_a_choice() -> None:
    """The same world, on files that go again."""
    told = json.loads(call("--seed", "2", "--seeds", "2", "--on", "sqlite", "--json").stdout)
    assert told["runs"] == sum(simulate(seed).coverage.runs for seed in (2, 3))


def test_a_time_may_be_set() -> None:
    """No world is begun after it: of a million, one is begun in no time."""
    told = json.loads(call("--seeds", "1000000", "--minutes", "0.0000001", "--json").stdout)
    assert told["worlds"] == 1


def test_a_law_that_does_not_hold_ends_with_1_and_its_story(make: Make) -> None:
    """The world is made small, told, and printed as a test; in JSON its schedule can be replayed."""
    make("balance not checked")
    result = call("--seeds", "50")
    assert result.exit_code == 1
    for words in (
        "a law does not hold: seed ",
        "WRONG     never_overdrawn: -1 credits",
        "As a test:",
        "def test_law_never_overdrawn_seed_",
    ):
        assert words in result.stdout
    result = call("--seeds", "50", "--json")
    assert result.exit_code == 1
    failure = json.loads(result.stdout)["failure"]
    assert failure["law"] == "never_overdrawn"
    assert replay("\n".join(failure["schedule"])).law == "never_overdrawn"


def test_whoever_stops_it_is_told_how_far_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is that of an interrupt."""

    def stopped(_: int, make_store: Callable[..., object]) -> None:  # noqa: ARG001  # As the simulator is called.
        raise KeyboardInterrupt

    monkeypatch.setattr("research_fsm.testing.simulate.campaign.simulate", stopped)
    result = call("--seeds", "3")
    assert result.exit_code == 130
    assert "0 worlds" in result.stdout


@pytest.mark.parametrize("words", [("--seeds", "0"), ("--seed", "-1"), ("--minutes", "0"), ("--on", "paper")])
def test_what_makes_no_sense_is_refused(words: tuple[str, ...]) -> None:
    """As any bad usage."""
    assert call(*words).exit_code == 2
