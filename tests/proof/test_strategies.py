"""The strategies make what the rules accept, and histories that the audit finds whole."""

from collections.abc import Sequence
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from research_fsm import codec, lifecycle
from research_fsm import person as people
from research_fsm.events import PersonEvent
from research_fsm.policy import Policy
from research_fsm.profile import Profile
from research_fsm.storage import RecordedEvent
from research_fsm.stores.memory import MemoryStore
from research_fsm.testing.recount import Recount
from research_fsm.testing.steps import Command, transaction_of
from research_fsm.testing.strategies import commands, histories, policies, profiles, register


class _Log(MemoryStore):
    """A reader of a log that somebody else wrote."""

    def __init__(self, events: Sequence[RecordedEvent]) -> None:
        super().__init__()
        self._tables.events.extend(events)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(commands(), policies())
def test_every_command_can_be_asked_of_an_empty_store(command: Command, policy: Policy) -> None:
    """Whatever is asked about people whom nobody added, it is answered and breaks nothing."""
    store = MemoryStore()
    store.transact(*transaction_of(command, policy))
    assert Recount().follow(store) == []


@given(profiles())
def test_a_profile_is_known_again(profile: Profile) -> None:
    """What is stored of a profile makes the same profile."""
    assert Profile(**profile.known()) == profile


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_a_history_is_legal(history: tuple[RecordedEvent, ...]) -> None:
    """Each event is allowed where it happened, and the credits add up when they are counted again."""
    assert Recount().follow(_Log(history)) == []
    lives: dict[str, people.Person] = {}
    for recorded in history:
        event = codec.decode_event(recorded)
        if isinstance(event, PersonEvent):
            before = lives.get(recorded.stream, people.nobody(recorded.stream))
            assert lifecycle.allows(before.phase, lifecycle.trigger_of(event))
            lives[recorded.stream] = people.evolve(before, event, recorded.at)


@pytest.mark.parametrize("public", [Policy, Profile, *get_args(Command)], ids=lambda public: public.__name__)
def test_a_registered_type_can_be_drawn(public: type[object]) -> None:
    """`register` tells Hypothesis how to make each public type."""
    register()
    drawn: list[object] = []

    @settings(max_examples=3, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.from_type(public))
    def draw(value: object) -> None:
        drawn.append(value)

    draw()
    assert {type(value) for value in drawn} == {public}
