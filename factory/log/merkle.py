"""Compute a Merkle tree over the ledger's lines: root, proofs, and their check (RFC 6962 §2.1, RFC
9162 §2.1.3–2.1.4).

SHA-256; a leaf is hashed behind 0x00, a node behind 0x01, so that neither passes for the other.
`Peaks` grows by one leaf at amortised constant cost, so that a root needs one pass and O(log n)
memory. The two `verify_` functions share nothing with the makers of proofs but the two hashes.
Does not know what a leaf says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()
HASH_BYTES = 32


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of one leaf, 32 bytes."""
    return sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over its two children, 32 bytes."""
    return sha256(b"\1" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Peaks:
    """Describe a tree by the roots of its perfect subtrees, largest first: one for each 1 bit of
    `size`.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def extended(self, leaves: Iterable[bytes]) -> Peaks:
        """Return the tree with more leaves (their content, not their hashes) at its right."""
        growing = Growing(self)
        for leaf in leaves:
            growing.append(leaf)
        return growing.peaks()

    @property
    def root(self) -> bytes:
        """Return the root hash, 32 bytes."""
        if not self.peaks:
            return EMPTY_ROOT
        here = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            here = node_hash(peak, here)
        return here

    @property
    def path_of_next(self) -> tuple[bytes, ...]:
        """Return the inclusion path of the leaf that will be appended next, in the tree that ends
        with it.
        """
        return tuple(reversed(self.peaks))


class Growing:
    """Append leaves to a tree, one by one, at amortised constant cost."""

    __slots__ = ("_peaks", "size")

    def __init__(self, start: Peaks | None = None) -> None:
        self.size = start.size if start is not None else 0
        self._peaks = list(start.peaks) if start is not None else []

    def append(self, leaf: bytes) -> None:
        """Add a leaf (its content, not its hash) at the right."""
        here, carry, peaks = sha256(b"\0" + leaf).digest(), self.size, self._peaks
        while carry & 1:
            here = sha256(b"\1" + peaks.pop() + here).digest()
            carry >>= 1
        peaks.append(here)
        self.size += 1

    def peaks(self) -> Peaks:
        """Return the tree as it is now."""
        return Peaks(self.size, tuple(self._peaks))


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root hash over the contents of leaves, in one pass."""
    return Peaks().extended(leaves).root


def inclusion_path(hashes: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return PATH(index, D[n]) over leaf hashes, from the leaf's sibling upwards. Raise ValueError
    outside the tree.
    """
    if not 0 <= index < len(hashes):
        raise ValueError(f"expected an index below {len(hashes)}, found {index}")
    path: list[bytes] = []
    low, high = 0, len(hashes)
    while high - low > 1:
        middle = low + _left_of(high - low)
        if index < middle:
            path.append(_subtree(hashes, middle, high))
            high = middle
        else:
            path.append(_subtree(hashes, low, middle))
            low = middle
    return tuple(reversed(path))


def consistency_path(hashes: Sequence[bytes], first: int) -> tuple[bytes, ...]:
    """Return PROOF(first, D[n]) over leaf hashes; empty for 0 and for n. Raise ValueError where
    `first` is over n.
    """
    if not 0 <= first <= len(hashes):
        raise ValueError(f"expected a size up to {len(hashes)}, found {first}")
    if first in (0, len(hashes)):
        return ()
    path: list[bytes] = []
    low, high, whole = (
        0,
        len(hashes),
        True,
    )  # whole: the old tree still ends where this subtree begins at 0
    while first != high:
        middle = low + _left_of(high - low)
        if first <= middle:
            path.append(_subtree(hashes, middle, high))
            high = middle
        else:
            path.append(_subtree(hashes, low, middle))
            low, whole = middle, False
    if not whole:
        path.append(_subtree(hashes, low, high))
    return tuple(reversed(path))


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> bool:
    """Return whether `path` shows that the leaf of hash `leaf` is at `index` (from 0) of the tree
    (RFC 9162 §2.1.3.2).
    """
    if not 0 <= index < size:
        return False
    here, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if here & 1 or here == last:
            found = node_hash(sibling, found)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(
    first: int, second: int, path: Sequence[bytes], old_root: bytes, new_root: bytes
) -> bool:
    """Return whether `path` shows that the tree of size `first` is the beginning of the other (RFC
    9162 §2.1.4.2).
    """
    if not 0 <= first <= second:
        return False
    if first in (0, second):
        return not path and old_root == (new_root if first == second else EMPTY_ROOT)
    steps = [old_root, *path] if first & (first - 1) == 0 else list(path)
    if not path or not steps:
        return False
    here, last = first - 1, second - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    old = new = steps[0]
    for sibling in steps[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and old == old_root and new == new_root


def _left_of(count: int) -> int:
    """Return the largest power of two below `count`, which is over 1."""
    return 1 << ((count - 1).bit_length() - 1)


def _subtree(hashes: Sequence[bytes], low: int, high: int) -> bytes:
    """Return the root over leaf hashes low..high-1, of which there is at least one."""
    level = list(hashes[low:high])
    while len(level) > 1:
        odd = level[-1:] if len(level) & 1 else []
        level = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)] + odd
    return level[0]
