"""Write files: atomic, durable, confined, and never through a link.

Rule: a reader sees the old content or the new one, never a part; what a durable function wrote is
on the disk when it returns. Failures of the disk are Refusals (DISK_UNWRITABLE), so a full or
read-only file system is a verdict and not a traceback. Does not know what it writes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from factory.model.errors import Refusal
from factory.model.finding import Finding
from factory.sandbox import folders

_CHUNK = 1 << 20  # bytes read at once: bounds memory
_PAGE = bytes(4096)
_WORTH_HOLES = 1 << 20  # bytes of a file from which holes are looked for
_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)


_UNFINISHED = re.compile(r"\..+\.[a-z0-9_]{8}(\.old)?")


def is_unfinished(name: str) -> bool:
    """Return True for the temporary names that this module or a store gives to unfinished files."""
    return _UNFINISHED.fullmatch(name) is not None


@contextlib.contextmanager
def disk_errors(path: Path | str) -> Iterator[None]:
    """Turn an OSError about `path` into Refusal DISK_UNWRITABLE."""
    try:
        yield
    except OSError as error:
        found = error.strerror or str(error)
        facts = {"case": "write", "place": str(path), "found": found}
        raise Refusal(Finding("DISK_UNWRITABLE", facts)) from error


def write_atomic(path: Path, content: bytes, durable: bool = True, mode: int = 0o644) -> None:
    """Write or replace the file `path`, so that no reader ever sees a part of it.

    With `durable` the bytes and the name are on the disk at return. Raise Refusal DISK_UNWRITABLE.
    """
    with disk_errors(path):
        with replacing(path, f".{path.name[:40]}.", mode, durable) as fd:
            write_new(fd, content)
        if durable:
            sync_folder(path.parent)


@contextlib.contextmanager
def replacing(path: Path, prefix: str, mode: int, durable: bool) -> Iterator[int]:
    """Yield the descriptor of a temporary file next to `path`, which it replaces at the end of the
    block; after an error it is removed. `durable` syncs its bytes, not its name. Raise OSError.
    """
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=prefix)
    try:
        try:
            yield fd
            if hasattr(os, "fchmod"):
                os.fchmod(fd, mode)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def write_all(fd: int, content: bytes | memoryview) -> None:
    """Write every byte; a short write is continued. Raise OSError."""
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def write_new(fd: int, content: bytes) -> None:
    """Write every byte to an empty file; pages of zeros become holes, so that what was a hole costs
    neither a disk nor the time to write it. Raise OSError.
    """
    view = memoryview(content)
    if len(view) < _WORTH_HOLES or os.name == "nt":
        write_all(fd, content)
        return
    for at in range(0, len(view), _CHUNK):
        end = min(at + _CHUNK, len(view))
        if content.find(_PAGE, at, end) < 0:
            _write_at(fd, view[at:end], at)
            continue
        begun = at  # of what is to be written
        for page in range(at, end, len(_PAGE)):
            if content.startswith(_PAGE, page):
                _write_at(fd, view[begun:page], begun)
                begun = page + len(_PAGE)
        _write_at(fd, view[begun:end], begun)
    os.ftruncate(fd, len(view))


def _write_at(fd: int, part: memoryview, offset: int) -> None:
    os.lseek(fd, offset, os.SEEK_SET)
    write_all(fd, part)


def append_durable(path: Path, content: bytes) -> int:
    """Append `content` as a whole and sync it; return the offset it begins at.

    If the disk takes only a part (ENOSPC), the file is cut back to its former end before Refusal
    DISK_UNWRITABLE is raised. The caller must have the lock that keeps other writers out.
    """
    with disk_errors(path):
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NOFOLLOW | _BINARY, 0o644)
        try:
            end = os.fstat(fd).st_size
            try:
                write_all(fd, content)
                os.fdatasync(fd) if hasattr(os, "fdatasync") else os.fsync(fd)
            except OSError:
                os.ftruncate(fd, end)
                raise
        finally:
            os.close(fd)
        if not end:  # it may be new
            sync_folder(path.parent)
        return end


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable. Do nothing on Windows, which cannot open folders."""
    if os.name == "nt":
        return
    fd = os.open(folder, _FOLDER_FLAGS)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_together(files: Mapping[Path, bytes]) -> None:
    """Put several files in their places, in this order; all of them are on the disk, with one sync,
    before the first takes its place. Their folders exist. Raise Refusal DISK_UNWRITABLE.
    """
    with contextlib.ExitStack() as stack:
        made = [
            (stack.enter_context(_draft(path, content)), path) for path, content in files.items()
        ]
        if not made:
            return
        with disk_errors(made[0][1]):
            _sync_files([Path(temporary) for temporary, _ in made])
        for temporary, path in made:
            with disk_errors(path):
                os.replace(temporary, path)
        for parent in dict.fromkeys(path.parent for _, path in made):
            with disk_errors(parent):
                sync_folder(parent)


@contextlib.contextmanager
def _draft(path: Path, content: bytes) -> Iterator[str]:
    """Yield the name of a file next to `path` with this content, removed unless it was moved."""
    with disk_errors(path):
        fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
    try:
        with disk_errors(path):
            try:
                write_new(fd, content)
                if hasattr(os, "fchmod"):
                    os.fchmod(fd, 0o644)
            finally:
                os.close(fd)
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _sync_files(files: Sequence[Path]) -> None:
    """Make these files durable: with one call for each file system, if the platform has one."""
    systems: dict[int, list[Path]] = {}
    for file in files:
        systems.setdefault(os.stat(file).st_dev, []).append(file)
    for alike in systems.values():
        fd = os.open(alike[0], os.O_RDWR | _NOFOLLOW | _BINARY)
        try:
            if len(alike) > 1 and sync_file_system(fd):
                continue
        finally:
            os.close(fd)
        for file in alike:
            fd = os.open(file, os.O_RDWR | _NOFOLLOW | _BINARY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


def sync_trees(folders: Sequence[Path]) -> None:
    """Make everything in these folders durable, whoever wrote it. Raise OSError.

    One syncfs(2) costs one commit of the journal where an fsync(2) for each file costs one each
    (ext4: 22 small files in 12 ms instead of 26). Before Linux 5.8 it does not report that a write
    failed, so there, and on other platforms, every file is synced by itself.
    """
    systems: dict[int, list[Path]] = {}
    for folder in folders:
        systems.setdefault(os.stat(folder).st_dev, []).append(folder)
    for alike in systems.values():
        fd = os.open(alike[0], _FOLDER_FLAGS) if os.name != "nt" else -1
        try:
            if not sync_file_system(fd):
                _sync_each(alike)
        finally:
            if fd >= 0:
                os.close(fd)


def synced_together(folder: Path, other: Path) -> bool:
    """Return whether `sync_trees` of `folder` makes what was written in `other` durable too."""
    return _syncfs() is not None and os.stat(folder).st_dev == os.stat(other).st_dev


def sync_file_system(fd: int) -> bool:
    """Make all that was written to the file system of an open folder durable; False where this
    platform cannot, or would not say that it failed. Raise OSError.
    """
    syncfs = _syncfs()
    if syncfs is None:
        return False
    import ctypes

    if syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return True


@cache
def _syncfs() -> Callable[[int], int] | None:
    """Return syncfs(2); None where there is none that reports errors."""
    if sys.platform != "linux" or _kernel() < _REPORTS_ERRORS:
        return None
    import ctypes

    return getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)


_REPORTS_ERRORS = (5, 8)


def _kernel() -> tuple[int, ...]:
    """Return the kernel's (major, minor) version; (0, 0) if its name has none."""
    found = re.match(r"([0-9]+)\.([0-9]+)", os.uname().release)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _sync_each(folders: Iterable[Path]) -> None:
    for folder in folders:
        for top, _, names in os.walk(folder):
            for name in names:
                fd = os.open(os.path.join(top, name), os.O_RDONLY | _NOFOLLOW | _BINARY)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)
            sync_folder(Path(top))


def make_folder(folder: Path, mode: int = 0o755) -> Path:
    """Make `folder` and its missing parents, and return it.

    Raise Refusal DISK_UNWRITABLE, also if a file is in its place.
    """
    with disk_errors(folder):
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    return folder


def remove_tree(folder: Path) -> None:
    """Remove a folder as `folders.remove_tree` does. Raise Refusal DISK_UNWRITABLE."""
    with disk_errors(folder):
        folders.remove_tree(folder)


def inside(root: Path, path: Path | str) -> Path:
    """Return `path` (relative to `root`, or absolute below it) as an absolute path below `root`.

    Raise Refusal PATH_UNSAFE if it is `root` itself, leaves it, or goes through a symbolic link.
    """
    if isinstance(path, str) and _PLAIN.fullmatch(path) and len(root.parts) > 1:
        return _plainly_inside(root, path)
    given = Path(path)
    relative = (
        given.relative_to(root) if given.is_absolute() and given.is_relative_to(root) else given
    )
    if (
        relative.is_absolute()
        or relative.drive
        or not relative.parts
        or ".." in relative.parts
        or "\0" in str(path)
    ):
        raise _leaves(root, path, "it leaves that folder")
    here = root
    for part in relative.parts[:-1]:
        here = here / part
        if here.is_symlink():
            raise _leaves(root, path, f"{here.name!r} is a symbolic link")
    return root / relative


# Names that mean the same on every platform, none of them "." or "..": nearly every path of ours.
_PLAIN = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*")


def _plainly_inside(root: Path, path: str) -> Path:
    """Do what `inside` does for a path in plain form, without taking it apart."""
    whole, at = f"{root}/{path}", len(str(root)) + 1
    while (at := whole.find("/", at) + 1) > 0:
        if os.path.islink(whole[: at - 1]):
            raise _leaves(root, path, f"{os.path.basename(whole[: at - 1])!r} is a symbolic link")
    return Path(whole)


def _leaves(root: Path, path: Path | str, why: str) -> Refusal:
    facts = {"case": "below", "folder": str(root), "path": str(path), "problem": why}
    return Refusal(Finding("PATH_UNSAFE", facts))


class Writer:
    """Write below one folder and nowhere else; `inside` checks every path at the moment of use."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._made: set[Path] = set()  # by `create`

    def write(self, path: Path | str, content: bytes, durable: bool = True) -> Path:
        """Write a file atomically, making its folders; return its path.

        Raise Refusal PATH_UNSAFE, DISK_UNWRITABLE.
        """
        target = inside(self.root, path)
        if target.is_symlink():
            raise _leaves(self.root, path, f"{target.name!r} is a symbolic link")
        make_folder(target.parent)
        write_atomic(target, content, durable)
        return target

    def create(self, path: Path | str, content: bytes) -> Path:
        """Write a new file, making its folders; neither atomic nor durable.

        Raise Refusal PATH_UNSAFE, DISK_UNWRITABLE.
        """
        target = inside(self.root, path)
        if target.parent not in self._made:
            self._made.add(make_folder(target.parent))
        with disk_errors(target):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _BINARY
            fd = os.open(target, flags, 0o644)
            try:
                write_new(fd, content)
                if hasattr(os, "fchmod"):
                    os.fchmod(fd, 0o644)  # whatever the umask of this process
            finally:
                os.close(fd)
        return target

    def write_together(self, files: Mapping[str, bytes]) -> None:
        """Write several files as `write_together`, making their folders. Raise PATH_UNSAFE,
        DISK_UNWRITABLE.
        """
        targets = {path: inside(self.root, path) for path in files}
        for path, target in targets.items():
            if target.is_symlink():
                raise _leaves(self.root, path, f"{target.name!r} is a symbolic link")
            make_folder(target.parent)
        write_together({targets[path]: content for path, content in files.items()})

    def folder(self, path: Path | str) -> Path:
        """Make a folder; return its path. Raise Refusal PATH_UNSAFE, DISK_UNWRITABLE."""
        target = inside(self.root, path)
        if target.is_symlink():
            raise _leaves(self.root, path, f"{target.name!r} is a symbolic link")
        return make_folder(target)

    def remove(self, path: Path | str) -> None:
        """Remove a file or folder below the root, not following links.

        Raise Refusal PATH_UNSAFE, DISK_UNWRITABLE.
        """
        remove_tree(inside(self.root, path))


def free_space(path: Path) -> int:
    """Return free bytes for this user on the file system of `path` or of its nearest existing
    parent.
    """
    here = path
    while not here.exists() and here != here.parent:
        here = here.parent
    return shutil.disk_usage(here).free


def sha256_file(path: Path | str) -> str:
    """Return the SHA-256 of a regular file's bytes, in hex. Raise OSError for a link or no file."""
    hashed = hashlib.sha256()
    fd = os.open(path, os.O_RDONLY | _NOFOLLOW | _BINARY | getattr(os, "O_NONBLOCK", 0))
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{str(path)!r} is not a regular file")
        while chunk := os.read(fd, min(_CHUNK, status.st_size + 1)):
            hashed.update(chunk)
    finally:
        os.close(fd)
    return hashed.hexdigest()
