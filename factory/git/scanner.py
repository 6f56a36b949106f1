"""Read a layer after its processes ended: by descriptors, following no link, trusting only bytes.

Rule: the tree under `root_fd` was written by somebody hostile. A name is looked at with lstat,
opened with O_NOFOLLOW, and read only if the descriptor shows the same inode. Overlay marks are read
from one namespace only. Does not know the layer's base, and never runs Git.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from factory.judge.effort import MOST_BYTES
from factory.judge.path_guard import reads_as_git
from factory.model.errors import InternalError
from factory.model.scanned import Oddity, ScannedFile, ScannedLayer
from factory.model.tree import MODE_EXECUTABLE, MODE_FILE, MODE_LINK, Leaf, object_id
from factory.sandbox.layer import DeadLayer
from factory.sandbox.values import LayerKind

MAX_DEPTH = 64  # levels; each is an open descriptor and a frame of recursion
MAX_ENTRIES = 200_000  # bounds the time and memory of a scan
MAX_BYTES = 4 << 30  # of all files: each is stored, and holes cost a pack nothing
MAX_FILE = MOST_BYTES  # of one file: it is read as a whole
WHITEOUT_DEVICE = 0  # overlayfs marks a removed path by character device 0:0

_NAMESPACE = {LayerKind.TRUSTED: "trusted.overlay.", LayerKind.USER: "user.overlay."}
_NOFOLLOW = (
    getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
)
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NOFOLLOW


def scan_layer(
    layer: DeadLayer,
    store_blob: Callable[[bytes], str],
    hash_name: str,
    skip: Callable[[str], bool] = lambda _path: False,
) -> ScannedLayer:
    """Return the content of a stage's layer as `scan` does, bounded by what the stage could write.
    What is at a path that `skip` accepts is not looked at.
    """
    with _descriptor(layer.open()) as top:
        most = layer.given + min(MAX_BYTES, layer.most)
        return scan(top, layer.kind, store_blob, hash_name, max_bytes=most, skip=skip)


def scan(
    root_fd: int,
    kind: LayerKind,
    store_blob: Callable[[bytes], str],
    hash_name: str,
    max_depth: int = MAX_DEPTH,
    max_entries: int = MAX_ENTRIES,
    max_bytes: int = MAX_BYTES,
    max_file: int = MAX_FILE,
    skip: Callable[[str], bool] = lambda _path: False,
) -> ScannedLayer:
    """Return the content of the layer whose top folder is `root_fd` (borrowed, not closed).

    Every process that could write there must be dead. Each file's bytes go once to `store_blob`,
    which must return the Git blob id under `hash_name`. `max_bytes` bounds the sum of the sizes of
    regular files, `max_file` the size of each: a larger one is not read, so that a file of holes
    costs no memory. What cannot be part of a change becomes an oddity: FILE_SPECIAL, FILE_SETID,
    FILE_TOO_LARGE, PATH_GIT_NAME, TREE_TOO_DEEP, TREE_TOO_LARGE. A
    layer that is too large has no opaque folders: base files that the scan did not reach may still
    exist. Raise InternalError if the layer changes while it is read.
    """
    walk = _Walk(kind, store_blob, hash_name, max_depth, max_entries, max_bytes, max_file, skip)
    with _descriptor(os.open(".", _DIRECTORY, dir_fd=root_fd)) as top:
        walk.folder(top, "", 0)
    return walk.layer()


@dataclass(slots=True)
class _Walk:
    """Collect the findings of one walk, within its limits."""

    kind: LayerKind
    store_blob: Callable[[bytes], str]
    hash_name: str
    max_depth: int
    max_entries: int
    max_bytes: int
    max_file: int
    skip: Callable[[str], bool]
    files: list[ScannedFile] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    opaque: list[str] = field(default_factory=list)
    oddities: list[Oddity] = field(default_factory=list)
    entries: int = 0
    size: int = 0
    stopped: bool = False

    def layer(self) -> ScannedLayer:
        if self.kind is LayerKind.WORKTREE:
            self.opaque.append("")
        if self.stopped:
            self.opaque.clear()
        return ScannedLayer(
            tuple(sorted(self.files, key=lambda file: os.fsencode(file.path))),
            tuple(sorted(self.folders, key=os.fsencode)),
            tuple(sorted(self.removed, key=os.fsencode)),
            tuple(sorted(self.opaque, key=os.fsencode)),
            tuple(
                sorted(self.oddities, key=lambda oddity: (os.fsencode(oddity.path), oddity.finding))
            ),
        )

    def folder(self, fd: int, prefix: str, depth: int) -> None:
        """Scan the open folder `fd`, whose entries have paths that begin with `prefix`."""
        mark = _attribute(fd, self.kind, "opaque")
        if mark == b"y" and self.kind is not LayerKind.WORKTREE:
            self.opaque.append(prefix.rstrip("/"))
        if _attribute(fd, self.kind, "redirect") is not None:
            self.odd(prefix.rstrip("/"), "FILE_SPECIAL", "a folder that an overlay redirects")
        for name in self.names(fd, prefix):
            if self.stopped:
                return
            if not prefix and name == ".git":
                continue
            if reads_as_git(name):
                self.odd(prefix + name, "PATH_GIT_NAME", "a name that some platform reads as .git")
                continue
            self.entry(fd, name, prefix + name, depth, white=mark == b"x")

    def names(self, fd: int, prefix: str) -> list[str]:
        """Return the names in the folder in byte order; at the limit, stop the walk and return
        none.
        """
        found: list[str] = []
        with os.scandir(fd) as listing:
            for entry in listing:
                self.entries += 1
                if self.entries > self.max_entries:
                    self.stop(prefix.rstrip("/"), f"more than {self.max_entries} entries")
                    return []
                found.append(entry.name)
        return sorted(found, key=os.fsencode)

    def entry(self, parent: int, name: str, path: str, depth: int, white: bool) -> None:
        if self.skip(path):
            return
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        match stat.S_IFMT(status.st_mode):
            case stat.S_IFDIR:
                self.subfolder(parent, name, path, depth, status)
            case stat.S_IFREG:
                self.regular(parent, name, path, status, white)
            case stat.S_IFLNK:
                self.link(parent, name, path)
            case stat.S_IFCHR if (
                status.st_rdev == WHITEOUT_DEVICE and self.kind is not LayerKind.WORKTREE
            ):
                self.removed.append(path)
            case other:
                self.odd(path, "FILE_SPECIAL", _SPECIAL.get(other, "neither a file nor a folder"))

    def subfolder(
        self, parent: int, name: str, path: str, depth: int, status: os.stat_result
    ) -> None:
        self.folders.append(path)
        if depth + 1 > self.max_depth:
            self.odd(path, "TREE_TOO_DEEP", f"a folder deeper than {self.max_depth} levels")
            return
        with _opened(parent, name, status, _DIRECTORY, 0o700) as fd:
            self.folder(fd, path + "/", depth + 1)

    def regular(
        self, parent: int, name: str, path: str, status: os.stat_result, white: bool
    ) -> None:
        self.size += status.st_size
        if self.size > self.max_bytes:
            self.stop(path, f"more than {self.max_bytes} bytes of files")
            return
        if status.st_size > self.max_file:
            found = f"{status.st_size} bytes; expected at most {self.max_file}"
            self.odd(path, "FILE_TOO_LARGE", found)
            if (
                self.kind is LayerKind.WORKTREE
            ):  # the base's own files are in it: are they the same?
                with _opened(parent, name, status, os.O_RDONLY | _NOFOLLOW, 0o400) as fd:
                    oid = _id_of(fd, status.st_size, path, self.hash_name)
                mode = MODE_EXECUTABLE if status.st_mode & stat.S_IXUSR else MODE_FILE
                self.files.append(ScannedFile(path, Leaf(mode, oid), status.st_size))
            return
        with _opened(parent, name, status, os.O_RDONLY | _NOFOLLOW, 0o400) as fd:
            if status.st_size == 0 and _attribute(fd, self.kind, "whiteout") is not None:
                self.marked(path, white)
                return
            if _attribute(fd, self.kind, "metacopy") is not None:
                self.odd(path, "FILE_SPECIAL", "a file with its content in another layer")
                return
            content = _content(fd, status.st_size, path)
        if status.st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX):
            self.odd(path, "FILE_SETID", f"a file with mode {stat.S_IMODE(status.st_mode):04o}")
        mode = MODE_EXECUTABLE if status.st_mode & stat.S_IXUSR else MODE_FILE
        self.files.append(ScannedFile(path, Leaf(mode, self.stored(content, path)), status.st_size))

    def marked(self, path: str, white: bool) -> None:
        """Record an empty file with a whiteout attribute: a removal only if its folder declares
        whiteouts.
        """
        if white:
            self.removed.append(path)
        else:
            self.odd(path, "FILE_SPECIAL", "a whiteout mark in a folder that declares none")

    def link(self, parent: int, name: str, path: str) -> None:
        target = os.fsencode(os.readlink(name, dir_fd=parent))
        leaf = Leaf(MODE_LINK, self.stored(target, path))
        self.files.append(ScannedFile(path, leaf, len(target), os.fsdecode(target)))

    def stored(self, content: bytes, path: str) -> str:
        expected = object_id("blob", content, self.hash_name)
        found = self.store_blob(content)
        if found != expected:
            raise InternalError(
                f"the object store answered {found} for {path!r}, expected {expected}"
            )
        return expected

    def odd(self, path: str, finding: str, what: str) -> None:
        self.oddities.append(Oddity(path, finding, what))

    def stop(self, path: str, what: str) -> None:
        self.odd(path, "TREE_TOO_LARGE", what)
        self.stopped = True


_SPECIAL = {
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}


@contextmanager
def _descriptor(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _opened(parent: int, name: str, seen: os.stat_result, flags: int, need: int) -> Iterator[int]:
    """Open the entry `name`; yield its descriptor, proved to be the inode that was `seen`.

    If its owner's mode bits lack `need`, they are added first: a pack cannot hide content by chmod.
    """
    if seen.st_mode & need != need and os.geteuid() != 0:
        _permit(parent, name, seen, need)
    with _descriptor(os.open(name, flags, dir_fd=parent)) as fd:
        _same(os.fstat(fd), seen, name)
        yield fd


def _permit(parent: int, name: str, seen: os.stat_result, need: int) -> None:
    """Add the owner's bits `need` to an entry, without following a link."""
    mode = stat.S_IMODE(seen.st_mode) | need
    if os.chmod in os.supports_follow_symlinks:
        os.chmod(name, mode, dir_fd=parent, follow_symlinks=False)
        return
    with _descriptor(os.open(name, os.O_PATH | _NOFOLLOW, dir_fd=parent)) as fd:
        _same(os.fstat(fd), seen, name)
        os.chmod(f"/proc/self/fd/{fd}", mode)  # fchmod fails on an O_PATH descriptor


def _same(found: os.stat_result, seen: os.stat_result, name: str) -> None:
    now = (found.st_dev, found.st_ino, stat.S_IFMT(found.st_mode))
    if now != (seen.st_dev, seen.st_ino, stat.S_IFMT(seen.st_mode)):
        raise InternalError(
            f"{name!r} was exchanged while its layer was read; something still runs in it"
        )


def _content(fd: int, size: int, path: str) -> bytes:
    """Return exactly `size` bytes of the file. Raise InternalError if there are more or fewer."""
    return b"".join(_pieces(fd, size, path))


def _id_of(fd: int, size: int, path: str, hash_name: str) -> str:
    """Return the blob id of exactly `size` bytes of the file, of which one piece is in memory at a
    time. Raise InternalError if there are more or fewer.
    """
    hashed = hashlib.new(hash_name, b"blob %d\0" % size, usedforsecurity=False)
    for piece in _pieces(fd, size, path):
        hashed.update(piece)
    return hashed.hexdigest()


def _pieces(fd: int, size: int, path: str) -> Iterator[bytes]:
    left = size + 1
    while left > 0:
        part = os.read(fd, min(left, 1 << 20))
        if not part:
            break
        yield part
        left -= len(part)
    if left != 1:
        raise InternalError(
            f"{path!r} had {size} bytes and yielded {size + 1 - left}; something still writes to it"
        )


def _attribute(fd: int, kind: LayerKind, name: str) -> bytes | None:
    """Return an overlay mark in the one namespace that is trusted for this kind of layer; None if
    absent.
    """
    if kind is LayerKind.WORKTREE:
        return None
    try:
        return os.getxattr(fd, _NAMESPACE[kind] + name)
    except OSError as error:
        if error.errno in (
            errno.ENODATA,
            errno.ENOTSUP,
        ):  # a file system without attributes cannot carry a mark
            return None
        raise
