"""Make what a pack sees: shared checkouts, thin layers over them, full copies, each with own
`.git`.

Rule: exact blob bytes, modes 644 and 755, one constant time, nothing of the repository's own
`.git`. A shared checkout appears whole or not at all, and nobody writes to it afterwards. A layer
costs what the difference costs, whatever the size of the repository. Does not know who mounts it or
what runs there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from factory.files.fs_guard import disk_errors, make_folder, remove_tree
from factory.git.ports import Objects
from factory.git.view_files import ViewFiles
from factory.git.view_git import lay_difference, lay_repository
from factory.model.errors import Refusal
from factory.model.finding import Finding
from factory.model.tree import MODE_SUBMODULE, Leaf, Tree, differences
from factory.sandbox.sealed import Seal, is_sealed, process_seal, write_seal

_FORMAT = "v1"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class ViewStore:
    """Make checkouts under `cache` on demand, shared between runs and processes.

    `owner` is the uid and gid of every file if this process is root. A checkout of another process
    is used where `seal` fits it.
    """

    def __init__(
        self, objects: Objects, cache: Path, owner: tuple[int, int], seal: Seal = process_seal
    ) -> None:
        self.objects = objects
        self.cache = cache
        self.owner = owner
        self._seal = seal
        self._trusted: set[Path] = set()

    def base(self, tree: Tree) -> Path:
        """Return the shared read-only checkout of `tree`, with its `.git`; built once, then reused.

        Raise Refusal PATH_GIT_NAME, REPO_UNREADABLE or DISK_UNWRITABLE.
        """
        return self._shared("bases", tree.oid, lambda folder: self._check_out(tree, folder))

    def layer(self, base: Tree, tree: Tree) -> Path | None:
        """Return a folder to mount over `base(base)` so that `tree` shows; None if they are equal.

        It contains changed files, whiteouts (character device 0:0) for removed paths, no extended
        attribute, and what makes `.git` describe `tree`. Raise as `base` does.
        """
        if base.oid == tree.oid:
            return None
        lower = self.base(base)
        name = f"{base.oid}-{tree.oid}"
        return self._shared(
            "layers", name, lambda folder: self._write_layer(lower, base, tree, folder)
        )

    def checkout(self, tree: Tree, destination: Path) -> None:
        """Make a full writable copy with its own `.git`, at a path that is absent or an empty
        folder.

        Leaves nothing behind if it fails. Raise as `base` does.
        """
        make_folder(destination)
        with disk_errors(destination):
            found = sorted(os.listdir(destination))
        if found:
            facts = {"case": "not-empty", "place": str(destination), "found": found[0]}
            raise Refusal(Finding("DISK_UNWRITABLE", facts))
        try:
            self._check_out(tree, destination)
        except BaseException:
            remove_tree(destination)
            raise

    def clean(self) -> None:
        """Remove every checkout and layer. No view may be in use."""
        remove_tree(self.cache)

    def prune(self, before: float) -> int:
        """Remove checkouts and layers last used before `before` or before this boot; return their
        number.

        `before` is in seconds since 1970. Raise Refusal DISK_UNWRITABLE.
        """
        count = 0
        for place in sorted(self.cache.glob(f"{_FORMAT}-*/*/*")):
            lock = _lock_of(place)
            if place.suffix == ".lock" or not place.is_dir():
                continue
            if (
                f"-{_boot()}-" in place.parts[-3]
                and lock.exists()
                and lock.stat().st_mtime >= before
            ):
                continue
            with disk_errors(place), _locked(lock):
                remove_tree(place)
            count += 1
        return count

    def _check_out(self, tree: Tree, folder: Path) -> None:
        files = ViewFiles(folder, self.owner)
        sizes = files.write_leaves(tree.leaves(), self.objects)
        lay_repository(tree, sizes, self.objects, files)
        files.finish()

    def _write_layer(self, lower: Path, base: Tree, tree: Tree, folder: Path) -> None:
        files = ViewFiles(folder, self.owner)
        for path in _hidden(base, tree, ""):
            files.folder(path.rpartition("/")[0])
            files.whiteout(path)
        found = tuple(differences(base, tree))
        sizes = files.write_leaves(
            ((one.path, one.after) for one in found if one.after is not None), self.objects
        )
        lay_difference(
            base, tree, found, sizes, (lower / ".git/index").read_bytes(), self.objects, files
        )
        files.finish()

    def _shared(self, kind: str, name: str, build: Callable[[Path], None]) -> Path:
        """Return the folder `name`, built under a lock in a temporary place and renamed when
        complete.

        The boot is part of the path: what was not synced before a power failure is never reused,
        and building needs no sync. The next build removes the remains of a failed one.
        """
        shelf = self.cache / f"{_FORMAT}-{_boot()}-{self.owner[0]}.{self.owner[1]}" / kind
        place = shelf / name
        if self._untouched(place):
            os.utime(_lock_of(place))  # the time of its last use, for `prune`
            return place
        make_folder(shelf)
        with disk_errors(shelf), _locked(_lock_of(place)):
            if self._untouched(place):
                return place
            remove_tree(place)
            fresh = shelf / f"{name}.tmp"
            remove_tree(fresh)
            fresh.mkdir(mode=0o700)
            try:
                build(fresh)
            except BaseException:
                remove_tree(fresh)
                raise
            os.rename(fresh, place)
            write_seal(place, self._seal)
        self._trusted.add(place)
        return place

    def _untouched(self, place: Path) -> bool:
        """Return True if `place` is as it was built, by its seal; compared once for each
        process.
        """
        if place in self._trusted:
            return True
        if not is_sealed(place, self._seal):
            return False
        self._trusted.add(place)
        return True


def _hidden(base: Tree, tree: Tree, prefix: str) -> Iterator[str]:
    """Yield paths that need a whiteout: in `base`, not in `tree`, and not hidden by a new entry
    there.
    """
    for name in base.ordered:
        old, new = base.entries[name], tree.entries.get(name)
        if new is None:
            yield prefix + name
        elif isinstance(old, Tree) and isinstance(new, Tree):
            if old.oid != new.oid:
                yield from _hidden(old, new, f"{prefix}{name}/")
        elif isinstance(old, Tree) and isinstance(new, Leaf) and new.mode == MODE_SUBMODULE:
            yield from (
                f"{prefix}{name}/{below}" for below in old.ordered
            )  # the folder stays and is empty


def _locked(path: Path) -> AbstractContextManager[object]:
    """Return the kernel lock on a file, to be waited for; loaded where a view is made."""
    from filelock import FileLock

    return FileLock(path, fallback_to_soft=False)


def _lock_of(place: Path) -> Path:
    return place.with_name(f"{place.name}.lock")


def _boot() -> str:
    """Return 12 characters that differ from boot to boot; "any" if the platform has no boot id."""
    try:
        return _BOOT_ID.read_text("ascii").strip().replace("-", "")[:12]
    except OSError:
        return "any"
