"""Merge trees three-way, path by path: trees in, a tree and conflicting paths out.

A path has one name: no rename is guessed, since what Git takes for one depends on its version and
hides a removal from an edit. Git merges the lines of files that both sides changed, nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from factory.merge.merging import Merge
from factory.model.tree import MODE_EXECUTABLE, MODE_FILE, Leaf, Tree, differences

if TYPE_CHECKING:
    from factory.git.ports import Objects

_PLAIN = (MODE_FILE, MODE_EXECUTABLE)


def three_way_of(objects: Objects) -> Merge:
    """Return the merge function over one object store."""

    def three_way(base: Tree, ours: Tree, theirs: Tree) -> tuple[Tree, tuple[str, ...]]:
        mine = {change.path: change.after for change in differences(base, ours)}
        taken: dict[str, Leaf | None] = {}
        edited: dict[str, tuple[Leaf, Leaf, Leaf]] = {}
        conflicts = set()
        for change in differences(base, theirs):
            path, before, after = change.path, change.before, change.after
            if path not in mine:
                taken[path] = after
            elif mine[path] != after:
                sides = tuple(_plain(before, mine[path], after))
                if len(sides) == 3:
                    edited[path] = sides
                else:
                    conflicts.add(path)
        merged = objects.merge_files(tuple(edited.values())) if edited else ()
        for path, leaf in zip(edited, merged, strict=True):
            if leaf is None:
                conflicts.add(path)
            else:
                taken[path] = leaf
        tree = ours.changed({path: None for path, leaf in taken.items() if leaf is None})
        added = {path: leaf for path, leaf in taken.items() if leaf is not None}
        conflicts.update(path for path in added if _in_the_way(tree, path))
        if conflicts:
            return ours, tuple(sorted(conflicts, key=os.fsencode))
        return tree.changed(added), ()

    return three_way


def _plain(*sides: Leaf | None) -> Iterator[Leaf]:
    """Yield the sides that are plain files, whose lines can be merged."""
    for leaf in sides:
        if leaf is not None and leaf.mode in _PLAIN:
            yield leaf


def _in_the_way(tree: Tree, path: str) -> bool:
    """Return True if `path` is a folder of `tree`, or lies below a file of it."""
    here: Leaf | Tree | None = tree
    for name in path.split("/"):
        if not isinstance(here, Tree):
            return here is not None
        here = here.entries.get(name)
    return isinstance(here, Tree)
