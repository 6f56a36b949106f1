"""Check a change against itself, without a repository: FILES_CHANGED, trees and patch must agree.

The result's tree is edited back by what FILES_CHANGED says was there before: if that gives the id
of the base tree, the list is exactly the difference. The patch is undone on the contents after: if
that gives the ids before, it is exactly that change. Counts and digests follow from there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from factory.verify import paths
from factory.verify.documents import FileRow, FilesChanged
from factory.verify.names import spell, unspell
from factory.verify.objects import ObjectError, object_id
from factory.verify.patch import Change, PatchError, Undone, content_of, undo
from factory.verify.results import Results
from factory.verify.trees import (
    FOLDER,
    LINK,
    SUBMODULE,
    Clash,
    Path,
    TreeEntry,
    Trees,
    Unknown,
    joined,
    parts,
)

_BINARY_WITHIN = 8000  # Git's own bound (buffer_is_binary in xdiff-interface.c)


@dataclass(frozen=True, slots=True)
class DerivedChange:
    """Describe a derived change: entries before and after by path, and known contents by object
    id.
    """

    edits: Mapping[Path, tuple[TreeEntry | None, TreeEntry | None]]
    contents: Mapping[str, bytes]

    @property
    def after(self) -> dict[Path, TreeEntry | None]:
        return {path: sides[1] for path, sides in self.edits.items()}

    @property
    def before(self) -> dict[Path, TreeEntry | None]:
        return {path: sides[0] for path, sides in self.edits.items()}


class _Check:
    """Check one change; findings name `place` (the folder of the evidence, with a slash)."""

    def __init__(
        self, results: Results, place: str, pack: str, trees: Trees, blobs: Mapping[str, bytes]
    ) -> None:
        self.results = results
        self.place = place
        self.pack = pack
        self.trees = trees
        self.blobs = dict(blobs)

    def wrong(self, kind: str, file: str, what: str) -> None:
        self.results.wrong(kind, self.place + file, what, self.pack)


def check_change(
    results: Results,
    place: str,
    pack: str,
    trees: Trees,
    blobs: Mapping[str, bytes],
    changed: FilesChanged,
    patch: bytes,
) -> DerivedChange | None:
    """Derive one change again; return None if that is impossible. `trees` then contains the new
    trees.
    """
    check = _Check(results, place, pack, trees, blobs)
    edits = _edits(check, changed)
    if edits is None or not _judge_trees(check, changed, edits):
        return None
    sides = [Change(joined(path), before, after) for path, (before, after) in edits.items()]
    undone = _undone(check, sides, patch)
    if undone is None:
        return None
    for row, side in zip(changed.files, sides, strict=True):
        _judge_row(check, row, side, undone[side.path])
    return DerivedChange(MappingProxyType(edits), MappingProxyType(check.blobs))


def _edits(
    check: _Check, changed: FilesChanged
) -> dict[Path, tuple[TreeEntry | None, TreeEntry | None]] | None:
    """Return the rows as edits, in their order; None, with findings, if they cannot be a change."""
    edits: dict[Path, tuple[TreeEntry | None, TreeEntry | None]] = {}
    before = len(check.results.findings)
    last = b""
    for row in changed.files:
        path = unspell(row.path)
        sides = (_entry(row.mode_before, row.oid_before), _entry(row.mode_after, row.oid_after))
        problem = _problem(row, path, sides, last)
        if path is None or problem:
            check.wrong("VERIFY_CHANGE", paths.FILES_CHANGED, f"{row.path}: {problem}")
            continue
        last = os.fsencode(path)
        edits[parts(path)] = sides
    return edits if len(check.results.findings) == before else None


def _entry(mode: str, oid: str) -> TreeEntry | None:
    return TreeEntry(int(mode, 8), oid) if mode and oid else None


def _problem(
    row: FileRow, path: str | None, sides: tuple[TreeEntry | None, TreeEntry | None], last: bytes
) -> str:
    if path is None or not path or {"", ".", ".."} & set(path.split("/")):
        return "expected a path below the root, found none"
    if (bool(row.mode_before), bool(row.mode_after)) != (bool(row.oid_before), bool(row.oid_after)):
        return "expected mode and id together, found one of them"
    if os.fsencode(path) <= last:
        return "expected paths in order, each once, found another order"
    if sides[0] == sides[1]:
        return "expected a change, found the same entry before and after"
    expected = _kind(*sides)
    return "" if row.kind == expected else f"expected the kind {expected}, found {row.kind}"


def _kind(before: TreeEntry | None, after: TreeEntry | None) -> str:
    if before is None:
        return "added"
    if after is None:
        return "removed"
    if (before.mode == LINK) != (after.mode == LINK):
        return "type"
    return "mode" if before.oid == after.oid else "modified"


def _judge_trees(
    check: _Check,
    changed: FilesChanged,
    edits: Mapping[Path, tuple[TreeEntry | None, TreeEntry | None]],
) -> bool:
    """Return True if the result, edited back, is the base."""
    trees = check.trees
    try:
        if not edits and changed.result_tree != changed.base_tree:
            check.wrong(
                "VERIFY_CHANGE", paths.FILES_CHANGED, "expected the files that differ, found none"
            )
            return False
        for path, (_, after) in edits.items():
            found = trees.at(changed.result_tree, path)
            if after is None and found is not None and found.mode == FOLDER:
                # a file that became a folder; that it was empty before is shown by taking it
                # back
                continue
            if found != after:
                what = (
                    f"{spell(joined(path))}: expected {_shown(found)} as in the result's tree,"
                    f" found {_shown(after)}"
                )
                check.wrong("VERIFY_CHANGE", paths.FILES_CHANGED, what)
                return False
        back = trees.edited(
            changed.result_tree, {path: before for path, (before, _) in edits.items()}
        )
    except Unknown as unknown:
        check.wrong(
            "VERIFY_OBJECTS",
            paths.OBJECTS,
            f"expected the tree {unknown}, found that it is missing",
        )
    except (Clash, ObjectError) as error:
        check.wrong(
            "VERIFY_CHANGE", paths.FILES_CHANGED, f"does not fit the result's tree: {error}"
        )
    else:
        if back == changed.base_tree:
            return True
        what = (
            f"taking it back from the result: expected the base tree {changed.base_tree}, found"
            f" {back}"
        )
        check.wrong("VERIFY_CHANGE", paths.FILES_CHANGED, what)
    return False


def _shown(entry: TreeEntry | None) -> str:
    return f"{entry.mode:06o} {entry.oid[:12]}" if entry is not None else "no file"


def _undone(check: _Check, sides: list[Change], patch: bytes) -> dict[str, Undone] | None:
    after: dict[str, bytes] = {}
    for side in sides:
        if side.after is not None:
            content = content_of(side.after, check.blobs.get(side.after.oid))
            if content is not None:
                after[side.path] = content
    try:
        return undo(patch, sides, after)
    except PatchError as error:
        hidden = error.hidden and error.hidden not in {side.path for side in sides}
        if hidden:
            what = f"expected only paths that FILES_CHANGED.json names, found {spell(error.hidden)}"
            check.wrong("VERIFY_HIDDEN_CHANGE", paths.PATCH, what)
        else:
            check.wrong("VERIFY_CHANGE", paths.PATCH, spell(str(error)))
        return None


def _judge_row(check: _Check, row: FileRow, side: Change, undone: Undone) -> None:
    """Check contents, digests and line counts of one path."""
    before, after = side.before, side.after
    if undone.before is not None and before is not None:
        _take(check, side, before, undone.before)
    for name, entry, digest in (
        ("before", before, row.sha256_before),
        ("after", after, row.sha256_after),
    ):
        blob = check.blobs.get(entry.oid) if entry is not None else None
        if entry is None or entry.mode == SUBMODULE:
            due = ""
        elif blob is None:
            check.results.gap(
                f"content of {row.path} in {check.place}",
                "only its mode changed, so it is not carried",
            )
            continue
        else:
            due = hashlib.sha256(blob).hexdigest()
        if digest != due:
            what = f"{row.path}: expected sha256_{name} {due or 'empty'}, found {digest or 'empty'}"
            check.wrong("VERIFY_CHANGE", paths.FILES_CHANGED, what)
    _judge_counts(check, row, side, undone)


def _take(check: _Check, side: Change, before: TreeEntry, content: bytes) -> None:
    """Store the content that the undone patch yields, if it has the id before."""
    if before.mode == SUBMODULE:
        fits = content == content_of(before, None)
    else:
        fits = object_id("blob", content, check.trees.hash_name) == before.oid
        if fits:
            check.blobs[before.oid] = content
    if not fits:
        what = f"{spell(side.path)}: undone, expected the content {before.oid}, found another"
        check.wrong("VERIFY_CHANGE", paths.PATCH, what)


def _judge_counts(check: _Check, row: FileRow, side: Change, undone: Undone) -> None:
    found = (row.lines_added, row.lines_removed)
    due: tuple[int | None, int | None] = (undone.added, undone.removed)
    sides = [entry for entry in (side.before, side.after) if entry is not None]
    contents = [content_of(entry, check.blobs.get(entry.oid)) for entry in sides]
    binary = any(b"\0" in content[:_BINARY_WITHIN] for content in contents if content is not None)
    if row.kind == "mode":
        wrong = found not in ((0, 0), (None, None)) or (
            None not in contents and (found == (None, None)) != binary
        )
    elif row.kind == "type" and None not in (*found, *due):
        # A patch writes such a change as a removal and an addition; lines that both have do not
        # count.
        shared = {int(due[0] or 0) - int(found[0] or 0), int(due[1] or 0) - int(found[1] or 0)}
        wrong = len(shared) != 1 or min(shared) < 0
    else:
        wrong = found != due or (None in due) != binary
    if wrong:
        what = f"{row.path}: expected {_counts(due)}, found {_counts(found)}"
        check.wrong("VERIFY_CHANGE", paths.FILES_CHANGED, what)


def _counts(counts: tuple[int | None, int | None]) -> str:
    return "binary" if None in counts else f"+{counts[0]} −{counts[1]}"
