"""A Merkle tree as in RFC 9162, section 2: of a long list a short root, and short proofs about it.

Floor 1, pure: SHA-256 and nothing else. It takes the list one item after the other and keeps one hash for each level of
the tree. It knows nothing of events; `checkpoints` says what the items are.
"""

import hashlib
from collections.abc import Iterable, Sequence

from attrs import Factory, define

__all__ = ["Tree", "consistency_spans", "inclusion_spans", "is_consistent", "is_included", "leaf_hash", "span_hashes"]

Span = tuple[int, int]
"""Part of the list: from this index, up to and without that one."""


def leaf_hash(item: bytes) -> bytes:
    """Return the hash of an item; the first byte keeps it from being taken for that of two subtrees."""
    return hashlib.sha256(b"\x00" + item).digest()


def _node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@define
class Tree:
    """A tree that grows to the right.

    Args:
        size: How many items it has.
    """

    size: int = 0
    _whole: list[bytes] = Factory(list)

    def append(self, item: bytes) -> None:
        """Add an item."""
        node, size = leaf_hash(item), self.size
        while size & 1:  # Each one at the end of the number is a whole subtree of the same height on the left.
            node = _node_hash(self._whole.pop(), node)
            size >>= 1
        self._whole.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Return the hash of everything so far."""
        if not self._whole:
            return hashlib.sha256(b"").digest()
        root = self._whole[-1]
        for node in reversed(self._whole[:-1]):
            root = _node_hash(node, root)
        return root


# --- making proofs -----------------------------------------------------------------------------------------------


def inclusion_spans(index: int, size: int) -> list[Span]:
    """Return which subtrees' hashes prove that an item is in the tree of the first `size`, the lowest first."""
    if not 0 <= index < size:
        raise ValueError(f"there is no item {index} among {size}")
    spans: list[Span] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start = middle
    return spans[::-1]


def consistency_spans(old: int, new: int) -> list[Span]:
    """Return which subtrees' hashes prove that the first `old` of `new` items are still the same, the lowest first."""
    if not 0 < old <= new:
        raise ValueError(f"{old} items are no beginning of {new}")
    spans: list[Span] = []
    start, end = 0, new
    while old < end:
        middle = start + _split(end - start)
        if old <= middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start = middle
    if start:  # Else it is the whole old tree, whose root the reader has.
        spans.append((start, end))
    return spans[::-1]


def span_hashes(items: Iterable[bytes], spans: Sequence[Span]) -> list[bytes]:
    """Return the hashes of subtrees in the order asked for, in one pass.

    Raises:
        ValueError: There are too few items.
    """
    trees: dict[Span, Tree] = {span: Tree() for span in sorted(spans)}
    waiting = list(reversed(trees.items()))
    for index, item in enumerate(items):
        while waiting and index >= waiting[-1][0][1]:
            waiting.pop()
        if not waiting:
            break
        span, tree = waiting[-1]
        if index >= span[0]:
            tree.append(item)
    if any(tree.size != end - start for (start, end), tree in trees.items()):
        raise ValueError("there are fewer items than the proof is about")
    return [trees[span].root() for span in spans]


def _split(size: int) -> int:
    """Return the largest power of two below a size."""
    return 1 << (size - 1).bit_length() - 1


# --- checking proofs ---------------------------------------------------------------------------------------------


def is_included(item: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether a proof shows that an item is at an index of the tree with this size and root."""
    if not 0 <= index < size:
        return False
    place, last, node = index, size - 1, leaf_hash(item)
    for other in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            node = _node_hash(other, node)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            node = _node_hash(node, other)
        place, last = place >> 1, last >> 1
    return last == 0 and node == root


def is_consistent(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether a proof shows that one tree is the beginning of another."""
    if old == 0:
        return new >= 0 and not proof and old_root == Tree().root()
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    was = now = path[0]
    for other in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            was, now = _node_hash(other, was), _node_hash(other, now)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            now = _node_hash(now, other)
        place, last = place >> 1, last >> 1
    return last == 0 and was == old_root and now == new_root
