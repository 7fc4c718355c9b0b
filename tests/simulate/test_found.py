"""What the simulator finds: mistakes of the protocol, small, as a story, and as a test to paste."""

from collections.abc import Callable
from typing import TypeVar

import pytest
from attrs import evolve

from research_fsm.laws import LAWS
from research_fsm.storage import Query, Rule, View, Write
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.simulate import Outcome, as_test, shrink, simulate, story
from tests.simulate.mistakes import ALL, Make

A = TypeVar("A")

MOST_SEEDS = 1_000

FOUND = (
    # What takes no fault to find.
    "no compare-and-swap",
    "balance not checked",
    "run_no reused",
    "claim that does not charge",
    "callbacks not fenced by run_no",
    "erase without release",
    "queued, never executed, not refunded",
    # What takes a lost answer, a late one, or one too many.
    "timeout treated as refusal",
    "refusal after an open ambiguous attempt rolls back",
    "not found at the engine rolls back",
    "no deadline of the dispatch",
    "a retry inside an attempt",
    "a second engine run's claim accepted",
    "an answer not fenced by run_no",
    "no external-id fence on complete",
    "claim refused while dispatching",
    "COMPLETED without output taken as done",
    "recovery decides outside its transaction, and writes over what happened meanwhile",
    "deliveries unbounded",
    "a lease renewed when it is over",
    # What takes a crash, and a key.
    "request key ignored",
    "a key's second request answered like its first",
    "a key that outlives an erasure",
)
"""What is a mistake is said in `research_fsm.testing.mutants`."""

NAMED = {*LAWS, "WriteRejected"}
"""What may be said to be broken; any other exception is one that the mistake's own text raises."""


def found() -> Outcome:
    """Return the first world in which a law does not hold."""
    outcomes = (simulate(seed) for seed in range(MOST_SEEDS))
    return next(outcome for outcome in outcomes if outcome.wrong)


@pytest.mark.parametrize("what", FOUND)
def test_a_mistake_is_found(what: str, make: Make) -> None:
    """Within a few hundred worlds, which take a few seconds; and the world is the same when it is lived again."""
    make(what)
    outcome = found()
    assert outcome.law in NAMED
    assert simulate(outcome.seed or 0) == outcome


def test_a_timeout_that_is_taken_for_a_refusal_makes_a_short_story(make: Make) -> None:
    """A dozen lines are left: who has credits, who is added and started, which answer was lost."""
    make("timeout treated as refusal")
    told: list[int] = []
    small = shrink(found(), told=lambda smaller: told.append(len(smaller.schedule)))
    assert small.law == "refusal_is_proof"
    assert len(small.schedule) <= 16
    assert told == sorted(told, reverse=True)
    text = story(small)
    for words in (
        "grant acme",
        "sends the request to the engine, and: ",
        "WRONG     refusal_is_proof: ",
        "def test_law_refusal_is_proof_seed_",
    ):
        assert words in text
    assert "00000000-0000" not in text.partition("As a test")[0]


def test_a_way_out_that_is_missing_is_told_to_the_end(make: Make) -> None:
    """Also what is wrong at the end alone: somebody whom recovery passes over."""
    make("recovery never looks")
    small = shrink(found())
    assert small.law == "way_out"
    assert small.schedule[-1][0] in ("go", "rest")


def test_the_test_to_paste_is_red_until_the_mistake_is_gone() -> None:
    """It stands alone: imports, a name, a docstring, the schedule."""
    with ALL["timeout treated as refusal"].made():
        small = shrink(found())
        pasted: dict[str, Callable[[], None]] = {}
        exec(as_test(small), pasted)  # noqa: S102  # It is to be run.
        test = next(one for name, one in pasted.items() if name.startswith("test_"))
        with pytest.raises(AssertionError, match="refusal_is_proof: rolled back"):
            test()
    assert (test.__doc__ or "").startswith("refusal_is_proof: ")
    test()


def test_a_world_that_is_checked_is_made_small_by_itself() -> None:
    """A test over seeds fails with a short story; of a store of one's own, it is that store's."""
    outcome = next(one for one in (simulate(seed, Forgetful) for seed in range(50)) if one.wrong)
    with pytest.raises(AssertionError, match="WRONG     heads_are_folds: the head") as raised:
        outcome.check()
    assert len(str(raised.value).splitlines()) < 50
    assert shrink(outcome).make_store is Forgetful


class Forgetful(MemoryStore):
    """A store that keeps an earlier state than its events make."""

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Keep the state of an account whose third event it is."""

        def wrong(view: View, now: int) -> Write[A]:
            write = rule(view, now)
            kept = (
                evolve(end, state=view.heads[end.stream].state) if end.expected == 2 else end for end in write.streams
            )
            return evolve(write, streams=tuple(kept))

        return super().transact(query, wrong)


def test_what_is_not_wrong_is_not_made_smaller() -> None:
    """There is nothing to look for."""
    outcome = simulate(3)
    assert shrink(outcome) is outcome


def test_what_a_rule_raises_is_something_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody expects ends a world like a law that is broken."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a mistake in a rule")

    monkeypatch.setattr("research_fsm.decide.erase", broken)
    outcome = shrink(found())
    assert outcome.law == "ZeroDivisionError"
    assert any(step[0] == "erase" for step in outcome.schedule)
