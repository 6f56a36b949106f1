"""Put the result of a PASS onto the user's work tree and index, which have to be clean.

Order of effects: objects into the repository → files that go, files that are new or other, each as
a whole → the index, in one write of Git's own. Nothing records how far that got: a path counts as
clean where it is as the base has it or as the result has it, so whoever was cut off runs it again
and ends in the same state. Files are written as they are stored; no filter, hook or other program
that the repository or the user configured is started. The branch, its commits and the stash stay.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from factory.engine.branch import result_of
from factory.files import fs_guard
from factory.git import repository
from factory.git.checkout import changed_paths, git_of
from factory.git.git import GitError
from factory.git.narrowing import between
from factory.git.objects import GitObjects
from factory.git.ports import Objects, Repository
from factory.judge.path_guard import display
from factory.model import layout
from factory.model.errors import Refusal
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.tree import (
    MODE_EXECUTABLE,
    MODE_FILE,
    MODE_LINK,
    Difference,
    Leaf,
    object_id,
)
from factory.plan.site import Site

_SOMETHING = Leaf(0, "")  # a folder, a device: what no path of a result is
_SHOWN = 3  # paths in a sentence
_AT_ONCE = 256  # files whose content is in memory together


@dataclass(frozen=True, slots=True)
class Applied:
    """Describe what was put onto the work tree: how many paths the result changes, and whether all
    of them were so already.
    """

    run_id: str
    changed: int
    already: bool


def apply_result(site: Site, refs: GitObjects, run_id: str) -> Applied:
    """Put the result of a PASS run onto work tree and index. The run lock is held.

    Raise Refusal RUN_UNKNOWN if the run did not PASS, RUN_DAMAGED, BUNDLE_MANIFEST or MERGE_DIFFERS
    if its result is not what its evidence says, APPLY_REFUSED for another base, other work, or
    something in the way, DISK_UNWRITABLE.
    """
    result = result_of(site, run_id)
    head = repository.discover(site.repository.root, "HEAD")
    if head.commit != result.base:
        facts = {"case": "base", "run": run_id, "base": result.base, "head": head.commit}
        raise Refusal(Finding("APPLY_REFUSED", facts))
    before, after = site.objects.tree_of(result.base), site.objects.tree_of(result.tree)
    tree = _WorkTree(head, between(before, after), site.objects.hash_name)
    tree.refuse_other_work()
    if tree.is_after():
        return Applied(run_id, len(tree.changes), already=True)
    refs.hand_over(result.bundle)
    draft = fs_guard.make_folder(site.store.root / layout.CACHE / "apply") / "draft"
    tree.write(site.objects, draft)
    tree.write_index()
    return Applied(run_id, len(tree.changes), already=False)


class _WorkTree:
    """Look at the paths that a result changes, and change them."""

    def __init__(self, head: Repository, changes: tuple[Difference, ...], hash_name: str) -> None:
        self.changes = changes
        self._head = head
        self._hash = hash_name
        self._gone = {change.path for change in changes if change.after is None}
        self._named = {change.path: change for change in changes}

    # ── what is there ────────────────────────────────────────────────────────

    @cached_property
    def _dirty(self) -> frozenset[str]:
        return frozenset(changed_paths(self._head, untracked="all"))

    @cached_property
    def _indexed(self) -> Mapping[str, Leaf]:
        """Return the entries of the index at the paths of the change; one that is not merged is no
        plain leaf.
        """
        rows = git_of(self._head).run("ls-files", "-s", "-z").out.split(b"\0")[:-1]
        found: dict[str, Leaf] = {}
        for row in rows:
            head, _, path = row.partition(b"\t")
            mode, oid, stage = head.decode("ascii").split(" ")
            name = os.fsdecode(path)
            if name in self._named:
                found[name] = Leaf(int(mode, 8), oid) if stage == "0" else _SOMETHING
        return found

    def _on_disk(self, path: str) -> Leaf | None:
        """Return what is at a path, as Git would store it; None for nothing, also where a file
        takes the place of a folder above it, or a folder its own, or one of them will.
        """
        parts = path.split("/")
        for depth in range(1, len(parts)):
            above = "/".join(parts[:depth])
            kind = _kind(self._head.root / above)
            if kind is None:
                return None
            if not stat.S_ISDIR(kind):
                return None if above in self._named else _SOMETHING
        place = self._head.root / path
        kind = _kind(place)
        if kind is None or (stat.S_ISDIR(kind) and path in self._gone and path in self._folders):
            return None
        if stat.S_ISLNK(kind):
            return Leaf(MODE_LINK, self._id_of(os.fsencode(os.readlink(place))))
        if not stat.S_ISREG(kind):
            return _SOMETHING
        mode = MODE_EXECUTABLE if kind & stat.S_IXUSR else MODE_FILE
        return Leaf(mode, self._id_of(place.read_bytes()))

    @cached_property
    def _folders(self) -> frozenset[str]:
        """Return the folders that the result has files in which it changes."""
        left = (change.path for change in self.changes if change.after is not None)
        parts = (path.split("/") for path in left)
        return frozenset("/".join(p[:depth]) for p in parts for depth in range(1, len(p)))

    def _id_of(self, content: bytes) -> str:
        return object_id("blob", content, self._hash)

    def refuse_other_work(self) -> None:
        """Raise Refusal APPLY_REFUSED where work tree or index have what is neither the base's nor
        the result's.
        """
        others = sorted(self._dirty - self._named.keys())
        if others:
            raise _refusal("dirty", others)
        wrong = [change.path for change in self.changes if not self._is_known(change)]
        if wrong:
            raise _refusal("path", wrong)

    def _is_known(self, change: Difference) -> bool:
        path, there = change.path, self._on_disk(change.path)
        if self._indexed.get(path) not in (change.before, change.after):
            return False
        if there in (change.before, change.after):
            return True
        if there is None:
            return change.after is None
        if there is _SOMETHING:
            return change.after is not None and self._goes(path)
        # as the base has it, but for line ends or a filter
        return change.before is not None and path not in self._dirty

    def _goes(self, folder: str) -> bool:
        """Return whether there is a folder at the path, and all that is in it goes."""
        place = self._head.root / folder
        if place.is_symlink() or not place.is_dir():
            return False
        return all(
            os.path.relpath(os.path.join(top, name), self._head.root) in self._gone
            for top, folders, names in os.walk(place)
            for name in (*names, *(f for f in folders if os.path.islink(os.path.join(top, f))))
        )

    def is_after(self) -> bool:
        """Return whether work tree and index are as the result already."""
        return all(
            self._indexed.get(change.path) == change.after
            and self._on_disk(change.path) == change.after
            for change in self.changes
        )

    # ── what is changed ──────────────────────────────────────────────────────

    def write(self, objects: Objects, draft: Path) -> None:
        """Remove what goes, and write what is new or other by way of the file `draft`. Raise
        Refusal DISK_UNWRITABLE, APPLY_REFUSED.
        """
        for change in reversed(self.changes):
            if change.after is None and self._on_disk(change.path) is not None:
                place = self._head.root / change.path
                with fs_guard.disk_errors(place):
                    place.unlink()
                _remove_empty(place.parent, self._head.root)
        for some in _batches(change for change in self.changes if change.after is not None):
            contents = objects.read({change.after.oid for change in some if change.after})
            for change in some:
                if change.after is not None and self._on_disk(change.path) != change.after:
                    self._put(change, change.after, contents[change.after.oid], draft)
        with fs_guard.disk_errors(self._head.root):
            _settle(self._head.root)

    def _put(self, change: Difference, after: Leaf, content: bytes, draft: Path) -> None:
        place = fs_guard.inside(self._head.root, change.path)
        with fs_guard.disk_errors(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            if _kind(place) is not None and stat.S_ISDIR(_kind(place) or 0):
                place.rmdir()
            with contextlib.suppress(FileNotFoundError):
                draft.unlink()
            if after.mode == MODE_LINK:
                os.symlink(os.fsdecode(content), draft)
            else:
                mode = 0o755 if after.mode == MODE_EXECUTABLE else 0o644
                fs_guard.write_atomic(draft, content, durable=False, mode=mode)
            os.replace(draft, place)

    def write_index(self) -> None:
        """Put the result's entries into the index. Raise Refusal APPLY_REFUSED."""
        nothing = "0" * len(self._id_of(b""))
        lines: list[bytes] = []
        # what goes comes first, so that a file and a folder of one name do not meet
        for change in sorted(self.changes, key=lambda change: change.after is not None):
            after = change.after
            row = f"{after.mode:06o} {after.oid}" if after is not None else f"0 {nothing}"
            lines.append(row.encode("ascii") + b"\t" + os.fsencode(change.path) + b"\0")
        try:
            git_of(self._head).run("update-index", "-z", "--index-info", stdin=b"".join(lines))
        except GitError as error:
            facts = {"case": "index", "found": error.said}
            raise Refusal(Finding("APPLY_REFUSED", facts)) from error


def _kind(place: Path) -> int | None:
    """Return the mode of what is at a path, links not followed; None for nothing."""
    try:
        return place.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _settle(root: Path) -> None:
    """Make what was written durable, before the index says that it is there."""
    if os.name == "nt":
        return
    fd = os.open(root, os.O_RDONLY)
    try:
        fs_guard.sync_file_system(fd)
    finally:
        os.close(fd)


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove folders that are empty now, as Git does, up to the root."""
    while folder != root:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _batches(changes: Iterable[Difference]) -> Iterator[list[Difference]]:
    some: list[Difference] = []
    for change in changes:
        some.append(change)
        if len(some) == _AT_ONCE:
            yield some
            some = []
    yield some


def _refusal(case: str, paths: list[str]) -> Refusal:
    more = (f"{len(paths) - _SHOWN} more",) if len(paths) > _SHOWN else ()
    facts: Facts = {"case": case, "paths": (*map(display, paths[:_SHOWN]), *more)}
    return Refusal(Finding("APPLY_REFUSED", facts))
