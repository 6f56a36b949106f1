"""Define the ports to Git objects, and what is known of the user's repository.

One private object store that no pack ever sees reads the repository's objects too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from factory.judge.effort import Measured
from factory.judge.secrecy import FoundCredentials
from factory.model.tree import Difference, Leaf, Tree


@dataclass(frozen=True, slots=True)
class Repository:
    """Describe the user's repository at the start of a command.

    `root` is the work tree, `git_dir` its own Git folder, `common_dir` the shared one; `commit` is
    the base commit's id and `branch` its name ("" when detached).
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
    """Store content-addressed objects in a private folder, and read the repository's too."""

    hash_name: str

    def tree_of(self, treeish: str) -> Tree:
        """Return the whole tree of a commit or tree id. Raise Refusal REPO_UNREADABLE."""
        ...

    def tree_id_of(self, treeish: str) -> str: ...

    def time_of(self, commit: str) -> int:
        """Return when a commit was made, in seconds since 1970; 0 where it says none. Raise Refusal
        REPO_UNREADABLE.
        """
        ...

    def read(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        """Return contents of blobs by id. Raise Refusal REPO_UNREADABLE if one is absent."""
        ...

    def write_blob(self, content: bytes) -> str:
        """Store a blob; return its id."""
        ...

    def write_tree(self, tree: Tree) -> str:
        """Store a tree and every tree below it that is not stored yet; return its id."""
        ...

    def write_commit(self, tree: str, parents: tuple[str, ...], message: str) -> str:
        """Store a commit by a constant author at a constant time; return its id."""
        ...

    def settle(self) -> None:
        """Make everything written so far durable."""
        ...

    def withheld(self, oids: Iterable[str]) -> frozenset[str]:
        """Return those of `oids` that `write_blob` kept back, because they carry a credential."""
        ...

    def credentials(self, oids: Iterable[str]) -> Mapping[str, FoundCredentials]:
        """Return the credentials in each blob, searched once; also of those kept back. Raise
        Refusal REPO_UNREADABLE if one is absent.
        """
        ...

    def sizes(self, oids: Iterable[str]) -> Mapping[str, int]:
        """Return the size in bytes of each object; those that are absent are left out."""
        ...

    def measured(self, oids: Iterable[str]) -> Mapping[str, Measured]:
        """Return what there is to know of the bytes of blobs, by id; one is in memory at a time.

        Raise Refusal REPO_UNREADABLE if one is absent.
        """
        ...

    def raw_differences(self, before: str, after: str) -> tuple[Difference, ...]:
        """Return `git diff-tree -r --raw --no-renames` between two stored trees, parsed."""
        ...

    def patch(self, before: str, after: str, within: float = 0.0) -> bytes:
        """Return `git diff-tree -p --binary --full-index --no-renames`, whatever is configured.

        If `within` is not 0, use a process of its own for at most so many seconds; raise Overdue
        after them.
        """
        ...

    def numstat(
        self, before: str, after: str, within: float = 0.0
    ) -> Mapping[str, tuple[int, int] | None]:
        """Return (lines added, lines removed) per path; None for binary. `within` as for
        `patch`.
        """
        ...

    def ignored(self, rules: Tree, paths: Iterable[str]) -> frozenset[str]:
        """Return those of `paths` that the .gitignore files of `rules` ignore, by Git's own
        matching.
        """
        ...

    def attributes(
        self, tree: Tree, paths: Iterable[str], names: Iterable[str]
    ) -> Mapping[str, Mapping[str, str]]:
        """Return by path the values of the attributes `names` that the .gitattributes files of
        `tree` specify, by Git's own matching.
        """
        ...

    def apply_patch(self, before: str, patch: bytes, digest: str = "") -> str:
        """Return the tree id that `git apply --cached` makes of `before`. `digest` is the SHA-256
        of the patch in hex, where that is known. Raise Refusal if it does not apply.
        """
        ...

    def new_objects(self, tree: Tree, against: Tree | None) -> Mapping[str, tuple[str, bytes]]:
        """Return trees and blobs of `tree` that `against` lacks: id to (kind, content)."""
        ...

    def bundle(
        self,
        commits: tuple[str, ...],
        objects: Mapping[str, tuple[str, bytes]],
        ref: str,
        prerequisite: str = "",
    ) -> bytes:
        """Return a Git bundle with deterministic bytes: `objects` and `commits`, the last of them
        named `ref`.

        `prerequisite` is the commit that a receiver must have; empty if it only needs some objects.
        """
        ...

    def take_in_all(self, bundles: Mapping[str, bytes]) -> None:
        """Store what is not there yet of many bundles, by their SHA-256 in hex; `take_in` then
        returns what it does of each. Raise Refusal BUNDLE_DISAGREES if the form of one is wrong.
        """
        ...

    def take_in(self, bundle: bytes, digest: str = "") -> tuple[str, str]:
        """Store every object of a bundle that `bundle` wrote, each under the id computed here.
        `digest` is the SHA-256 of the bundle in hex, where that is known.

        Return (prerequisite commit, tip commit). Raise Refusal BUNDLE_DISAGREES if its form is
        wrong.
        """
        ...

    def pack(self, oids: Iterable[str], folder: Path) -> None:
        """Write a pack of exactly these objects, and its index, into an existing folder."""
        ...

    def merge_files(self, files: Iterable[tuple[Leaf, Leaf, Leaf]]) -> tuple[Leaf | None, ...]:
        """Merge plain files three-way, each given as base, ours and theirs; return the merged
        leaves, None for a conflict.
        """
        ...
