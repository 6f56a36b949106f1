"""The user's work tree where files may be added: create-only, through no link, and nothing is ever
replaced.

Implements `files.ports.Ground`. Does not know what is written.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from factory.files.fs_guard import disk_errors, inside, make_folder, write_all


class WorkTreeGround:
    """The work tree at `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def create(self, path: str, content: bytes) -> bool:
        """Write a new file whole; False where anything, also a dangling link, stands there."""
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
        """Names in a folder, sorted; none where there is no folder."""
        place = inside(self._root, folder) if folder else self._root
        try:
            return tuple(sorted(os.listdir(place)))
        except (FileNotFoundError, NotADirectoryError):
            return ()

    def is_folder(self, path: str) -> bool:
        """Whether a real folder, no link, stands at `path`."""
        place = inside(self._root, path)
        return place.is_dir() and not place.is_symlink()


def _put_in_place(temporary: str, target: Path) -> bool:
    """Give a finished file its name, unless the name was taken meanwhile."""
    if os.name == "nt":
        try:
            os.rename(temporary, target)  # never replaces there
        except FileExistsError:
            return False
        return True
    try:
        os.link(temporary, target, follow_symlinks=False)
    except FileExistsError:
        return False
    return True
