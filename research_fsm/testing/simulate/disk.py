"""A store whose transactions go as they are told to: they fail, are decided twice, or lose their acknowledgement.

Floor 6. A part of `simulate`. It wraps any `research_fsm.storage.Store` and keeps its promise: after
an error nothing is written, but for `CommitUnknown`, which says that nobody knows.
"""

from typing import TypeVar

from research_fsm.errors import CommitUnknown, StoreBusy
from research_fsm.storage import Query, Rule, Store, View, Write
from research_fsm.testing.simulate.words import Fate
from research_fsm.testing.wrapped import Wrapped

__all__ = ["Disk"]

A = TypeVar("A")

_WHERE = "the simulated disk"


class Disk(Wrapped):
    """A store with a fate.

    Args:
        store: What really keeps everything.

    Attributes:
        fate: How the next transaction goes; those after it go well.
        answer: What the last transaction was answered that was committed, acknowledged or not.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.fate = Fate.DONE
        self.answer: object = None

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Do it, as its fate wills."""
        fate, self.fate = self.fate, Fate.DONE
        match fate:
            case Fate.BUSY:
                self._aborted(query, rule)
                raise StoreBusy(_WHERE, "the commit failed, and nothing was written")
            case Fate.DECIDED_TWICE:
                self._aborted(query, rule)
            case _:
                pass
        answer = self.answer = self.store.transact(query, rule)
        if fate is Fate.UNKNOWN:
            raise CommitUnknown(_WHERE, "the commit was done, and its acknowledgement was lost")
        return answer

    def _aborted(self, query: Query, rule: Rule[A]) -> None:
        """Decide, and write nothing of it."""

        def decided(view: View, now: int) -> Write[A]:
            rule(view, now)
            raise _Aborted

        try:
            self.store.transact(query, decided)
        except _Aborted:
            return


class _Aborted(Exception):  # The condition, as the rest of the vocabulary.
    """Leaves a transaction that must not be committed; never leaves this module."""
