"""Every schedule of two and of three actors: how much is explored is pinned, and a mistake is found and told."""

from typing import Any

import pytest
from attrs import evolve

from research_fsm import transactions
from research_fsm.commands import RecordAnswer, StartRun
from research_fsm.events import AttemptResult
from research_fsm.policy import Policy
from research_fsm.storage import Query
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.engine_words import Status
from research_fsm.testing.schedules import INSIDE, OUTSIDE, Explored, Failed, Scene, Situation, explore, explore_all
from research_fsm.testing.simulate.life import fingerprint, replay
from research_fsm.testing.simulate.words import Step

IDLE = OUTSIDE.beginnings["idle"]

TOGETHER = evolve(
    OUTSIDE, actors=(*OUTSIDE.actors[:4], *OUTSIDE.actors[5:7]), befalls=("wait 31",), beginnings={"idle": IDLE}
)
"""Of three: the starts of each kind, a worker, a recovery pass and an erasure, of somebody who is idle."""


def test_no_schedule_of_two_breaks_a_law_at_an_engine() -> None:
    """Starts, workers, recovery, erasure, marks: every order, every answer, every death, late and repeated messages.

    The numbers are pinned: whoever changes them says why, because a smaller search proves less.
    """
    assert explore_all(OUTSIDE, 2) == Explored(
        schedules=961_529, crashes=2_523_621, states=56_631, steps=102_432, stores=8_087
    )


def test_no_schedule_of_two_breaks_a_law_in_the_embedded_queue() -> None:
    """The same where workers take runs from us, and take them over from one another."""
    assert explore_all(INSIDE, 2) == Explored(
        schedules=51_516, crashes=150_837, states=24_742, steps=43_120, stores=2_834
    )


@pytest.mark.long
def test_no_schedule_of_three_breaks_a_law_at_an_engine() -> None:
    """Three at once, of somebody who is idle."""
    assert explore_all(TOGETHER, 3) == Explored(
        schedules=7_865_322, crashes=20_269_218, states=132_222, steps=245_265, stores=26_088
    )


@pytest.mark.long
def test_no_schedule_of_three_breaks_a_law_in_the_embedded_queue() -> None:
    """Three at once, wherever a life stands."""
    assert explore_all(INSIDE, 3) == Explored(
        schedules=7_165_036, crashes=20_612_022, states=526_857, steps=1_154_107, stores=28_541
    )


def test_what_is_explored_is_what_the_simulator_lives_through() -> None:
    """Line by line: of every tenth end the log is the same, hash for hash, and no law of the simulator is broken."""
    ends = list[int]()

    def lived(schedule: tuple[Step, ...], store: MemoryStore) -> None:
        ends.append(len(schedule))
        if len(ends) % 10 == 0:
            outcome = replay(schedule)
            assert (outcome.wrong, outcome.fingerprint) == ((), fingerprint(store))

    for situation in (TOGETHER, evolve(INSIDE, befalls=("wait 10",))):
        explore_all(situation, 2, ended=lived)
    assert len(ends) > 500


def test_an_engine_run_that_crashes_is_met_at_every_step() -> None:
    """Its task is killed wherever it is, and the rest goes on."""
    dying = Scene(OUTSIDE.beginnings["queued"])
    cast = ["work * complete", "recover r4 s1", f"end * {Status.CRASHED}", "wait 31"]
    assert explore(dying, cast) == Explored(schedules=58, crashes=123, states=36, steps=60, stores=6)


def test_what_was_explored_of_each_group_is_told() -> None:
    """By its name: where the life stands, and who is at work."""
    told = dict[str, Explored]()
    alone = Situation({"idle": IDLE}, ("start NAME s1 p1",), ())
    total = explore_all(alone, 1, told=told.__setitem__)
    assert told == {"idle: start c10 s1 p1": total}
    assert (total.schedules, total.crashes) == (6, 15)


# --- mistakes ----------------------------------------------------------------------------------------------------


def test_silence_that_is_taken_for_a_refusal_is_found_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The story is as short as it can be, and below it stands a test that fails in the same way."""
    honest = transactions.record_answer

    def wrong(command: RecordAnswer, policy: Policy) -> Any:  # noqa: ANN401  # A transaction.
        silent = command.result is AttemptResult.AMBIGUOUS
        return honest(evolve(command, result=AttemptResult.REFUSED) if silent else command, policy)

    monkeypatch.setattr(transactions, "record_answer", wrong)
    with pytest.raises(AssertionError) as raised:
        explore_all(OUTSIDE, 2)
    story = str(raised.value)
    assert story.startswith("idle: start c10 s1 p1, start c11 s1 p1\n\na schedule: world kind=outside")
    assert "c3 sends the request to the engine, and: the engine takes it, the answer is lost" in story
    assert (
        "refusal_is_proof: run the run of c3 was rolled back by a refusal, and the engine has it, or may yet" in story
    )
    pasted: dict[str, Any] = {}
    exec(story.partition("As a test:")[2], pasted)  # noqa: S102  # It is our own, and this is what it is for.
    with pytest.raises(AssertionError, match="refusal_is_proof"):
        pasted["test_law_refusal_is_proof"]()


def test_a_key_that_is_forgotten_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two callers with one key are told two things."""
    honest = transactions.start

    def wrong(command: StartRun, policy: Policy) -> Any:  # noqa: ANN401  # A transaction.
        return honest(evolve(command, key=None), policy)

    monkeypatch.setattr(transactions, "start", wrong)
    keyed = ["start c4 s1 p1 as=acme key=k", "start c5 s1 p1 as=acme key=k"]
    with pytest.raises(Failed, match=r"^repeated_is_the_same: a key was answered"):
        explore(Scene(INSIDE.beginnings["idle"]), keyed)


def test_a_failure_that_the_simulator_does_not_see_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its lines, and the words of the law."""
    from research_fsm.testing.schedules import laws

    monkeypatch.setattr(laws, "told", lambda answer, _: [f"0: nobody is told {answer}"])
    with pytest.raises(AssertionError) as raised:
        explore_all(Situation({"idle": IDLE}, ("erase NAME s1 p1",), ()), 1)
    assert str(raised.value).startswith("idle: erase c10 s1 p1\n\nworld kind=outside attempts=2\n")
    assert "erase c10 s1 p1\ngo c10\n" in str(raised.value)
    assert "WRONG     0: nobody is told" in str(raised.value)


def test_a_rule_that_raises_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it raises, it is the end of a schedule that is told."""

    def raising(*_: object) -> Any:  # noqa: ANN401  # It never returns.
        def rule(*_: object) -> Any:  # noqa: ANN401  # It never returns.
            raise ZeroDivisionError("the rule's own")

        return Query(), rule

    monkeypatch.setattr(transactions, "erase", raising)
    with pytest.raises(Failed, match="ZeroDivisionError: the rule's own") as raised:
        explore(Scene(IDLE), ["erase c4 s1 p1"])
    assert raised.value.schedule[-2:] == (("erase", "c4", "s1", "p1"), ("go", "c4"))
