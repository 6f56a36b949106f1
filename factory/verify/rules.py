"""Judge a change against its SCOPE_LOCK again, by rules of this checker's own.

Used only if the evidence says PASS: then nothing may be found. Does not know unavailable trees; the
folders of changed paths are always available.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from factory.verify import pack_files
from factory.verify.change import DerivedChange
from factory.verify.documents import ScopeLock
from factory.verify.doit_table import tables_touched
from factory.verify.names import folded, link_leaves, spell, why_unportable, why_unsafe
from factory.verify.patterns import matches
from factory.verify.trees import FOLDER, LINK, SUBMODULE, Path, TreeEntry, Trees, joined

Breach = tuple[str, str]


def breaches(
    lock: ScopeLock, folder: str, trees: Trees, result: str, change: DerivedChange
) -> Iterator[Breach]:
    """Yield (displayed path, clause) of everything that a PASS may not have.

    Raise Unknown, ObjectError.
    """
    old = trees.edited(result, change.before)
    for path, (before, after) in change.edits.items():
        name = joined(path)
        clause = (
            _name(lock, name, before is None)
            or _kind(name, before, after, change)
            or _scope(lock, name)
            or _discarded(lock, name, before)
            or _hidden(lock, folder, name, before)
            or pack_files.breach(lock, folder, name, (before, after), change)
            or (_collision(trees, result, old, path) if after is not None else "")
        )
        if clause:
            yield spell(name), clause
    yield from tables_touched(change)


def _name(lock: ScopeLock, path: str, fresh: bool) -> str:
    unsafe = why_unsafe(path)
    if unsafe:
        return f"expected a safe name, found one that {unsafe}"
    if matches(lock.protected, path) or matches(lock.protected, folded(path)):
        return "expected no change of a protected path, found one"
    unportable = why_unportable(path) if fresh else ""
    return f"expected a portable name, found one that {unportable}" if unportable else ""


def _kind(
    path: str, before: TreeEntry | None, after: TreeEntry | None, change: DerivedChange
) -> str:
    if any(entry is not None and entry.mode == SUBMODULE for entry in (before, after)):
        return "expected no change of a submodule, found one"
    if after is not None and after.mode == LINK:
        target = change.contents.get(after.oid)
        if target is None or link_leaves(path, os.fsdecode(target)):
            return "expected a link that stays inside, found one that can lead outside"
    return ""


def _scope(lock: ScopeLock, path: str) -> str:
    if matches(lock.denied, path):
        return "expected no change of a denied path, found one"
    if not matches(lock.allowed, path):
        return f"expected a path within {', '.join(lock.allowed) or 'nothing'}, found another"
    return ""


def _discarded(lock: ScopeLock, path: str, before: TreeEntry | None) -> str:
    if before is None and matches(lock.discard, path):
        return "expected no new file that discard names, found one"
    return ""


def _hidden(lock: ScopeLock, folder: str, path: str, before: TreeEntry | None) -> str:
    if before is None or lock.inputs is None or matches((*lock.inputs, f"{folder}/"), path):
        return ""
    return "expected a path among the inputs, found one that the pack could not see"


def _collision(trees: Trees, result: str, old: str, path: Path) -> str:
    here, there = result, old
    for name in path:
        siblings, known = trees.entries(here), trees.entries(there)
        own = folded(os.fsdecode(name))
        others = (n for n in siblings if n != name and folded(os.fsdecode(n)) == own)
        other = next((n for n in others if n not in known or name not in known), None)
        if other is not None:
            return f"expected one name, found {spell(os.fsdecode(other))} as well"
        entry = siblings.get(name)
        if entry is None or entry.mode != FOLDER:
            return ""
        was = known.get(name)
        here = entry.oid
        there = was.oid if was is not None and was.mode == FOLDER else trees.empty
    return ""
