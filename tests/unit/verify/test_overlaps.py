"""Overlaps as the checker finds them, against the integrator's and against brute force over small
trees.
"""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from factory.judge.path_guard import fold, new_collisions
from factory.merge.overlap import Touch, find_overlaps
from factory.model.tree import MODE_FILE, Leaf, Tree, tree_from_leaves
from factory.verify.overlaps import grown_alike, overlapping
from factory.verify.trees import TreeEntry, Trees, joined, parts

PACKS = ("A-1", "B-2", "C-3", "D-4")
NAMES = st.sampled_from(["a", "A", "b", "é", "e\u0301", "É"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
OIDS = st.sampled_from(["1" * 40, "2" * 40])
CHANGES = st.dictionaries(PATHS, st.tuples(st.none() | OIDS, st.booleans()), max_size=5)


@given(
    st.dictionaries(st.sampled_from(PACKS), CHANGES, max_size=4),
    st.sets(st.tuples(st.sampled_from(PACKS), st.sampled_from(PACKS)), max_size=3),
)
def test_integrator_and_checker_find_the_same_pairs_and_the_integrators_place_is_one_of_the_checkers(
    changes: Mapping[str, Mapping[str, tuple[str | None, bool]]], stacked: set[tuple[str, str]]
) -> None:
    touches = {
        pack: [
            Touch(path, Leaf(MODE_FILE, oid) if oid else None, existed)
            for path, (oid, existed) in changed.items()
        ]
        for pack, changed in changes.items()
    }
    edits = {
        pack: {
            parts(path): TreeEntry(MODE_FILE, oid) if oid else None
            for path, (oid, _) in changed.items()
        }
        for pack, changed in changes.items()
    }
    needs = {pack: frozenset(need for one, need in stacked if one == pack) for pack in PACKS}
    found = find_overlaps(touches, frozenset(stacked))
    before = {
        parts(path)
        for changed in changes.values()
        for path, (_, existed) in changed.items()
        if existed
    }
    checked = overlapping(edits, needs, before)
    assert [(overlap.first, overlap.second) for overlap in found] == sorted(checked)
    for overlap in found:
        assert (overlap.path, overlap.other_path) in checked[overlap.first, overlap.second]


def laid(paths: set[str]) -> Tree:
    files = [path for path in paths if not any(other.startswith(f"{path}/") for other in paths)]
    return tree_from_leaves([(path, Leaf(MODE_FILE, "1" * 40)) for path in files], "sha1")


def beside(tree: Tree, above: str = "") -> set[tuple[str, str]]:
    """Every two paths of a tree, side by side, that are one when folded."""
    found = {
        (above + one, above + two)
        for one in tree.entries
        for two in tree.entries
        if one < two and fold(one) == fold(two)
    }
    for name, entry in tree.entries.items():
        if isinstance(entry, Tree):
            found |= beside(entry, f"{above}{name}/")
    return found


@given(st.sets(PATHS, max_size=6), st.sets(PATHS, max_size=6))
def test_names_that_came_to_fold_alike_are_found_by_both_as_by_brute_force(
    before: set[str], more: set[str]
) -> None:
    base, tree = laid(before), laid(before | more)
    due = beside(tree) - beside(base)
    found = set(new_collisions(base, tree))
    assert found <= due
    new = {path for pair in due for path in pair if base.get(path) is None}
    assert new <= {path for pair in found for path in pair}
    payloads = {each.oid: each.payload for one in (base, tree) for each in one.trees()}
    told = grown_alike(Trees("sha1", payloads), tree.oid, base.oid)
    assert set(map(joined, told)) == new
    assert len(told) == len(new)
