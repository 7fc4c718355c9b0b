"""What became of a promise."""

import pytest

from research_fsm.demo.promises import STATEMENTS, Check, Checks


def test_a_promise_holds_if_what_was_seen_is_what_was_expected() -> None:
    """Equal values hold; others do not, and both are kept for whoever asks why."""
    checks = Checks()
    assert checks.equal("one_winner", 1, 1).held
    assert checks.equal("one_credit", 9, 8) == Check("one_credit", held=False, expected=9, seen=8)


def test_a_promise_that_nobody_looked_at_does_not_hold() -> None:
    """A demonstration that ends early cannot pass for one that held."""
    checks = Checks()
    for name in list(STATEMENTS)[:-1]:
        checks.equal(name, 1, 1)
    *others, last = checks
    assert all(check.held for check in others)
    assert (last.reached, last.held, checks.all_held) == (False, False, False)
    checks.equal(last.name, 1, 1)
    assert checks.all_held


def test_one_broken_promise_is_enough() -> None:
    """All but one is not all."""
    checks = Checks()
    for name in STATEMENTS:
        checks.equal(name, 1, 2 if name == "told_why" else 1)
    assert not checks.all_held


def test_promises_are_shown_in_their_order() -> None:
    """However the acts come to them."""
    checks = Checks()
    for name in reversed(list(STATEMENTS)):
        checks.equal(name, 1, 1)
    assert [check.name for check in checks] == list(STATEMENTS)


def test_an_unknown_promise_and_a_second_look_are_mistakes() -> None:
    """Nobody can promise by accident, nor look again until it fits."""
    checks = Checks()
    checks.equal("one_winner", 1, 2)
    for name in ("one_winner", "two_winners"):
        with pytest.raises(ValueError, match=name):
            checks.equal(name, 1, 1)
