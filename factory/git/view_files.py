"""Write the files of a view: exact bytes, two modes, one time, one owner.

Rule: every name is created anew (O_EXCL) in a folder that only this process writes to; a name that
some platform reads as `.git` is refused. Everything gets the constant time, folders last. Does not
know which files belong to a view.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from factory.files.fs_guard import disk_errors, write_new
from factory.git.index import EPOCH
from factory.git.ports import Objects
from factory.judge.path_guard import reads_as_git
from factory.model.errors import Refusal
from factory.model.finding import Finding
from factory.model.tree import MODE_LINK, MODE_SUBMODULE, Leaf

_NEW = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)
_BATCH = 256  # blobs read at once: bounds memory


def copy_over(folder: Path, destination: Path) -> None:
    """Copy what ViewFiles wrote into `folder` over an existing folder, with modes, owners and
    times. Raise Refusal DISK_UNWRITABLE.
    """
    with disk_errors(destination):
        for here, folders, files in os.walk(folder):
            there = destination / os.path.relpath(here, folder)
            for name in (*folders, *files):
                source, target = os.path.join(here, name), there / name
                seen = os.lstat(source)
                if stat.S_ISLNK(seen.st_mode):
                    os.symlink(os.readlink(source), target)
                elif stat.S_ISDIR(seen.st_mode):
                    os.makedirs(target, exist_ok=True)
                else:
                    shutil.copyfile(source, target, follow_symlinks=False)
                if not stat.S_ISLNK(seen.st_mode):
                    os.chmod(target, stat.S_IMODE(seen.st_mode))
                if hasattr(os, "geteuid") and os.geteuid() == 0:
                    os.chown(target, seen.st_uid, seen.st_gid, follow_symlinks=False)
                if not stat.S_ISDIR(seen.st_mode):
                    times = (seen.st_atime_ns, seen.st_mtime_ns)
                    follow = os.utime not in os.supports_follow_symlinks
                    os.utime(target, ns=times, follow_symlinks=follow)


class ViewFiles:
    """Write below `root`, an existing empty folder. Paths are relative, with `/`."""

    def __init__(self, root: Path, owner: tuple[int, int]) -> None:
        self.root = root
        self.owner = owner if hasattr(os, "geteuid") and os.geteuid() == 0 else None
        self._top = str(root)
        self._folders: dict[str, None] = {"": None}

    def file(
        self, path: str, content: bytes, executable: bool = False, seconds: int = EPOCH
    ) -> None:
        """Create a file in a folder made before. Raise Refusal DISK_UNWRITABLE."""
        where = f"{self._top}/{path}"
        with disk_errors(where):
            fd = os.open(where, _NEW, 0o600)
            try:
                write_new(fd, content)
            finally:
                os.close(fd)
            os.chmod(where, 0o755 if executable else 0o644)
            self._settle(where, seconds)

    def link(self, path: str, target: bytes) -> None:
        """Create a symbolic link, whatever its target. Raise Refusal DISK_UNWRITABLE."""
        where = f"{self._top}/{path}"
        with disk_errors(where):
            os.symlink(os.fsdecode(target), where)
            self._settle(where, EPOCH)

    def same(self, path: str, other: str) -> None:
        """Create a second name `path` for the file `other`. Raise Refusal DISK_UNWRITABLE."""
        with disk_errors(path):
            os.link(f"{self._top}/{other}", f"{self._top}/{path}")

    def take(self, path: str) -> None:
        """Give a file that another program wrote below the root our mode, owner and time.

        Raise Refusal DISK_UNWRITABLE.
        """
        where = f"{self._top}/{path}"
        with disk_errors(where):
            os.chmod(where, 0o644)
            self._settle(where, EPOCH)

    def whiteout(self, path: str) -> None:
        """Create a mark that hides `path` of the layers below; needs no privilege since Linux
        5.8.
        """
        where = f"{self._top}/{path}"
        with disk_errors(where):
            os.mknod(where, stat.S_IFCHR, 0)
            self._settle(where, EPOCH)

    def folder(self, path: str) -> None:
        """Create a folder and its parents, unless they exist. Raise Refusal DISK_UNWRITABLE."""
        if path in self._folders:
            return
        self.folder(path.rpartition("/")[0])
        with disk_errors(path):
            os.mkdir(f"{self._top}/{path}")
        self._folders[path] = None

    def finish(self) -> None:
        """Give every folder its mode, owner and time; nothing is written afterwards."""
        for path in reversed(self._folders):
            where = f"{self._top}/{path}" if path else self._top
            with disk_errors(where):
                os.chmod(where, 0o755)
                self._settle(where, EPOCH)

    def _settle(self, where: str, seconds: int) -> None:
        follow = os.utime not in os.supports_follow_symlinks
        if self.owner is not None:
            os.chown(where, *self.owner, follow_symlinks=False)
        os.utime(where, (seconds, seconds), follow_symlinks=follow)

    def write_leaves(self, leaves: Iterable[tuple[str, Leaf]], objects: Objects) -> dict[str, int]:
        """Write leaves with the blobs' bytes; return the size that lstat returns for each path.

        Raise Refusal PATH_GIT_NAME, REPO_UNREADABLE or DISK_UNWRITABLE.
        """
        sizes: dict[str, int] = {}
        batch: list[tuple[str, Leaf]] = []
        for path, leaf in leaves:
            _refuse_git_names(path)
            if leaf.mode == MODE_SUBMODULE:
                self.folder(path)
                sizes[path] = 0
                continue
            batch.append((path, leaf))
            if len(batch) == _BATCH:
                self._write_batch(batch, objects, sizes)
                batch = []
        self._write_batch(batch, objects, sizes)
        return sizes

    def _write_batch(
        self, batch: list[tuple[str, Leaf]], objects: Objects, sizes: dict[str, int]
    ) -> None:
        contents = objects.read(leaf.oid for _, leaf in batch)
        for path, leaf in batch:
            content = contents[leaf.oid]
            sizes[path] = len(content)
            self.folder(path.rpartition("/")[0])
            if leaf.mode == MODE_LINK:
                self.link(path, content)
            else:
                self.file(path, content, bool(leaf.mode & stat.S_IXUSR))


def _refuse_git_names(path: str) -> None:
    if path.isascii() and "git" not in path.lower():  # avoids the folding for nearly every path
        return
    for name in path.split("/"):
        if reads_as_git(name):
            raise Refusal(Finding("PATH_GIT_NAME", {"case": "tree", "path": path, "name": name}))
