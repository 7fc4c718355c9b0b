"""How the demonstration looks."""

import io

import pytest
from rich.console import Console

from research_fsm.demo.promises import Check, Checks
from research_fsm.demo.screen import Screen
from research_fsm.demo.timeline import Line

LONG = "Every run that was at work when its worker was killed was delivered once more. " * 3
WON = {"caller": 1, "status": 200, "code": None, "milliseconds": 12.3}
LOST = {"caller": 0, "status": 409, "code": "already_running", "milliseconds": 4.5}


class Printed(io.BytesIO):
    """What was printed, in an encoding."""

    def screen(self, encoding: str = "utf-8", *, terminal: bool = False, quiet: bool = False) -> Screen:
        """Return a screen that prints here, 80 columns wide."""
        self.file = io.TextIOWrapper(self, encoding=encoding, write_through=True)
        return Screen(console=Console(file=self.file, width=80, force_terminal=terminal, quiet=quiet, highlight=False))

    @property
    def text(self) -> str:
        """Everything so far."""
        return self.getvalue().decode(self.file.encoding)


def show_everything(screen: Screen) -> None:
    """Print one of each."""
    screen.title("title")
    screen.act("1  act")
    screen.say(LONG, "bold red")
    screen.table(("answer", "callers"), [("200", 1), (LONG, 63)])
    with screen.race({101: 2, 102: 2}) as answered:
        answered(101, LOST)
        answered(102, WON)
    with screen.changing(("person", "status")) as show:
        show([("Ada", "running")])
        show([("Ada", "complete")])
    screen.check(Check("one_winner", held=True))
    screen.check(Check("told_why", held=False, expected=63, seen=62))
    screen.laws({"legal": LONG, "gapless": LONG}, {"legal": ["legal: it is not"]})
    screen.timeline([Line(0.5, "RunStarted", is_credit=False, words=LONG)])
    checks = Checks()
    checks.equal("one_credit", 9, 8)
    screen.verdict(checks)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_what_is_no_terminal_gets_plain_lines(encoding: str) -> None:
    """No escape codes, nothing wider than 80 columns, no blanks at a line's end; ASCII where there is no more."""
    printed = Printed()
    show_everything(printed.screen(encoding))
    assert "\x1b" not in printed.text
    assert "\r" not in printed.text
    lines = printed.text.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines == [line.rstrip() for line in lines]


def test_answers_are_printed_as_they_come_in() -> None:
    """Each answer is a line of its own, and the board comes when all are in."""
    printed = Printed()
    with printed.screen().race({101: 2, 102: 2}) as answered:
        answered(101, LOST)
        assert printed.text == "      4.5 ms  process 101 caller  0  409 already_running\n"
        answered(102, WON)
    board = [line.split() for line in printed.text.splitlines() if line.startswith("  process")]
    assert board == [["process", "101", "✗", "·"], ["process", "102", "·", "✓"]]


def test_a_terminal_sees_the_board_fill() -> None:
    """On a terminal the board is drawn again with every answer."""
    printed = Printed()
    with printed.screen(terminal=True).race({101: 2}) as answered:
        drawn = printed.text.count("process 101")
        answered(101, LOST)
        assert printed.text.count("process 101") == drawn + 1
    assert "\x1b[" in printed.text


def test_a_changing_table_is_printed_once_where_nothing_can_be_redrawn() -> None:
    """Anywhere but on a terminal only its last state is shown; also when an error ends it."""
    printed = Printed()

    def end_early() -> None:
        with printed.screen().changing(("person", "status")) as show:
            show([("Ada", "running")])
            show([("Ada", "complete")])
            assert not printed.text
            raise KeyError

    with pytest.raises(KeyError):
        end_early()
    assert "complete" in printed.text
    assert "running" not in printed.text


def test_a_broken_promise_says_what_was_expected_and_seen() -> None:
    """In full where it is found, and again at the end; one that was not reached is neither held nor explained."""
    printed = Printed()
    screen = printed.screen()
    checks = Checks()
    screen.check(checks.equal("one_winner", 1, 2))
    assert "✗ Of 64 callers" in printed.text
    assert "expected 1\n   saw      2" in printed.text
    screen.verdict(checks)
    assert printed.text.count("expected 1\n") == 2
    assert "· told_why" in printed.text


def test_a_promise_that_held_gets_a_mark_and_no_explanation() -> None:
    """Nobody needs to read what was expected of it."""
    printed = Printed()
    printed.screen().check(Check("one_winner", held=True, expected=1, seen=1))
    assert printed.text == " ✓ Of 64 callers at the same instant, exactly one is answered 200.\n"


def test_a_command_is_never_broken() -> None:
    """What is to be copied stands on one line, however narrow the terminal is."""
    printed = Printed()
    command = "research-fsm verify --store " + "x" * 200
    printed.screen().command(command, "every law")
    assert f"    {command}\n" in printed.text


def test_a_broken_law_shows_what_breaks_it() -> None:
    """The others are held."""
    printed = Printed()
    printed.screen().laws({"legal": "Is legal.", "gapless": "Has no gaps."}, {"legal": ["person:x version 3"]})
    legal, finding, gapless = printed.text.splitlines()
    assert "✗ legal" in legal
    assert "person:x version 3" in finding
    assert "✓ gapless" in gapless


def test_a_quiet_screen_prints_nothing() -> None:
    """For JSON, standard output belongs to the summary alone."""
    printed = Printed()
    show_everything(printed.screen(quiet=True))
    assert not printed.text
