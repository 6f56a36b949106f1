"""Read a stage's merged view without mounting it: the private layer over its lower folders.

Rule: the topmost layer was written by somebody hostile. Folders are read by descriptor, no link is
followed, and a file is read only if it is a plain one. Every process that could write there must be
dead. Does not know why a file is wanted.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from factory.judge.effort import MOST_BYTES
from factory.judge.scope import Patterns
from factory.sandbox.layer import DeadLayer
from factory.sandbox.values import LayerKind

_FOLDER = (
    os.O_RDONLY
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_FILE = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_OPAQUE = {LayerKind.TRUSTED: "trusted.overlay.opaque", LayerKind.USER: "user.overlay.opaque"}


@dataclass(frozen=True, slots=True)
class Collected:
    """Describe a file collected from a stage; `problem` is why it could not be, one clause."""

    path: str
    content: bytes
    executable: bool = False
    problem: str = ""


def collect(layer: DeadLayer, wanted: Patterns) -> tuple[Collected, ...]:
    """Return every matching file of the merged view in order of paths, together at most
    `layer.most` bytes, and at most what a bundle may carry.

    What is no plain file, or does not fit any more, comes with its problem instead of content:
    files that are all hole must not fill the memory. The top-level `.git` is never seen.
    """
    with ExitStack() as opened:
        layers = [layer.open()]
        opened.callback(os.close, layers[0])
        for folder in layer.lowers:
            layers.append(os.open(folder, _FOLDER))
            opened.callback(os.close, layers[-1])
        room = _Room(min(layer.most, MOST_BYTES))
        found = tuple(_walk(tuple(layers), layer.kind, wanted, "", room))
    return tuple(sorted(found, key=lambda each: os.fsencode(each.path)))


@dataclass(slots=True)
class _Room:
    """Count the bytes that may still be read."""

    left: int

    def take(self, size: int) -> bool:
        """Subtract `size` bytes and return True, or return False if they do not fit."""
        fits = size <= self.left
        self.left -= size if fits else 0
        return fits


def _walk(
    layers: tuple[int, ...], kind: LayerKind, wanted: Patterns, prefix: str, room: _Room
) -> Iterator[Collected]:
    files, folders = _merge(layers, kind, top=not prefix)
    for name, layer in sorted(
        files.items()
    ):  # in one order everywhere, since what does not fit depends on it
        if wanted.matches(prefix + name):
            yield _read(layer, name, prefix + name, room)
    for name, holders in sorted(folders.items()):
        if wanted.may_match_below(prefix + name):
            with ExitStack() as opened:
                below = []
                for holder in holders:
                    below.append(os.open(name, _FOLDER, dir_fd=holder))
                    opened.callback(os.close, below[-1])
                yield from _walk(tuple(below), kind, wanted, f"{prefix}{name}/", room)


def _merge(
    layers: tuple[int, ...], kind: LayerKind, top: bool
) -> tuple[dict[str, int], dict[str, list[int]]]:
    """Return one folder as the overlay shows it: files with their layer, folders with all their
    layers.
    """
    files: dict[str, int] = {}
    folders: dict[str, list[int]] = {}
    covered = {".git"} if top else set()
    for layer in layers:
        for name in os.listdir(layer):
            if name in covered:
                continue
            status = os.stat(name, dir_fd=layer, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                folders.setdefault(name, []).append(layer)
                continue
            covered.add(name)
            if not _is_whiteout(status) and name not in folders:
                files[name] = layer
        if _is_opaque(layer, kind):
            break
    return files, folders


def _is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _is_opaque(folder: int, kind: LayerKind) -> bool:
    if kind not in _OPAQUE or not hasattr(os, "getxattr"):
        return False
    try:
        return os.getxattr(folder, _OPAQUE[kind]) == b"y"
    except OSError:
        return False  # no such mark


def _read(folder: int, name: str, path: str, room: _Room) -> Collected:
    try:
        descriptor = os.open(name, _FILE, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return Collected(
                path, b"", problem="is a symbolic link; only plain files are collected"
            )
        return Collected(
            path, b"", problem=f"is not a plain file that can be read ({error.strerror})"
        )
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            return Collected(path, b"", problem="is not a plain file")
        if not room.take(status.st_size):
            problem = f"has {status.st_size} bytes, more than the {room.left} that are left for all"
            return Collected(path, b"", problem=problem)
        return Collected(
            path, file.read(status.st_size), executable=bool(status.st_mode & stat.S_IXUSR)
        )
