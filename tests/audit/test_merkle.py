"""The tree is that of RFC 9162: held against the RFC's own recursive definitions, written down plainly."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from research_fsm.merkle import (
    Tree,
    consistency_spans,
    inclusion_spans,
    is_consistent,
    is_included,
    span_hashes,
)


def mth(items: list[bytes]) -> bytes:
    """The Merkle tree hash, section 2.1.1."""
    if not items:
        return hashlib.sha256(b"").digest()
    if len(items) == 1:
        return hashlib.sha256(b"\x00" + items[0]).digest()
    k = largest_power_below(len(items))
    return hashlib.sha256(b"\x01" + mth(items[:k]) + mth(items[k:])).digest()


def path(m: int, items: list[bytes]) -> list[bytes]:
    """The inclusion proof, section 2.1.3.1."""
    if len(items) == 1:
        return []
    k = largest_power_below(len(items))
    return [*path(m, items[:k]), mth(items[k:])] if m < k else [*path(m - k, items[k:]), mth(items[:k])]


def subproof(m: int, items: list[bytes], *, whole: bool) -> list[bytes]:
    """The consistency proof, section 2.1.4.1."""
    if m == len(items):
        return [] if whole else [mth(items)]
    k = largest_power_below(len(items))
    if m <= k:
        return [*subproof(m, items[:k], whole=whole), mth(items[k:])]
    return [*subproof(m - k, items[k:], whole=False), mth(items[:k])]


def largest_power_below(size: int) -> int:
    """The k of the RFC: k < size <= 2k."""
    k = 1
    while 2 * k < size:
        k *= 2
    return k


def listed(size: int) -> list[bytes]:
    """That many different items."""
    return [f"item {number}".encode() for number in range(size)]


def root_of(items: list[bytes]) -> bytes:
    """The root as the library makes it."""
    tree = Tree()
    for item in items:
        tree.append(item)
    return tree.root()


@pytest.mark.parametrize("size", range(70))
def test_the_root_is_the_rfcs(size: int) -> None:
    """A tree that is fed one item after the other has the root that the recursive definition gives."""
    assert root_of(listed(size)) == mth(listed(size))


@pytest.mark.parametrize("size", range(1, 34))
def test_inclusion_proofs_are_the_rfcs_and_hold(size: int) -> None:
    """Every item's proof is the RFC's and is accepted, and no other item, place, size or root is."""
    items, root = listed(size), mth(listed(size))
    for index, item in enumerate(items):
        proof = span_hashes(items, inclusion_spans(index, size))
        assert proof == path(index, items)
        assert is_included(item, index, size, root, proof)
        assert not is_included(b"another", index, size, root, proof)
        assert not is_included(item, index, size, b"\x00" * 32, proof)
        assert not is_included(item, index, size, root, [*proof, root])
        assert not is_included(item, size, size, root, proof)
        assert not is_included(item, -1, size, root, proof)
        assert all(not is_included(item, other, size, root, proof) for other in range(size) if other != index)
        if proof:
            assert not is_included(item, index, size, root, proof[:-1])
            assert not is_included(item, index, size, root, proof[::-1]) or proof == proof[::-1]


@pytest.mark.parametrize("new", range(1, 34))
def test_consistency_proofs_are_the_rfcs_and_hold(new: int) -> None:
    """Every beginning's proof is the RFC's and is accepted, and that of a rewritten beginning is not."""
    items, root = listed(new), mth(listed(new))
    for old in range(1, new + 1):
        proof, old_root = span_hashes(items, consistency_spans(old, new)), mth(items[:old])
        rewritten = mth([b"rewritten", *items[1:old]])
        assert proof == subproof(old, items, whole=True)
        assert is_consistent(old, old_root, new, root, proof)
        assert not is_consistent(old, rewritten, new, root, proof)
        assert not is_consistent(old, old_root, new, b"\x00" * 32, proof)
        assert not is_consistent(old, old_root, new, root, [*proof, root])
        assert not is_consistent(new + 1, old_root, new, root, proof)
        if proof:
            assert not is_consistent(old, old_root, new, root, proof[:-1])
            assert not is_consistent(old, old_root, new, root, [])


def test_everything_begins_with_nothing() -> None:
    """The empty tree is the beginning of any other, and its root is that of no other."""
    assert is_consistent(0, mth([]), 5, mth(listed(5)), [])
    assert not is_consistent(0, mth(listed(1)), 5, mth(listed(5)), [])
    assert not is_consistent(0, mth([]), 5, mth(listed(5)), [mth([])])


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=200), st.data())
def test_any_list(items: list[bytes], data: st.DataObject) -> None:
    """What holds for the small sizes holds for any list and any place in it."""
    old = data.draw(st.integers(1, len(items)))
    root = root_of(items)
    assert root == mth(items)
    included = span_hashes(items, inclusion_spans(old - 1, len(items)))
    assert included == path(old - 1, items)
    assert is_included(items[old - 1], old - 1, len(items), root, included)
    consistent = span_hashes(items, consistency_spans(old, len(items)))
    assert consistent == subproof(old, items, whole=True)
    assert is_consistent(old, mth(items[:old]), len(items), root, consistent)


def test_a_proof_about_more_than_there_is_is_refused() -> None:
    """Nobody is given half a proof, nor one about an item that cannot be."""
    with pytest.raises(ValueError, match="fewer items"):
        span_hashes(listed(3), inclusion_spans(0, 5))
    with pytest.raises(ValueError, match="no item 5 among 5"):
        inclusion_spans(5, 5)
    with pytest.raises(ValueError, match="6 items are no beginning of 5"):
        consistency_spans(6, 5)


def test_a_tree_of_many_items_keeps_a_hash_for_each_level() -> None:
    """What is remembered grows with the number of digits of the size, not with the size."""
    tree = Tree()
    for number in range(100_000):
        tree.append(number.to_bytes(4, "big"))
    assert len(tree._whole) == (100_000).bit_count()
