"""The policy as options of the command line, one per field, so that none can be forgotten.

Floor 6. Names, defaults and help come from `Policy` itself; what a value may be is checked there too.
"""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from typing import Any, ParamSpec, TypeVar

import attrs
import click

from research_fsm.policy import Policy

__all__ = ["DURATION", "DURATION_OR_ZERO", "duration_text", "policy_from", "policy_options"]

P = ParamSpec("P")
R = TypeVar("R")

_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_LONGEST = timedelta(days=36_500)
_NEVER = "never"


class _Duration(click.ParamType[timedelta | None]):
    """A duration such as ``500ms``, ``2s``, ``10m``, ``12h`` or ``30d``; above zero, unless zero means something."""

    name = "duration"

    def __init__(self, *, optional: bool = False, zero: bool = False) -> None:
        self._optional = optional
        self._zero = zero

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta | None:
        if isinstance(value, timedelta) or (self._optional and value == _NEVER):
            return value if isinstance(value, timedelta) else None
        found = _DURATION.fullmatch(str(value))
        if found is None or (int(found[1]) == 0 and not self._zero):
            above = "" if self._zero else " above zero"
            self.fail(f"{value!r} is no duration{above}: write 500ms, 2s, 10m, 12h or 30d", param, ctx)
        duration = int(found[1]) * _UNITS[found[2]]
        if duration > _LONGEST:
            self.fail(f"{value!r} is too long: at most {duration_text(_LONGEST)}", param, ctx)
        return duration


DURATION = _Duration()
"""A duration on the command line."""

DURATION_OR_ZERO = _Duration(zero=True)
"""The same where none at all may be asked for."""


def duration_text(duration: timedelta | None) -> str:
    """Return a duration as it is written on the command line, in the largest unit that says it exactly."""
    if duration is None:
        return _NEVER
    unit = next((unit for unit, size in _UNITS.items() if not duration % size), "ms")
    return f"{duration // _UNITS[unit]}{unit}"


def policy_options(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command an option for each field of the policy."""
    for field in reversed(attrs.fields(Policy)):
        command = _option(field)(command)
    return command


def policy_from(settings: Mapping[str, object]) -> Policy:
    """Return the policy that was asked for.

    Args:
        settings: Fields by name, each already of the right type.

    Raises:
        InvalidInput: A value is out of bounds, or two of them do not go together.
    """
    return Policy(**settings)  # type: ignore[arg-type]  # `Policy` checks every value itself.


def _option(field: "attrs.Attribute[Any]") -> Callable[[Callable[P, R]], Callable[P, R]]:
    is_number = isinstance(field.default, int)
    return click.option(
        f"--{field.name.replace('_', '-')}",
        field.name,
        type=click.INT if is_number else _Duration(optional=field.default is None),
        default=field.default if is_number else duration_text(field.default),
        envvar=f"RESEARCH_FSM_{field.name.upper()}",
        show_envvar=True,
        show_default=True,
        help=_help().get(field.name, ""),
    )


@cache
def _help() -> Mapping[str, str]:
    """Return what the policy's docstring says of each field; nothing where docstrings are stripped."""
    arguments = (Policy.__doc__ or "").partition("Args:")[2]
    entries = re.findall(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", arguments, re.MULTILINE)
    return {name: " ".join(words.split()).replace("; None for never", "") for name, words in entries}
