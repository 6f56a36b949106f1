"""Read what a ref is from its files, without starting Git: for who remembers a start.

Rule: where the files do not say it for certain (another storage of refs, a ref of one worktree
alone), that is an error and never a guess. Loads nothing. Does not know what a ref is for.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_FULL = re.compile(r"refs/(?!.*\.\.)[A-Za-z0-9_@.+/-]+")
_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_OF_A_WORKTREE = ("refs/bisect/", "refs/worktree/", "refs/rewritten/")
_MOST_LINKS = 5  # as Git follows
_LARGEST = 64 * 1024 * 1024  # bytes of packed-refs


def id_of_ref(root: Path, ref: str) -> str:
    """Return the id that a full ref, or a whole commit id, names in the repository whose work tree
    is `root`; "" for none. Raise ValueError, OSError where the files do not say it.
    """
    if _ID.fullmatch(ref):
        return ref
    common = _common_folder(root)
    if (common / "reftable").exists():
        raise ValueError("another storage of refs")
    for _ in range(_MOST_LINKS):
        if not _FULL.fullmatch(ref) or ref.startswith(_OF_A_WORKTREE):
            raise ValueError(f"expected a full ref that all worktrees share, found {ref!r}")
        found = _loose(common / ref) or _packed(common / "packed-refs", ref)
        if not found.startswith("ref: "):
            return found
        ref = found.removeprefix("ref: ").strip()
    raise ValueError("expected a ref, found links that do not end")


def _common_folder(root: Path) -> Path:
    place = root / ".git"
    if place.is_dir():
        return place
    text = place.read_text("utf-8", "surrogateescape")
    if not text.startswith("gitdir: "):
        raise ValueError("expected a repository, found another file")
    own = root / text.removeprefix("gitdir: ").rstrip("\n")
    common = own / "commondir"
    if not common.exists():
        return own
    return own / common.read_text("utf-8", "surrogateescape").rstrip("\n")


def _loose(place: Path) -> str:
    """Return an id, or a link to another ref; "" where there is no such file."""
    try:
        text = place.read_text("ascii").strip()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""
    if not _ID.fullmatch(text) and not text.startswith("ref: "):
        raise ValueError("expected an id or a link, found another text")
    return text


def _packed(place: Path, ref: str) -> str:
    try:
        if os.stat(place).st_size > _LARGEST:
            raise ValueError("too many refs")
        lines = place.read_bytes()
    except FileNotFoundError:
        return ""
    found = re.search(rb"^([0-9a-f]+) %s$" % re.escape(ref.encode("ascii")), lines, re.MULTILINE)
    return found[1].decode("ascii") if found is not None else ""
