"""Make folders of the sandbox's own, and remove them whatever modes, links and depth commands left.

Does not know what a folder is for.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from factory.sandbox.values import ErrorKind, SandboxError

_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError about `path` into SandboxError DISK."""
    try:
        yield
    except OSError as error:
        place, found = str(path), error.strerror or str(error)
        sentence = f"expected to write {place!r}, found: {found}"
        raise SandboxError(ErrorKind.DISK, sentence, place=place, found=found) from error


def make_empty(folder: Path) -> None:
    """Make `folder` and its parents; what is there already is removed. Raise SandboxError DISK."""
    with disk_errors(folder):
        remove_tree(folder)
        folder.mkdir(parents=True)


def remove(folder: Path) -> None:
    """Remove a folder as `remove_tree` does. Raise SandboxError DISK."""
    with disk_errors(folder):
        remove_tree(folder)


def remove_tree(folder: Path) -> None:
    """Remove a folder and all below it; nothing there is fine. A link is unlinked, never entered.

    Folders that were made unreadable (a command's chmod 000, an overlay's `work/work`) are opened
    up first. Raise OSError as the system does.
    """
    try:
        status = os.lstat(folder)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(folder)
    elif os.open in os.supports_dir_fd and os.scandir in os.supports_fd:
        _remove_folder(folder)
    else:
        shutil.rmtree(folder)


_DEPTH = 64  # descriptors open at once; a pack can nest deeper than any limit of the process


def _remove_folder(folder: Path) -> None:
    parent = os.open(folder.parent, _FOLDER_FLAGS)
    try:
        top = _open_to_empty(parent, folder.name)
        try:
            while os.listdir(top):
                _empty(top, top, 0)
        finally:
            os.close(top)
        os.rmdir(folder.name, dir_fd=parent)
    finally:
        os.close(parent)


def _empty(fd: int, top: int, depth: int) -> None:
    """Remove what is in the open folder; what lies too deep is moved up to `top`, for another
    round.
    """
    with os.scandir(fd) as listing:
        entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in listing]
    for name, is_folder in entries:
        if not is_folder:
            os.unlink(name, dir_fd=fd)
        elif depth == _DEPTH:
            os.close(
                _open_to_empty(fd, name)
            )  # a folder moves only where its own ".." may be written
            os.rename(name, f"deep-{secrets.token_hex(16)}", src_dir_fd=fd, dst_dir_fd=top)
        else:
            below = _open_to_empty(fd, name)
            try:
                _empty(below, top, depth + 1)
            finally:
                os.close(below)
            os.rmdir(name, dir_fd=fd)


def _open_to_empty(parent: int, name: str) -> int:
    """Open a folder, its owner's bits set first; O_NOFOLLOW makes a link an error."""
    flags = _FOLDER_FLAGS | _NOFOLLOW
    status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if status.st_mode & 0o700 != 0o700 and os.geteuid() != 0:
        if os.chmod in os.supports_follow_symlinks:
            os.chmod(name, 0o700, dir_fd=parent, follow_symlinks=False)
        else:
            handle = os.open(name, os.O_PATH | flags, dir_fd=parent)
            try:
                os.chmod(f"/proc/self/fd/{handle}", 0o700)
            finally:
                os.close(handle)
    return os.open(name, flags, dir_fd=parent)
