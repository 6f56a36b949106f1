"""Trees against two oracles: real Git for ids and order, a flat dictionary for everything else."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.model.tree import (
    MODE_EXECUTABLE,
    MODE_FILE,
    MODE_LINK,
    MODE_SUBMODULE,
    Leaf,
    Tree,
    differences,
    object_id,
    tree_from_leaves,
    unshared,
)
from tests.git_world import git
from tests.sample import examples

FLAT = dict[str, Leaf]

# few names, close in sort order ("a", "a.", "a/" and "a0" is where Git's order differs), so that
# paths collide often
names = st.one_of(
    st.sampled_from(["a", "a.", "a0", "a-b", "b", "B", "é", "\udcff", " ", "-x", "n\nl", 'q"t']),
    st.binary(min_size=1, max_size=4)
    .filter(
        lambda raw: (
            b"/" not in raw
            and b"\0" not in raw
            and raw not in (b".", b"..")
            and b"git" not in raw.lower()
        )
    )
    .map(os.fsdecode),
)
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
oids = st.integers(1, 6).map(lambda number: f"{number:040x}")
leaves = st.builds(
    Leaf, st.sampled_from([MODE_FILE, MODE_EXECUTABLE, MODE_LINK, MODE_SUBMODULE]), oids
)


def without_conflicts(flat: FLAT) -> FLAT:
    """Drop every path that lies below another one."""
    return {
        path: leaf
        for path, leaf in flat.items()
        if not any(parent in flat for parent in above(path))
    }


def above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


flats = st.dictionaries(paths, leaves, max_size=12).map(without_conflicts)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("oracle")
    git(where, "init", "-q")
    return where


def written_by_git(repository: Path, flat: FLAT) -> str:
    """The id of the tree that Git's index makes of these entries."""
    rows = b"".join(
        b"%06o %s\t%s\0" % (leaf.mode, leaf.oid.encode(), os.fsencode(path))
        for path, leaf in flat.items()
    )
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": f"{folder}/index"}
        git(repository, "update-index", "-z", "--index-info", stdin=rows, variables=index)
        return git(repository, "write-tree", "--missing-ok", variables=index).decode().strip()


@given(flat=flats)
@examples(25)
def test_ids_equal_those_of_git(repository: Path, flat: FLAT) -> None:
    assert tree_from_leaves(flat.items(), "sha1").oid == written_by_git(repository, flat)


@given(before=flats, after=flats)
@examples(25)
def test_differences_equal_those_of_diff_tree(repository: Path, before: FLAT, after: FLAT) -> None:
    told = git(
        repository, "diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames",
        written_by_git(repository, before), written_by_git(repository, after),
    )  # fmt: skip
    ours = differences(
        tree_from_leaves(before.items(), "sha1"), tree_from_leaves(after.items(), "sha1")
    )
    assert [as_git_tells(one.path, one.before, one.after) for one in ours] == list(rows_of(told))


def as_git_tells(path: str, before: Leaf | None, after: Leaf | None) -> tuple[str, str, str]:
    def half(leaf: Leaf | None) -> str:
        return f"{leaf.mode:06o} {leaf.oid}" if leaf else f"{0:06o} {'0' * 40}"

    return path, half(before), half(after)


def rows_of(told: bytes) -> Iterator[tuple[str, str, str]]:
    fields = told.split(b"\0")[:-1]
    for meta, path in zip(fields[::2], fields[1::2], strict=True):
        old_mode, new_mode, old, new, _ = meta.decode().lstrip(":").split()
        yield os.fsdecode(path), f"{old_mode} {old}", f"{new_mode} {new}"


@given(flat=flats)
def test_leaves_come_in_byte_order_and_are_all(flat: FLAT) -> None:
    told = list(tree_from_leaves(flat.items(), "sha1").leaves())
    assert dict(told) == flat
    assert [path for path, _ in told] == sorted(flat, key=os.fsencode)


def changed_dictionary(flat: FLAT, changes: dict[str, Leaf | None]) -> FLAT:
    """The model: removals first, then additions; what is set replaces what is above it and below
    it.
    """
    result = dict(flat)
    for path, leaf in changes.items():
        if leaf is None:
            result = {
                p: one for p, one in result.items() if p != path and not p.startswith(f"{path}/")
            }
    for path, leaf in changes.items():
        if leaf is not None:
            kept = {
                p: one
                for p, one in result.items()
                if not p.startswith(f"{path}/") and p not in above(path)
            }
            result = {**kept, path: leaf}
    return result


change_sets = st.dictionaries(paths, st.none() | leaves, max_size=8).map(
    lambda changes: {
        path: leaf
        for path, leaf in changes.items()
        # an addition below an addition has no meaning; below a removal it has
        if leaf is None or not any(changes.get(parent) is not None for parent in above(path))
    }
)


@given(flat=flats, changes=change_sets)
@examples(75)
def test_changed_equals_the_dictionary_model(flat: FLAT, changes: dict[str, Leaf | None]) -> None:
    removals_of_additions = {
        path
        for path, leaf in changes.items()
        if leaf is None and any(changes.get(parent) is not None for parent in above(path))
    }
    for path in removals_of_additions:
        del changes[path]
    told = tree_from_leaves(flat.items(), "sha1").changed(changes)
    assert dict(told.leaves()) == changed_dictionary(flat, changes)


@given(before=flats, after=flats)
def test_applying_the_differences_gives_the_other_tree(before: FLAT, after: FLAT) -> None:
    old, new = tree_from_leaves(before.items(), "sha1"), tree_from_leaves(after.items(), "sha1")
    gone = old.changed({one.path: None for one in differences(old, new) if one.after is None})
    assert (
        gone.changed(
            {one.path: one.after for one in differences(old, new) if one.after is not None}
        )
        == new
    )


@given(before=flats, after=flats)
def test_unshared_and_the_other_tree_hold_everything(before: FLAT, after: FLAT) -> None:
    old, new = tree_from_leaves(before.items(), "sha1"), tree_from_leaves(after.items(), "sha1")
    trees, blobs = unshared(new, old)
    held = {leaf.oid for _, leaf in old.leaves()} | blobs
    assert {leaf.oid for _, leaf in new.leaves() if leaf.mode != MODE_SUBMODULE} <= held
    assert {tree.oid for tree in new.trees()} <= {tree.oid for tree in old.trees()} | trees.keys()


@given(flat=flats)
def test_count_and_order(flat: FLAT) -> None:
    tree = tree_from_leaves(flat.items(), "sha1")
    assert tree.count == len(flat)
    assert sorted(tree.ordered) == sorted(tree.entries)


def test_an_untouched_subtree_is_shared_and_not_copied() -> None:
    tree = tree_from_leaves(
        [("a/x", Leaf(MODE_FILE, "1" * 40)), ("b/y", Leaf(MODE_FILE, "2" * 40))], "sha1"
    )
    assert tree.changed({"b/y": None}).entries["a"] is tree.entries["a"]


def test_a_tree_cannot_be_changed_in_place() -> None:
    with pytest.raises(TypeError):
        Tree({}).entries["a"] = Leaf(MODE_FILE, "1" * 40)  # type: ignore[index]


def test_get_finds_leaves_and_folders_and_nothing_below_a_leaf() -> None:
    leaf = Leaf(MODE_FILE, "1" * 40)
    tree = tree_from_leaves([("a/b", leaf)], "sha1")
    assert tree.get("a/b") == leaf
    assert isinstance(tree.get("a"), Tree)
    assert tree.get("a/b/c") is None
    assert tree.get("z") is None


def test_the_empty_tree_has_the_id_that_every_git_knows() -> None:
    assert Tree({}, "sha1").oid == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    assert (
        Tree({}, "sha256").oid == "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
    )
    assert object_id("blob", b"", "sha1") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_a_tree_shows_its_id_and_how_much_it_holds() -> None:
    known = Tree({"a": Leaf(MODE_FILE, "1" * 40)})
    assert repr(known) == f"Tree({known.oid[:12]}, 1 entries)"


def test_a_tree_whose_id_git_told_is_not_hashed_again() -> None:
    known = Tree({"a": Leaf(MODE_FILE, "1" * 40)})
    told = Tree(known.entries, oid=known.oid)
    assert "oid" in vars(told)
    assert (told, hash(told)) == (known, hash(known))
