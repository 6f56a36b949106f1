"""Open what a stage left behind: descriptors of folders to be read when every process of it is
dead.

Does not know how the processes were ended, nor who reads.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from factory.sandbox.values import LayerKind

_FOLDER = (
    os.O_RDONLY
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


@dataclass(frozen=True, slots=True)
class DeadLayer:
    """Describe a private layer over read-only folders, `lowers`, topmost first.

    Nothing writes there any more, and who wrote it was hostile: read it by descriptor, and follow
    no link.

    `open` returns a new descriptor of it, which the caller closes. `most` is what could be written
    there: a file that says that it is larger is all hole. `given` is what lay there before: a full
    checkout, or nothing. Both in bytes of plain files.
    """

    kind: LayerKind
    open: Callable[[], int]
    lowers: tuple[Path, ...]
    most: int
    given: int = 0


def bytes_of(folder: Path) -> int:
    """Return the sizes of all plain files of a checkout that no command has touched yet, its `.git`
    aside.
    """
    size = 0
    for here, folders, files in os.walk(folder):
        if here == str(folder) and ".git" in folders:
            folders.remove(".git")
        found = (os.lstat(os.path.join(here, name)) for name in files)
        size += sum(status.st_size for status in found if stat.S_ISREG(status.st_mode))
    return size


def open_folder(path: Path) -> int:
    """Return a descriptor of a folder that is not a link."""
    return os.open(path, _FOLDER)


def open_again(descriptor: int) -> int:
    """Return a second, independent descriptor of the folder behind `descriptor`."""
    return os.open(".", _FOLDER, dir_fd=descriptor)
