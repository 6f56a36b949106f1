"""Read folders of the user's home by content, for environments of the kind `host`.

Every file is hashed once: a cache that only this user can have written knows files by device,
inode, size and times in nanoseconds. A file that was written less than two seconds ago is always
read, since two writes may have the same times. Known credential files are left out. Follows no
link. Does not know what becomes of it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from factory.files import fs_guard
from factory.redact.credential_files import is_credential_file
from factory.sandbox.sealed import Seal
from factory.strict import canonical

YOUNG = 2_000_000_000  # nanoseconds
MOST_FILES = 500_000
_PIECE = 1 << 20


class FolderNotShown(Exception):
    """Report a folder of the user's that cannot be shown: one clause."""


@dataclass(frozen=True, slots=True)
class HostFile:
    """Describe one file below the home: its path from there, whether it is executable, SHA-256 and
    size of its bytes, or of the target of a link.
    """

    path: str
    executable: bool
    sha256: str
    size: int
    link: str | None = None


@dataclass(frozen=True, slots=True)
class HostFolders:
    """Contain the files of some folders, in order of paths, and a digest of all of it."""

    files: tuple[HostFile, ...]
    sha256: str


def read_folders(home: Path, folders: tuple[str, ...], cache: Path, seal: Seal) -> HostFolders:
    """Return what is in `folders`, written as in "~/.cargo". Raise FolderNotShown."""
    known = _Cache(cache, seal)
    found: dict[str, HostFile] = {}
    for folder in folders:
        below = folder.removeprefix("~/")
        if below == folder:
            raise FolderNotShown(f"{folder} is not below your home, so it cannot be shown")
        if is_credential_file(below):
            raise FolderNotShown(f"{folder} is where credentials are kept")
        if not (home / below).is_dir() or (home / below).is_symlink():
            raise FolderNotShown(f"{folder} is no folder of this host")
        for file in _walk(home, below, known):
            found[file.path] = file
            if len(found) > MOST_FILES:
                raise FolderNotShown(f"{folder} has more than {MOST_FILES} files")
    known.store()
    files = tuple(found[path] for path in sorted(found, key=os.fsencode))
    rows = [[one.path, one.executable, one.sha256, one.link is not None] for one in files]
    return HostFolders(files, canonical.digest(rows))


def folder_digest(top: Path, names: tuple[str, ...], cache: Path, seal: Seal) -> str:
    """Return a digest of what is in the folders `names` of `top`, by content; those that are not
    there count as empty. Raise FolderNotShown.
    """
    known, rows = _Cache(cache, seal), []
    for name in names:
        if (top / name).is_dir() and not (top / name).is_symlink():
            for one in _walk(top, name, known):
                rows.append([one.path, one.executable, one.sha256, one.link is not None])
    known.store()
    return canonical.digest(rows)


def _walk(home: Path, folder: str, known: _Cache) -> Iterator[HostFile]:
    try:
        with os.scandir(home / folder) as listing:
            entries = sorted(listing, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise FolderNotShown(f"~/{folder} cannot be read: {error.strerror}") from error
    for entry in entries:
        path = f"{folder}/{entry.name}"
        if is_credential_file(path):
            continue
        seen = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(seen.st_mode):
            yield from _walk(home, path, known)
        elif stat.S_ISLNK(seen.st_mode):
            link = os.readlink(entry.path)
            digest = hashlib.sha256(os.fsencode(link)).hexdigest()
            yield HostFile(path, False, digest, len(os.fsencode(link)), link)
        elif stat.S_ISREG(seen.st_mode):
            digest = known.digest(path, entry.path, seen)
            yield HostFile(path, bool(seen.st_mode & stat.S_IXUSR), digest, seen.st_size)


class _Cache:
    """Know digests of files by what the file system says of them, under the seal of a user."""

    def __init__(self, place: Path, seal: Seal) -> None:
        self._place, self._seal = place, seal
        self._before = self._read()
        self._now: dict[str, list[object]] = {}

    def digest(self, path: str, place: str, seen: os.stat_result) -> str:
        """Return the SHA-256 of a file's bytes. Raise FolderNotShown."""
        state = [seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns]
        row = self._before.get(path)
        young = time.time_ns() - max(seen.st_mtime_ns, seen.st_ctime_ns) < YOUNG
        if row is not None and row[:5] == state and not young:
            self._now[path] = row
            return str(row[5])
        found = _hash(place, path)
        if not young:
            self._now[path] = [*state, found]
        return found

    def store(self) -> None:
        """Write what is known now; a disk that takes nothing costs time later, no more."""
        content = json.dumps(self._now, sort_keys=True)
        if self._now == self._before:
            return
        fs_guard.make_folder(self._place.parent)
        text = f"{self._seal(self._place.name, content)}\n{content}\n"
        fs_guard.write_atomic(self._place, text.encode(), durable=False)

    def _read(self) -> dict[str, list[object]]:
        try:
            seal, _, content = self._place.read_text("utf-8").partition("\n")
        except (OSError, ValueError):
            return {}
        content = content.rstrip("\n")
        due = self._seal(self._place.name, content)
        if not hmac.compare_digest(seal.encode("utf-8", "replace"), due.encode()):
            return {}
        found: dict[str, list[object]] = json.loads(content)
        return found


def _hash(place: str, path: str) -> str:
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(place, flags)
    except OSError as error:
        raise FolderNotShown(f"~/{path} cannot be read: {error.strerror}") from error
    hashed = hashlib.sha256()
    with open(descriptor, "rb", buffering=0) as stream:
        while piece := stream.read(_PIECE):
            hashed.update(piece)
    return hashed.hexdigest()
