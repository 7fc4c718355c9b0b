"""The log and its heads: order, compare-and-swap, all or nothing, the hash chain.

Floor 6. Part of `research_fsm.testing.conformance`.
"""

# Example numbers are what a suite is made of.

import hashlib
import json
from datetime import timedelta
from functools import partial

from research_fsm.errors import WriteRejected
from research_fsm.storage import NewEvent, Query, Receipt, RecordedEvent, UniqueKey, View, Write
from research_fsm.testing.suites.base import StoreSuite, contents, end_of, loaded, note, put, written
from research_fsm.testing.suites.expect import raises, same, that

__all__ = ["LogSuite"]


class _Interrupted(BaseException):  # It stands for a KeyboardInterrupt.
    """What a rule raises that no ``except Exception`` catches."""


class LogSuite(StoreSuite):
    """Events are appended in order, once, whole, and never change."""

    def test_a_new_store_is_empty_and_has_a_secret(self) -> None:
        """There is nothing to read, and the secret has 32 bytes and stays the same."""
        with self.opened() as (store, _):
            same(contents(store), ([], [], [], [], [], [], []))
            same(store.read(Query(streams=("a",), keys=("k",), receipts=("r",), entry="e")).heads, {})
            same(len(store.secret), 32)
            same(store.secret, store.secret)

    def test_versions_count_each_stream_from_one_without_gaps(self) -> None:
        """Every stream has its own count, whatever is written to others in between."""
        with self.opened() as (store, _):
            put(store, end_of("a", 0, note(1), note(2)))
            put(store, end_of("b", 0, note(3)))
            put(store, end_of("a", 2, note(4)))
            same([event.version for event in store.events("a")], [1, 2, 3])
            same([event.version for event in store.events("b")], [1])
            same([event.data for event in store.events("a")], [note(1).data, note(2).data, note(4).data])

    def test_positions_rise_through_the_whole_log(self) -> None:
        """The log of everybody is in the order of writing, and one write keeps the order of its streams."""
        with self.opened() as (store, _):
            put(store, end_of("b", 0, note(1)), end_of("a", 0, note(2), note(3)))
            put(store, end_of("b", 1, note(4)))
            log = list(store.events())
            same([event.data for event in log], [note(number).data for number in (1, 2, 3, 4)])
            positions = [event.position for event in log]
            same(positions, sorted(set(positions)))
            that(positions[0] > 0, f"the first position is {positions[0]}: `after=0` would leave it out")

    def test_events_are_read_from_behind_a_place(self) -> None:
        """`after` is a version within a stream, a position in the whole log, and nothing lies behind the last one."""
        with self.opened() as (store, _):
            put(store, end_of("a", 0, note(1), note(2)), end_of("b", 0, note(3)))
            first, second, third = store.events()
            same(list(store.events("a", after=1)), [second])
            same(list(store.events(after=first.position)), [second, third])
            same(list(store.events(after=third.position)), [])
            same(list(store.events("a", after=2)), [])
            same(list(store.events("c")), [])

    def test_bytes_come_back_as_they_were_written(self) -> None:
        """Names, data, meta and states of any script and size are not touched."""
        with self.opened() as (store, _):
            data = json.dumps({"text": "Ωμέγα 研究 \u0000 " + "x" * 300_000}, ensure_ascii=False).encode()
            event = NewEvent("Ereignis", 7, data, b'{"actor":"\xc3\xa9"}')
            put(store, end_of("stream:ß", 0, event, state=data, tag="täg"))
            (recorded,) = store.events("stream:ß")
            (head,) = store.heads()
            same((recorded.type, recorded.schema, recorded.data, recorded.meta), ("Ereignis", 7, data, event.meta))
            same((head.stream, head.state, head.tag), ("stream:ß", data, "täg"))

    def test_the_hash_chain_is_the_one_in_the_documentation(self) -> None:
        """Recomputed here with nothing but hashlib and json, each stream for itself, positions left out."""
        with self.opened() as (store, clock):
            put(store, end_of("a", 0, note(1), note(2)), end_of("é", 0, note(3)))
            clock.advance(timedelta(microseconds=1))
            put(store, end_of("a", 2, note(4)))
            for stream, length in (("a", 3), ("é", 1)):
                events = list(store.events(stream))
                same(len(events), length)
                last = _followed(stream, events)
                same(store.read(Query(streams=(stream,))).heads[stream].hash, last)

    def test_a_head_is_what_was_written(self) -> None:
        """State, fold, tag and due are the latest; version and hash are the last event's, `first` the first one's."""
        with self.opened() as (store, _):
            put(store, end_of("other", 0, note()))
            put(store, end_of("a", 0, note(1), state=b"[1]", fold=1, tag="old", due=5))
            put(store, end_of("a", 1, note(2), note(3), state=b"[2]", fold=2, tag="new", due=None))
            head = loaded(store, Query(streams=("a",))).heads["a"]
            events = list(store.events("a"))
            same((head.version, head.hash, head.first), (3, events[-1].hash, events[0].position))
            same((head.state, head.fold, head.tag, head.due), (b"[2]", 2, "new", None))

    def test_a_link_is_fixed_by_the_first_write(self) -> None:
        """A later write cannot hand a person over to another account."""
        with self.opened() as (store, _):
            put(store, end_of("a", 0, note(), link="mine"))
            put(store, end_of("a", 1, note(), link="yours"))
            put(store, end_of("a", 2, note(), link=None))
            same([head.link for head in store.heads()], ["mine"])

    def test_a_head_may_change_without_an_event(self) -> None:
        """That recovery looks again later moves `due`; version, hash and log stay."""
        with self.opened() as (store, _):
            put(store, end_of("a", 0, note(), due=5))
            before = loaded(store, Query(streams=("a",))).heads["a"]
            put(store, end_of("a", 1, due=9))
            after = loaded(store, Query(streams=("a",))).heads["a"]
            same((after.version, after.hash, after.first, after.due), (1, before.hash, before.first, 9))
            same(len(list(store.events())), 1)

    def test_another_version_than_expected_is_rejected(self) -> None:
        """The compare-and-swap: who saw an older or a newer version writes nothing, of any stream."""
        with self.opened() as (store, _):
            put(store, end_of("a", 0, note(1), note(2)))
            before = contents(store)
            for expected in (0, 1, 3):
                write = Write(
                    answer=None,
                    streams=(end_of("b", 0, note(3)), end_of("a", expected, note(4))),
                    keys=(UniqueKey("key", "b"),),
                    receipts=(Receipt("receipt", "b", "", b"1"),),
                    documents={("b", "profile"): b"{}"},
                )
                with raises(WriteRejected):
                    written(store, write)
                same(contents(store), before)
            put(store, end_of("b", 0, note(5)))
            left = loaded(store, Query(streams=("b",), receipts=("receipt",), documents=("profile",)))
            same((dict(left.receipts), dict(left.documents)), ({}, {}))

    def test_a_stream_that_does_not_exist_has_version_zero(self) -> None:
        """Nothing can be appended behind events that never were."""
        with self.opened() as (store, _):
            with raises(WriteRejected):
                put(store, end_of("a", 1, note()))
            same(contents(store), ([], [], [], [], [], [], []))

    def test_a_rule_that_raises_writes_nothing(self) -> None:
        """Whatever a rule raises comes out as it is, nothing is written, and the store goes on working."""
        with self.opened() as (store, _):
            put(store, end_of("a", 0, note()))
            for version, error in enumerate((ValueError("the rule's own"), _Interrupted("the rule's own")), 1):
                before = contents(store)
                with raises(type(error), "the rule's own"):
                    store.transact(Query(streams=("a",)), partial(_raise, error))
                same(contents(store), before)
                put(store, end_of("a", version, note()))

    def test_an_empty_write_writes_nothing(self) -> None:
        """A refusal gets its answer, and the log, the heads and the rest stay as they are."""
        with self.opened() as (store, _):
            put(store, end_of("a", 0, note()))
            before = contents(store)
            same(written(store, Write(answer="no"), Query(streams=("a",))), "no")
            same(contents(store), before)

    def test_the_log_may_be_read_slowly(self) -> None:
        """Whoever reads the log may write between two events: a reader holds no lock that keeps writers out."""
        with self.opened() as (store, _):
            put(store, end_of("a", 0, *(note(number) for number in range(5))))
            for expected, event in enumerate(store.events("a")):
                put(store, end_of("b", expected, note()))
                same(event.version, expected + 1)
            same(len(list(store.events("b"))), 5)


def _raise(error: BaseException, _: View, __: int) -> Write[None]:
    raise error


def _followed(stream: str, events: list[RecordedEvent]) -> bytes:
    """Recompute a stream's chain from the text of the documentation, and return the last hash."""
    previous = hashlib.sha256(f"research_fsm:1:{stream}".encode()).digest()
    for version, event in enumerate(events, 1):
        fields = [stream, version, event.type, event.schema, event.at, json.loads(event.data), json.loads(event.meta)]
        canonical = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
        previous = hashlib.sha256(previous + canonical).digest()
        same(event.hash, previous)
    return previous
