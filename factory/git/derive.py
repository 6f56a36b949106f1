"""Derive the tree that a pack left, from its view's tree and the scan of its layer.

Rule: one function for overlay and full checkout, so both give the same tree. Only leaves count: a
folder without files is no change, as in Git. Does not judge anything; a layer with oddities derives
too, and another module refuses it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from factory.model.scanned import ScannedLayer
from factory.model.tree import MODE_SUBMODULE, Leaf, Tree


@dataclass(frozen=True, slots=True)
class Derived:
    """Contain the derived tree, and the paths of ignored files that were left out, in byte
    order.
    """

    tree: Tree
    dropped: tuple[str, ...]


def new_paths(base: Tree, layer: ScannedLayer) -> tuple[str, ...]:
    """Return the layer's files that `base` does not track: ignore rules can drop only those."""
    paths = (*(file.path for file in layer.files), *layer.unread)
    return tuple(path for path in paths if not _is_file(base.get(path)))


def apply_layer(base: Tree, layer: ScannedLayer, ignored: frozenset[str]) -> Derived:
    """Return the view's tree `base` with the whole layer applied; `ignored` are paths of
    `new_paths`.

    A whiteout removes a file or folder, an opaque folder hides what `base` has there, a folder
    hides a file and a file a folder, also if that file itself is dropped. A submodule, shown as an
    empty folder, stays as long as its folder exists and no file is below it.
    """
    start = Tree({}, base.hash_name) if "" in layer.opaque else base
    changes: dict[str, Leaf | Tree | None] = dict.fromkeys(
        (*layer.removed, *filter(None, layer.opaque))
    )
    for folder in layer.folders:
        entry = base.get(folder)
        if isinstance(entry, Leaf):
            changes[folder] = entry if entry.mode == MODE_SUBMODULE else None
    dropped = []
    for file in layer.files:
        if file.path in ignored and not _is_file(base.get(file.path)):
            dropped.append(file.path)
            changes[file.path] = None  # the base entry that it replaces is gone all the same
        else:
            changes[file.path] = file.leaf
    for path in ignored.intersection(layer.unread):
        dropped.append(path)
        changes[path] = None
    return Derived(start.changed(changes), tuple(sorted(dropped, key=os.fsencode)))


def _is_file(entry: Leaf | Tree | None) -> bool:
    return isinstance(entry, Leaf) and entry.mode != MODE_SUBMODULE
