"""Narrow a tree to the part that a pack may see, and apply a change of that part to the whole
tree.
"""

from __future__ import annotations

from collections.abc import Iterable

from factory.judge.scope import Patterns, compile_patterns
from factory.model.tree import Difference, Leaf, Tree, differences


def visible_patterns(inputs: tuple[str, ...] | None, folder: str) -> Patterns | None:
    """Return the patterns of what a pack sees: its inputs and its own folder; None for
    everything.
    """
    return None if inputs is None else compile_patterns((*inputs, f"{folder}/"))


def narrow(tree: Tree, visible: Patterns | None) -> Tree:
    """Return `tree` with only the files that `visible` matches; None keeps all. Shares unchanged
    subtrees.
    """
    return tree if visible is None else _narrow(tree, visible, "")


def view_with(tree: Tree, visible: Patterns | None, paths: Iterable[str]) -> Tree:
    """Return what a pack that changed `paths` sees of `tree`: its visible part, and the files at
    `paths`.
    """
    if visible is None:
        return tree
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
