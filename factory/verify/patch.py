"""Undo DIFF.patch: derive each changed file's content before from its content after and the patch.

Rule: the patch is read against the changes it must contain, header by header, and only in the form
Git writes; a section for another path is a hidden change. Hunks are undone on the content after, so
that no repository is needed, and the caller compares the id of the result. Sources: git-diff, in
Git's own words "generating patch text".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from factory.verify.binary_patch import BinaryPatchError, content_before
from factory.verify.trees import LINK, SUBMODULE, TreeEntry

_HUNK = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@(?: (.*))?")
_ENDLESS = b"\\ No newline at end of file"
_HEADING_STARTS = re.compile(rb"[A-Za-z_$]")
_HEADING_BYTES = 80  # Git's own bound (struct func_line in xdiff/xemit.c)
_QUOTED = re.compile(rb'[\x00-\x1f"\\\x7f-\xff]')
_SHORT_ESCAPES = {
    7: b"a",
    8: b"b",
    9: b"t",
    10: b"n",
    11: b"v",
    12: b"f",
    13: b"r",
    34: b'"',
    92: b"\\",
}


class PatchError(ValueError):
    """Report that the patch is malformed or does not fit: one clause. `hidden` is the path of an
    undeclared change.
    """

    def __init__(self, clause: str, hidden: str = "") -> None:
        super().__init__(clause)
        self.hidden = hidden


@dataclass(frozen=True, slots=True)
class Change:
    """Describe a change of the trees: the path, and its entry before and after (None: absent)."""

    path: str
    before: TreeEntry | None
    after: TreeEntry | None


@dataclass(frozen=True, slots=True)
class Undone:
    """Describe a file before the change (None: absent, or only its mode changed), and its lines
    (None: binary).
    """

    before: bytes | None
    added: int | None
    removed: int | None


def undo(patch: bytes, changes: Iterable[Change], after: Mapping[str, bytes]) -> dict[str, Undone]:
    """Return every change undone; `after` maps paths to contents after it. Raise PatchError."""
    text = _Text(patch)
    undone: dict[str, Undone] = {}
    for change in changes:
        content = after.get(change.path)
        if (
            change.before
            and change.after
            and (change.before.mode == LINK) != (change.after.mode == LINK)
        ):
            removal = _section(text, Change(change.path, change.before, None), None)
            addition = _section(text, Change(change.path, None, change.after), content)
            added, removed = addition.added, removal.removed
            binary = added is None or removed is None
            undone[change.path] = Undone(
                removal.before, None if binary else added, None if binary else removed
            )
        else:
            undone[change.path] = _section(text, change, content)
    if not text.ended:
        raise PatchError("expected its end after the last change, found more", _named(text.peek()))
    return undone


class _Text:
    """Read the lines of a patch, without their line feeds."""

    def __init__(self, patch: bytes) -> None:
        if patch and not patch.endswith(b"\n"):
            raise PatchError("expected a line feed at its end, found none")
        self._lines = patch.split(b"\n")[:-1]
        self._at = 0

    @property
    def ended(self) -> bool:
        return self._at == len(self._lines)

    def peek(self) -> bytes:
        return b"" if self.ended else self._lines[self._at]

    def next(self) -> bytes:
        if self.ended:
            raise PatchError("expected more lines, found its end")
        self._at += 1
        return self._lines[self._at - 1]

    def expect(self, line: bytes, path: str) -> None:
        found = self.next()
        if found != line:
            hidden = _named(found)
            raise PatchError(
                f"expected {_clipped(line)} for {path!r}, found {_clipped(found)}",
                hidden if hidden != path else "",
            )


def _clipped(line: bytes) -> str:
    return repr(line[:100].decode("utf-8", "backslashreplace"))


def _named(line: bytes) -> str:
    """Return the path that a section's first line names; "" if it is no such line."""
    rest = line.removeprefix(b"diff --git ")
    if rest == line or not rest:
        return ""
    half = rest[: len(rest) // 2]
    return os.fsdecode(half.strip(b'"').removeprefix(b"a/"))


def _section(text: _Text, change: Change, after: bytes | None) -> Undone:
    """Undo one section: header as Git writes it for this change, then hunks or a binary patch."""
    before, now = change.before, change.after
    text.expect(
        b"diff --git " + _quoted(b"a/", change.path) + b" " + _quoted(b"b/", change.path),
        change.path,
    )
    for line in _mode_lines(change):
        text.expect(line, change.path)
    if before is not None and now is not None and before.oid == now.oid:
        return Undone(None, 0, 0)
    zeros = "0" * len((before or now or TreeEntry(0, "")).oid)
    index = f"index {before.oid if before else zeros}..{now.oid if now else zeros}"
    same = before is not None and now is not None and before.mode == now.mode
    text.expect((index + (f" {now.mode:06o}" if same and now else "")).encode("ascii"), change.path)
    if now is None:
        after = b""
    elif after is None:
        raise PatchError(f"expected the content of {change.path!r}, found none")
    if text.peek() == b"GIT binary patch":
        text.next()
        try:
            return Undone(_or_none(content_before(text.next, after), before), None, None)
        except BinaryPatchError as error:
            raise PatchError(f"{change.path!r}: {error}") from error
    return _hunks(text, change, after)


def _or_none(content: bytes, before: TreeEntry | None) -> bytes | None:
    return content if before is not None else None


def _mode_lines(change: Change) -> list[bytes]:
    before, after = change.before, change.after
    if before is None and after is not None:
        return [b"new file mode %06o" % after.mode]
    if after is None and before is not None:
        return [b"deleted file mode %06o" % before.mode]
    if before is not None and after is not None and before.mode != after.mode:
        return [b"old mode %06o" % before.mode, b"new mode %06o" % after.mode]
    return []


def _quoted(prefix: bytes, path: str) -> bytes:
    """Return a name as Git writes it in a patch: quoted if a byte is special or not ASCII."""
    raw = prefix + os.fsencode(path)
    if _QUOTED.search(raw) is None:
        return raw
    return (
        b'"'
        + _QUOTED.sub(
            lambda found: b"\\" + (_SHORT_ESCAPES.get(found[0][0]) or b"%03o" % found[0][0]), raw
        )
        + b'"'
    )


def _named_side(prefix: bytes, path: str, there: bool) -> bytes:
    if not there:
        return b"/dev/null"
    name = _quoted(prefix, path)
    return name + b"\t" if " " in path else name


def _hunks(text: _Text, change: Change, after: bytes) -> Undone:
    if not text.peek().startswith(b"--- "):
        if (change.before is None and not after) or (change.after is None):
            return Undone(
                None if change.before is None else b"", 0, 0
            )  # an empty file, made or removed
        raise PatchError(f"expected hunks for {change.path!r}, found none")
    text.expect(b"--- " + _named_side(b"a/", change.path, change.before is not None), change.path)
    text.expect(b"+++ " + _named_side(b"b/", change.path, change.after is not None), change.path)
    new = _split(after)
    old: list[bytes] = []
    at = added = removed = 0
    heading = b""
    seen = 0
    while text.peek().startswith(b"@@ "):
        found = _HUNK.fullmatch(text.next())
        if found is None:
            raise PatchError(f"expected a hunk's head for {change.path!r}, found another line")
        starts = [int(found[1]), int(found[3])]
        counts = [int(number) if number is not None else 1 for number in (found[2], found[4])]
        first = starts[1] - (1 if counts[1] else 0)
        if first < at or first > len(new):
            raise PatchError(f"expected hunks of {change.path!r} in order, found line {starts[1]}")
        old += new[at:first]
        if starts[0] - (1 if counts[0] else 0) != len(old):
            raise PatchError(
                f"expected a hunk of {change.path!r} at old line {len(old)}, found {starts[0]}"
            )
        heading, seen = _heading(old, seen, heading), len(old)
        if (found[5] or b"") != heading or (
            b" @@ " in found[0] and not heading and found[0].endswith(b"@@ ")
        ):
            raise PatchError(
                f"expected the heading {_clipped(heading)} in {change.path!r}, found another"
            )
        plus, minus = _hunk(text, change.path, new, first, counts, old)
        at, added, removed = first + counts[1], added + plus, removed + minus
    if not added + removed:
        raise PatchError(f"expected a change of {change.path!r}, found none")
    return Undone(None if change.before is None else b"".join([*old, *new[at:]]), added, removed)


def _hunk(
    text: _Text, path: str, new: list[bytes], first: int, counts: list[int], old: list[bytes]
) -> tuple[int, int]:
    """Undo one hunk onto `old`; return (lines added, lines removed)."""
    left, at, added, removed = list(counts), first, 0, 0
    while left[0] or left[1]:
        line = text.next()
        sign, content = line[:1], line[1:]
        if text.peek() == _ENDLESS:
            text.next()
        else:
            content += b"\n"
        if sign not in (b" ", b"+", b"-"):
            raise PatchError(f"expected a line of a hunk of {path!r}, found {_clipped(line)}")
        if sign in b" +":
            if at >= len(new) or new[at] != content:
                raise PatchError(
                    f"expected line {at + 1} of {path!r} as it is, found {_clipped(line)}"
                )
            at, left[1], added = at + 1, left[1] - 1, added + (sign == b"+")
        if sign in b" -":
            old.append(content)
            left[0], removed = left[0] - 1, removed + (sign == b"-")
        if min(left) < 0:
            raise PatchError(f"expected a hunk of {path!r} to end, found another line")
    return added, removed


def _heading(old: list[bytes], seen: int, before: bytes) -> bytes:
    """Return what Git writes after a hunk's head: the last line above that starts like a
    definition.
    """
    for line in reversed(old[seen:]):
        if _HEADING_STARTS.match(line):
            return line.removesuffix(b"\n")[:_HEADING_BYTES].rstrip(b" \t\n\v\f\r")
    return before


def _split(content: bytes) -> list[bytes]:
    lines = content.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def content_of(entry: TreeEntry, blob: bytes | None) -> bytes | None:
    """Return what Git compares for an entry: a blob's bytes, or the one line it writes for a
    submodule.
    """
    return f"Subproject commit {entry.oid}\n".encode("ascii") if entry.mode == SUBMODULE else blob
