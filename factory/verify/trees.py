"""Read, compare, edit and narrow trees of which perhaps only a part is available; compute every id.

Rule: an unavailable tree raises `Unknown`, and an edit that would lose a file without naming it
raises `Clash`; nothing is assumed. A tree that is edited back to a known id proves every entry
along the way. Paths are bytes, as in the objects. Source: gitformat-tree.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from factory.verify.objects import ObjectError, object_id
from factory.verify.patterns import PatternReach

FILE, EXECUTABLE, LINK, SUBMODULE, FOLDER = 0o100644, 0o100755, 0o120000, 0o160000, 0o040000
MOST_DEPTH = 256  # folders in one another: bounds recursion
_MAKE_A_PACK = (b"task.yml", b"acceptance.yml")
_OCTAL = re.compile(rb"[0-7]{5,6}")


class TreeEntry(NamedTuple):
    """Describe a tree entry: Git mode and object id."""

    mode: int
    oid: str


class Unknown(LookupError):
    """Report a tree that the available evidence does not contain; its id."""


class Clash(ValueError):
    """Report an edit that does not fit its tree: one clause."""


Path = tuple[bytes, ...]
Edits = Mapping[Path, TreeEntry | None]
Fetch = Callable[[str], bytes | None]


def parts(path: str) -> Path:
    """Return a path as the names of its segments."""
    return tuple(os.fsencode(path).split(b"/"))


def joined(path: Path) -> str:
    """Return the segments of a path as one text."""
    return os.fsdecode(b"/".join(path))


class Trees:
    """Store trees by id: those given, those made here, and those that `fetch` finds repository."""

    def __init__(
        self, hash_name: str, payloads: Mapping[str, bytes], fetch: Fetch = lambda _: None
    ) -> None:
        self.hash_name = hash_name
        self.empty = object_id("tree", b"", hash_name)
        self._payloads = {self.empty: b"", **payloads}
        self._fetch = fetch
        self._read: dict[str, dict[bytes, TreeEntry]] = {}

    def entries(self, oid: str) -> Mapping[bytes, TreeEntry]:
        """Return name to entry. Raise Unknown, ObjectError."""
        known = self._read.get(oid)
        if known is None:
            payload = self._payloads.get(oid)
            if payload is None:
                payload = self._fetch(oid)
            if payload is None:
                raise Unknown(oid)
            known = self._read[oid] = parse_tree(payload, len(oid) // 2)
        return known

    def at(self, root: str, path: Path) -> TreeEntry | None:
        """Return the entry at `path`, None if there is none. Raise Unknown, ObjectError."""
        here = TreeEntry(FOLDER, root)
        for name in path:
            found = self.entries(here.oid).get(name) if here.mode == FOLDER else None
            if found is None:
                return None
            here = found
        return here

    def leaves(self, root: str, above: Path = ()) -> Iterator[tuple[Path, TreeEntry]]:
        """Yield every entry below that is no folder. Raise Unknown, ObjectError."""
        _bounded(len(above))
        for name, entry in self.entries(root).items():
            if entry.mode == FOLDER:
                yield from self.leaves(entry.oid, (*above, name))
            else:
                yield (*above, name), entry

    def made(self, entries: Mapping[bytes, TreeEntry]) -> str:
        """Store a folder of these entries; return its id."""
        payload = format_tree(entries)
        oid = object_id("tree", payload, self.hash_name)
        self._payloads[oid] = payload
        return oid

    def edited(self, root: str, edits: Edits) -> str:
        """Return the id of `root` with every path set, or removed if None.

        Removals come first, and folders without entries vanish. An entry may only be added where
        nothing was or where the edit names what it replaces; so an edit loses no file that it does
        not name. Raise Unknown, Clash, ObjectError.
        """
        _bounded(max(map(len, edits), default=0))
        removed = self._without(root, {path for path, entry in edits.items() if entry is None})
        return self._with(
            removed, {path: entry for path, entry in edits.items() if entry is not None}
        )

    def _without(self, root: str, paths: set[Path]) -> str:
        if not paths:
            return root
        entries = dict(self.entries(root))
        for name, below in _by_head(dict.fromkeys(paths)).items():
            entry = entries.get(name)
            if entry is None:
                continue
            if () in below:
                if entry.mode == FOLDER:
                    raise Clash(f"expected a file at {os.fsdecode(name)!r}, found a folder")
                del entries[name]
            elif entry.mode == FOLDER:
                rest = self._without(entry.oid, set(below))
                if rest == self.empty:
                    del entries[name]
                else:
                    entries[name] = TreeEntry(FOLDER, rest)
        return self.made(entries)

    def _with(self, root: str, edits: Mapping[Path, TreeEntry]) -> str:
        if not edits:
            return root
        entries = dict(self.entries(root))
        for name, below in _by_head(edits).items():
            entry = entries.get(name)
            if () in below:
                if len(below) > 1 or (entry is not None and entry.mode == FOLDER):
                    raise Clash(f"expected no folder at {os.fsdecode(name)!r}, found one")
                entries[name] = below[()]
            else:
                if entry is not None and entry.mode != FOLDER:
                    raise Clash(f"expected a folder at {os.fsdecode(name)!r}, found a file")
                entries[name] = TreeEntry(
                    FOLDER, self._with(entry.oid if entry else self.empty, below)
                )
        return self.made(entries)

    def placed(self, root: str, path: Path, entry: TreeEntry | None) -> str:
        """Return the id of `root` with whatever is at `path` replaced. Raise Unknown, Clash,
        ObjectError.
        """
        _bounded(len(path))
        entries = dict(self.entries(root))
        name, below = path[0], path[1:]
        old = entries.pop(name, None)
        if below:
            if old is not None and old.mode != FOLDER:
                raise Clash(f"expected a folder at {os.fsdecode(name)!r}, found a file")
            inner = self.placed(old.oid if old is not None else self.empty, below, entry)
            entry = TreeEntry(FOLDER, inner) if inner != self.empty else None
        if entry is not None:
            entries[name] = entry
        return self.made(entries)

    def take(self, payloads: Mapping[str, bytes]) -> None:
        """Store more trees, by their ids."""
        self._payloads.update(payloads)

    @property
    def payloads(self) -> Mapping[str, bytes]:
        """Return every tree that was given or made here."""
        return self._payloads

    def unshared(self, root: str, against: str) -> set[str]:
        """Return ids of every tree and blob of `root` that is not at the same path of `against`.

        Raise Unknown, ObjectError.
        """
        found: set[str] = set()
        waiting = [(root, against)]
        while waiting:
            new, old = waiting.pop()
            if new == old:
                continue
            found.add(new)
            there = self.entries(old)
            for name, entry in self.entries(new).items():
                other = there.get(name)
                if entry.mode == FOLDER:
                    below = other.oid if other is not None and other.mode == FOLDER else self.empty
                    waiting.append((entry.oid, below))
                elif entry.mode != SUBMODULE and (
                    other is None or other.mode == FOLDER or other.oid != entry.oid
                ):
                    found.add(entry.oid)
        return found

    def folders(self, root: str) -> set[str]:
        """Return ids of a tree and all trees below it. Raise Unknown, ObjectError."""
        found: set[str] = set()
        waiting = [root]
        while waiting:
            here = waiting.pop()
            if here not in found:
                found.add(here)
                waiting += [
                    entry.oid for entry in self.entries(here).values() if entry.mode == FOLDER
                ]
        return found

    def without_packs(self, root: str, folder: Path, kept: Iterable[bytes]) -> str:
        """Return the id of `root` without the folders below `folder` that are packs, but for those
        whose names are in `kept`. Raise Unknown, ObjectError.
        """
        top = self.at(root, folder)
        if top is None or top.mode != FOLDER:
            return root
        spared = set(kept)
        here = root
        for name, entry in self.entries(top.oid).items():
            if name in spared or entry.mode != FOLDER:
                continue
            if not self.entries(entry.oid).keys().isdisjoint(_MAKE_A_PACK):
                here = self.placed(here, (*folder, name), None)
        return here

    def narrowed(self, root: str, reach: PatternReach, depth: int = 0) -> str:
        """Return the id of `root` with only the files that match `reach`. Raise Unknown,
        ObjectError.

        What is wholly inside or wholly outside is not read.
        """
        if reach.everything:
            return root
        if reach.nothing:
            return self.empty
        _bounded(depth)
        kept: dict[bytes, TreeEntry] = {}
        for name, entry in self.entries(root).items():
            shown = os.fsdecode(name)
            if entry.mode != FOLDER:
                if reach.names(shown):
                    kept[name] = entry
                continue
            inner = self.narrowed(entry.oid, reach.below(shown), depth + 1)
            if inner != self.empty:
                kept[name] = TreeEntry(FOLDER, inner)
        return self.made(kept)


def _bounded(depth: int) -> None:
    if depth > MOST_DEPTH:
        raise ObjectError(f"expected at most {MOST_DEPTH} folders in one another, found more")


def _by_head(
    edits: Mapping[Path, TreeEntry | None] | Mapping[Path, TreeEntry],
) -> dict[bytes, dict[Path, TreeEntry]]:
    heads: dict[bytes, dict[Path, TreeEntry]] = {}
    for path, entry in edits.items():
        heads.setdefault(path[0], {})[path[1:]] = entry  # type: ignore[assignment]
    return heads


def parse_tree(payload: bytes, width: int) -> dict[bytes, TreeEntry]:
    """Return name to entry of a tree whose ids have `width` bytes.

    Raise ObjectError, also for a wrong order.
    """
    found: dict[bytes, TreeEntry] = {}
    at, before = 0, b""
    while at < len(payload):
        space = payload.find(b" ", at, at + 7)
        end = payload.find(b"\0", space + 1)
        if (
            space < 0
            or end < 0
            or end + 1 + width > len(payload)
            or not _OCTAL.fullmatch(payload, at, space)
        ):
            raise ObjectError("expected whole tree entries, found one that breaks off")
        name, mode = payload[space + 1 : end], int(payload[at:space], 8)
        sorting = name + (b"/" if mode == FOLDER else b"")
        if sorting <= before or name in found or name in (b"", b".", b"..") or b"/" in name:
            raise ObjectError(f"expected tree entries in order, found {os.fsdecode(name)[:80]!r}")
        found[name] = TreeEntry(mode, payload[end + 1 : end + 1 + width].hex())
        at, before = end + 1 + width, sorting
    if format_tree(found) != payload:
        raise ObjectError("expected a tree in its one form, found another")
    return found


def format_tree(entries: Mapping[bytes, TreeEntry]) -> bytes:
    """Return the payload of a tree."""
    rows = sorted(
        (name + (b"/" if entry.mode == FOLDER else b""), name, entry)
        for name, entry in entries.items()
    )
    return b"".join(
        b"%o %s\0" % (entry.mode, name) + bytes.fromhex(entry.oid) for _, name, entry in rows
    )
