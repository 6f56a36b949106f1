"""The Merkle tree: known answers of Certificate Transparency, and properties over all small
trees.
"""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.log.merkle import (
    EMPTY_ROOT,
    Peaks,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

# Leaves, roots and proofs of the Certificate-Transparency reference tests.
LEAVES = tuple(
    map(
        bytes.fromhex,
        (
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ),
    )
)
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
INCLUSION = {
    (0, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (5, 8): (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 3): ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
}
CONSISTENCY = {
    (1, 8): INCLUSION[0, 8],
    (2, 5): (
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
    (6, 8): (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
}
MOST = 33


def slow_root(leaves: list[bytes]) -> bytes:
    """MTH as RFC 6962 writes it down."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    middle = max(1 << power for power in range(16) if 1 << power < len(leaves))
    return node_hash(slow_root(leaves[:middle]), slow_root(leaves[middle:]))


def numbered(count: int) -> list[bytes]:
    return [b"leaf %d" % number for number in range(count)]


@pytest.mark.parametrize("size", range(len(ROOTS)))
def test_roots_of_the_reference_leaves(size: int) -> None:
    assert root_of(LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_inclusion_paths_of_the_reference_leaves(index: int, size: int) -> None:
    hashes = [leaf_hash(leaf) for leaf in LEAVES[:size]]
    path = inclusion_path(hashes, index)
    assert tuple(step.hex() for step in path) == INCLUSION[index, size]
    assert verify_inclusion(hashes[index], index, size, path, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("first", "size"), CONSISTENCY)
def test_consistency_paths_of_the_reference_leaves(first: int, size: int) -> None:
    path = consistency_path([leaf_hash(leaf) for leaf in LEAVES[:size]], first)
    assert tuple(step.hex() for step in path) == CONSISTENCY[first, size]
    assert verify_consistency(
        first, size, path, bytes.fromhex(ROOTS[first]), bytes.fromhex(ROOTS[size])
    )


@pytest.mark.parametrize("size", range(1, MOST))
def test_every_proof_of_every_small_tree_holds_and_only_there(size: int) -> None:
    leaves = numbered(size)
    hashes = [leaf_hash(leaf) for leaf in leaves]
    root = slow_root(leaves)
    for index in range(size):
        path = inclusion_path(hashes, index)
        accepted = [
            at for at in range(size + 1) if verify_inclusion(hashes[index], at, size, path, root)
        ]
        assert accepted == [index]
    for first in range(size + 1):
        path = consistency_path(hashes, first)
        old = slow_root(leaves[:first])
        assert verify_consistency(first, size, path, old, root)
        assert not verify_consistency(first, size, (*path, root), old, root)
        assert not path or not verify_consistency(first, size, path[:-1], old, root)
        assert not verify_consistency(
            first, size, path, slow_root([*leaves[:first], b"other"]), root
        )


@given(st.lists(st.binary(max_size=8), max_size=70), st.data())
def test_growing_in_any_steps_gives_the_same_root(leaves: list[bytes], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(leaves)))
    grown = Peaks().extended(leaves[:cut]).extended(leaves[cut:])
    assert (grown.size, grown.root) == (len(leaves), slow_root(leaves))
    assert len(grown.peaks) == len(leaves).bit_count()


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=70))
def test_path_of_the_next_leaf_is_known_before_it_comes(leaves: list[bytes]) -> None:
    before = Peaks().extended(leaves[:-1])
    last = leaf_hash(leaves[-1])
    assert verify_inclusion(last, before.size, len(leaves), before.path_of_next, slow_root(leaves))


@given(st.integers(1, 200), st.data())
def test_a_changed_step_is_refused(size: int, data: st.DataObject) -> None:
    leaves = numbered(size)
    hashes = [leaf_hash(leaf) for leaf in leaves]
    index = data.draw(st.integers(0, size - 1))
    path = list(inclusion_path(hashes, index))
    root = root_of(leaves)
    assert verify_inclusion(hashes[index], index, size, path, root)
    at = data.draw(st.integers(0, len(path)))
    if at < len(path):
        path[at] = bytes([path[at][0] ^ 1]) + path[at][1:]
    else:
        path.append(root)
    assert not verify_inclusion(hashes[index], index, size, path, root)


@given(st.integers(2, 200), st.data())
def test_a_history_with_one_line_changed_is_not_consistent(size: int, data: st.DataObject) -> None:
    leaves = numbered(size)
    first = data.draw(st.integers(1, size - 1))
    changed = data.draw(st.integers(0, first - 1))
    rewritten = [b"forged" if at == changed else leaf for at, leaf in enumerate(leaves)]
    hashes = [leaf_hash(leaf) for leaf in rewritten]
    path = consistency_path(hashes, first)
    assert not verify_consistency(first, size, path, root_of(leaves[:first]), root_of(rewritten))


def test_a_node_does_not_pass_for_a_leaf() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)
    assert root_of([left + right]) != root_of([b"a", b"b"])


def test_the_empty_tree_begins_every_tree_and_nothing_else() -> None:
    assert root_of([]) == EMPTY_ROOT
    assert verify_consistency(0, 3, (), EMPTY_ROOT, root_of(numbered(3)))
    assert not verify_consistency(0, 3, (), root_of(numbered(1)), root_of(numbered(3)))
    assert not verify_consistency(0, 3, (EMPTY_ROOT,), EMPTY_ROOT, root_of(numbered(3)))
    assert not verify_consistency(3, 2, (), EMPTY_ROOT, EMPTY_ROOT)


@pytest.mark.parametrize(
    ("function", "number"), [(inclusion_path, 3), (inclusion_path, -1), (consistency_path, 4)]
)
def test_a_proof_outside_the_tree_is_refused(function, number: int) -> None:
    with pytest.raises(ValueError, match=r"expected an? (index|size)"):
        function([leaf_hash(leaf) for leaf in numbered(3)], number)
