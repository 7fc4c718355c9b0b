"""Whatever a host may hand us or be handed has a strategy, and what is drawn is a whole value."""

import importlib
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from research_fsm import codec
from research_fsm.events import AccountEvent, Event, Meta
from research_fsm.lifecycle import Phase
from research_fsm.person import Person
from research_fsm.testing.strategies import by_type, people, register

MODULES = ("account", "commands", "events", "outcomes", "person", "policy", "profile", "reads", "requests", "storage")

LEFT_OUT = {
    "Cancel": "what a flow asks of its driver",
    "Dispatch": "what a flow asks of its driver",
    "Ended": "how a flow ended, for its driver",
    "Extent": "what a store shows a follower: how far its log goes, and nothing of it",
    "Look": "what a flow asks of its driver",
    "Read": "what a flow asks of its driver",
    "Transact": "what a flow asks of its driver",
    "View": "what a store shows a rule: it holds a function",
    "Write": "what a rule says to a store: whatever is in it is drawn by itself",
}
"""Public classes that nobody draws, and why."""

UNHURRIED = settings(
    max_examples=25,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def public_types() -> list[type[Any]]:
    """Return every public class of values."""
    found = []
    for name in MODULES:
        module = importlib.import_module(f"research_fsm.{name}")
        found += [getattr(module, one) for one in module.__all__]
    return [one for one in dict.fromkeys(found) if isinstance(one, type) and attrs.has(one)]


register()


def test_every_public_type_has_a_strategy_or_a_reason() -> None:
    """A new class of values cannot be forgotten; nor can a reason outlive its class."""
    known = by_type()
    without = {one.__name__ for one in public_types() if one not in known}
    assert without == set(LEFT_OUT)


@pytest.mark.parametrize("public", [one for one in public_types() if one.__name__ not in LEFT_OUT])
def test_a_public_type_can_be_drawn(public: type[Any]) -> None:
    """Each draw is of the type, equal to itself and to a copy."""

    @UNHURRIED
    @given(st.from_type(public))
    def draw(value: Any) -> None:  # noqa: ANN401  # Of any of them.
        assert type(value) is public
        assert value == attrs.evolve(value)
        assert str(value)

    draw()


@UNHURRIED
@given(st.from_type(Event))  # type: ignore[arg-type]  # A union is a type to Hypothesis.
def test_an_event_that_is_drawn_is_one_that_can_be_stored(event: Event) -> None:
    """It is written and read again as it was."""
    stored = codec.encode_event(event, Meta())
    assert codec.decode_event(stored) == event
    assert isinstance(event, AccountEvent) == stored.type.startswith("Credits")


@UNHURRIED
@given(people())
def test_a_person_who_is_drawn_is_one_that_a_history_leads_to(person: Person) -> None:
    """Added, with a run that fits the phase."""
    assert person.phase is not Phase.NONE
    assert (person.run is None) == (person.run_no == 0)
