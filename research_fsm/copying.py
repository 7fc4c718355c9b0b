"""Copies of frozen states with some fields changed: what every fold does, many times for each event of a replay.

Floor 0. It does what `attrs.evolve` does in a quarter of the time, as it copies all fields at once and not each.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from attrs import AttrsInstance, fields

__all__ = ["copier"]

T = TypeVar("T", bound=AttrsInstance)


def copier(cls: type[T]) -> Callable[..., T]:
    """Return a function that copies an instance of a class, with the fields that are given by name changed.

    Args:
        cls: A class of attrs without slots, whose fields are neither converted nor checked.
    """
    count = len(fields(cls))
    new = cls.__new__

    def copied(instance: T, /, **changes: Any) -> T:  # noqa: ANN401  # Each field has a type of its own.
        copy = new(cls)
        values = copy.__dict__
        values.update(instance.__dict__)
        values.update(changes)
        if len(values) != count:
            raise TypeError(f"{cls.__name__} has no {min(changes.keys() - instance.__dict__.keys())}")
        return copy

    return copied
