"""Answers: a success returns itself, a refusal raises itself, and both say in a sentence what happened."""

from typing import get_args

import pytest

from research_fsm import outcomes
from research_fsm.errors import RefusedError
from research_fsm.events import PersonKind
from research_fsm.outcomes import (
    Action,
    Added,
    AlreadyAdded,
    AlreadyRunning,
    Claimed,
    Completed,
    Created,
    EntrySkipped,
    Erased,
    Failed,
    GivenUp,
    Granted,
    GrantIdReused,
    GrantNotFound,
    InsufficientCredits,
    KeyReused,
    MarkedStale,
    NotComplete,
    PersonNotFound,
    Queued,
    QueueEmpty,
    Recovered,
    Refusal,
    Renewed,
    Revoked,
    RolledBack,
    RunNotFound,
    StaleRun,
    Submitted,
    Success,
    Unresolved,
)

SUCCESSES: list[tuple[Success, str]] = [
    (Queued("p", "r", 1), "person p is queued as run 1"),
    (Unresolved("p", "r", 1), "run 1 of person p was started; whether the engine has it is not known yet"),
    (Added("p"), "added person p"),
    (Submitted("p", Queued("p", "r", 1)), "submitted person p: person p is queued as run 1"),
    (Created("p", Queued("p", "r", 1)), "added person p: person p is queued as run 1"),
    (MarkedStale("p"), "person p is idle again; the report stays readable"),
    (Erased("p"), "erased person p"),
    (
        Claimed("p", "o", PersonKind.USER, "r", 1, "x", 5, {"first_name": "Ada"}),
        "run 1 of person p is claimed by x",
    ),
    (Completed("p", 1, 2), "run 1 of person p is complete: report 2"),
    (Failed("p", 1), "run 1 of person p failed"),
    (Renewed(5), "the lease runs until 5"),
    (QueueEmpty(), "nothing is waiting"),
    (GivenUp("p", 1), "run 1 of person p failed: its deliveries are used up"),
    (Recovered("p", 1, Action.WAITED), "run 1 of person p: waited"),
    (Granted("o", "g", 1), "o has the grant 'g' of 1 credit"),
    (Revoked("o", "g", 5), "the grant 'g' of 5 credits was taken back from o"),
]
REFUSALS: list[tuple[Refusal, str]] = [
    (EntrySkipped("p", "damaged"), "the entry of person p is set aside: damaged"),
    (RolledBack("p", "r", 1, "refused"), "run 1 of person p was rolled back (refused); no credit was charged"),
    (AlreadyRunning("p", "running", 1, 5), "person p is already running (run 1)"),
    (InsufficientCredits("o", 1, 2), "o has 1 credit available, 2 are required"),
    (PersonNotFound("p"), "there is no person p"),
    (KeyReused("k"), "the key 'k' was already used for another request"),
    (AlreadyAdded("p"), "the partner already has this LinkedIn URL, as person p"),
    (NotComplete("p", "idle"), "person p is idle, not complete"),
    (StaleRun("r", 1, "x"), "run 1 (r) is stale for x: stop"),
    (RunNotFound("r"), "there is no run r"),
    (GrantIdReused("o", "g", 5), "o already has a grant 'g', of 5 credits"),
    (GrantNotFound("o", "g"), "o has no grant 'g'"),
]


def named(pair: object) -> str | None:
    """Name a parameter set after its answer."""
    return type(pair).__name__ if not isinstance(pair, str) else ""


@pytest.mark.parametrize("answer", [answer for answer, _ in SUCCESSES], ids=named)
def test_a_success_returns_itself(answer: Success) -> None:
    """`accepted()` changes nothing of it."""
    assert answer.accepted() is answer


@pytest.mark.parametrize("answer", [answer for answer, _ in REFUSALS], ids=named)
def test_a_refusal_raises_itself(answer: Refusal) -> None:
    """`accepted()` raises the one error for refusals, with the refusal and its sentence."""
    with pytest.raises(RefusedError) as raised:
        answer.accepted()
    assert raised.value.refusal is answer
    assert str(raised.value) == str(answer)


@pytest.mark.parametrize(("answer", "sentence"), [*SUCCESSES, *REFUSALS], ids=named)
def test_an_answer_says_what_happened(answer: object, sentence: str) -> None:
    """In a sentence, with the facts in it."""
    assert str(answer) == sentence


def test_every_answer_is_here() -> None:
    """Whoever adds an answer says above what it says."""
    everything = [getattr(outcomes, name) for name in outcomes.__all__]
    classes = {one for one in everything if isinstance(one, type) and issubclass(one, Success | Refusal)}
    answers = classes - {Success, Refusal}
    assert answers == {type(answer) for answer, _ in [*SUCCESSES, *REFUSALS]}


def test_every_answer_of_a_door_is_a_success_or_a_refusal() -> None:
    """So that `accepted()` is always there."""
    unions = [getattr(outcomes, name) for name in outcomes.__all__ if name.endswith("Answer")]
    assert len(unions) == 11
    for union in unions:
        assert all(issubclass(answer, Success | Refusal) for answer in get_args(union))


def test_a_claim_that_is_printed_shows_no_profile() -> None:
    """A profile is personal data and never logged."""
    claimed = Claimed("p", "o", PersonKind.USER, "r", 1, "x", 5, {"first_name": "Ada"})
    assert "Ada" not in repr(claimed)
    assert "Ada" not in str(claimed)
