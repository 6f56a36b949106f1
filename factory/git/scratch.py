"""Repositories that live for one errand: they borrow the objects of another, and hold only what is
put there.

Nothing of the other repository is written, and no configuration or hook of it is taken over. Does
not know what for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from factory.files import fs_guard
from factory.git.git import Git, find_git
from factory.git.ports import Repository


def borrow(found: Repository, commit: str, place: Path) -> None:
    """Make the existing, empty folder `place` a repository at `commit` of another; its work tree
    stays empty.

    The index holds the commit's tree, so that what is tracked is known. Raises Refusal
    DISK_UNWRITABLE, GitError.
    """
    git = Git(find_git(), place)
    git.run("init", "-q", f"--object-format={found.hash_name}", "--template=", ".")
    objects = os.fsencode(found.common_dir / "objects")
    quoted = objects.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    fs_guard.write_atomic(
        place / ".git" / "objects" / "info" / "alternates", b'"' + quoted + b'"\n'
    )
    git.run("update-ref", "--no-deref", "HEAD", commit)
    git.run("read-tree", commit)


def put(place: Path, files: Iterable[tuple[str, bytes, bool]]) -> None:
    """Write (path, content, executable) below `place`, in this order. Raises Refusal PATH_UNSAFE,
    DISK_UNWRITABLE.
    """
    for path, content, executable in files:
        target = fs_guard.inside(place, path)
        fs_guard.make_folder(target.parent)
        fs_guard.write_atomic(target, content, durable=False, mode=0o755 if executable else 0o644)


def weight(found: Repository, commit: str) -> int:
    """Bytes of every file of a commit together. Raises GitError."""
    rows = (
        Git(find_git(), found.root).run("ls-tree", "-r", "-l", "-z", commit).out.split(b"\0")[:-1]
    )
    sizes = (row.split(b"\t", 1)[0].split()[-1] for row in rows)
    return sum(int(size) for size in sizes if size.isdigit())
