"""Split the change of a file into hunks, and give the file without one of them.

A hunk is a run of changed lines, joined where at most three lines are between. A new, removed,
binary or mode-only file is one hunk, and so is one that is too large to compare.

    >>> old, new = b"a\\nb\\nc\\nd\\ne\\nf\\ng\\n", b"A\\nb\\nc\\nd\\ne\\nf\\nG\\n"
    >>> [(hunk.line, hunk.lines) for hunk in hunks_of(old, new)]
    [(1, 1), (7, 1)]
    >>> without(old, new, hunks_of(old, new)[1])
    b'A\\nb\\nc\\nd\\ne\\nf\\ng\\n'

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher

JOINED_WITHIN = 3  # unchanged lines between two runs of one hunk
_MOST_CELLS = 4_000_000  # old lines times new lines that are compared


@dataclass(frozen=True, slots=True)
class Hunk:
    """Describe one hunk: lines `start` to `end` (from 0, without the last) of the old file become
    `new_start` to `new_end` of the new one.
    """

    start: int
    end: int
    new_start: int
    new_end: int

    @property
    def line(self) -> int:
        """Return its first line in the new file, from 1."""
        return self.new_start + 1

    @property
    def lines(self) -> int:
        """Return how many lines of the new file it has; of a mere removal, those of the old."""
        return (self.new_end - self.new_start) or (self.end - self.start)


def hunks_of(old: bytes, new: bytes) -> tuple[Hunk, ...]:
    """Return the hunks between two contents; the whole file is one where lines cannot be compared.

    Contents that are equal have one hunk too: then the mode has changed.
    """
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    whole = Hunk(0, len(before), 0, len(after))
    if b"\0" in old or b"\0" in new or old == new:
        return (whole,)
    top = 0
    while top < min(len(before), len(after)) and before[top] == after[top]:
        top += 1
    end = 0
    while end < min(len(before), len(after)) - top and before[-1 - end] == after[-1 - end]:
        end += 1
    old_part, new_part = before[top : len(before) - end], after[top : len(after) - end]
    if len(old_part) * len(new_part) > _MOST_CELLS:
        return (Hunk(top, len(before) - end, top, len(after) - end),)
    matcher = SequenceMatcher(None, old_part, new_part, autojunk=False)
    found: list[Hunk] = []
    for tag, start, stop, new_start, new_stop in matcher.get_opcodes():
        if tag == "equal":
            continue
        hunk = Hunk(start + top, stop + top, new_start + top, new_stop + top)
        if found and hunk.start - found[-1].end <= JOINED_WITHIN:
            hunk = Hunk(found[-1].start, hunk.end, found[-1].new_start, hunk.new_end)
            found.pop()
        found.append(hunk)
    return tuple(found)


def without(old: bytes, new: bytes, hunk: Hunk) -> bytes:
    """Return the new content with the old lines in place of one hunk."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    lines = (*after[: hunk.new_start], *before[hunk.start : hunk.end], *after[hunk.new_end :])
    return b"".join(lines)
