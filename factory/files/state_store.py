"""Store the state folder: reads without following links, writes atomically, never leaves its root.

Implements `files.ports.Store`. Content with a credential is refused: the writer must have cut it
out before, since the digests of evidence are taken of what is written. Folders are replaced whole:
a new one is made next to the old and renamed, so that a crash leaves one or the other. Decides
nothing.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from factory.files import fs_guard
from factory.files.fs_guard import Writer, disk_errors
from factory.judge.secrecy import refuse_secrets
from factory.redact.redaction import Redactor

_STEM, _OLD = 40, ".old"
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)


class StateStore:
    """Store below `root`, which exists or is made on the first write; refuses what `redactor`
    finds.
    """

    def __init__(self, root: Path, redactor: Redactor | None = None) -> None:
        self.root = root
        self._redactor = redactor or Redactor()
        self._writer = Writer(root)

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a plain file; None for anything else."""
        try:
            fd = os.open(self._at(path), _FLAGS)
        except OSError:
            return None  # absent, a link, or unreadable: all count as no file
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            return None
        with open(fd, "rb") as stream:
            return stream.read()

    def write(self, path: str, content: bytes, durable: bool = True) -> None:
        """Write a file atomically, and durably unless it is a cache.

        Raise Refusal DISK_UNWRITABLE, PATH_UNSAFE, SECRET_WITHHELD.
        """
        refuse_secrets(self._redactor, path, content)
        self._writer.write(path, content, durable)

    def write_together(self, files: Mapping[str, bytes]) -> None:
        """Write several files in this order, each atomically, with one sync for all. Raise as
        `write`, before the first takes its place.
        """
        for path, content in files.items():
            refuse_secrets(self._redactor, path, content)
        self._writer.write_together(files)

    def names(self, folder: str) -> tuple[str, ...]:
        """Return names directly in `folder`, sorted."""
        try:
            return tuple(sorted(os.listdir(self._at(folder))))
        except (FileNotFoundError, NotADirectoryError):
            return ()

    def files(self, folder: str) -> tuple[str, ...]:
        """Return everything below `folder` that is not a folder, relative to it, sorted."""
        top = self._at(folder)
        if top.is_symlink() or not top.is_dir():
            return ()
        return tuple(sorted(_walk(top, "")))

    def sha256(self, path: str) -> str:
        """Return the digest of a plain file; "" for anything else."""
        return _digest(str(self._at(path)))

    def digests(self, folder: str) -> dict[str, str]:
        """Return `sha256` of each of `files`, by its path below `folder`; links on the way are
        checked once.
        """
        top = self._at(folder)
        if top.is_symlink() or not top.is_dir():
            return {}
        return {path: _digest(f"{top}/{path}") for path in sorted(_walk(top, ""))}

    def size(self, path: str) -> int:
        """Return the size in bytes; 0 if there is nothing."""
        try:
            return self._at(path).lstat().st_size
        except OSError:
            return 0

    def remove(self, path: str) -> None:
        """Remove a file or folder, if it exists."""
        if self._at(path).is_symlink() or self._at(path).exists():
            self._writer.remove(path)

    def move(self, source: str, destination: str) -> None:
        """Rename durably. Raise Refusal DISK_UNWRITABLE, PATH_UNSAFE."""
        old, new = self._at(source), self._at(destination)
        self.remove(destination)
        fs_guard.make_folder(new.parent)
        with disk_errors(new):
            os.rename(old, new)
            fs_guard.sync_folder(new.parent)
            fs_guard.sync_folder(old.parent)

    def replace_folder(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Put exactly `files` at `folder`. Raise as `write`, before anything is replaced."""
        self.replace_folders([(folder, files.items())])

    def replace_folders(self, folders: Iterable[tuple[str, Iterable[tuple[str, bytes]]]]) -> None:
        """Put whole folders in their places, each with exactly its files. All of them are on the
        disk, with one sync, before the first takes its place. Raise as `write`, before anything is
        replaced.
        """
        with contextlib.ExitStack() as stack:
            made = [
                (target, stack.enter_context(self._staged(target, folder, files)))
                for folder, files in folders
                for target in (fs_guard.inside(self.root, folder),)
            ]
            if not made:
                return
            with disk_errors(self.root):
                fs_guard.sync_trees([place for _, place in made])
            old = [_swap(place, target) for target, place in made]
            for parent in dict.fromkeys(target.parent for target, _ in made):
                with disk_errors(parent):
                    fs_guard.sync_folder(parent)
            for left in filter(os.path.lexists, old):
                fs_guard.remove_tree(left)

    def copy_folder(self, source: str, destination: str) -> None:
        """Copy every plain file of `source` to `destination`, which is replaced."""
        self.copy_folders({source: destination})

    def copy_folders(self, places: Mapping[str, str]) -> None:
        """Copy every plain file of each folder to the place that it is mapped to, which is
        replaced.
        """
        self.replace_folders(
            (destination, self._contents(source)) for source, destination in places.items()
        )

    def _contents(self, folder: str) -> Iterator[tuple[str, bytes]]:
        for path in self.files(folder):
            content = self.read(f"{folder}/{path}")
            if content is not None:
                yield path, content

    def below(self, folder: str) -> StateStore:
        """Return the store of one folder."""
        return StateStore(fs_guard.inside(self.root, folder), self._redactor)

    def clear_unfinished(self, folder: str, below: bool = False) -> None:
        """Remove unfinished files of a dead process in `folder`, with `below` also further down.

        An old folder whose replacement is missing is put back. No process may be writing there.
        """
        top = self._at(folder)
        if top.is_symlink() or not top.is_dir():
            return
        for name in sorted(os.listdir(top), reverse=True):  # "….old" comes before its replacement
            place = top / name
            if fs_guard.is_unfinished(name):
                self._clear(place)
            elif below and place.is_dir() and not place.is_symlink():
                self.clear_unfinished(f"{folder}/{name}", below)

    def _clear(self, place: Path) -> None:
        target = place.with_name(place.name.removesuffix(_OLD)[1:-9])
        if place.name.endswith(_OLD) and len(target.name) < _STEM and not os.path.lexists(target):
            with disk_errors(target):
                os.rename(place, target)
        else:
            fs_guard.remove_tree(place)

    @contextlib.contextmanager
    def _staged(
        self, target: Path, folder: str, files: Iterable[tuple[str, bytes]]
    ) -> Iterator[Path]:
        """Yield a folder next to `target` with exactly these files, removed at the end unless it
        was moved.

        Nobody reads it before, so its files are written in place and not synced.
        """
        fs_guard.make_folder(target.parent)
        with disk_errors(target):
            place = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name[:_STEM]}."))
            place.chmod(0o755)
        try:
            writer = Writer(place)
            for path, content in files:
                refuse_secrets(self._redactor, f"{folder}/{path}", content)
                writer.create(path, content)
            yield place
        finally:
            if place.exists():
                fs_guard.remove_tree(place)

    def _at(self, path: str) -> Path:
        return fs_guard.inside(self.root, path)


def _swap(place: Path, target: Path) -> Path:
    """Move a folder to `target`; return the new path of what was there.

    Raise Refusal DISK_UNWRITABLE; then the old one is unchanged.
    """
    old = place.with_name(place.name + _OLD)
    with disk_errors(target):
        if target.is_symlink() or target.exists():
            os.rename(target, old)
        try:
            os.rename(place, target)
        except OSError:
            if old.is_symlink() or old.exists():
                os.rename(old, target)
            raise
    return old


def _digest(path: str) -> str:
    try:
        return fs_guard.sha256_file(path)
    except OSError:
        return ""


def _walk(top: Path, prefix: str) -> Iterator[str]:
    with os.scandir(top) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), f"{prefix}{entry.name}/")
            else:
                yield prefix + entry.name
