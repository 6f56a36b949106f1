"""Narrow a tree to the part that a pack may see, and apply a change of that part to the whole
tree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from factory.judge.scope import Patterns, compile_patterns
from factory.model.tree import Difference, Leaf, Tree, differences


@dataclass(frozen=True, slots=True)
class Visible:
    """Describe the part of a tree that a pack sees: what `patterns` match or, where they are None,
    all but the folders of other packs below `packs_folder`; those in `kept` are seen.
    """

    patterns: Patterns | None
    packs_folder: str
    kept: frozenset[str]


def visible_part(
    inputs: tuple[str, ...] | None, folder: str, needed: Iterable[str] = ()
) -> Visible:
    """Return what a pack sees: its inputs and its own folder or, without inputs, all but the
    folders of other packs. `needed` are the folders of packs that it builds on.
    """
    patterns = None if inputs is None else compile_patterns((*inputs, f"{folder}/"))
    return Visible(patterns, folder.rpartition("/")[0], frozenset((folder, *needed)))


def narrow(tree: Tree, visible: Visible) -> Tree:
    """Return the part of `tree` that is `visible`. Shares unchanged subtrees."""
    if visible.patterns is not None:
        return _narrow(tree, visible.patterns, "")
    return without_packs(tree, visible.packs_folder, visible.kept)


def shared_part(tree: Tree, visible: Visible) -> Tree:
    """Return a part of `tree` that is the same for many packs, for a checkout that they share; what
    else a pack sees is laid over it.
    """
    if visible.patterns is not None:
        return narrow(tree, visible)
    return without_packs(tree, visible.packs_folder)


def without_packs(tree: Tree, packs_folder: str, kept: frozenset[str] = frozenset()) -> Tree:
    """Return `tree` without the folders below `packs_folder` that are packs, but for those in
    `kept`. A folder is a pack where it has one of the two files that make it one.
    """
    below = tree.get(packs_folder)
    if not isinstance(below, Tree):
        return tree
    folders = {f"{packs_folder}/{name}": entry for name, entry in below.entries.items()}
    others = [path for path, entry in folders.items() if path not in kept and _is_pack(entry)]
    return tree.changed(dict.fromkeys(others)) if others else tree


def _is_pack(entry: Leaf | Tree) -> bool:
    return isinstance(entry, Tree) and not entry.entries.keys().isdisjoint(_MAKE_A_PACK)


_MAKE_A_PACK = ("task.yml", "acceptance.yml")


def view_with(tree: Tree, visible: Visible, paths: Iterable[str]) -> Tree:
    """Return what a pack that changed `paths` sees of `tree`: its visible part, and the files at
    `paths`.
    """
    own = {path: tree.get(path) for path in paths}
    return narrow(tree, visible).changed(
        {path: entry for path, entry in own.items() if isinstance(entry, Leaf)}
    )


def _narrow(tree: Tree, visible: Patterns, folder: str) -> Tree:
    if visible.matches_all_below(folder):
        return tree
    entries: dict[str, Leaf | Tree] = {}
    named = visible.names_in(folder)
    for name in tree.entries if named is None else sorted(named & tree.entries.keys()):
        entry, path = tree.entries[name], f"{folder}/{name}" if folder else name
        if isinstance(entry, Leaf):
            if visible.matches(path):
                entries[name] = entry
        elif visible.may_match_below(path):
            kept = _narrow(entry, visible, path)
            if kept.entries:
                entries[name] = kept
    return Tree(entries, tree.hash_name)


def overlay_folder(base: Tree, folder: str, content: Tree) -> Tree:
    """Return `base` with `folder` replaced by `content`, or removed if `content` is empty."""
    return base.changed({folder: content if content.entries else None})


def apply_differences(tree: Tree, changes: tuple[Difference, ...]) -> Tree:
    """Return `tree` with the `after` of every difference set.

    The caller must exclude differences that replace a parent folder of another by a file.
    """
    removed = tree.changed({change.path: None for change in changes if change.after is None})
    return removed.changed(
        {change.path: change.after for change in changes if change.after is not None}
    )


def hidden_paths(changes: Iterable[Difference], visible: Tree) -> frozenset[str]:
    """Return the paths of `changes` that existed before and are not in `visible`."""
    return frozenset(
        change.path
        for change in changes
        if change.before is not None and visible.get(change.path) is None
    )


def between(before: Tree, after: Tree) -> tuple[Difference, ...]:
    """Return every differing leaf of two trees, in Git's order."""
    return tuple(differences(before, after))
