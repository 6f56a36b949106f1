"""Which part of a tree a pack may see, and what a change in that part is in the whole tree."""

from __future__ import annotations

from collections.abc import Iterable

from factory.judge.scope import Patterns, compile_patterns
from factory.model.tree import Difference, Leaf, Tree, differences


def visible_patterns(inputs: tuple[str, ...] | None, folder: str) -> Patterns | None:
    """The patterns of what a pack sees: its inputs and its own folder; None for everything."""
    return None if inputs is None else compile_patterns((*inputs, f"{folder}/"))


def narrow(tree: Tree, visible: Patterns | None) -> Tree:
    """`tree` with only the files that `visible` matches; untouched subtrees are shared. None keeps
    all.
    """
    return tree if visible is None else _narrow(tree, visible, "")


def view_with(tree: Tree, visible: Patterns | None, paths: Iterable[str]) -> Tree:
    """What a pack that touched `paths` sees of `tree`: its visible part, and whatever stands at
    those paths.
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


def lay_over(base: Tree, folder: str, content: Tree) -> Tree:
    """`base` with `folder` replaced by `content` (removed where that is empty)."""
    return base.changed({folder: content if content.entries else None})


def apply_differences(tree: Tree, changes: tuple[Difference, ...]) -> Tree:
    """`tree` with every difference's after side set. Removals of parents by files are the caller's
    to exclude.
    """
    removed = tree.changed({change.path: None for change in changes if change.after is None})
    return removed.changed(
        {change.path: change.after for change in changes if change.after is not None}
    )


def hidden_paths(changes: Iterable[Difference], visible: Tree) -> frozenset[str]:
    """Paths of `changes` that existed before and that `visible` does not show."""
    return frozenset(
        change.path
        for change in changes
        if change.before is not None and visible.get(change.path) is None
    )


def between(before: Tree, after: Tree) -> tuple[Difference, ...]:
    """Every differing leaf of two trees, in Git's order."""
    return tuple(differences(before, after))
