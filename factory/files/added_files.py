"""Add files to the user's work tree: create-only, through no link; nothing is ever replaced.

Does not know what is written.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from factory.files.fs_guard import disk_errors, inside, make_folder, write_all


class AddedFiles:
    """Add files to the work tree at `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def create(self, path: str, content: bytes) -> bool:
        """Write a new file atomically; return False if anything, also a dangling link, is at
        `path`.

        Raise Refusal PATH_UNSAFE, DISK_UNWRITABLE.
        """
        target = inside(self._root, path)
        if os.path.lexists(target):
            return False
        make_folder(target.parent)
        with disk_errors(target):
            fd, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
            try:
                try:
                    write_all(fd, content)
                    if hasattr(os, "fchmod"):
                        os.fchmod(fd, 0o644)
                finally:
                    os.close(fd)
                return _put_in_place(temporary, target)
            finally:
                if os.path.lexists(temporary):
                    os.unlink(temporary)

    def names(self, folder: str) -> tuple[str, ...]:
        """Return the names in a folder, sorted; () if there is no folder."""
        place = inside(self._root, folder) if folder else self._root
        try:
            return tuple(sorted(os.listdir(place)))
        except (FileNotFoundError, NotADirectoryError):
            return ()

    def is_folder(self, path: str) -> bool:
        """Return True if `path` is a folder and no link."""
        place = inside(self._root, path)
        return place.is_dir() and not place.is_symlink()


def _put_in_place(temporary: str, target: Path) -> bool:
    """Rename a finished file; return False if the name was taken meanwhile."""
    if os.name == "nt":
        try:
            os.rename(temporary, target)  # on Windows, rename never replaces
        except FileExistsError:
            return False
        return True
    try:
        os.link(temporary, target, follow_symlinks=False)
    except FileExistsError:
        return False
    return True
