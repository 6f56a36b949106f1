"""Represent Git trees as immutable values whose ids are computed here, never asked of Git.

A `Tree` shares all untouched subtrees with the tree it was made from, so that changing k paths
costs O(k · depth · siblings) whatever the repository's size. Names are `str` decoded from bytes
with `surrogateescape`, so every name that Git allows survives. Does not know where objects are
stored. Format: gitformat-tree, `git help hash-object`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

MODE_FILE = 0o100644
MODE_EXECUTABLE = 0o100755
MODE_LINK = 0o120000
MODE_SUBMODULE = 0o160000
MODE_TREE = 0o040000


@dataclass(frozen=True, slots=True)
class Leaf:
    """Describe a tree entry that is not a folder: Git mode and object id in hex."""

    mode: int
    oid: str


class Tree:
    """Map names to leaves and trees. Two trees are equal if their ids are."""

    def __init__(
        self, entries: Mapping[str, Leaf | Tree], hash_name: str = "sha1", oid: str = ""
    ) -> None:
        self.entries: Mapping[str, Leaf | Tree] = MappingProxyType(dict(entries))
        self.hash_name = hash_name
        if oid:  # known from Git; avoids hashing what was just listed
            self.__dict__["oid"] = oid

    @cached_property
    def payload(self) -> bytes:
        """Return the bytes of the tree object, without its header."""
        rows = []
        for name, entry in self.entries.items():
            raw = os.fsencode(name)
            if isinstance(entry, Tree):
                rows.append((raw + b"/", b"40000 " + raw + b"\0" + bytes.fromhex(entry.oid)))
            else:
                rows.append((raw, b"%o " % entry.mode + raw + b"\0" + bytes.fromhex(entry.oid)))
        rows.sort(key=lambda row: row[0])
        return b"".join(row for _, row in rows)

    @cached_property
    def oid(self) -> str:
        return object_id("tree", self.payload, self.hash_name)

    @cached_property
    def count(self) -> int:
        """Return the number of leaves below; computed once for each subtree that trees share."""
        return sum(entry.count if isinstance(entry, Tree) else 1 for entry in self.entries.values())

    @cached_property
    def ordered(self) -> tuple[str, ...]:
        """Return the names of entries in Git's order, in which a folder sorts as if it ended in
        "/".
        """
        return tuple(name for name, _ in sorted(self.entries.items(), key=_git_order))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and other.oid == self.oid

    def __hash__(self) -> int:
        return hash(self.oid)

    def __repr__(self) -> str:
        return f"Tree({self.oid[:12]}, {len(self.entries)} entries)"

    def get(self, path: str) -> Leaf | Tree | None:
        """Return the entry at `path` (POSIX, relative), or None."""
        here: Leaf | Tree | None = self
        for name in path.split("/"):
            if not isinstance(here, Tree):
                return None
            here = here.entries.get(name)
        return here

    def leaves(self, prefix: str = "") -> Iterator[tuple[str, Leaf]]:
        """Yield every leaf below with its path, in Git's order."""
        for name, entry in sorted(self.entries.items(), key=_git_order):
            if isinstance(entry, Tree):
                yield from entry.leaves(f"{prefix}{name}/")
            else:
                yield prefix + name, entry

    def trees(self) -> Iterator[Tree]:
        """Yield this tree and every tree below it."""
        yield self
        for entry in self.entries.values():
            if isinstance(entry, Tree):
                yield from entry.trees()

    def changed(self, changes: Mapping[str, Leaf | Tree | None]) -> Tree:
        """Return a tree with every path in `changes` set (or removed if None); empty folders
        vanish.

        A leaf replaces whatever is at its path; a path below a leaf replaces that leaf. Removals
        are applied before additions.
        """
        here: dict[str, Leaf | Tree | None] = {}
        below: dict[str, dict[str, Leaf | Tree | None]] = {}
        for path, entry in changes.items():
            head, slash, rest = path.partition("/")
            if slash:
                below.setdefault(head, {})[rest] = entry
            else:
                here[head] = entry
        entries = dict(self.entries)
        for name, entry in here.items():
            entries.pop(name, None)
            if entry is not None and not (isinstance(entry, Tree) and not entry.entries):
                entries[name] = entry
        for name, deeper in below.items():
            old = entries.get(name)
            start = old if isinstance(old, Tree) else Tree({}, self.hash_name)
            if not isinstance(old, Tree) and all(entry is None for entry in deeper.values()):
                continue  # removals below something that is not a folder change nothing
            new = start.changed(deeper)
            if new.entries:
                entries[name] = new
            else:
                entries.pop(name, None)
        return Tree(entries, self.hash_name)


def object_id(kind: str, payload: bytes, hash_name: str) -> str:
    """Return the Git object id (hex) of `payload` as a `kind` ("blob", "tree", "commit")."""
    hashed = hashlib.new(
        hash_name, b"%s %d\0" % (kind.encode("ascii"), len(payload)), usedforsecurity=False
    )
    hashed.update(payload)
    return hashed.hexdigest()


def tree_from_leaves(leaves: Iterable[tuple[str, Leaf]], hash_name: str) -> Tree:
    """Build a tree from (path, leaf) pairs; each path at most once."""
    return Tree({}, hash_name).changed(dict(leaves))


def unshared(tree: Tree, against: Tree | None) -> tuple[dict[str, Tree], frozenset[str]]:
    """Return (trees by id, blob ids) of `tree` that are not at the same path in `against`."""
    trees: dict[str, Tree] = {}
    blobs: set[str] = set()
    waiting = [(tree, against)]
    while waiting:
        new, old = waiting.pop()
        if old is not None and new.oid == old.oid:
            continue
        trees[new.oid] = new
        for name, entry in new.entries.items():
            there = old.entries.get(name) if old is not None else None
            if isinstance(entry, Tree):
                waiting.append((entry, there if isinstance(there, Tree) else None))
            elif entry.mode != MODE_SUBMODULE and not (
                isinstance(there, Leaf) and there.oid == entry.oid
            ):
                blobs.add(entry.oid)
    return trees, frozenset(blobs)


@dataclass(frozen=True, slots=True)
class Difference:
    """Describe one leaf that differs between two trees; `before` or `after` is None if absent."""

    path: str
    before: Leaf | None
    after: Leaf | None


def differences(before: Tree, after: Tree, prefix: str = "") -> Iterator[Difference]:
    """Yield every differing leaf in Git's byte order of paths; equal subtrees are skipped. No
    renames.
    """
    found = list(_differences(before, after, prefix))
    found.sort(key=lambda difference: os.fsencode(difference.path))
    yield from found


def _differences(before: Tree | None, after: Tree | None, prefix: str) -> Iterator[Difference]:
    if before is not None and after is not None and before.oid == after.oid:
        return
    olds = before.entries if before is not None else {}
    news = after.entries if after is not None else {}
    for name in olds.keys() | news.keys():
        old, new = olds.get(name), news.get(name)
        path = prefix + name
        old_leaf = old if isinstance(old, Leaf) else None
        new_leaf = new if isinstance(new, Leaf) else None
        if old_leaf != new_leaf:
            yield Difference(path, old_leaf, new_leaf)
        old_tree = old if isinstance(old, Tree) else None
        new_tree = new if isinstance(new, Tree) else None
        if old_tree is not None or new_tree is not None:
            yield from _differences(old_tree, new_tree, path + "/")


def _git_order(item: tuple[str, Leaf | Tree]) -> bytes:
    name, entry = item
    return os.fsencode(name) + (b"/" if isinstance(entry, Tree) else b"")
