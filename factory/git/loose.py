"""Write loose Git objects, each whole or not at all.

Rule: an object's name is the hash of its bytes, so writing one twice is the same as once. Does not
know which objects belong together. Source: gitrepository-layout.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Collection
from pathlib import Path

from factory.files import fs_guard
from factory.files.fs_guard import disk_errors, replacing, sync_folder, write_all
from factory.model.tree import object_id

# Throw-away objects: speed before size. What does not shrink is stored as it is, in a tenth of the
# time (12 MB: 15 ms instead of 200); samples of its beginning, middle and end show whether it does.
_LEVEL = 1
_SAMPLED, _SAMPLE = 1 << 16, 1 << 14
_SHRINKS = 0.95


def write(
    folder: Path, kind: str, content: bytes, hash_name: str, durable: bool, oid: str = ""
) -> tuple[str, Path | None]:
    """Store an object in an objects folder; return (id, path), with path None if it existed
    already.

    `durable` syncs file and folder; `oid` is the object's id if the caller has computed it. Raise
    Refusal DISK_UNWRITABLE.
    """
    oid = oid or object_id(kind, content, hash_name)
    path = folder / oid[:2] / oid[2:]
    if path.exists():
        return oid, None
    with disk_errors(path):
        fresh = not path.parent.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        _place(path, packed(kind, content), durable)
        if durable:
            sync_folder(path.parent)
            if fresh:
                sync_folder(folder)
    return oid, path


def packed(kind: str, content: bytes) -> list[bytes]:
    """Return the parts of the zlib stream that a loose object is."""
    header = b"%s %d\0" % (kind.encode("ascii"), len(content))
    engine = zlib.compressobj(0 if is_dense(content) else _LEVEL)
    return [engine.compress(header), engine.compress(content), engine.flush()]


def is_dense(content: bytes) -> bool:
    """Return whether compressing would be in vain: a function of the bytes alone, so that two hosts
    decide alike. Small contents never are.
    """
    if len(content) < _SAMPLED:
        return False
    places = (0, (len(content) - _SAMPLE) // 2, len(content) - _SAMPLE)
    sample = b"".join(content[at : at + _SAMPLE] for at in places)
    return len(zlib.compress(sample, _LEVEL)) > _SHRINKS * len(sample)


def exists(folder: Path, oid: str) -> bool:
    """Return True if an object of that id exists already."""
    return (folder / oid[:2] / oid[2:]).exists()


def _place(path: Path, parts: list[bytes], durable: bool) -> None:
    with replacing(path, "tmp_obj_", 0o444, durable) as fd:  # git gc removes old ones of this name
        for part in parts:
            write_all(fd, part)


def sync(folder: Path, paths: Collection[Path]) -> None:
    """Make objects in `folder` that exist, and their names, durable. Raise Refusal
    DISK_UNWRITABLE.
    """
    if not paths:
        return
    with disk_errors(folder):
        fd = os.open(folder, os.O_RDONLY)
        try:
            if fs_guard.sync_file_system(fd):
                return
        finally:
            os.close(fd)
    parents: set[Path] = set()
    for path in paths:
        with disk_errors(path):
            fd = os.open(path, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        parents |= {path.parent, path.parent.parent}
    for parent in parents:
        with disk_errors(parent):
            sync_folder(parent)
