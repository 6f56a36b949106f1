"""Read the user's work tree: task packs and configuration, never through a link.

Writes nothing. Files that tools leave behind are not part of a pack.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from factory.files.fs_guard import inside
from factory.judge.path_guard import misnamed
from factory.model.errors import Refusal
from factory.model.finding import Finding, Location
from factory.model.names import PACK_FILES
from factory.model.tree import MODE_EXECUTABLE, MODE_FILE

MAX_FILE = 16 * 1024 * 1024  # bytes; every file of a pack is read into memory
_SMALLER = "Make it smaller, or keep it outside the pack's folder and name it under inputs."
_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_CONTRACT = frozenset({"task.yml", "acceptance.yml"})
_LEFTOVERS = (
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".DS_Store",
    "Thumbs.db",
)


Stored = Callable[[Mapping[str, tuple[int, bytes]]], Mapping[str, tuple[int, bytes]]]
"""Return (mode, content) of those files that are unchanged and that Git has stored otherwise."""


def _as_on_disk(_files: Mapping[str, tuple[int, bytes]]) -> Mapping[str, tuple[int, bytes]]:
    return {}


@dataclass(frozen=True, slots=True)
class FoundFile:
    """Describe one file of a pack's folder in the work tree.

    `problem` is a clause if it cannot be part of a pack; `hint` then says what to do.
    """

    path: str
    mode: int
    content: bytes
    problem: str = ""
    hint: str = ""


def _unsafe(file: str, problem: str, advice: str) -> Refusal:
    facts = {"file": file, "problem": problem, "advice": advice}
    return Refusal(Finding("PACK_UNSAFE_FILE", facts, location=Location(file)))


def _may_be_pack(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith(".") or entry.name in _LEFTOVERS:
        return False
    return entry.is_dir() or (entry.is_symlink() and not entry.is_file())


class UserWorkTree:
    """Read the work tree at `root`."""

    def __init__(
        self,
        root: Path,
        ignored: Callable[[str], frozenset[str]] = lambda _: frozenset(),
        stored: Callable[[str], Stored] = lambda _: _as_on_disk,
    ) -> None:
        """Accept `ignored`, which returns the paths below a folder that Git ignores, and `stored`,
        which returns what Git has for unchanged files there; called once per packs folder.
        """
        self._root = root
        self._ask_ignored, self._ask_stored = ignored, stored
        self.ignored: frozenset[str] = frozenset()
        self._stored: Stored = _as_on_disk

    def pack_folders(self, packs_folder: str) -> tuple[str, ...]:
        """Return folders directly below the packs folder, except hidden ones; also links there that
        lead to no file, so that none is passed over.

        Raise Refusal PACK_UNSAFE_FILE if the packs folder or one above it is a link, it is no
        folder, or it cannot be read.
        """
        top = self._root / packs_folder
        here = self._root
        for part in Path(packs_folder).parts:
            here = here / part
            name = here.relative_to(self._root).as_posix()
            if here.is_symlink():
                raise _unsafe(name, "is a symbolic link, expected a folder", "Make it a folder.")
            if here.exists() and not here.is_dir():
                raise _unsafe(name, "is no folder", "Make it a folder, or name another.")
        if not os.path.lexists(top):
            return ()
        self.ignored = self._ask_ignored(packs_folder)
        self._stored = self._ask_stored(packs_folder)
        try:
            with os.scandir(top) as entries:
                names = [e.name for e in entries if _may_be_pack(e)]
        except OSError as error:
            problem = f"cannot be read: {error.strerror}"
            raise _unsafe(packs_folder, problem, "Make it readable.") from error
        return tuple(f"{packs_folder}/{name}" for name in sorted(names))

    def has_contract(self, folder: str) -> bool:
        """Return whether a folder that `pack_folders` gave is a pack's: it has one of the files
        that say what a pack does, or it cannot be seen whether it has.
        """
        place = self._root / folder
        if place.is_symlink():
            return True
        try:
            return not _CONTRACT.isdisjoint(os.listdir(place))
        except OSError:
            return True

    def pack_files(self, folder: str) -> tuple[FoundFile, ...]:
        """Return every file below `folder`, sorted by path; `problem` says why one is no part of a
        pack. A file that Git calls unchanged is as Git has stored it, whatever line ends or filters
        made of it on disk.
        """
        found = sorted(self._walk(folder), key=lambda found: found.path)
        stored = self._stored({f.path: (f.mode, f.content) for f in found if not f.problem})
        return tuple(
            replace(file, mode=stored[file.path][0], content=stored[file.path][1])
            if file.path in stored
            else file
            for file in found
        )

    def _walk(self, folder: str) -> Iterator[FoundFile]:
        place = self._root / folder
        if place.is_symlink():
            yield FoundFile(
                folder,
                0,
                b"",
                "is a symbolic link, expected a folder",
                "Replace the link by the folder.",
            )
            return
        try:
            with os.scandir(place) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            problem = f"cannot be read: {error.strerror}"
            yield FoundFile(folder, 0, b"", problem, "Make it readable.")
            return
        for entry in entries:
            path = f"{folder}/{entry.name}"
            if entry.name in _LEFTOVERS or path in self.ignored:
                continue
            if entry.is_dir(follow_symlinks=False) and entry.name in PACK_FILES:
                yield FoundFile(
                    path,
                    0,
                    b"",
                    "is a folder, expected a plain file",
                    "Put the file itself there.",
                )
            elif entry.is_dir(follow_symlinks=False):
                yield from self._walk(path)
            else:
                yield self._file(path)

    def _file(self, path: str) -> FoundFile:
        place = f"{self._root}/{path}"
        odd = misnamed(path)
        if odd:
            return FoundFile(path, 0, b"", odd, "Give it another name.")
        status = os.lstat(place)
        if not stat.S_ISREG(status.st_mode):
            kind = next(
                (name for is_kind, name in _KINDS if is_kind(status.st_mode)), "no plain file"
            )
            hint = (
                "Put the file itself there."
                if stat.S_ISLNK(status.st_mode)
                else "Remove it from the pack."
            )
            return FoundFile(
                path, 0, b"", f"is {kind}; a pack has plain files and folders only", hint
            )
        if status.st_size > MAX_FILE:
            return FoundFile(
                path, 0, b"", f"has {status.st_size} bytes, the limit is {MAX_FILE}", _SMALLER
            )
        try:
            with open(place, "rb", buffering=0) as stream:
                content = stream.read()
        except OSError as error:
            return FoundFile(path, 0, b"", f"cannot be read: {error.strerror}", "Make it readable.")
        return FoundFile(
            path, MODE_EXECUTABLE if status.st_mode & stat.S_IXUSR else MODE_FILE, content
        )

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a plain file of the work tree; None if there is none."""
        place = inside(self._root, path)
        try:
            return place.read_bytes() if stat.S_ISREG(place.lstat().st_mode) else None
        except OSError:
            return None
