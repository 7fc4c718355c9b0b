"""Mistakes of a store: in the reference store's own text, and as a store that does another's work a little wrong.

Floor 6. `WRONG_STORES` goes round any store, so that a suite of one's own can be held against it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from attrs import evolve

from research_fsm.storage import Head, Query, Rule, Store, View, Write
from research_fsm.testing.wrapped import Wrapped

__all__ = ["WRONG_STORES", "Wrong"]

A = TypeVar("A")
Change = Callable[[View, Write[Any]], Write[Any]]


class Wrong(Wrapped):
    """A store that writes something else than it is told.

    Args:
        store: The store that it is otherwise.
        change: Makes what is written of what should be.
    """

    def __init__(self, store: Store, change: Change) -> None:
        super().__init__(store)
        self._change = change

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Write it wrong."""

        def wrong(view: View, now: int) -> Write[A]:
            return self._change(view, rule(view, now))

        return super().transact(query, wrong)


class _Backwards(Wrapped):
    """A store that lists the oldest first."""

    def linked(self, link: str, *, before: int | None = None, limit: int = 100) -> list[Head]:
        """Return them the other way round."""
        return super().linked(link, before=before, limit=limit)[::-1]


class _Forgetful(Wrapped):
    """A store that shows no receipt."""

    def transact(self, query: Query, rule: Rule[A]) -> A:
        """Look at everything but what was answered before."""
        return super().transact(evolve(query, receipts=()), rule)


def _with_old(field: str) -> Change:
    """Keep what a head had in a field before."""

    def change(view: View, write: Write[Any]) -> Write[Any]:
        ends = []
        for end in write.streams:
            head = view.heads.get(end.stream)
            ends.append(end if head is None else evolve(end, **{field: getattr(head, field)}))
        return evolve(write, streams=tuple(ends))

    return change


def _without_leases(_: View, write: Write[Any]) -> Write[Any]:
    """Keep no lease."""
    return evolve(write, enqueued=tuple(evolve(entry, lease_until=None) for entry in write.enqueued))


def _never_due(_: View, write: Write[Any]) -> Write[Any]:
    """Keep no time at which somebody has to look."""
    return evolve(write, streams=tuple(evolve(end, due=None) for end in write.streams))


def _without_accounts(_: View, write: Write[Any]) -> Write[Any]:
    """Keep what happens to people, and of credits only what is granted, as a second ledger that lags behind would."""
    return evolve(write, streams=tuple(end for end in write.streams if end.tag != "account" or len(write.streams) == 1))


def _loses(**fields: Any) -> Callable[[Store], Store]:  # noqa: ANN401  # By field.
    return lambda store: Wrong(store, lambda _, write: evolve(write, **fields))


WRONG_STORES: Mapping[str, Callable[[Store], Store]] = MappingProxyType(
    {
        "a state is not kept": lambda store: Wrong(store, _with_old("state")),
        "a tag is not kept": lambda store: Wrong(store, _with_old("tag")),
        "nobody is due": lambda store: Wrong(store, _never_due),
        "an entry stays in the queue": _loses(dequeued=()),
        "a lease is not kept": lambda store: Wrong(store, _without_leases),
        "an answer never becomes final": _loses(settled={}),
        "a receipt is lost": _loses(receipts=()),
        "a receipt is not shown": _Forgetful,
        "a document is lost": _loses(documents={}),
        "nothing is forgotten": _loses(forgotten=()),
        "a unique key is lost": _loses(keys=()),
        "people are listed backwards": _Backwards,
        "the account is not written": lambda store: Wrong(store, _without_accounts),
    }
)
"""By the mistake: what makes a store wrong."""
