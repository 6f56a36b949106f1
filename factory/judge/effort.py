"""Estimate the effort of comparing a change line by line, and of carrying it, from its bytes alone.

Rule: `least` is never more than Git would count, so a change that it refuses would be refused by
Git's count too. Git takes a file for binary by a NUL among its first bytes, or by its size, and
counts no lines of it. Does not compare.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from factory.judge.judge import Rules
from factory.model.finding import Finding
from factory.model.findings.entry import Facts
from factory.model.tree import MODE_SUBMODULE, Difference, Leaf

LARGE = 200_000
"""Lines of both sides together; comparing more runs in a process of its own, with a time limit."""
MOST = 10_000_000
"""Lines of both sides together; more are not compared at all."""

MOST_BYTES = 256 * 1024 * 1024
"""Bytes of the files of a change, old and new together, and of the artifacts of a pack: `git
diff-tree --binary` and `git apply` have a whole file in memory several times, and so has whoever
reads a patch.
"""

# Git's own bounds: buffer_is_binary in xdiff-interface.c, core.bigFileThreshold.
_NUL_WITHIN = 8000
_BIG_FILE = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Measured:
    """Describe the bytes of a blob: how many, how many lines (None if Git counts none), and their
    SHA-256 in hex.
    """

    size: int
    lines: int | None
    sha256: str


def measured(content: bytes) -> Measured:
    """Return what there is to know of these bytes, in one pass."""
    lines = None
    if b"\0" not in content[:_NUL_WITHIN] and len(content) <= _BIG_FILE:
        lines = content.count(b"\n") + (not content.endswith(b"\n") and bool(content))
    return Measured(len(content), lines, hashlib.sha256(content).hexdigest())


@dataclass(frozen=True, slots=True)
class Effort:
    """Estimate a change: `least` lines changed at least, `lines` to compare, both sides
    together.
    """

    least: int = 0
    lines: int = 0

    @property
    def large(self) -> bool:
        return self.lines > LARGE


def effort_of(differences: Iterable[Difference], blobs: Mapping[str, Measured]) -> Effort:
    """Return the effort of a change; `blobs` describes the bytes of its blobs by id."""
    least = lines = 0
    for change in differences:
        if (
            change.before is not None
            and change.after is not None
            and change.before.oid == change.after.oid
        ):
            continue
        before, after = _lines(change.before, blobs), _lines(change.after, blobs)
        if before is None or after is None:
            continue
        least += abs(after - before)
        lines += after + before
    return Effort(least, lines)


def _lines(leaf: Leaf | None, blobs: Mapping[str, Measured]) -> int | None:
    """Return the lines of one side of a change: 0 if it is absent, None if Git counts none."""
    if leaf is None:
        return 0
    if leaf.mode == MODE_SUBMODULE or leaf.oid not in blobs:
        return None
    return blobs[leaf.oid].lines


def judge_bytes(rules: Rules, sizes: Iterable[int]) -> tuple[Finding, ...]:
    """Return CHANGE_TOO_LARGE if the files of a change have more than MOST_BYTES together."""
    total = sum(sizes)
    if total <= MOST_BYTES:
        return ()
    return _too_large(rules, {"case": "bytes", "bytes": total, "most": MOST_BYTES})


def judge_effort(rules: Rules, effort: Effort) -> tuple[Finding, ...]:
    """Return CHANGE_TOO_LARGE if the change is over MOST lines, or surely over the pack's own
    limit.
    """
    if effort.lines > MOST:
        return _too_large(rules, {"case": "compared", "lines": effort.lines, "most": MOST})
    if effort.large and effort.least > rules.changed_lines:
        limit = rules.changed_lines
        return _too_large(rules, {"case": "changed", "lines": effort.least, "limit": limit})
    return ()


def judge_overdue(rules: Rules, seconds: float) -> tuple[Finding, ...]:
    """Return the finding about a change that could not be compared in `seconds`."""
    return _too_large(rules, {"case": "overdue", "seconds": round(seconds)})


def _too_large(rules: Rules, facts: Facts) -> tuple[Finding, ...]:
    return (Finding("CHANGE_TOO_LARGE", facts, pack=rules.pack, location=rules.limit_at),)
