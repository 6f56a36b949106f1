"""Git objects as phases need them. One private object store that no pack ever sees, reading the
repository's too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from factory.judge.secrecy import Carried
from factory.model.tree import Difference, Leaf, Tree


@dataclass(frozen=True, slots=True)
class Repository:
    """What is known of the user's repository at the start of a command.

    `root` is the work tree, `git_dir` its own Git folder, `common_dir` the shared one;
    `commit` is the base commit's id and `branch` its name ("" when detached).
    """

    root: Path
    git_dir: Path
    common_dir: Path
    hash_name: str
    base_ref: str
    commit: str
    branch: str
    shallow: bool = False


class Objects(Protocol):
    """Content-addressed store over the repository's objects and a private folder for new ones."""

    hash_name: str

    def tree_of(self, treeish: str) -> Tree:
        """The whole tree of a commit or tree id. Raises Refusal REPO_UNREADABLE."""
        ...

    def tree_id_of(self, treeish: str) -> str: ...

    def read(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        """Contents of blobs. Raises Refusal REPO_UNREADABLE where one is absent."""
        ...

    def write_blob(self, content: bytes) -> str:
        """Store a blob; its id."""
        ...

    def write_tree(self, tree: Tree) -> str:
        """Store a tree and every tree below it that is not stored yet; its id."""
        ...

    def write_commit(self, tree: str, parents: tuple[str, ...], message: str) -> str:
        """Store a commit by a constant author at a constant time; its id."""
        ...

    def settle(self) -> None:
        """Make everything written so far durable."""
        ...

    def held_back(self, oids: Iterable[str]) -> Mapping[str, Carried]:
        """Those of some blobs that `write_blob` did not store, since they carry a credential, and
        what they carry.
        """
        ...

    def raw_differences(self, before: str, after: str) -> tuple[Difference, ...]:
        """`git diff-tree -r --raw --no-renames` between two stored trees, as Git sees it."""
        ...

    def patch(self, before: str, after: str, within: float = 0.0) -> bytes:
        """`git diff-tree -p --binary --full-index --no-renames`, with nothing of any configuration
        in it.

        Where `within` is given, so many seconds of a process of its own. Raises Overdue after them.
        """
        ...

    def numstat(
        self, before: str, after: str, within: float = 0.0
    ) -> Mapping[str, tuple[int, int] | None]:
        """Lines added and removed per path; None for binary. `within` as for `patch`."""
        ...

    def ignored(self, rules: Tree, paths: Iterable[str]) -> frozenset[str]:
        """Which of `paths` the .gitignore files of `rules` ignore, by Git's own matching."""
        ...

    def apply_patch(self, before: str, patch: bytes) -> str:
        """The tree id that `git apply --cached` makes of `before`; raises Refusal where it does not
        apply.
        """
        ...

    def new_objects(self, tree: Tree, against: Tree | None) -> Mapping[str, tuple[str, bytes]]:
        """Trees and blobs of `tree` that `against` does not hold: id to (kind, content)."""
        ...

    def bundle(
        self,
        commits: tuple[str, ...],
        objects: Mapping[str, tuple[str, bytes]],
        ref: str,
        prerequisite: str = "",
    ) -> bytes:
        """A Git bundle with deterministic bytes: `objects` and `commits`, the last of them named
        `ref`.

        `prerequisite` is the commit that a receiver must hold; empty where it only must hold some
        objects.
        """
        ...

    def take_in(self, bundle: bytes) -> tuple[str, str]:
        """Store every object of a bundle that `bundle` wrote, each under the id computed here.

        Returns (prerequisite commit, tip commit). Raises Refusal BUNDLE_DISAGREES where its form
        does not hold.
        """
        ...

    def pack(self, oids: Iterable[str], folder: Path) -> None:
        """Write a pack (and its index) that holds exactly these objects into an existing folder."""
        ...

    def merge(self, base: str, ours: str, theirs: str) -> tuple[str, tuple[str, ...]]:
        """Three-way merge of trees: (tree id, conflicting paths). Never renames folders."""
        ...


class Refs(Protocol):
    """The user's repository, where an explicit wish lets one thing be written: a commit and a
    branch at it.
    """

    def hand_over(self, bundle: bytes) -> tuple[str, str]:
        """Store every object of a bundle of ours in the user's repository, durably: (prerequisite,
        tip).

        Raises Refusal BUNDLE_DISAGREES, DISK_UNWRITABLE.
        """
        ...

    def commit_at(self, ref: str) -> str:
        """The id that a full ref name holds; "" where there is no such ref."""
        ...

    def update_ref(self, ref: str, new: str, old: str = "") -> None:
        """Move a ref from `old` ("" where it must not exist) to `new`, or raise Refusal
        REF_MOVED.
        """
        ...


__all__ = ["Difference", "Leaf", "Objects", "Refs", "Repository", "Tree"]
