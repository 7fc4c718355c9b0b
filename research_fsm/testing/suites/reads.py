"""Looking: links, paging, time, points in time, and a store that was closed.

Floor 6. Part of `research_fsm.testing.conformance`.
"""

# Example numbers are what a suite is made of.

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from itertools import cycle

from research_fsm.errors import StoreClosed
from research_fsm.storage import Head, Query, QueueEntry, Receipt, Store, Token, UniqueKey, View, Write
from research_fsm.testing.suites.base import StoreSuite, at_once, contents, end_of, loaded, note, put, written
from research_fsm.testing.suites.expect import raises, same, that

__all__ = ["ReadsSuite"]


_USES: Mapping[str, Callable[[Store], object]] = {
    "transact": lambda store: written(store, Write(answer=None)),
    "read": lambda store: store.read(Query()),
    "events": lambda store: list(store.events()),
    "events of a stream": lambda store: list(store.events("a")),
    "heads": lambda store: list(store.heads()),
    "linked": lambda store: store.linked("a"),
    "due": lambda store: store.due(("plain",), 0, after=None, limit=1),
    "documents": lambda store: list(store.documents()),
    "keys": lambda store: list(store.keys()),
    "receipts": lambda store: list(store.receipts()),
    "entries": lambda store: list(store.entries()),
    "tokens": lambda store: store.tokens(),
    "token": lambda store: store.token("d"),
    "snapshot": lambda store: store.snapshot().__enter__(),
}


class ReadsSuite(StoreSuite):
    """A reader sees one point in time, pages through it, and keeps nobody out."""

    def test_what_does_not_exist_is_absent(self) -> None:
        """A query for nothing, or for what nobody has, is answered with nothing."""
        with self.opened() as (store, _):
            asked = Query(streams=("a",), keys=("k",), receipts=("r",), documents=("d",), entry="e")
            for view in (store.read(asked), loaded(store, asked), loaded(store, Query(next_entry=True))):
                same((view.heads, view.keys, view.receipts, view.documents), ({}, {}, {}, {}))
                same(view.entry, None)

    def test_the_head_that_a_head_links_to_comes_along(self) -> None:
        """One step, and only if it exists."""
        with self.opened() as (store, _):
            put(store, end_of("c", 0, note()), end_of("b", 0, note(), link="c"), end_of("a", 0, note(), link="b"))
            put(store, end_of("lonely", 0, note(), link="absent"))
            same(set(loaded(store, Query(streams=("a",))).heads), {"a", "b"})
            same(set(store.read(Query(streams=("lonely",))).heads), {"lonely"})

    def test_a_query_may_name_very_many(self) -> None:
        """A page of a thousand people is one query, whatever a database's limit of parameters."""
        with self.opened() as (store, _):
            streams = tuple(f"s{number}" for number in range(2_500))
            put(store, *(end_of(stream, 0, note()) for stream in streams))
            written(store, Write(answer=None, documents={(stream, "d"): stream.encode() for stream in streams}))
            view = store.read(Query(streams=streams, documents=("d", "e"), keys=streams, receipts=streams))
            same((len(view.heads), len(view.documents)), (2_500, 2_500))

    def test_heads_are_found_when_they_are_due(self) -> None:
        """By tag, due at the time or before, most overdue first and then by name; the rest is not."""
        with self.opened() as (store, _):
            rows = [("d", "x", 3), ("c", "x", 1), ("b", "y", 1), ("a", "x", 1), ("e", "x", None), ("f", "z", 1)]
            put(store, *(end_of(stream, 0, note(), tag=tag, due=due) for stream, tag, due in rows))
            same(_names(store.due(("x", "y"), 3, after=None, limit=9)), ["a", "b", "c", "d"])
            same(_names(store.due(("x",), 2, after=None, limit=9)), ["a", "c"])
            same(_names(store.due(("x", "y"), 0, after=None, limit=9)), [])
            same(_names(store.due((), 9, after=None, limit=9)), [])

    def test_what_is_due_is_paged_with_a_cursor(self) -> None:
        """The next page begins behind the last (due, stream), also within one moment."""
        with self.opened() as (store, _):
            put(
                store,
                *(
                    end_of(stream, 0, note(), tag="x", due=due)
                    for stream, due in zip("dcba", (2, 1, 1, 1), strict=True)
                ),
            )
            pages, after = [], None
            while page := store.due(("x",), 9, after=after, limit=2):
                pages.append(_names(page))
                after = (page[-1].due or 0, page[-1].stream)
            same(pages, [["a", "b"], ["c", "d"]])

    def test_linked_heads_are_paged_newest_first(self) -> None:
        """By the position of their first event: what is written to them later changes no page."""
        with self.opened() as (store, _):
            for stream in ("p1", "p2", "p3"):
                put(store, end_of(stream, 0, note(), link="mine"))
            put(store, end_of("q", 0, note(), link="yours"))
            put(store, end_of("p1", 1, note(), link="mine"))
            first = store.linked("mine", limit=2)
            same(_names(first), ["p3", "p2"])
            same(_names(store.linked("mine", before=first[-1].first, limit=2)), ["p1"])
            same(store.linked("mine", before=store.linked("mine")[-1].first), [])
            same(store.linked("nobody"), [])

    def test_heads_keys_and_receipts_come_in_the_order_of_their_names(self) -> None:
        """By code point, as every store sorts them."""
        with self.opened() as (store, _):
            names = ["a", "B", "é", "Z", "aa", "研"]
            put(store, *(end_of(name, 0, note()) for name in names))
            written(store, Write(answer=None, keys=tuple(UniqueKey(name, "a") for name in names)))
            receipts = {name: Receipt(name, "nobody", "", b'["Ok",{}]') for name in names}
            written(store, Write(answer=None, receipts=tuple(receipts.values())))
            same(_names(store.heads()), sorted(names))
            same(list(store.receipts()), [receipts[name] for name in sorted(names)])
            same([key.key for key in store.keys()], sorted(names))  # noqa: SIM118  # A store is no dictionary.

    def test_documents_come_by_stream_and_name(self) -> None:
        """More than any store fetches at a time, long and empty ones and such as are no text, as they were put."""
        with self.opened() as (store, _):
            names = [(stream, f"report:{number}") for stream in ("研", "a", "B") for number in range(70)]
            bodies = dict(zip(names, cycle((b"", "ß".encode(), b"\0\xff", b"{}" * 40_000)), strict=False))
            put(store, *(end_of(stream, 0, note()) for stream in ("a", "B", "研")))
            written(store, Write(answer=None, documents=bodies))
            same(list(store.documents()), [(*name, bodies[name]) for name in sorted(names)])

    def test_a_rule_reads_the_history_within_its_transaction(self) -> None:
        """As it is before the write; a stream that does not exist has none."""

        def rule(view: View, _: int) -> Write[tuple[int, int]]:
            known, unknown = list(view.history("a")), list(view.history("absent"))
            return Write(answer=(len(known), len(unknown)), streams=(end_of("a", len(known), note()),))

        with self.opened() as (store, _):
            put(store, end_of("a", 0, note(), note()))
            same(store.transact(Query(streams=("a",)), rule), (2, 0))
            same(store.transact(Query(streams=("a",)), rule), (3, 0))

    def test_time_is_the_injected_clock_s(self) -> None:
        """The rule, the events, the queue and `now` agree, to the microsecond."""
        with self.opened() as (store, clock):
            clock.advance(timedelta(days=1, microseconds=1))
            put(store, end_of("a", 0, note()))
            seen = store.transact(Query(), lambda _, now: Write(answer=now))
            (event,) = store.events()
            same((seen, event.at, store.now()), (clock.now, clock.now, clock.now))

    def test_a_snapshot_stays_at_its_point_in_time(self) -> None:
        """Whatever is written meanwhile: the log, heads, keys, receipts, documents, the queue and tokens."""
        with self.opened() as (store, _):
            _everything(store, 0)
            asked = Query(streams=("a",), documents=("d",), keys=("k0", "k1"))
            before, documents = contents(store), dict(store.read(asked).documents)
            with store.snapshot() as frozen:
                same(contents(frozen), before)
                _everything(store, 1)
                same(contents(frozen), before)
                same(dict(frozen.read(asked).documents), documents)
                same(set(frozen.read(asked).keys), {"k0"})
                same(_names(frozen.due(("plain",), 9, after=None, limit=9)), [])
                same(len(frozen.linked("mine")), 1)
                same(frozen.token("d1"), None)
            that(contents(store) != before, "what was written beside a snapshot is not to be seen after it")

    def test_a_snapshot_is_a_reader_like_any_other(self) -> None:
        """It can be asked for a snapshot itself, and tells the time."""
        with self.opened() as (store, clock):
            _everything(store, 0)
            with store.snapshot() as outer, outer.snapshot() as inner:
                _everything(store, 1)
                same(contents(inner), contents(outer))
                same(inner.now(), clock.now)

    def test_a_reader_never_sees_half_a_write(self) -> None:
        """Two streams that are always written together have the same version in every read."""
        with self.opened() as (store, _):
            done = threading.Event()

            def write_or_read(number: int) -> None:
                if number == 0:
                    try:
                        for expected in range(60):
                            put(store, end_of("a", expected, note()), end_of("b", expected, note()))
                    finally:
                        done.set()
                while not done.is_set():
                    heads = store.read(Query(streams=("a", "b"))).heads
                    that(len({head.version for head in heads.values()}) <= 1, f"half of a write is seen: {heads}")
                    that(len(heads) in (0, 2), f"half of a write is seen: {heads}")

            at_once(2, write_or_read)

    def test_many_read_beside_many_who_write(self) -> None:
        """Whatever a reader enumerates, writers do not disturb it, and what it saw once it sees again."""
        there, writers, writes, readers, reads = 500, 3, 100, 3, 20

        def write(store: Store, writer: int) -> None:
            for number in range(writes):
                written(store, _row_of_each_kind(f"{writer}-{number}"))

        def read(store: Store) -> None:
            seen = [0] * 9
            for _ in range(reads):
                before, seen = seen, _counts(store)
                that(
                    all(now >= then for then, now in zip(before, seen, strict=True)), f"{before} were seen, then {seen}"
                )

        with self.opened() as (store, _), _switching_often():
            written(store, _row_of_each_kind(*(f"there-{number}" for number in range(there))))
            at_once(writers + readers, lambda number: write(store, number) if number < writers else read(store))
            same(_counts(store), [there + writers * writes] * 9)

    def test_a_closed_store_says_so(self) -> None:
        """Every use of it raises `StoreClosed`; closing it again is fine."""
        for name, use in _USES.items():
            with self.opened() as (store, _):
                put(store, end_of(name, 0, note()))
                store.close()
                store.close()
                with raises(StoreClosed):
                    use(store)


def _names(heads: Iterable[Head]) -> list[str]:
    return [head.stream for head in heads]


def _everything(store: Store, number: int) -> None:
    """Write one row of each kind."""
    write = Write(
        answer=None,
        streams=(
            end_of("a", number, note(number), state=b"%d" % number, due=number or None),
            end_of(f"p{number}", 0, note(), link="mine"),
        ),
        keys=(UniqueKey(f"k{number}", "a"),),
        receipts=(Receipt(f"r{number}", "a", "print", b"%d" % number),),
        documents={("a", "d"): b"%d" % number},
        enqueued=(QueueEntry(f"e{number}", "a"),),
        tokens=(Token(f"t{number}", "owner", "user", f"d{number}", number),),
    )
    written(store, write)


def _row_of_each_kind(*names: str) -> Write[None]:
    """Return a write that adds one row of each kind that a reader enumerates, for each name."""
    return Write(
        answer=None,
        streams=tuple(end_of(name, 0, note(), link="mine", due=1) for name in names),
        documents={(name, "d"): b"1" for name in names},
        keys=tuple(UniqueKey(f"k{name}", name) for name in names),
        receipts=tuple(Receipt(f"r{name}", name, "", b"1") for name in names),
        enqueued=tuple(QueueEntry(f"e{name}", name) for name in names),
        tokens=tuple(Token(f"t{name}", "owner", "user", f"d{name}", 1) for name in names),
    )


def _counts(store: Store) -> list[int]:
    """Return how many there are of each kind, by everything that enumerates."""
    same(store.token("nobody's"), None)
    return [
        len(list(store.events())),
        len(list(store.heads())),
        len(store.linked("mine", limit=1_000)),
        len(store.due(("plain",), 1, after=None, limit=1_000)),
        len(list(store.documents())),
        len(list(store.keys())),
        len(list(store.receipts())),
        len(list(store.entries())),
        len(store.tokens("owner")),
    ]


@contextmanager
def _switching_often() -> Iterator[None]:
    """Let threads take turns after microseconds, so that what is not guarded is met."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
