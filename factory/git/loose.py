"""Write and read loose Git objects: written whole or not at all, compared with their id when read.

Rule: an object's name is the hash of its bytes, so writing one twice is the same as once, and
reading one proves it. Does not know which objects belong together. Source: gitrepository-layout.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from factory.files.fs_guard import disk_errors, sync_folder, write_all
from factory.model.errors import Refusal
from factory.model.finding import Finding
from factory.model.tree import object_id

_FAN = re.compile(r"[0-9a-f]{2}")
_REST = re.compile(r"[0-9a-f]{38}(?:[0-9a-f]{24})?")
_LEVEL = 1  # throw-away objects: speed before size


def write(
    folder: Path, kind: str, content: bytes, hash_name: str, durable: bool
) -> tuple[str, Path | None]:
    """Store an object in an objects folder; return (id, path), with path None if it existed
    already.

    `durable` syncs file and folder. Raise Refusal DISK_UNWRITABLE.
    """
    oid = object_id(kind, content, hash_name)
    path = folder / oid[:2] / oid[2:]
    if path.exists():
        return oid, None
    with disk_errors(path):
        fresh = not path.parent.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        _place(
            path,
            zlib.compress(b"%s %d\0" % (kind.encode("ascii"), len(content)) + content, _LEVEL),
            durable,
        )
        if durable:
            sync_folder(path.parent)
            if fresh:
                sync_folder(folder)
    return oid, path


def stands(folder: Path, oid: str) -> bool:
    """Return True if an object of that id exists already."""
    return (folder / oid[:2] / oid[2:]).exists()


def _place(path: Path, content: bytes, durable: bool) -> None:
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix="tmp_obj_")
    try:
        try:
            write_all(fd, content)
            if hasattr(os, "fchmod"):
                os.fchmod(fd, 0o444)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def sync(paths: Iterable[Path]) -> None:
    """Make existing files and their names durable. Raise Refusal DISK_UNWRITABLE."""
    folders: set[Path] = set()
    for path in paths:
        with disk_errors(path):
            fd = os.open(path, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        folders |= {path.parent, path.parent.parent}
    for folder in folders:
        with disk_errors(folder):
            sync_folder(folder)


def read_all(folder: Path, hash_name: str) -> Iterator[tuple[str, bytes]]:
    """Yield (kind, content) of every loose object, in the order of ids.

    Raise Refusal REPO_UNREADABLE if one is damaged or is not what its name says.
    """
    for fan in sorted(entry for entry in os.listdir(folder) if _FAN.fullmatch(entry)):
        for rest in sorted(entry for entry in os.listdir(folder / fan) if _REST.fullmatch(entry)):
            kind, content = _parsed(folder / fan / rest)
            if object_id(kind, content, hash_name) != fan + rest:
                raise _damaged(folder / fan / rest, "other content than its name says")
            yield kind, content


def _parsed(path: Path) -> tuple[str, bytes]:
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with open(fd, "rb") as stream:
        packed = stream.read()
    try:
        header, _, content = zlib.decompress(packed).partition(b"\0")
    except zlib.error as error:
        raise _damaged(path, str(error)) from error
    kind, _, size = header.decode("ascii", "replace").partition(" ")
    if kind not in ("blob", "tree", "commit") or size != str(len(content)):
        raise _damaged(path, f"the header {header[:40]!r}")
    return kind, content


def _damaged(path: Path, found: str) -> Refusal:
    facts = {"case": "loose", "place": str(path), "found": found}
    return Refusal(Finding("REPO_UNREADABLE", facts))
