"""List and read a run's folder on a disk, without following links or waiting for a pipe.

Rule: a plain file is listed with its size. Everything else except a readable folder is listed as
odd, and so is a large file made of holes, which would take hours to read and no space to make. At
most `MOST_READ` bytes of a file are kept in memory. Does not know what the files are for.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Protocol

MOST_FILES = 2_000_000  # bounds the memory of a listing
MOST_READ = 1 << 30
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)
_CHUNK = 1 << 20  # bytes read at once: bounds memory
_FOLDER = "a folder"


class EvidenceFolder(Protocol):
    """Read evidence by path: sizes of plain files, odd entries, contents and digests."""

    @property
    def name(self) -> str:
        """Return the folder's own name."""
        ...

    @property
    def sizes(self) -> Mapping[str, int]: ...

    @property
    def odd(self) -> Mapping[str, str]:
        """Return path to kind of everything that is neither a plain file nor a folder."""
        ...

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes; None if it is no plain file or has more than MOST_READ bytes."""
        ...

    def sha256(self, path: str) -> str:
        """Return a file's digest; "" if it is no plain file."""
        ...


@dataclass(frozen=True, slots=True)
class DiskFolder:
    """Read a folder of this disk, listed once."""

    root: Path
    sizes: Mapping[str, int]
    odd: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.root.name

    def read(self, path: str) -> bytes | None:
        if self.sizes.get(path, MOST_READ + 1) > MOST_READ:
            return None
        try:
            return read_plain(self.root / path, MOST_READ)
        except OSError:
            return None

    def sha256(self, path: str) -> str:
        if path not in self.sizes:
            return ""
        hashed = hashlib.sha256()
        try:
            with open_plain(self.root / path, buffering=0) as stream:
                while chunk := stream.read(_CHUNK):
                    hashed.update(chunk)
        except OSError:
            return ""
        return hashed.hexdigest()


def open_folder(root: Path) -> DiskFolder:
    """List a folder. Raise OSError if it cannot be read, or contains more than MOST_FILES files."""
    sizes: dict[str, int] = {}
    odd: dict[str, str] = {}
    _list(root, "", sizes, odd)
    waiting = [path for path, what in odd.items() if what == _FOLDER]
    while waiting:
        here = waiting.pop()
        del odd[here]
        try:
            found: dict[str, str] = {}
            entries = _list(root, f"{here}/", sizes, found)
        except OSError as error:
            odd[here] = f"a folder that cannot be read ({error.strerror or error})"
            continue
        if not entries:
            odd[here] = "an empty folder"
        odd |= found
        waiting += [path for path, what in found.items() if what == _FOLDER]
        if len(sizes) + len(odd) > MOST_FILES:
            raise OSError(f"more than {MOST_FILES} files")
    return DiskFolder(root, MappingProxyType(sizes), MappingProxyType(odd))


def _list(root: Path, above: str, sizes: dict[str, int], odd: dict[str, str]) -> int:
    """Add one folder's plain files to `sizes`, everything else to `odd`; return the number of
    entries.
    """
    count = 0
    with os.scandir(root / above) as listing:
        for entry in listing:
            count += 1
            path = f"{above}{entry.name}"
            found = entry.stat(follow_symlinks=False)
            what = _FOLDER if stat.S_ISDIR(found.st_mode) else _kind(found)
            if what:
                odd[path] = what
            else:
                sizes[path] = found.st_size
    return count


def open_plain(path: Path, buffering: int = -1) -> IO[bytes]:
    """Open a plain file for reading. Raise OSError, also for a link, a pipe or a device."""
    fd = os.open(path, _FLAGS)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(f"{str(path)!r} is not a plain file")
    return open(fd, "rb", buffering=buffering)


def read_plain(path: Path, most: int) -> bytes:
    """Return a plain file's bytes. Raise OSError, also if it has more than `most`."""
    with open_plain(path) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise OSError(f"{str(path)!r} has more than {most} bytes")
    return content


def _kind(found: os.stat_result) -> str:
    """Return the kind of an entry that is no folder; "" for a plain file."""
    if stat.S_ISREG(found.st_mode):
        blocks = getattr(found, "st_blocks", found.st_size)
        return (
            "a file made of holes"
            if found.st_size > MOST_READ and blocks * 512 < found.st_size // 64
            else ""
        )
    kinds = (
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
    )
    return next((name for test, name in kinds if test(found.st_mode)), "a device")
