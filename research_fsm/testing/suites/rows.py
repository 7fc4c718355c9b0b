"""What stands beside the log: unique keys, receipts, documents, the embedded queue, tokens.

Floor 6. Part of `research_fsm.testing.conformance`.
"""

from datetime import timedelta

from attrs import evolve

from research_fsm.errors import WriteRejected
from research_fsm.storage import Query, QueueEntry, Receipt, Store, Token, UniqueKey, Write
from research_fsm.testing.suites.base import StoreSuite, contents, end_of, loaded, note, put, written
from research_fsm.testing.suites.expect import raises, same, that

__all__ = ["RowsSuite"]


class RowsSuite(StoreSuite):
    """What is written with events is written with them or not at all, and found again."""

    def test_a_unique_key_is_taken_once(self) -> None:
        """A second taker, of the same stream or another, writes nothing."""
        with self.opened() as (store, _):
            written(store, Write(answer=None, streams=(end_of("a", 0, note()),), keys=(UniqueKey("k", "a", b"7"),)))
            before = contents(store)
            for stream in ("a", "b"):
                end = end_of(stream, int(stream == "a"), note())
                with raises(WriteRejected):
                    written(store, Write(answer=None, streams=(end,), keys=(UniqueKey("k", stream),)))
            same(contents(store), before)

    def test_a_personal_key_that_is_taken_is_not_named(self) -> None:
        """It is made of personal data, which an error would carry into a log: the stream is named instead."""
        with self.opened() as (store, _):
            url = "url:https://www.linkedin.com/in/ada"
            written(store, Write(answer=None, keys=(UniqueKey(url, "person:1", personal=True), UniqueKey("k", "a"))))
            with raises(WriteRejected, "unique key of person:2 is taken") as raised:
                written(store, Write(answer=None, keys=(UniqueKey(url, "person:2", personal=True),)))
            that("ada" not in str(raised.error), f"the error carries personal data: {raised.error}")
            with raises(WriteRejected, "unique key k is taken"):
                written(store, Write(answer=None, keys=(UniqueKey("k", "person:2"),)))

    def test_a_unique_key_brings_its_stream_and_the_one_it_links_to(self) -> None:
        """Who asks for a name is shown the head that has it, and the account, in the same transaction."""
        with self.opened() as (store, _):
            put(store, end_of("account", 0, note()), end_of("a", 0, note(), link="account"))
            key = UniqueKey("k", "a", b'{"n":1}', personal=True)
            written(store, Write(answer=None, keys=(key, UniqueKey("j", "a"))))
            for view in (loaded(store, Query(keys=("k", "absent"))), store.read(Query(keys=("k", "absent")))):
                same(view.keys, {"k": key})
                same(set(view.heads), {"a", "account"})
            same(_keys(store), ["j", "k"])

    def test_a_receipt_keeps_the_first_answer(self) -> None:
        """It brings its stream along, and a second one under the same key is rejected."""
        with self.opened() as (store, _):
            put(store, end_of("a", 0, note()))
            receipt = Receipt("r", "a", "print", b'["Queued",{}]')
            written(store, Write(answer=None, receipts=(receipt,)))
            with raises(WriteRejected):
                written(store, Write(answer=None, receipts=(evolve(receipt, answer=b"1"),)))
            view = loaded(store, Query(receipts=("r", "absent")))
            same(view.receipts, {"r": receipt})
            same(set(view.heads), {"a"})

    def test_a_receipt_may_be_of_a_stream_that_does_not_exist(self) -> None:
        """A refused request about nobody is remembered too."""
        with self.opened() as (store, _):
            receipt = Receipt("r", "nobody", "print", b"1")
            written(store, Write(answer=None, receipts=(receipt,)))
            view = loaded(store, Query(receipts=("r",)))
            same((view.receipts, view.heads), ({"r": receipt}, {}))

    def test_a_settled_receipt_has_its_final_answer(self) -> None:
        """Its fingerprint stays; a receipt that is not there is passed over and not made."""
        with self.opened() as (store, _):
            receipt = Receipt("r", "a", "print", b"1")
            written(store, Write(answer=None, receipts=(receipt, Receipt("s", "a", "other", b"3"))))
            written(store, Write(answer=None, settled={"r": b"2", "absent": b"2"}))
            view = loaded(store, Query(receipts=("r", "s", "absent")))
            same(view.receipts, {"r": evolve(receipt, answer=b"2"), "s": Receipt("s", "a", "other", b"3")})

    def test_a_receipt_may_be_added_and_settled_at_once(self) -> None:
        """Settling sees what the same transaction added."""
        with self.opened() as (store, _):
            written(store, Write(answer=None, receipts=(Receipt("r", "a", "", b"1"),), settled={"r": b"2"}))
            same(loaded(store, Query(receipts=("r",))).receipts["r"].answer, b"2")

    def test_documents_are_loaded_by_name_of_every_stream_that_is(self) -> None:
        """The latest content of each, of no other stream, and of no other name."""
        with self.opened() as (store, _):
            put(store, end_of("account", 0, note()), end_of("a", 0, note(), link="account"), end_of("b", 0, note()))
            names = [(stream, name) for stream in ("account", "a", "b") for name in ("profile", "salt", "report:1")]
            written(store, Write(answer=None, documents=dict.fromkeys(names, b"old")))
            written(store, Write(answer=None, documents={("a", "profile"): "neu ß".encode()}))
            view = loaded(store, Query(streams=("a",), documents=("profile", "salt", "absent")))
            same(
                view.documents,
                {
                    ("a", "profile"): "neu ß".encode(),
                    ("a", "salt"): b"old",
                    ("account", "profile"): b"old",
                    ("account", "salt"): b"old",
                },
            )
            same(loaded(store, Query(streams=("a",))).documents, {})

    def test_forgetting_deletes_what_is_personal_and_nothing_else(self) -> None:
        """Documents, personal keys and fingerprints go; events, other keys, answers and other streams stay."""
        with self.opened() as (store, _):
            for stream in ("a", "b"):
                _fill(store, stream)
            log = list(store.events())
            written(store, Write(answer=None, streams=(end_of("a", 1, note()),), forgotten=("a",)))
            view = loaded(store, Query(streams=("a", "b"), receipts=("r:a", "r:b"), documents=("profile",)))
            same(view.documents, {("b", "profile"): b"{}"})
            same(_keys(store), ["run:a", "run:b", "url:b"])
            same(view.receipts, {"r:a": Receipt("r:a", "a", "", b"1"), "r:b": Receipt("r:b", "b", "print", b"1")})
            same(list(store.events())[: len(log)], log)

    def test_a_forgotten_key_may_be_taken_again(self) -> None:
        """A partner may add somebody anew who was erased."""
        with self.opened() as (store, _):
            _fill(store, "a")
            written(store, Write(answer=None, forgotten=("a",)))
            written(store, Write(answer=None, streams=(end_of("c", 0, note()),), keys=(UniqueKey("url:a", "c"),)))
            same(loaded(store, Query(keys=("url:a",))).keys["url:a"].stream, "c")

    def test_the_queue_is_first_come_first_served(self) -> None:
        """An entry brings its stream and the one it links to; a lease that changes keeps the entry's place."""
        with self.opened() as (store, clock):
            put(store, end_of("account", 0, note()), end_of("a", 0, note(), link="account"))
            for run_id in ("2", "1", "3"):
                written(store, Write(answer=None, enqueued=(QueueEntry(run_id, "a"),)))
            view = loaded(store, Query(next_entry=True))
            same(view.entry, QueueEntry("2", "a"))
            same(set(view.heads), {"a", "account"})
            written(store, Write(answer=None, enqueued=(QueueEntry("2", "a", clock.now + 5),)))
            same([entry.run_id for entry in store.entries()], ["2", "1", "3"])
            same(loaded(store, Query(entry="3")).entry, QueueEntry("3", "a"))
            same(loaded(store, Query(entry="absent")).entry, None)

    def test_an_entry_is_free_without_a_lease_and_once_it_is_over(self) -> None:
        """`next_entry` skips what is leased; a lease is over at the very moment that it names."""
        with self.opened() as (store, clock):
            put(store, end_of("a", 0, note()))
            leased = QueueEntry("1", "a", clock.now + 1)
            written(store, Write(answer=None, enqueued=(leased, QueueEntry("2", "a"))))
            same(loaded(store, Query(next_entry=True)).entry, QueueEntry("2", "a"))
            written(store, Write(answer=None, enqueued=(QueueEntry("2", "a", clock.now + 9),)))
            same(loaded(store, Query(next_entry=True)).entry, None)
            clock.advance(timedelta(microseconds=1))
            same(loaded(store, Query(next_entry=True)).entry, leased)

    def test_an_entry_leaves_the_queue(self) -> None:
        """One that is not there may leave too; one that comes back stands at the end."""
        with self.opened() as (store, _):
            put(store, end_of("a", 0, note()))
            written(store, Write(answer=None, enqueued=(QueueEntry("1", "a"), QueueEntry("2", "a"))))
            written(store, Write(answer=None, dequeued=("1", "absent")))
            same(list(store.entries()), [QueueEntry("2", "a")])
            written(store, Write(answer=None, enqueued=(QueueEntry("1", "a"),)))
            same([entry.run_id for entry in store.entries()], ["2", "1"])

    def test_tokens_are_found_by_owner_and_by_digest(self) -> None:
        """Oldest first; one that is written again is replaced; an unknown digest opens nothing."""
        with self.opened() as (store, _):
            tokens = [Token(f"t{number}", owner, "user", f"d{number}", number) for number, owner in enumerate("aba")]
            for token in tokens:
                written(store, Write(answer=None, tokens=(token,)))
            revoked = evolve(tokens[0], revoked_at=9)
            written(store, Write(answer=None, tokens=(revoked,)))
            same(store.tokens(), [revoked, *tokens[1:]])
            same(store.tokens("a"), [revoked, tokens[2]])
            same(store.tokens("c"), [])
            same(store.token("d1"), tokens[1])
            same(store.token("absent"), None)


def _keys(store: Store) -> list[str]:
    return [key.key for key in store.keys()]  # noqa: SIM118  # A store is no dictionary.


def _fill(store: Store, stream: str) -> None:
    """Write a stream with a document, a personal key, another key and a receipt."""
    write = Write(
        answer=None,
        streams=(end_of(stream, 0, note()),),
        keys=(UniqueKey(f"url:{stream}", stream, personal=True), UniqueKey(f"run:{stream}", stream)),
        receipts=(Receipt(f"r:{stream}", stream, "print", b"1"),),
        documents={(stream, "profile"): b"{}"},
    )
    written(store, write)
