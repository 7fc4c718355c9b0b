"""Puts a mistake into the code, and says which ones the simulator has to find."""

import inspect
import textwrap
from collections.abc import Callable

import pytest

from tests.proof.mistake import Mistake
from tests.proof.wrong_callbacks import WRONG_CALLBACKS
from tests.proof.wrong_dispatches import WRONG_DISPATCHES

__all__ = ["ALL", "make"]

ALL = {mistake.what: mistake for mistake in (*WRONG_DISPATCHES, *WRONG_CALLBACKS)}
"""Every mistake of rules and flows that the proofs know, by what it is."""


def make(what: str, patch: pytest.MonkeyPatch) -> Mistake:
    """Put a mistake into the text of its function, and the function into its module."""
    mistake = ALL[what]
    *owner, name = mistake.function.split(".")
    holder: object = getattr(mistake.where, owner[0]) if owner else mistake.where
    text = textwrap.dedent(inspect.getsource(getattr(holder, name)))
    assert mistake.right in text, f"{mistake.function} does not say {mistake.right!r} any more"
    made: dict[str, Callable[..., object]] = {}
    exec(text.replace(mistake.right, mistake.wrong, 1), mistake.where.__dict__, made)  # noqa: S102  # A mutant is text.
    patch.setattr(holder, name, made[name])
    return mistake
