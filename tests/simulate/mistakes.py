"""Puts a mistake into the code, and says which ones the simulator has to find."""

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
    mistake.make(patch)
    return mistake
