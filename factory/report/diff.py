"""Read a patch of Git's for people: each line with its numbers in the old and in the new file.

A line counts as part of a hunk only as far as the hunk's head says, so that a changed line that
looks like a head is shown as a line. Content of binary files is left out. Pure; does not know who
wrote the patch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

_HUNK = re.compile(r"@@ -([0-9]+)(?:,([0-9]+))? \+([0-9]+)(?:,([0-9]+))? @@")
_FILE = "diff --git "
_BINARY = "GIT binary patch"

DiffKind = Literal["file", "hunk", "added", "removed", "same", "note"]


@dataclass(frozen=True, slots=True)
class DiffLine:
    """Describe one line of a patch; `old` and `new` are line numbers, 0 where it has none."""

    kind: DiffKind
    text: str
    old: int = 0
    new: int = 0


def numbered(lines: Iterable[str]) -> Iterator[DiffLine]:
    r"""Yield the lines of a patch with their numbers.

    >>> patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -7 +7,2 @@\n-one\n+two\n+three"
    >>> [(line.kind, line.old, line.new) for line in numbered(patch.split("\n"))][-3:]
    [('removed', 7, 0), ('added', 0, 7), ('added', 0, 8)]
    """
    old = new = old_left = new_left = 0
    in_binary = False
    for line in lines:
        if old_left <= 0 and new_left <= 0 and line.startswith(_FILE):
            in_binary = False
            yield DiffLine("file", line)
        elif in_binary:
            continue
        elif (old_left > 0 or new_left > 0) and line[:1] in ("+", "-", " ", "\\", ""):
            match line[:1]:
                case "+":
                    yield DiffLine("added", line, 0, new)
                    new, new_left = new + 1, new_left - 1
                case "-":
                    yield DiffLine("removed", line, old, 0)
                    old, old_left = old + 1, old_left - 1
                case "\\":
                    yield DiffLine("note", line)
                case _:
                    yield DiffLine("same", line, old, new)
                    old, new = old + 1, new + 1
                    old_left, new_left = old_left - 1, new_left - 1
        else:
            head = _HUNK.match(line)
            if head is not None:
                old, new = int(head[1]), int(head[3])
                old_left, new_left = int(head[2] or 1), int(head[4] or 1)
                yield DiffLine("hunk", line)
            else:
                in_binary = line == _BINARY
                yield DiffLine("note", line)
