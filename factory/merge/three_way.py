"""Merge trees three-way by Git: trees in, a tree and conflicting paths out.

Stores the trees first, since Git merges only what it can read. Decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from factory.merge.merging import Merge
from factory.model.tree import Tree

if TYPE_CHECKING:
    from factory.git.ports import Objects


def three_way_of(objects: Objects) -> Merge:
    """Return the merge function over one object store."""

    def three_way(base: Tree, ours: Tree, theirs: Tree) -> tuple[Tree, tuple[str, ...]]:
        for tree in (base, ours, theirs):
            objects.write_tree(tree)
        merged, conflicts = objects.merge(base.oid, ours.oid, theirs.oid)
        return objects.tree_of(merged), conflicts

    return three_way
