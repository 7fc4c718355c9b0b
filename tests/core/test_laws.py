"""What a law, a finding and an erasure say of themselves."""

from research_fsm.laws import Erased, Finding, Law

WHEN = 1_780_000_000_000_000


def test_a_law_is_said_by_its_name() -> None:
    """That is what a finding begins with; two laws of one name are one, whatever their words."""
    law = Law("charged_once", "a run is charged once", "2")
    assert str(law) == "charged_once"
    assert law == Law("charged_once", "in other words", "2")


def test_a_finding_says_where() -> None:
    """At an event of a stream, or of the stream as a whole."""
    assert str(Finding("chained", "person:a", 2, "the hash is another")) == (
        "chained: person:a version 2: the hash is another"
    )
    assert str(Finding("chained", "person:b", None, "the head is another")) == (
        "chained: person:b: the head is another"
    )


def test_an_erasure_says_when_and_by_whom() -> None:
    """Also if nobody was named, and if the time is one that no calendar has: whoever forged it is told all the same."""
    assert str(Erased("ada", WHEN, "support")) == "ada was erased on 2026-05-28T20:26:40.000000Z by support"
    assert str(Erased("ada", WHEN, None)).endswith("by somebody who was not named")
    assert Erased("ada", 2**62, None).when == f"microsecond {2**62}"
