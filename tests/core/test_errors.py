"""Errors carry their facts, say them, and survive the way to another process."""

import inspect
import pickle

import pytest

from research_fsm import errors
from research_fsm.errors import InvalidInput, LogUnreadable, RefusedError, ResearchError, StoreBusy, StoreError
from research_fsm.outcomes import PersonNotFound

MADE: list[tuple[ResearchError, str, dict[str, object]]] = [
    (InvalidInput("limit", "must be 1"), "limit: must be 1", {"field": "limit", "problem": "must be 1"}),
    (
        RefusedError(PersonNotFound("ada")),
        "there is no person ada",
        {"refusal": PersonNotFound("ada")},
    ),
    (LogUnreadable("RunStarted schema 2", "is new"), "RunStarted schema 2: is new", {"what": "RunStarted schema 2"}),
    (StoreBusy("memory", "is locked"), "memory: is locked", {"where": "memory", "problem": "is locked"}),
]


@pytest.mark.parametrize(("error", "message", "facts"), MADE, ids=lambda value: type(value).__name__)
def test_facts_are_fields_and_the_message_names_them(
    error: ResearchError, message: str, facts: dict[str, object]
) -> None:
    """Nobody has to take a message apart."""
    assert str(error) == message
    assert {name: getattr(error, name) for name in facts} == facts


@pytest.mark.parametrize(("error", "message", "facts"), MADE, ids=lambda value: type(value).__name__)
def test_an_error_survives_pickling(error: ResearchError, message: str, facts: dict[str, object]) -> None:
    """A pool of processes hands errors over pickled; one that cannot be made again hangs the pool."""
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # Our own bytes.
    assert type(again) is type(error)
    assert str(again) == message
    assert {name: getattr(again, name) for name in facts} == facts


def test_every_error_is_under_one_root() -> None:
    """One `except` catches whatever this library raises; a malformed value is a ValueError as well."""
    raised = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if cls.__module__ == errors.__name__]
    assert {cls.__name__ for cls in raised} == set(errors.__all__)
    assert all(issubclass(cls, ResearchError) for cls in raised)
    assert issubclass(InvalidInput, ValueError)
    assert all(issubclass(cls, StoreError) for cls in raised if cls.__name__.startswith("Store"))
