"""The values of a store's promise: what an empty write is."""

import attrs
import pytest

from research_fsm.storage import QueueEntry, Receipt, StreamWrite, Token, UniqueKey, Write

FULL: list[tuple[str, object]] = [
    (
        "streams",
        (StreamWrite(stream="s", expected=0, events=(), state=b"{}", fold=1, link=None, tag="", due=None),),
    ),
    ("keys", (UniqueKey("k", "s"),)),
    ("receipts", (Receipt("k", "s", "", b"null"),)),
    ("settled", {"k": b"null"}),
    ("documents", {("s", "profile"): b"{}"}),
    ("enqueued", (QueueEntry("r", "s"),)),
    ("dequeued", ("r",)),
    ("forgotten", ("s",)),
    ("tokens", (Token("t", "o", "user", "digest", 0),)),
]


def test_a_write_with_an_answer_alone_is_empty() -> None:
    """A store need not open a transaction's end for it."""
    assert Write(answer="anything").empty


@pytest.mark.parametrize(("field", "value"), FULL, ids=[field for field, _ in FULL])
def test_a_write_with_anything_to_write_is_not_empty(field: str, value: object) -> None:
    """Whatever it is, alone."""
    write: Write[None] = attrs.evolve(Write(answer=None), **{field: value})  # type: ignore[arg-type]  # By name.
    assert not write.empty


def test_every_field_of_a_write_is_here() -> None:
    """A new one is something to write."""
    assert {field.name for field in attrs.fields(Write)} == {"answer", *(field for field, _ in FULL)}
