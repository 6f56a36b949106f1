"""Store objects in a private bare Git folder that also reads the repository's objects.

Rule: new objects are written by Python into a folder that no pack ever sees; Git only reads there,
in a repository without anybody else's configuration, hooks, refs or attributes. Trees are parsed
from raw objects. Does not know what a change means. Sources: gitformat-tree, gitattributes.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Self

from factory.files.fs_guard import make_folder, remove_tree, write_atomic
from factory.git import bundle_file, loose
from factory.git.git import Conversation, Git, GitError, find_git
from factory.git.known_blobs import LARGE, KnownBlobs
from factory.git.plumbing import (
    MOST_ENTRIES,
    apply_to_entries,
    apply_to_index,
    commit_payload,
    committed_at,
    match_attributes,
    match_ignored,
    merge_commits,
    move_ref,
    parse_numstat,
    parse_raw,
    parse_tree,
    rule_files,
)
from factory.git.ports import Repository
from factory.git.private_git import all_alternates, make_private
from factory.judge.effort import Measured
from factory.judge.secrecy import FoundCredentials
from factory.model.errors import InternalError, Refusal
from factory.model.finding import Finding
from factory.model.layout import IN_BUNDLE
from factory.model.tree import MODE_SUBMODULE, Difference, Leaf, Tree, object_id, unshared
from factory.redact.redaction import Redactor

_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_EMPTY = {"sha1": object_id("tree", b"", "sha1"), "sha256": object_id("tree", b"", "sha256")}
_DIFF = (
    "--no-renames",  # one row for each path
    "--ignore-submodules=none",  # .gitmodules may say otherwise
    "--no-ext-diff",  # this and the next: no program that an attribute names
    "--no-textconv",
    "--no-color",
    "--no-relative",
)
# Each is a default of Git or a setting that diff.* could change: named, so that the bytes stay the
# same in every version. --full-index: `git apply` needs whole ids for a binary file.
_PATCH = (
    "-p",
    "--binary",
    "--full-index",
    "--unified=3",
    "--inter-hunk-context=0",
    "--diff-algorithm=myers",
    "--indent-heuristic",
    "--submodule=short",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)
_BATCH = 512  # objects a question: its lines fit in a pipe of 64 KiB, so writing them cannot block


class GitObjects:
    """Implement `git.ports.Objects`. Safe to call from several threads.

    `private` is made if it does not exist; `alternates` are further object folders to read. With
    `durable` every object is synced before its id is returned; otherwise `settle` does it. A blob
    in which `redactor` finds a credential gets its id but is never written to disk.
    """

    def __init__(
        self,
        repository: Repository,
        private: Path,
        alternates: tuple[Path, ...] = (),
        durable: bool = False,
        redactor: Redactor | None = None,
    ) -> None:
        self.repository = repository
        self.hash_name = repository.hash_name
        self.private = private
        self.folder = private / "objects"
        self.alternates = alternates
        self.durable = durable
        self._known = KnownBlobs(redactor or Redactor(), self.read, self.sizes)
        sources = all_alternates((repository.common_dir / "objects", *alternates))
        make_private(private, self.hash_name, sources)
        settings = (f"attr.tree={_EMPTY[self.hash_name]}",)
        self.git = Git(find_git(private), private, private, settings=settings)
        self._contents = Conversation(self.git, "cat-file", "--batch-command", "--buffer")
        self._raw = Conversation(
            self.git, "diff-tree", "--stdin", "-r", "-z", "--raw", "--no-abbrev", *_DIFF
        )
        self._patch = Conversation(self.git, "diff-tree", "--stdin", "-r", *_PATCH, *_DIFF)
        stored = Git(self.git.program, private, private, settings=(*settings, "core.compression=0"))
        self._stored_patch = Conversation(stored, "diff-tree", "--stdin", "-r", *_PATCH, *_DIFF)
        self._numstat = Conversation(
            self.git,
            "diff-tree",
            "--stdin",
            "-r",
            "-z",
            "--numstat",
            "--diff-algorithm=myers",
            *_DIFF,
        )
        self._lock = threading.RLock()
        self._trees: dict[str, Tree] = {}
        self._stored: set[str] = set()
        self._unsettled: set[Path] = set()
        # What a bundle or a patch yields follows from its bytes: several phases ask it of the same.
        self._taken: dict[str, tuple[str, str]] = {}
        self._applied: dict[tuple[str, str], str] = {}

    def for_child(self) -> GitObjects:
        """Return the same store for a forked child: with Git processes and locks of its own, and
        what was read so far. No other thread of this process may run.
        """
        child = GitObjects(self.repository, self.private, self.alternates, self.durable)
        child._known = self._known.for_child(child.read, child.sizes)
        child._trees, child._stored = dict(self._trees), set(self._stored)
        return child

    # reading

    def tree_of(self, treeish: str) -> Tree:
        """Return the whole tree of a commit or tree id, cached. Raise Refusal REPO_UNREADABLE."""
        top = self.tree_id_of(treeish)
        with self._lock:
            known = self._trees.get(top)
            if known is None:
                known = self._trees[top] = self._load(top)
            return known

    def tree_id_of(self, treeish: str) -> str:
        """Return the id of the tree that a commit or tree id names. Raise Refusal
        REPO_UNREADABLE.
        """
        kind, content = self._objects([self._checked(treeish)])[0]
        if kind == "tree":
            return treeish
        if kind == "commit" and content.startswith(b"tree "):
            return self._checked(content[5:].split(b"\n", 1)[0].decode("ascii", "replace"))
        raise self._unreadable(f"a commit or a tree at {treeish}", f"a {kind}")

    def time_of(self, commit: str) -> int:
        """Return when a commit was made, in seconds since 1970. Raise Refusal REPO_UNREADABLE."""
        return committed_at(self._objects([self._checked(commit)])[0][1])

    def read(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        """Return contents of blobs by id. Raise Refusal REPO_UNREADABLE if one is absent or no
        blob.
        """
        wanted = sorted({self._checked(oid) for oid in oids})
        found: dict[str, bytes] = {}
        for oid, (kind, content) in zip(wanted, self._objects(wanted), strict=True):
            if kind != "blob":
                raise self._unreadable(f"a blob at {oid}", f"a {kind}")
            found[oid] = content
        return MappingProxyType(found)

    def sizes(self, oids: Iterable[str]) -> Mapping[str, int]:
        """Return the size in bytes of each object that is there."""
        wanted = sorted({self._checked(oid) for oid in oids})
        found: dict[str, int] = {}
        for start in range(0, len(wanted), _BATCH):
            found |= self._contents.ask_sizes(wanted[start : start + _BATCH])
        return MappingProxyType(found)

    def withheld(self, oids: Iterable[str]) -> frozenset[str]:
        """Return those of `oids` that were kept back."""
        return self._known.withheld(oids)

    def credentials(self, oids: Iterable[str]) -> Mapping[str, FoundCredentials]:
        """Return the credentials in each blob. Raise Refusal REPO_UNREADABLE."""
        return self._known.credentials(oids)

    def measured(self, oids: Iterable[str]) -> Mapping[str, Measured]:
        """Return what there is to know of the bytes of blobs. Raise Refusal REPO_UNREADABLE."""
        return self._known.measured(oids)

    def _load(self, top: str) -> Tree:
        """Read a tree level by level, with one batch of questions for each level."""
        parsed: dict[str, dict[str, Leaf | str]] = {}
        wanted = [top]
        while wanted:
            following: dict[str, None] = {}
            for oid, (kind, content) in zip(wanted, self._objects(wanted), strict=True):
                if kind != "tree":
                    raise self._unreadable(f"a tree at {oid}", f"a {kind}")
                parsed[oid] = rows = self._parsed(oid, content)
                following.update((entry, None) for entry in rows.values() if isinstance(entry, str))
            wanted = [oid for oid in following if oid not in parsed]
        built: dict[str, Tree] = {}

        def build(oid: str) -> Tree:
            if oid not in built:
                entries = {n: build(e) if isinstance(e, str) else e for n, e in parsed[oid].items()}
                built[oid] = Tree(entries, self.hash_name, oid)
            return built[oid]

        tree = build(top)
        self._stored.update(parsed)
        return tree

    def _parsed(self, oid: str, content: bytes) -> dict[str, Leaf | str]:
        try:
            return parse_tree(content, len(oid) // 2)
        except ValueError as error:
            raise self._unreadable(f"a well-formed tree at {oid}", str(error)) from error

    def _objects(self, oids: list[str]) -> list[tuple[str, bytes]]:
        found: list[tuple[str, bytes]] = []
        for start in range(0, len(oids), _BATCH):
            some = oids[start : start + _BATCH]
            for oid, answer in zip(some, self._contents.ask_objects(some), strict=True):
                if answer is None:
                    raise self._unreadable(f"the object {oid}", "that it is missing")
                found.append(answer)
        return found

    # writing

    def write_blob(self, content: bytes) -> str:
        """Store a blob, or keep it back if it carries a credential; return its id."""
        oid = object_id("blob", content, self.hash_name)
        if loose.exists(self.folder, oid):
            return oid
        if self._known.may_keep(oid, content):
            self._write("blob", content, oid)
        return oid

    def write_tree(self, tree: Tree) -> str:
        """Store a tree and every tree below it that is not stored yet; return its id."""
        if tree.oid not in self._stored:
            for entry in tree.entries.values():
                if isinstance(entry, Tree):
                    self.write_tree(entry)
            self._write("tree", tree.payload)
            self._stored.add(tree.oid)
        return tree.oid

    def write_commit(self, tree: str, parents: tuple[str, ...], message: str) -> str:
        """Store a commit by a constant author at a constant time; return its id."""
        return self._write("commit", commit_payload(self._checked(tree), parents, message))

    def _write(self, kind: str, content: bytes, oid: str = "") -> str:
        oid, path = loose.write(self.folder, kind, content, self.hash_name, self.durable, oid)
        if path is not None and not self.durable:
            with self._lock:
                self._unsettled.add(path)
        return oid

    def settle(self) -> None:
        """Make every object written so far durable. Raise Refusal DISK_UNWRITABLE."""
        loose.sync(self.folder, self.take_unsettled())

    def take_unsettled(self) -> set[Path]:
        """Return and drop the paths of objects that are not durable yet: another store of the same
        folder makes them so, once it is given them by `add_unsettled`.
        """
        with self._lock:
            waiting, self._unsettled = self._unsettled, set()
        return waiting

    def add_unsettled(self, paths: Iterable[Path]) -> None:
        """Take over objects of the same folder, for the next `settle`."""
        with self._lock:
            self._unsettled.update(paths)

    # comparing

    def raw_differences(self, before: str, after: str) -> tuple[Difference, ...]:
        """Return `git diff-tree -r --raw --no-renames` between two stored trees, parsed."""
        return parse_raw(self._diff(self._raw, before, after))

    def patch(self, before: str, after: str, within: float = 0.0) -> bytes:
        """Return `git diff-tree -p --binary --full-index --no-renames`, whatever is configured.

        Binary files that do not shrink are not compressed, which is most of the time of it.
        """
        dense = self._is_dense(self.raw_differences(before, after))
        return self._diff(self._stored_patch if dense else self._patch, before, after, within)

    def _is_dense(self, differences: Iterable[Difference]) -> bool:
        """Return True if most bytes of large new files do not shrink; small ones are compressed
        in less time than it takes to ask.

        Decided from the bytes alone, so that two hosts write the same patch.
        """
        fresh = (change.after for change in differences if change.after is not None)
        oids = {leaf.oid for leaf in fresh if leaf.mode != MODE_SUBMODULE}
        dense = rest = 0
        sizes = self.sizes(oids)
        for oid in (oid for oid, size in sizes.items() if size >= LARGE):
            if self._known.is_dense(oid):
                dense += sizes[oid]
            else:
                rest += sizes[oid]
        return dense > rest

    def numstat(
        self, before: str, after: str, within: float = 0.0
    ) -> Mapping[str, tuple[int, int] | None]:
        """Return (lines added, lines removed) per path; None for binary."""
        return MappingProxyType(parse_numstat(self._diff(self._numstat, before, after, within)))

    def _diff(self, asked: Conversation, before: str, after: str, within: float = 0.0) -> bytes:
        header = f"{self._checked(before)} {self._checked(after)}\n".encode("ascii")
        answer = asked.ask_aside(header, within) if within else asked.ask_until_marker(header)
        if not answer.startswith(header):
            raise InternalError(
                f"git diff-tree did not compare {before} with {after}: {answer[:80]!r}"
            )
        return answer[len(header) :]

    def ignored(self, rules: Tree, paths: Iterable[str]) -> frozenset[str]:
        """Return those of `paths` that the .gitignore files of `rules` ignore, by Git's own
        matching.

        Only the rule files above the paths are written, in a scratch folder, so the cost does not
        depend on the size of `rules`. A .gitignore that is a link is no rule, as in Git.
        """
        asked = sorted(set(paths))
        files = self._rules(rules, asked, ".gitignore")
        if not files:
            return frozenset()
        with self._scratch() as scratch:
            return match_ignored(self.git, scratch, files, asked)

    def attributes(
        self, tree: Tree, paths: Iterable[str], names: Iterable[str]
    ) -> Mapping[str, Mapping[str, str]]:
        """Return by path the values of the attributes `names` that the .gitattributes files of
        `tree` specify, by Git's own matching.
        """
        asked = sorted(set(paths))
        files = self._rules(tree, asked, ".gitattributes")
        if not files:
            return {}
        with self._scratch() as scratch:
            return match_attributes(self.git, scratch, files, asked, names)

    def _rules(self, tree: Tree, paths: list[str], name: str) -> Mapping[str, bytes]:
        """Return the contents of the rule files above `paths`, by path."""
        found = rule_files(tree, paths, name)
        contents = self.read(found.values()) if found else {}
        return {path: contents[oid] for path, oid in found.items()}

    def apply_patch(self, before: str, patch: bytes, digest: str = "") -> str:
        """Return the tree id that `git apply --cached` makes of `before`.

        Raise Refusal BUNDLE_DISAGREES if the patch does not apply. Costs an index of `before`: pass
        a tree that is narrowed to the paths in question.
        """
        asked = (self._checked(before), digest or hashlib.sha256(patch).hexdigest())
        if asked not in self._applied:
            start = self.tree_of(before)
            few = sum(1 for _ in islice(start.leaves(), MOST_ENTRIES + 1)) <= MOST_ENTRIES
            with self._scratch() as scratch:
                index = scratch / "index"
                self._applied[asked] = (
                    self.write_tree(apply_to_entries(self.git, index, start, patch))
                    if few
                    else apply_to_index(self.git, index, before, patch)
                )
        return self._applied[asked]

    def merge_files(self, files: Iterable[tuple[Leaf, Leaf, Leaf]]) -> tuple[Leaf | None, ...]:
        """Merge plain files three-way, each given as base, ours and theirs; return the merged
        leaves, None for a conflict.

        Trees with the same names are merged: in them is no rename for Git to guess, as 2.39 does
        whatever is configured. Commits are made, since that cannot be given the merge base.
        """
        rows = {str(number): sides for number, sides in enumerate(files)}
        trees = [{name: row[side] for name, row in rows.items()} for side in range(3)]
        base, ours, theirs = (self.write_tree(Tree(tree, self.hash_name)) for tree in trees)
        root = (self.write_commit(base, (), "base"),)
        sides = [self.write_commit(side, root, "side") for side in (ours, theirs)]
        merged, conflicts = merge_commits(self.git, *sides)
        found = {**self.tree_of(merged).entries, **dict.fromkeys(conflicts)}
        return tuple(leaf if isinstance(leaf := found[name], Leaf) else None for name in rows)

    def bundle(
        self,
        commits: tuple[str, ...],
        objects: Mapping[str, tuple[str, bytes]],
        ref: str,
        prerequisite: str = "",
    ) -> bytes:
        """Return a Git bundle with deterministic bytes (see `git.bundle_file`)."""
        everything = {**objects, **dict(zip(commits, self._objects(list(commits)), strict=True))}
        return bundle_file.format_bundle(commits[-1], ref, prerequisite, everything, self.hash_name)

    def take_in(self, bundle: bytes, digest: str = "") -> tuple[str, str]:
        """Store the objects of a bundle of ours; return (prerequisite, tip).

        Raise Refusal BUNDLE_DISAGREES.
        """
        digest = digest or hashlib.sha256(bundle).hexdigest()
        if digest not in self._taken:
            carried = self._carried(bundle)
            for oid, (kind, content) in carried.objects.items():
                if kind == "blob":
                    self._known.measure(oid, content)
                self._write(kind, content, oid)
            self._taken[digest] = (carried.prerequisite, carried.tip)
        return self._taken[digest]

    def take_in_all(self, bundles: Mapping[str, bytes]) -> None:
        """Store what is not there yet of many bundles, by their SHA-256 in hex, as one pack: a file
        for each object takes longer than all else. Raise Refusal BUNDLE_DISAGREES,
        DISK_UNWRITABLE.
        """
        new = {key: self._carried(one) for key, one in bundles.items() if key not in self._taken}
        every = {oid: one for carried in new.values() for oid, one in carried.objects.items()}
        fresh = {oid: one for oid, one in every.items() if not loose.exists(self.folder, oid)}
        for oid, (kind, content) in fresh.items():
            if kind == "blob":
                self._known.measure(oid, content)
        if fresh:
            pack = bundle_file.format_pack(fresh, self.hash_name)
            index = bundle_file.format_index(fresh, pack, self.hash_name)
            name = f"pack-{pack[-len(_EMPTY[self.hash_name]) // 2 :].hex()}"
            # Git looks for indexes: the pack must be there before.
            for suffix, written in (("pack", pack), ("idx", index)):
                path = self.folder / "pack" / f"{name}.{suffix}"
                write_atomic(path, written, self.durable, mode=0o444)
                self.add_unsettled([path])
        self._taken |= {key: (one.prerequisite, one.tip) for key, one in new.items()}

    def _carried(self, bundle: bytes) -> bundle_file.Carried:
        try:
            return bundle_file.parse_bundle(bundle, self.hash_name)
        except bundle_file.BundleError as error:
            facts = {"case": "form", "path": IN_BUNDLE.objects, "problem": str(error)}
            raise Refusal(Finding("BUNDLE_DISAGREES", facts)) from error

    def new_objects(self, tree: Tree, against: Tree | None) -> Mapping[str, tuple[str, bytes]]:
        """Return trees and blobs of `tree` that `against` lacks: id to (kind, content)."""
        trees, blobs = unshared(tree, against)
        contents = self.read(blobs)
        return MappingProxyType(
            {oid: ("tree", new.payload) for oid, new in trees.items()}
            | {oid: ("blob", contents[oid]) for oid in blobs}
        )

    def pack(self, oids: Iterable[str], folder: Path) -> None:
        """Write one pack of exactly these objects, and its index, into an existing folder."""
        listed = b"".join(self._checked(oid).encode("ascii") + b"\n" for oid in oids)
        words = (
            "pack-objects",
            "-q",
            "--window=0",
            "--threads=1",
            "--no-reuse-delta",
            str(folder / "pack"),
        )
        try:
            self.git.run(*words, stdin=listed)
        except GitError as error:
            facts = {
                "case": "command",
                "problem": error.sentence,
                "place": str(self.repository.root),
            }
            raise Refusal(Finding("REPO_UNREADABLE", facts)) from error

    def hand_over(self, bundle: bytes) -> tuple[str, str]:
        """Store the objects of a bundle of ours in the user's repository; return (prerequisite,
        tip). See `Refs`.
        """
        carried = self._carried(bundle)
        target = self.repository.common_dir / "objects"
        # an object comes after those that it refers to: a crash leaves no dangling reference
        for wanted in ("blob", "tree", "commit"):
            for kind, content in carried.objects.values():
                if kind == wanted:
                    loose.write(target, kind, content, self.hash_name, durable=True)
        return carried.prerequisite, carried.tip

    def commit_at(self, ref: str) -> str:
        """Return the id at a full ref name of the user's repository; "" if there is none."""
        git = Git(self.git.program, self.repository.common_dir, self.repository.common_dir)
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", ref)
        return git.run(*words, ok=(0, 1)).out.decode("ascii").strip()

    def update_ref(self, ref: str, new: str, old: str = "") -> None:
        """Move a ref of the user's repository from `old` ("" if it must not exist) to `new`,
        atomically.

        Raise Refusal REF_MOVED if it is at another commit. No reflog, no hook, no other ref.
        """
        at = self.repository.common_dir
        move_ref(self.git.program, at, ref, self._checked(new), old and self._checked(old))

    def close(self) -> None:
        """End the Git processes. The store can still be used: they start again."""
        for conversation in (
            self._contents,
            self._raw,
            self._patch,
            self._stored_patch,
            self._numstat,
        ):
            conversation.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """Yield a temporary folder, which is removed at the end."""
        folder = Path(tempfile.mkdtemp(dir=make_folder(self.private / "scratch")))
        try:
            yield folder
        finally:
            remove_tree(folder)

    def _checked(self, oid: str) -> str:
        if _OID.fullmatch(oid) is None or len(oid) != len(_EMPTY[self.hash_name]):
            raise InternalError(f"expected a {self.hash_name} object id, found {oid!r}")
        return oid

    def _unreadable(self, expected: str, found: str) -> Refusal:
        facts = {
            "case": "object",
            "expected": expected,
            "found": found,
            "place": str(self.repository.root),
        }
        return Refusal(Finding("REPO_UNREADABLE", facts))
