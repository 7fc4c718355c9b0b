"""``follow``: the log as lines, from any place on, as it grows."""

import json
from datetime import timedelta

from research_fsm.feed import follow
from research_fsm.stores.sqlite import SQLiteStore
from tests.cli.conftest import EVENT_MEMBERS, Program


def test_every_event_is_a_line(program: Program) -> None:
    """Position, time, stream and what happened; from a position on it is what lies behind it."""
    program("grant", "acme", 5, "--grant-id", "welcome")
    program.complete()
    lines = program("follow", "--quiet-for", "1ms").stdout.splitlines()
    assert [line.split("  ")[0] for line in lines] == [str(position) for position in range(1, 10)]
    assert lines[0].split("  ")[2:] == ["account:acme", "credits granted (welcome)"]
    assert program("follow", "--after", 7, "--quiet-for", "1ms").stdout.splitlines() == lines[7:]
    assert program("follow", "--quiet-for", "0s").stdout.splitlines() == lines


def test_as_json_every_event_is_a_line_too(program: Program) -> None:
    """With the members of an event, and what another program needs to go on from there."""
    program.complete()
    told = program("follow", "--quiet-for", "1ms", "--json").stdout.splitlines()
    with SQLiteStore(program.store) as store:
        expected = [event.hash.hex() for event in follow(store, wait=timedelta(0))]
    assert [json.loads(line)["hash"] for line in told] == expected
    assert set(json.loads(told[0])) == EVENT_MEMBERS


def test_a_position_behind_the_end_is_refused(program: Program) -> None:
    """It is bad input: the log is another one, or was restored."""
    program("grant", "acme", 5)
    refused = program("follow", "--after", 7, "--quiet-for", "1ms")
    assert refused.exit_code == 2
    assert "the log ends at position 1, before event 7" in refused.stderr


def test_a_store_that_is_not_there_is_not_made(program: Program) -> None:
    """It only looks."""
    assert program("follow").exit_code == 7
    assert not program.store.exists()
