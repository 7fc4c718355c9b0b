"""Small wrong rules, flows and stores: the proof kit has to find every one of them, by a law that the mutant names."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from research_fsm import decide
from research_fsm.decide import starts
from research_fsm.errors import WriteRejected
from research_fsm.laws import LAWS
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.machine import store_machine
from research_fsm.testing.mutants import MUTANTS, Mutant
from research_fsm.testing.mutants.__main__ import main
from research_fsm.testing.mutants.page import gaps, page
from research_fsm.testing.mutants.search import differences, laws_in, questioned
from research_fsm.testing.race import race
from research_fsm.testing.simulate import simulate
from research_fsm.testing.walk import walk

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "laws.md"

BUDGET = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=3_000,
    stateful_step_count=40,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
"""The same search every time; a failure is not made smaller, because it is expected."""

MOST_SEEDS = 200


@BUDGET
@given(st.data())
def _race(data: st.DataObject) -> None:
    race(data, MemoryStore)


def _machine() -> None:
    run_state_machine_as_test(store_machine(MemoryStore), settings=BUDGET)


def _simulate() -> None:
    """Look for a world that breaks a law; one that ends by an error of the library's own names none."""
    for seed in range(MOST_SEEDS):
        wrong = simulate(seed).wrong
        assert not laws_in(wrong), "\n".join(wrong)


_SEARCHES: Mapping[str, Callable[[], object]] = {
    "walk": walk,
    "race": _race,
    "machine": _machine,
    "simulate": _simulate,
}

_FINDINGS = (AssertionError, WriteRejected)
"""What finds a mutant; any other exception is one that the mutant's own text raises, and proves nothing."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_mutant_is_found(mutant: Mutant) -> None:
    """Whoever is named finds it; a search says which law is broken, and it is one that the mutant names."""
    said = {law.name for law in mutant.laws}
    with mutant.made():
        if mutant.found in _SEARCHES:
            with pytest.raises(_FINDINGS) as raised:
                _SEARCHES[mutant.found]()
            found = laws_in(str(raised.value).splitlines())
            assert found & said
            assert found <= said or mutant.found in ("race", "machine")  # Their worlds are not those of the matrix.
        else:
            assert questioned(mutant.found)


@pytest.mark.long
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_the_searches_find_what_a_mutant_says(mutant: Mutant) -> None:
    """Not one law more, nor one less, when nothing is left out of the search."""
    assert list(differences([mutant])) == []


def test_the_page_says_what_the_mutants_say(capsys: pytest.CaptureFixture[str]) -> None:
    """Made by the command that it names; whoever changes a law or a mutant makes it again."""
    assert main([]) == 0
    assert capsys.readouterr().out == page(MUTANTS) == PAGE.read_text(encoding="utf-8")


def test_no_mutant_and_no_law_is_without_the_other() -> None:
    """Each mutant is caught by a law; each law catches one that no other does, or it is said why not."""
    assert list(gaps(MUTANTS)) == []


def test_a_gap_is_told() -> None:
    """A mutant without a law, a law without a mutant, and a reason that is none."""
    nothing = [evolve(mutant, laws=()) for mutant in MUTANTS]
    told = list(gaps(nothing))
    assert f"no law catches the mutant {MUTANTS[0].what!r}" in told
    assert "no mutant is caught by one_at_work alone, and no reason says why" in told
    every = [evolve(MUTANTS[0], laws=(law,)) for law in LAWS.values()]
    assert [one for one in gaps(every) if one.endswith("it needs no reason")]


def test_a_mutant_is_gone_when_its_block_is_left() -> None:
    """Also when the block is left by an error, wherever the function is known by its name."""
    right = starts.start
    mutant = next(mutant for mutant in MUTANTS if mutant.what == "balance not checked")

    def use() -> None:
        with mutant.made():
            assert decide.start is starts.start is not right
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert decide.start is starts.start is right


def test_a_mutant_whose_text_is_gone_says_so() -> None:
    """A mutant that changes nothing would prove nothing."""
    with (
        pytest.raises(ValueError, match="start does not say 'no such text' any more"),
        evolve(MUTANTS[0], where=starts, function="start", right="no such text").made(),
    ):
        raise AssertionError("nothing was changed")


def test_a_difference_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says what the searches find otherwise, and ends with 1."""
    monkeypatch.setattr("research_fsm.testing.mutants.__main__.MUTANTS", [evolve(MUTANTS[0], laws=())])
    monkeypatch.setattr("research_fsm.testing.mutants.search.walked", lambda: frozenset({"legal"}))
    monkeypatch.setattr("research_fsm.testing.mutants.search.simulated", lambda _: frozenset({"way_out"}))
    assert main(["--search"]) == 1
    assert capsys.readouterr().out == f"{MUTANTS[0]}: caught by ['legal', 'way_out'], and it says []\n"
