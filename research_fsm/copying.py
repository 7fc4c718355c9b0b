"""Copies of frozen states with some fields changed: what every fold does, many times for each event of a replay.

Floor 0. It does what `attrs.evolve` does in half the time, as it looks at a class once and not at each copy.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeVar

from attrs import AttrsInstance, fields

__all__ = ["copier"]

T = TypeVar("T", bound=AttrsInstance)


def copier(cls: type[T]) -> Callable[..., T]:
    """Return a function that copies an instance of a class, with the fields that are given by name changed.

    Args:
        cls: A class of attrs with several fields, all of them taken by its constructor, in their order.
    """
    names = [field.name for field in fields(cls)]
    place_of = {name: place for place, name in enumerate(names)}
    values_of = attrgetter(*names)

    def copied(instance: T, /, **changes: Any) -> T:  # noqa: ANN401  # Each field has a type of its own.
        values = list(values_of(instance))
        for name, value in changes.items():
            values[place_of[name]] = value
        return cls(*values)

    return copied
