"""Merge trees three-way, path by path; Git merges the lines of files that both sides changed.

Rule: a path has one name, and no rename is guessed. Written apart from the merge of a run, which it
checks.
"""

from __future__ import annotations

from collections.abc import Mapping

from factory.verify.repository import RepositoryObjects
from factory.verify.trees import EXECUTABLE, FILE, FOLDER, Clash, Path, TreeEntry, Trees, joined

_PLAIN = (FILE, EXECUTABLE)


def merged(
    trees: Trees,
    base: str,
    ours: str,
    theirs: str,
    repository: RepositoryObjects,
    contents: Mapping[str, bytes],
) -> str:
    """Return the id of the merged tree; `contents` are blobs that the repository may lack.

    Raise Clash for a conflict, Unknown for a tree that is not available, ObjectError if Git fails.
    """
    mine, others = _changed(trees, base, ours), _changed(trees, base, theirs)
    edits = {path: entry for path, entry in others.items() if path not in mine}
    both = [path for path in others if path in mine and others[path] != mine[path]]
    sides = [_plain(path, trees.at(base, path), mine[path], others[path]) for path in both]
    if both:
        edits |= zip(both, repository.merged(sides, contents), strict=True)
    return trees.edited(ours, edits)


def _changed(trees: Trees, before: str, after: str) -> dict[Path, TreeEntry | None]:
    """Return what a side set or removed, by path."""
    found: dict[Path, TreeEntry | None] = {}
    waiting: list[tuple[Path, str, str]] = [((), before, after)]
    while waiting:
        above, old, new = waiting.pop()
        olds, news = trees.entries(old), trees.entries(new)
        for name in olds.keys() | news.keys():
            one, other = olds.get(name), news.get(name)
            if one == other:
                continue
            path = (*above, name)
            (leaf, below), (fresh, deeper) = _split(trees, one), _split(trees, other)
            if leaf != fresh:
                found[path] = fresh
            if below != deeper:
                waiting.append((path, below, deeper))
    return found


def _split(trees: Trees, entry: TreeEntry | None) -> tuple[TreeEntry | None, str]:
    """Return an entry as (leaf, tree): one of the two is nothing."""
    if entry is not None and entry.mode == FOLDER:
        return None, entry.oid
    return entry, trees.empty


def _plain(path: Path, *sides: TreeEntry | None) -> tuple[TreeEntry, ...]:
    """Return the sides if all are plain files. Raise Clash."""
    plain = tuple(entry for entry in sides if entry is not None and entry.mode in _PLAIN)
    if len(plain) != len(sides):
        raise Clash(f"both sides changed {joined(path)!r}, and there are no lines to merge")
    return plain
