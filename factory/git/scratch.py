"""Make short-lived repositories that borrow the objects of another one and contain what is put
there.

Nothing is written to the other repository, and none of its configuration or hooks is used. Does not
know their purpose.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from factory.files import fs_guard
from factory.git.git import Git, find_git
from factory.git.ports import Repository


def borrow(found: Repository, commit: str, place: Path) -> None:
    """Make the existing, empty folder `place` a repository at `commit` of another, with an empty
    work tree.

    The index contains the commit's tree, so that tracked files are known. Raise Refusal
    DISK_UNWRITABLE, GitError.
    """
    git = Git(find_git(found.root), place)
    git.run("init", "-q", f"--object-format={found.hash_name}", "--template=", ".")
    objects = os.fsencode(found.common_dir / "objects")
    quoted = objects.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    fs_guard.write_atomic(
        place / ".git" / "objects" / "info" / "alternates", b'"' + quoted + b'"\n'
    )
    git.run("update-ref", "--no-deref", "HEAD", commit)
    git.run("read-tree", commit)


def put(place: Path, files: Iterable[tuple[str, bytes, bool]]) -> None:
    """Write (path, content, executable) below `place`, in this order.

    Raise Refusal PATH_UNSAFE, DISK_UNWRITABLE.
    """
    for path, content, executable in files:
        target = fs_guard.inside(place, path)
        fs_guard.make_folder(target.parent)
        fs_guard.write_atomic(target, content, durable=False, mode=0o755 if executable else 0o644)


def weight(found: Repository, commit: str) -> int:
    """Return the size in bytes of all files of a commit together. Raise GitError."""
    git = Git(find_git(found.root), found.root)
    rows = git.run("ls-tree", "-r", "-l", "-z", commit).out.split(b"\0")[:-1]
    sizes = (row.split(b"\t", 1)[0].split()[-1] for row in rows)
    return sum(int(size) for size in sizes if size.isdigit())
