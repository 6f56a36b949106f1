"""What a stage left behind, read by descriptor when every process of it is dead.

Rule: nothing here is called while something can still write there. Does not know how the
processes were ended.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from factory.git.scanner import MAX_BYTES, scan
from factory.judge.scope import compile_patterns
from factory.model.scanned import LayerKind, ScannedLayer
from factory.sandbox import merged
from factory.sandbox.ports import Collected

_FOLDER = (
    os.O_RDONLY
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_FILE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True, slots=True)
class DeadLayer:
    """`top` yields a descriptor of the private layer (the caller closes it); `lowers` are the
    folders below it.

    `most` is what may be written there: what says that it is more is all hole, and is not read.
    `given` is what lay there before: a full checkout, or nothing. Both in bytes of plain files.
    """

    kind: LayerKind
    top: Callable[[], int]
    lowers: tuple[Path, ...]
    most: int
    store_blob: Callable[[bytes], str]
    hash_name: str
    given: int = 0

    def scan(self) -> ScannedLayer:
        """The layer's whole content, every blob stored."""
        with ExitStack() as opened:
            most = self.given + min(MAX_BYTES, self.most)
            return scan(
                self._open_top(opened), self.kind, self.store_blob, self.hash_name, max_bytes=most
            )

    def collect(self, patterns: Iterable[str]) -> tuple[Collected, ...]:
        """Matching files of the merged view."""
        wanted = compile_patterns(tuple(patterns))
        with ExitStack() as opened:
            layers = [self._open_top(opened)]
            for folder in self.lowers:
                layers.append(os.open(folder, _FOLDER))
                opened.callback(os.close, layers[-1])
            return merged.collect(tuple(layers), self.kind, wanted, self.most)

    def keep(self, destination: Path) -> None:
        """Copy plain files, folders and links of the layer; nothing else is worth a look."""
        destination.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            _copy(self._open_top(opened), destination)

    def _open_top(self, opened: ExitStack) -> int:
        top = self.top()
        opened.callback(os.close, top)
        return top


def bytes_of(folder: Path) -> int:
    """The sizes of all plain files of a checkout that no pack has touched yet, its `.git` aside."""
    size = 0
    for here, folders, files in os.walk(folder):
        if here == str(folder) and ".git" in folders:
            folders.remove(".git")
        found = (os.lstat(os.path.join(here, name)) for name in files)
        size += sum(status.st_size for status in found if stat.S_ISREG(status.st_mode))
    return size


def open_folder(path: Path) -> int:
    """A descriptor of a folder that is not a link."""
    return os.open(path, _FOLDER)


def open_again(descriptor: int) -> int:
    """A second, independent descriptor of the folder behind `descriptor`."""
    return os.open(".", _FOLDER, dir_fd=descriptor)


def _copy(source: int, destination: Path) -> None:
    for name in os.listdir(source):
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        target = destination / name
        if stat.S_ISDIR(status.st_mode):
            target.mkdir()
            below = os.open(name, _FOLDER, dir_fd=source)
            try:
                _copy(below, target)
            finally:
                os.close(below)
        elif stat.S_ISLNK(status.st_mode):
            target.symlink_to(os.readlink(name, dir_fd=source))
        elif stat.S_ISREG(status.st_mode):
            descriptor = os.open(name, _FILE, dir_fd=source)
            with os.fdopen(descriptor, "rb") as reader, target.open("wb") as writer:
                shutil.copyfileobj(reader, writer)
            target.chmod(stat.S_IMODE(status.st_mode) & 0o755 | 0o600)
